"""Thumbnails of the images that a page names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fewshot.datasets.base import ImageDataset
from fewshot.report.payload.thumbnails import THUMBNAIL_BYTES, printable, thumbnail

PIXELS = 112
SMALL_PIXELS = 56


class Picture(NamedTuple):
    """A thumbnail, None where there is none, with the words in place of it."""

    url: str | None
    alt: str
    caption: str = ""


class Pictures:
    """Thumbnails by the names of files, as many as fit into a budget; those asked for first win.

    Parameters
    ----------
    labelled : ImageDataset or None
        None where there are features alone.
    others : sequence of ImageDataset
        Unlabelled images and query images. A name in several of them is the same file.
    budget : int
        Bytes of base64 of all thumbnails.
    """

    def __init__(
        self,
        labelled: ImageDataset | None = None,
        others: Sequence[ImageDataset] = (),
        budget: int = THUMBNAIL_BYTES,
    ) -> None:
        self._labelled, self._left = labelled, budget
        self._shots = _rows(labelled) if labelled is not None else {}
        self._others = {name: place for other in others for name, place in _rows(other).items()}
        self._made: dict[tuple[int, int, int], str | None] = {}

    @property
    def any(self) -> bool:
        """Whether there are images at all."""
        return bool(self._shots or self._others)

    def of_shot(self, file: str) -> str | None:
        """Thumbnail of a labelled image as a data URL; None where it cannot be read."""
        return self._of(self._shots.get(printable(file)), PIXELS)

    def of_other(self, file: str, pixels: int = PIXELS) -> str | None:
        """Thumbnail of an unlabelled or query image; None where it cannot be read."""
        return self._of(self._others.get(printable(file)), pixels)

    def example_of(self, label: str, but: set[str]) -> str | None:
        """The first file of a class, apart from those in `but`."""
        if self._labelled is None or label not in self._labelled.classnames:
            return None
        c = self._labelled.classnames.index(label)
        names = (self._labelled.paths[row] for row in np.flatnonzero(self._labelled.labels == c))
        return next((name for name in names if name not in but), None)

    def _of(self, place: tuple[ImageDataset, int] | None, pixels: int) -> str | None:
        if place is None or self._left <= 0:
            return None
        dataset, row = place
        key = (id(dataset), row, pixels)
        if key not in self._made:
            self._made[key] = self._affordable(dataset, row, pixels)
        return self._made[key]

    def _affordable(self, dataset: ImageDataset, row: int, pixels: int) -> str | None:
        from fewshot.datasets.images import UnreadableImageError

        try:
            picture = thumbnail(dataset.read(row), pixels)
        except (UnreadableImageError, OSError):
            return None
        if len(picture) > self._left:
            return None
        self._left -= len(picture)
        return picture


def _rows(dataset: ImageDataset) -> dict[str, tuple[ImageDataset, int]]:
    return {printable(path): (dataset, row) for row, path in enumerate(dataset.paths)}


def common_folder(names: Sequence[str]) -> str:
    """The folder, with the stroke after it, that is above all of the files; empty if none is.

    Examples
    --------
    >>> common_folder(["new/roll/1.jpg", "new/roll/12.jpg"]), common_folder(["1.jpg", "2.jpg"])
    ('new/roll/', '')
    """
    first, last = min(names, default=""), max(names, default="")
    differs = (n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    shared = first[: next(differs, len(first))]
    return shared[: 1 + max(shared.rfind("/"), shared.rfind("\\"))]
