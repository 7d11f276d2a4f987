"""Copies, tiny, empty and blurred images among labelled ones, from their pixels."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.images import UnreadableImageError
from fewshot.features.bank import FeatureBank
from fewshot.features.extraction.pixels import PixelFacts
from fewshot.features.extraction.signatures import COLOURS, groups_alike
from fewshot.features.row_keys import row_keys
from fewshot.hardware import available_cores
from fewshot.progress import counted_work

SMALL = 64  # pixels of the shorter side, of which networks see 224 and more
SMALLER = 0.5  # than the median image of the task, as digits are all small
EMPTY = 1.5  # grey levels; below, an image is of one colour
# An image is blurred if its finest detail is as good as gone, and the other images of the task are
# clearly sharper. The spread of sharpness among sharp images, from the quarter that is least
# sharp, is taken within bounds: 0.5 is that of photographs.
BLURRED, SPREAD = -2.6, (0.2, 0.5)
QUARTILE = 0.6745  # of the standard normal distribution


@dataclass(frozen=True, eq=False)
class Measured:
    """Measurements of the images of a bank.

    Attributes
    ----------
    facts : dict of int to PixelFacts
        By row of the bank.
    unreadable : dict of int to str
        Why images could not be read this time.
    """

    facts: dict[int, PixelFacts]
    unreadable: dict[int, str]


@dataclass(frozen=True, eq=False)
class CopySets:
    """Sets of images that show the same picture.

    Attributes
    ----------
    sets : list of ndarray of int
        Rows, of two images or more.
    across : ndarray of shape (M,), bool
        Images of a set in several classes.
    first_in_class : ndarray of shape (M,), bool
        False for all but the first image of a set in its class.
    content : ndarray of shape (M,)
        Equal for identical pictures.
    pixels : ndarray of shape (M,)
        Width times height, 0 where unknown.
    """

    sets: list[NDArray]
    across: NDArray
    first_in_class: NDArray
    content: NDArray
    pixels: NDArray

    def identical(self, row: int, other: int) -> bool:
        """Whether two images are the same to the last pixel."""
        return bool(self.content[row] == self.content[other])


class Poor(NamedTuple):
    """A tiny, empty or blurred image: row, kind, reason, chance rate, and whether it is empty."""

    row: int
    kind: str
    reason: str
    chance: float | None
    empty: bool = False


def measure_images(images: ImageDataset, rows: NDArray) -> Measured:
    """Read the images of a bank, of which `rows` (M,) are the rows in the data set, or -1."""
    facts: dict[int, PixelFacts] = {}
    unreadable: dict[int, str] = {}

    def measure(row: int) -> PixelFacts | str:
        try:
            return PixelFacts.of(images.read(int(rows[row])))
        except UnreadableImageError as error:
            return str(error)

    known = np.flatnonzero(rows >= 0).tolist()
    with ThreadPoolExecutor(min(8, available_cores() + 1)) as pool:
        results = pool.map(measure, known)
        for row in counted_work(known, "a look at the images", "images"):
            result = next(results)
            if isinstance(result, str):
                unreadable[row] = result
            else:
                facts[row] = result
    return Measured(facts, unreadable)


def copy_sets(bank: FeatureBank, measured: Measured | None) -> CopySets:
    """Sets of copies: by pixels where the images are there, else rows with equal features.

    Pictures of one colour are no copies of each other.
    """
    size = len(bank.labels)
    _, content = np.unique(row_keys(np.asarray(bank.features)), return_inverse=True)
    content = content.reshape(-1)
    group = content
    pixels = np.zeros(size)
    if measured is not None:
        for row, entry in measured.facts.items():
            pixels[row] = entry.width * entry.height
        shown = [row for row, entry in measured.facts.items() if entry.contrast >= EMPTY]
        content = np.arange(size)
        group = content.copy()
        if shown:
            hashes = [measured.facts[row].content for row in shown]
            content[shown] = np.array(shown)[np.unique(hashes, return_inverse=True)[1]]
            group = _groups(content, shown, measured)
    return _sets(group, content, np.asarray(bank.labels), pixels)


def _groups(content: NDArray, shown: list[int], measured: Measured) -> NDArray:
    """Numbers (M,) of images that look alike, from those (M,) of identical ones."""
    marks = np.stack([measured.facts[row].signature for row in shown])
    # A pattern as fine as a screen's leaves nothing in a signature but the mean colour.
    coarse = marks[:, COLOURS:].any(1)
    rows = np.array(shown)[coarse]
    group = content.copy()
    if len(rows):
        # Groups are named by a row of theirs, so that no other image has the number.
        group[rows] = rows[np.unique(groups_alike(marks[coarse]), return_inverse=True)[1]]
    return group


def _sets(group: NDArray, content: NDArray, labels: NDArray, pixels: NDArray) -> CopySets:
    """Sets of copies from numbers (M,) of what looks alike and of what is identical."""
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    sets = [part for part in parts if len(part) > 1]
    across = np.zeros(len(group), bool)
    first = np.ones(len(group), bool)
    for rows in sets:
        across[rows] = len(np.unique(labels[rows])) > 1
        first[rows] = False
        first[rows[np.unique(labels[rows], return_index=True)[1]]] = True
    return CopySets(sorted(sets, key=lambda rows: int(rows[0])), across, first, content, pixels)


def poor_images(measured: Measured, labels: NDArray, level: float) -> Iterator[Poor]:
    """Tiny and empty images, and those that are blurred with a chance rate below `level`."""
    rows = np.array(list(measured.facts), np.int64)
    if not len(rows):
        return
    facts = list(measured.facts.values())
    shorter = np.array([min(entry.width, entry.height) for entry in facts])
    empty = np.array([entry.contrast for entry in facts]) < EMPTY
    tiny = (shorter < SMALL) & (shorter <= SMALLER * np.median(shorter))
    for i in np.flatnonzero(empty | tiny).tolist():
        sides = f"{facts[i].width} x {facts[i].height} pixels"
        usual = f"{sides}; the shorter side of most images has about {np.median(shorter):.0f}"
        text = "all of one colour" if empty[i] else usual
        yield Poor(int(rows[i]), "tiny", text, None, bool(empty[i]))
    sharp = np.array([entry.sharpness for entry in facts])
    for i, chance in blur_chances(np.where(empty | tiny, np.nan, sharp), labels[rows]):
        if chance < level:
            text = "its finest detail is gone, unlike that of the other images"
            yield Poor(int(rows[i]), "blurred", text, chance)


def blur_chances(sharpness: NDArray, labels: NDArray) -> Iterator[tuple[int, float]]:
    """Images that may be blurred, and how probable one so blurred is among sharp ones.

    Parameters
    ----------
    sharpness : ndarray of shape (M,)
        See `fewshot.features.extraction.pixels.sharpness`; NaN for images that do not count.
        Infinite ones, without any detail, are blurred if most others have some.
    labels : ndarray of shape (M,)
        Of a class of which half are as smooth it is the nature.
    """
    counted = ~np.isnan(sharpness)
    values = np.where(np.isinf(sharpness), -np.inf, sharpness)
    known = values[counted]
    if len(known) < 3 or not np.isfinite(np.median(known)):
        return
    lower, middle = np.quantile(known[np.isfinite(known)], [0.25, 0.5])
    spread = float(np.clip((middle - lower) / QUARTILE, *SPREAD))
    smooth = counted & (values < BLURRED)
    for i in np.flatnonzero(smooth).tolist():
        beside = counted & (labels == labels[i])
        beside[i] = False
        if beside.any() and smooth[beside].mean() >= 0.5:
            continue
        tail = float(ndtr((values[i] - middle) / spread))
        yield i, float(-np.expm1(len(known) * np.log1p(-tail)))
