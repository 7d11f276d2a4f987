"""Texts of classes: prompts with the name, descriptions, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.backbones.base import DualEncoder
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.text.chunks import chunks
from fewshot.text.descriptions import SETTING, Descriptions
from fewshot.text.prompts import (
    PLACE,
    check_classnames,
    check_directions,
    in_text,
    mean_directions,
    prompts,
)
from fewshot.text.template_sets import TemplateSet

SOURCES = ("templates", "descriptions", "both")
MISSING = ("raise", "templates")
LONGEST_SHOWN = 80


@dataclass(frozen=True)
class ClassTexts:
    """The texts of every class.

    Attributes
    ----------
    classnames : tuple of C str
    prompts, descriptions : tuple of C tuples of str
        Either may be empty, not both.
    record : dict
        Where they come from, JSON types only.
    """

    classnames: tuple[str, ...]
    prompts: tuple[tuple[str, ...], ...]
    descriptions: tuple[tuple[str, ...], ...]
    record: dict[str, Any] = field(default_factory=dict)


def class_texts(
    classnames: Sequence[str],
    templates: TemplateSet,
    descriptions: Descriptions | None = None,
    source: str = "templates",
    missing: str = "raise",
    ids: Sequence[str] | None = None,
) -> ClassTexts:
    """The texts that `source` takes for each class.

    Parameters
    ----------
    classnames : sequence of C str
    templates : TemplateSet
    descriptions : Descriptions, optional
        Needed unless `source` is "templates".
    source : {"templates", "descriptions", "both"}
    missing : {"raise", "templates"}
        Handling of a class without a description: "templates" uses its prompts and lists it in
        the record.
    ids : sequence of C str, optional
        Identifiers of the classes, for descriptions under other names.

    Raises
    ------
    FewshotError
        Class names with equal texts, or classes without a description.
    """
    expect_choice("text.source", source, SOURCES)
    expect_choice("text.missing", missing, MISSING)
    check_classnames(classnames)
    answers = descriptions or Descriptions()
    described = answers.of(classnames, ids) if source != "templates" else [[] for _ in classnames]
    described = [
        [text.replace(PLACE, in_text(name)) for text in texts]
        for name, texts in zip(classnames, described, strict=True)
    ]
    without = [name for name, texts in zip(classnames, described, strict=True) if not texts]
    if source != "templates" and missing == "raise":
        _expect_none(without, len(classnames), answers.foreign(classnames, ids))
    named = [
        prompts(name, templates.templates) if source != "descriptions" or not texts else []
        for name, texts in zip(classnames, described, strict=True)
    ]
    record: dict[str, Any] = {"source": source}
    if same := _equal_texts(classnames, named, described):
        record["same_texts"] = same
    if any(named):
        record["templates"] = templates.record()
    if source != "templates":
        record["descriptions"] = {
            **{key: getattr(answers, key) for key in ("dataset", "model", "prompt", "created")},
            "sha256": answers.sha256,
            "other_classes": answers.foreign(classnames, ids),
        }
        record["without_description"] = without
    return ClassTexts(
        tuple(classnames), tuple(map(tuple, named)), tuple(map(tuple, described)), record
    )


def _equal_texts(
    classnames: Sequence[str], named: Sequence[Sequence[str]], described: Sequence[Sequence[str]]
) -> list[list[str]]:
    """Groups of classes with equal texts, which no text encoder can distinguish."""
    groups: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for name, *texts in zip(classnames, named, described, strict=True):
        groups.setdefault(tuple(map(tuple, texts)), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def text_vectors(dual: DualEncoder, texts: ClassTexts) -> tuple[Tensor, dict[str, Any]]:
    """A unit vector per class, and a record of texts longer than the context of the encoder.

    Descriptions go in pieces of at most the encoder's context length. The vector of a class is the
    direction of the mean of the unit vectors of its prompts, or of the pieces of its descriptions;
    where there are both, both means have unit length and count alike.

    Returns
    -------
    vectors : Tensor of shape (C, D), float32, on the CPU
    record : dict
        ``pieces``, how many texts were encoded; ``cut``, truncated texts: class, beginning of the
        text and its tokens.

    Raises
    ------
    FewshotError
        Descriptions for an encoder that does not count tokens, or one that gives no direction.
    """
    cut = _cut_prompts(dual, texts)
    pieces: list[list[str]] = []
    for name, described in zip(texts.classnames, texts.descriptions, strict=True):
        class_pieces: list[str] = []
        for text in described:
            parts, lost = chunks(text, _counter(dual), dual.context_length)
            class_pieces += parts
            cut += [_cut(dual, name, word) for word in lost]
        pieces.append(class_pieces)
    vectors = torch.zeros(())
    for lists in (texts.prompts, pieces):
        if any(lists):
            vectors = vectors + mean_directions(dual, lists)
    vectors = normalize(vectors, dim=-1)
    check_directions(vectors, texts.classnames)
    return vectors, {"pieces": sum(map(len, (*texts.prompts, *pieces))), "cut": cut}


def _cut_prompts(dual: DualEncoder, texts: ClassTexts) -> list[dict[str, Any]]:
    """Records of prompts that the encoder truncates; [] if it does not count tokens."""
    if dual.count_tokens is None:
        return []
    named = zip(texts.classnames, texts.prompts, strict=True)
    pairs = [(name, text) for name, texts_of in named for text in texts_of]
    counts = dual.count_tokens([text for _, text in pairs]) if pairs else []
    long = zip(pairs, counts, strict=True)
    return [_cut(dual, *pair) for pair, count in long if count > dual.context_length]


def _cut(dual: DualEncoder, name: str, text: str) -> dict[str, Any]:
    assert dual.count_tokens is not None
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."
    return {"class": name, "text": shown, "tokens": dual.count_tokens([text])[0]}


def _counter(dual: DualEncoder) -> Any:
    if dual.count_tokens is None:
        raise FewshotError(
            "text.source",
            "this text encoder does not count tokens, so that descriptions cannot be split",
            "Take text.source=templates, or give its DualEncoder a count_tokens.",
        )
    return dual.count_tokens


def _expect_none(without: list[str], classes: int, others: list[str]) -> None:
    """Raise if there are classes without a description; `others` are those of no class."""
    if not without:
        return
    shown = ", ".join(map(repr, without[:3])) + (", ..." if len(without) > 3 else "")
    named = ", ".join(map(repr, others[:3])) + (", ..." if len(others) > 3 else "")
    raise FewshotError(
        SETTING,
        f"{len(without)} of {classes} classes have no description: {shown}"
        + (f"; the file has some of {named}, of no class" if others else ""),
        "Make them with fewshot text describe, rename them in the file, or set "
        "text.missing=templates.",
    )
