"""A model file as parameters of an unfitted classifier, and in a line of words."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from fewshot.backbones import kinds
from fewshot.backbones.settings import backbone_settings
from fewshot.evaluation.named import heads_of_classes_alike
from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.heads.base import Head
from fewshot.models.header import BackboneNote, Header
from fewshot.report.wording import plain
from fewshot.units import counted, percent

SHOWN = 5  # class names in a line


def in_a_line(header: Header) -> str:
    """What a fitted classifier tells apart, with what, and how well."""
    names = ", ".join(plain(name) for name in header.classes[:SHOWN])
    more, note = ", ..." if len(header.classes) > SHOWN else "", header.backbone
    rows = counted(sum(header.images.values()), "row" if note is None else "image")
    text = (
        f"{len(header.classes)} classes ({names}{more}) from {rows}: {header.head['name']} on "
        f"{'features' if note is None else plain(note.name)}"
    )
    if header.error is None:
        return text
    error, lower, upper = map(percent, (header.error.error, header.error.lower, header.error.upper))
    return f"{text}; predicted error {error} % ({lower} to {upper} %)"


def chosen_parameters(header: Header) -> dict[str, Any]:
    """Parameters of an unfitted classifier with the backbone and the head of a model file."""
    name, note = header.head["name"], header.backbone
    head: str | Head = name
    with suppress(FewshotError, TypeError, ValueError):  # of another version
        if ":" not in name and name in heads:  # no file makes a module be imported
            head = head_parameter(name, heads.create(name, **header.head["parameters"]))
    chosen: dict[str, Any] = {"backbone": None if note is None else note.name, "head": head}
    if header.error is not None:
        chosen["level"] = header.error.level
    if note is not None and note.settings.get("size") != _usual_size(note):
        chosen["size"] = note.settings.get("size")
    return chosen


def _usual_size(note: BackboneNote) -> int | None:
    """Input in pixels that a backbone has by its name; no module is imported for that."""
    kind, _, rest = note.name.partition(":")
    with suppress(FewshotError):  # a name of another version
        if not rest or kind in kinds:
            return backbone_settings(note.name).get("size")
    return None


def head_parameter(name: str, head: Head) -> str | Head:
    """A head as an argument: its name where that gives it, else an unfitted object."""
    try:
        same = heads_of_classes_alike(name)[name]
    except FewshotError:  # of another package, by an object
        return head.clone()
    alike = type(same) is type(head) and same.get_params() == head.get_params()
    return name if alike else head.clone()
