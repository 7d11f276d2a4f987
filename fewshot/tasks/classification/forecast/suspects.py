"""Labelled images that look wrong: copies, likely mislabelled, outliers, unreadable, poor ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fewshot.datasets.base import ImageDataset
from fewshot.features.bank import FeatureBank

KINDS = ("unreadable", "copy", "near-copy", "mislabelled", "outlier", "tiny", "blurred")


@dataclass(frozen=True)
class Suspect:
    """A labelled image that somebody should look at.

    Attributes
    ----------
    file : str
        As the data set names it; the row's number of features without names.
    label : str
        The class that it is filed under.
    kind : str
        One of `KINDS`.
    reason : str
        In words, with the figure that it rests on.
    chance : float or None
        How probable an image at least as odd is among the images of a task in which nothing is
        wrong, in [0, 1]; None where there is no doubt, as of a file that cannot be read.
    other : str or None
        Class that it looks like, or file that it is a copy of.
    """

    file: str
    label: str
    kind: str
    reason: str
    chance: float | None = None
    other: str | None = None


def suspects(
    bank: FeatureBank, images: ImageDataset | None, skipped: Sequence[Mapping[str, Any]] = ()
) -> list[Suspect]:
    """Images that look wrong, those that are most surely so first.

    Parameters
    ----------
    bank : FeatureBank
        Features of the labelled images.
    images : ImageDataset, optional
        The images themselves; without them nothing is said of their pixels.
    skipped : sequence of mapping
        ``path`` and ``reason`` of images that could not be read.
    """
    return []
