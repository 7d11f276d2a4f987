"""Prompts from class names, and text vectors of classes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.backbones.base import DualEncoder
from fewshot.exceptions import FewshotError, expect
from fewshot.paths import card

PLACE = "{}"
DEFAULT_TEMPLATES = ("a photo of a {}.",)
# Prompts that are encoded before their vectors are averaged; bounds the memory of large sets.
PROMPTS_AT_ONCE = 4096


def templates_of(dataset: str) -> tuple[str, ...]:
    """Templates in the card of a data set, or the default template."""
    return tuple(card(dataset).get("templates") or DEFAULT_TEMPLATES)


def readable(classname: str) -> str:
    """A class name without underscores, with single spaces.

    Examples
    --------
    >>> from fewshot.text.prompts import readable
    >>> readable("sea_horse ")
    'sea horse'
    """
    return " ".join(classname.replace("_", " ").split())


def in_text(classname: str) -> str:
    """A class name for prompts: readable, without a WordNet id that distinguishes equal names.

    Examples
    --------
    >>> from fewshot.text.prompts import in_text
    >>> in_text("crane (n02012849)"), in_text("kite (bird of prey)")
    ('crane', 'kite (bird of prey)')
    """
    return re.sub(r"(?<=\S) \(n\d{8}\)$", "", readable(classname))


def prompts(classname: str, templates: Sequence[str]) -> list[str]:
    """The templates with the class name in place of every ``{}``.

    Other braces stay as they are.

    Examples
    --------
    >>> from fewshot.text.prompts import prompts
    >>> prompts("sea_horse", ["a photo of a {}.", "a drawing of a {}."])
    ['a photo of a sea horse.', 'a drawing of a sea horse.']

    Raises
    ------
    FewshotError
        No template, or one without a place for the name.
    """
    check_templates(templates)
    return [template.replace(PLACE, in_text(classname)) for template in templates]


def class_vectors(
    dual: DualEncoder, classnames: Sequence[str], templates: Sequence[str] = DEFAULT_TEMPLATES
) -> Tensor:
    """A unit vector per class, the direction of the mean of its prompts' unit vectors.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML
    2021, Sec. 3.1.4: an ensemble over prompts in the space of vectors, so that it costs as much as
    a single prompt once it is made.

    Returns
    -------
    Tensor of shape (C, D), float32, on the CPU

    Raises
    ------
    FewshotError
        Invalid names or templates, or an encoder that returns a zero or non-finite vector.
    """
    check_templates(templates)
    check_classnames(classnames)
    vectors = mean_directions(dual, [prompts(name, templates) for name in classnames])
    check_directions(vectors, classnames)
    return vectors


def mean_directions(dual: DualEncoder, lists: Sequence[Sequence[str]]) -> Tensor:
    """The direction (C, D) of the mean of the texts' unit vectors, for each of C lists.

    Zero for an empty list.
    """
    rows: list[Tensor] = []
    for batch in _in_batches(lists):
        texts = [text for listed in batch for text in listed]
        vectors = normalize(dual.encode_text(texts).float(), dim=-1)
        rows += [part.sum(0) for part in vectors.split([len(listed) for listed in batch])]
    return normalize(torch.stack(rows), dim=-1)


def check_directions(vectors: Tensor, classnames: Sequence[str]) -> None:
    """Raise unless every class has a finite vector that is not zero."""
    lost = ~(vectors.isfinite().all(-1) & vectors.any(-1))
    if bool(lost.any()):
        name = classnames[int(lost.nonzero()[0])]
        raise FewshotError("backbone", f"the text encoder gave no direction for class {name!r}")


def _in_batches(lists: Sequence[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    """Neighbouring lists with at most PROMPTS_AT_ONCE texts together, or a single longer one."""
    batch: list[Sequence[str]] = []
    size = 0
    for texts in lists:
        if size and size + len(texts) > PROMPTS_AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(texts)
        size += len(texts)
    if size:
        yield batch


def check_templates(templates: Sequence[str]) -> None:
    """Raise unless `templates` is a list of at least one text with a ``{}`` in it."""
    listed = isinstance(templates, Sequence) and not isinstance(templates, str)
    several = listed and len(templates) > 0
    expect(several, "templates", f"expected a list of at least one template, got {templates!r}")
    for template in templates:
        if not isinstance(template, str) or PLACE not in template:
            raise FewshotError(
                "templates",
                f"expected a text with {PLACE} where the class name goes, got {template!r}",
                f"For instance {DEFAULT_TEMPLATES[0]!r}.",
            )


def check_classnames(classnames: Sequence[str]) -> None:
    """Raise if there is no name, an empty one, or two that are equal for text encoders.

    Names that differ by case or underscores only give the same prompt: CLIP's tokenizer reads
    lower case. Names with a WordNet id behind are taken as they are: ImageNet has two classes that
    CLIP calls "missile", and gives both the same vector.
    """
    expect(len(classnames) > 0, "classnames", "expected at least one class name, got none")
    first: dict[str, int] = {}
    for number, name in enumerate(classnames):
        key = readable(name).casefold()
        if not key:
            raise FewshotError(
                "classnames",
                f"class {number} has an empty name, {name!r}; text encoders need one",
                "Name it, or take a head that does not read class names.",
            )
        if key in first:
            raise FewshotError(
                "classnames",
                f"classes {first[key]} ({classnames[first[key]]!r}) and {number} ({name!r}) have "
                "the same name to a text encoder",
                "Rename one so that it says the difference (crane bird, crane machine), or take a "
                "head that does not read class names.",
            )
        first[key] = number
