"""The part of a bank that is evaluated: novel classes, or validation or base classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fewshot.datasets.part_names import NOVEL, name_with_part
from fewshot.datasets.parts import PARTS
from fewshot.episodes.episode_set import EpisodeSet
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.features.bank import FeatureBank

__all__ = ["NOVEL", "check_judged", "judged_name", "judged_part"]


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


def judged_name(bank: FeatureBank) -> str:
    """Name of the data set in rows and cells, with the part unless that is the novel one.

    The part is in the name so that no table, pivot or plot that groups by data set mixes such a
    cell with cells of the data set's novel classes.
    """
    name = str(bank.info.get("dataset", "features"))
    return name_with_part(name, str(bank.info.get("part", NOVEL)))


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
