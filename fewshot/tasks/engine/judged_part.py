"""The part of a bank that is evaluated: novel classes, or validation or base classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.part_names import NOVEL
from fewshot.datasets.parts import PARTS
from fewshot.episodes.episode_set import EpisodeSet
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.features.bank import FeatureBank
from fewshot.heads.texts import no_text

__all__ = ["NOVEL", "as_base", "check_judged", "judged_part", "labels_only"]


def judged_part(bank: FeatureBank, part: str | None) -> FeatureBank:
    """The bank with the classes of `part` as novel classes, excluded from the base classes.

    Code that draws from novel classes or learns from base classes needs no change: the classes of
    `part` become the novel ones, and the original novel ones become validation classes. Base
    classes stay base unless they are the evaluated part.

    Parameters
    ----------
    bank : FeatureBank
    part : {"novel", "validation", "base"} or None
        None is "novel": the bank as it is.

    Raises
    ------
    FewshotError
        The bank has no classes of that part.
    """
    expect_choice("episodes.part", part or NOVEL, PARTS)
    if part in (None, NOVEL):
        return bank
    if bank.parts is None or part not in bank.parts:
        raise FewshotError(
            "episodes.part",
            f"expected {part} classes to draw from, and the data set has none",
            "Give it a split by class: dataset.split=random, or a file that lists the parts.",
        )
    roles = {part: NOVEL, NOVEL: "validation"}
    parts = tuple(roles.get(name, name) for name in bank.parts)
    return replace(bank, parts=parts, info=bank.info | {"part": part, "parts": bank.parts})


def check_judged(episodes: EpisodeSet, bank: FeatureBank) -> EpisodeSet:
    """Check that replayed episodes contain no classes that heads or estimators may learn from."""
    if bank.parts is None:
        return episodes
    allowed = (NOVEL,) if "part" in bank.info else (NOVEL, "validation")
    wrong = [c for c in np.unique(episodes.classes).tolist() if bank.parts[c] not in allowed]
    if wrong:
        part = bank.info.get("part", NOVEL)
        raise FewshotError(
            "episodes.path",
            f"expected episodes of {part} classes, got some with {bank.classnames[wrong[0]]!r}, "
            "which is none of them",
            "Set episodes.part to the part that they were drawn from, or dataset.split=none.",
        )
    return episodes


def as_base(bank: FeatureBank) -> FeatureBank:
    """Return the bank with all classes as base classes, unless it has a split.

    Raises
    ------
    FewshotError
        The bank has no text vectors.
    """
    if bank.text is None:
        raise no_text("text_gaussian")
    return replace(bank, parts=bank.parts or ("base",) * len(bank.classnames))


def labels_only(dataset: ImageDataset) -> FeatureBank:
    """Return a bank with the labels of a data set and features of shape (M, 0)."""
    empty = np.empty((len(dataset), 0), dtype=np.float32)
    return FeatureBank(
        empty,
        dataset.labels,
        dataset.classnames,
        parts=dataset.parts,
        subset=dataset.subset,
        info={"dataset": dataset.name},
        ids=dataset.ids,
        naming=dataset.naming,
    )
