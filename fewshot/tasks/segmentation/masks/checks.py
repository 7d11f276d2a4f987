"""Checks of data sets with masks: sizes, parts, groups, classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.classnames import folded
from fewshot.datasets.images import (
    QUARTER_TURNS,
    UPRIGHT,
    UnreadableImageError,
    unreadable_of,
)
from fewshot.exceptions import FewshotError, expect, shown
from fewshot.files import UNREADABLE
from fewshot.hardware import available_cores
from fewshot.progress import counted_work
from fewshot.tasks.segmentation.masks.rows import MaskRows

SMALLEST = 8  # pixels of a side of an image
BACKGROUND = "background"


def checked_mask(source: MaskRows, row: int) -> NDArray[np.int16]:
    """The mask of a row, if it is of the size of its image."""
    path, name = source.paths[row], source.masks[row]
    try:
        mask = source.read_mask(row)
    except UnreadableImageError as error:
        raise unreadable_mask(name, error) from None
    try:
        width, height = source.size(row)
    except UnreadableImageError as error:
        failure = {"path": path, "reason": error.reason, "remedy": error.remedy}
        raise unreadable_of([failure]) from None
    expect(
        min(width, height) >= SMALLEST,
        "dataset.root",
        f"image {path!r} has {width} x {height} pixels, fewer than {SMALLEST} x {SMALLEST}",
        "Remove it, and its mask.",
    )
    if mask.shape == (height, width):
        return mask
    sizes = f"image {path!r} has {width} x {height} pixels, mask {name!r} {_size_of(mask)}"
    if mask.shape == (width, height) and source.orientation(row) in QUARTER_TURNS:
        raise FewshotError(
            "dataset.root",
            f"{sizes}: the image is a photograph that its EXIF orientation turns by 90 degrees, "
            "and its mask is not turned",
            "Turn the mask as viewers show the image, or save the image without that orientation.",
        )
    raise FewshotError(
        "dataset.root", sizes, "Save the mask at the size of its image, without interpolation."
    )


def expect_turned_masks(source: MaskRows) -> None:
    """Raise if an image is turned by its EXIF orientation and nothing says that masks are, too.

    Half turns, mirrorings and squares keep their size. Another image of the folder that is turned
    to another size, and whose mask fits, says that masks were drawn on images as viewers show them.
    Masks that do not fit are refused by :func:`checked_mask`.
    """
    doubtful = []
    for row in range(len(source.paths)):
        try:
            orientation = source.orientation(row)
            if orientation == UPRIGHT:
                continue
            width, height = source.size(row)
        except UnreadableImageError:  # told when it is read
            continue
        if orientation in QUARTER_TURNS and width != height:
            return
        doubtful.append(row)
    if doubtful:
        others = f" (and {len(doubtful) - 1} other images)" if doubtful[1:] else ""
        raise FewshotError(
            "dataset.root",
            f"image {source.paths[doubtful[0]]!r}{others} is turned by its EXIF orientation, and "
            "its size does not tell whether its mask is turned, too",
            "Save the image as viewers show it, without that orientation, and see that its mask "
            "fits.",
        )


def _size_of(mask: NDArray) -> str:
    return f"{mask.shape[1]} x {mask.shape[0]}"


def unreadable_mask(name: str, error: UnreadableImageError) -> FewshotError:
    """The error for a mask that cannot be decoded."""
    remedy = error.remedy.rstrip(".") or "Replace it"
    return FewshotError(
        "dataset.root",
        f"cannot read mask {name!r}: {error.reason}",
        f"{remedy}, or set dataset.on_error=skip.",
    )


def readable(source: MaskRows) -> MaskRows:
    """The source without images and masks that cannot be decoded, which its facts list."""
    rows = range(len(source.paths))
    with ThreadPoolExecutor(min(8, available_cores() + 1)) as pool:
        tried = pool.map(lambda row: _failure(source, row), rows)
        pairs = zip(tried, counted_work(rows, "reading images", "images"), strict=True)
        failures = [failure for failure, _ in pairs]
    kept = np.array([row for row in rows if failures[row] is None], np.int64)
    skipped = [failure for failure in failures if failure is not None]
    if not skipped:
        return source
    if not len(kept):
        raise FewshotError(
            "dataset.root",
            f"none of {len(failures)} images can be used: {skipped[0]['path']!r} cannot be read, "
            f"{skipped[0]['reason']}",
            "Copy the images and masks again.",
        )
    facts = source.facts | {"skipped": source.facts.get("skipped", []) + skipped}
    return replace(source.take_rows(kept), facts=facts)


def _failure(source: MaskRows, row: int) -> dict[str, str] | None:
    for path, read in ((source.paths[row], source.read), (source.masks[row], source.read_mask)):
        try:
            read(row)
        except UnreadableImageError as error:
            return {"path": path, "reason": error.reason}
    return None


def groups_by(pattern: str, names: Sequence[str]) -> tuple[str, ...]:
    """Group of every image: what a regular expression finds in its name.

    Parameters
    ----------
    pattern : str
        Its first group counts, or all that it matches.
    names : sequence of M str

    Raises
    ------
    FewshotError
        No regular expression; names that it does not match; all images in one group.

    Examples
    --------
    >>> groups_by("^[^_]+", ["a_1", "a_2", "b_1"])
    ('a', 'a', 'b')
    """
    argument = "dataset.group"
    if not isinstance(pattern, str) or not pattern:
        raise FewshotError(argument, f"expected a regular expression, got {shown(pattern)}")
    try:
        expression = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise FewshotError(
            argument, f"expected a regular expression, got {shown(pattern)}: {error}"
        ) from None
    matches = [expression.search(name) for name in names]
    unmatched = [name for name, match in zip(names, matches, strict=True) if not match]
    expect(
        not unmatched,
        argument,
        f"{pattern!r} matches {len(names) - len(unmatched)} of {len(names)} names of images, "
        f"and not {unmatched[0] if unmatched else ''!r}",
        "It is searched for in the name without folder of images and extension.",
    )
    groups = tuple(_group_of(match) for match in matches if match)
    expect(
        len(set(groups)) > 1,
        argument,
        f"{pattern!r} puts all {len(names)} images into one group, {groups[0]!r}",
        "Support and queries never share a group: it takes two at least.",
    )
    return groups


def _group_of(match: re.Match[str]) -> str:
    if match.re.groups:
        return next((text for text in match.groups() if text is not None), "")
    return match.group(0)


def apart(source: MaskRows, on_error: str) -> MaskRows:
    """The source with no image in both parts, by content, too.

    Published sets have a few copies: these leave the support part.

    Raises
    ------
    FewshotError
        Copies in a folder of a user, unless they are to be skipped.
    """
    assert source.queries is not None
    both = np.intersect1d(source.support, source.queries)
    if len(both):
        others = f", and so are {len(both) - 1} others" if len(both) > 1 else ""
        raise FewshotError(
            "dataset.root",
            f"image {source.paths[both[0]]!r} is in both parts{others}",
            "Take it out of one of the lists: queries that were learned from are no test.",
        )
    digests = source.digests()
    judged = {digests[row]: row for row in source.queries.tolist()}
    judged.pop(UNREADABLE, None)
    copies = [row for row in source.support.tolist() if digests[row] in judged]
    if not copies:
        return source
    if on_error == "raise" and source.facts.get("layout") == "folder":
        first, second = source.paths[copies[0]], source.paths[judged[digests[copies[0]]]]
        others = f" (and {len(copies) - 1} other pairs)" if copies[1:] else ""
        raise FewshotError(
            "dataset.root",
            f"images {first!r} and {second!r}, of the support part and of the queries, are the "
            f"same file{others}",
            "Take them out of one of the parts, as queries that were learned from are no test; "
            "dataset.on_error=skip takes them out of the support part.",
        )
    support = [row for row in source.support.tolist() if row not in set(copies)]
    skipped = [
        {"path": source.paths[row], "reason": f"it is {source.paths[judged[digests[row]]]}"}
        for row in copies
    ]
    facts = source.facts | {"skipped": source.facts.get("skipped", []) + skipped}
    return replace(source.with_parts(support, source.queries), facts=facts)


def expect_classes(source: MaskRows, table: NDArray[np.int64]) -> None:
    """Raise if no pixel at all has a class, or if masks can only be 0/255 read as indices."""
    total, ignored = table[:, :-1].sum(0), int(table[:, -1].sum())
    present = np.flatnonzero(total)
    expect(
        len(present) > 0,
        "dataset.ignore_index",
        f"all pixels of all {len(table)} masks are ignored, the first is {source.masks[0]!r}",
        "Check dataset.ignore_index and dataset.reduce_zero_label.",
    )
    few = source.classnames is None or len(source.classnames) == 2
    expect(
        not (few and present.tolist() == [0] and ignored and source.white_ignored),
        "dataset.binary",
        f"the masks have the values 0 and 255 only, the first is {source.masks[0]!r}",
        "If 255 is the foreground, set dataset.binary=true.",
    )


def expect_two_classes(source: MaskRows, classnames: Sequence[str]) -> None:
    """Raise for a data set of a single class, of which every pixel is known."""
    expect(
        len(classnames) > 1,
        "dataset.root",
        f"expected two classes or more, and the masks of {source.name} have one, "
        f"{classnames[0] if classnames else ''!r}, the first mask is {source.masks[0]!r}",
        "Annotate what is to be told apart with other numbers, the background with its own.",
    )


def expect_judged(source: MaskRows, table: NDArray[np.int64]) -> None:
    """Raise if no pixel of the images to segment has a class: nothing could be measured."""
    if source.queries is None or table[source.queries, :-1].any():
        return
    raise FewshotError(
        "dataset.ignore_index",
        f"all pixels of the {len(source.queries)} masks of the images to segment are ignored, the "
        f"first is {source.masks[source.queries[0]]!r}",
        "Annotate some: nothing can be measured without. Masks of images that have none are what "
        "fewshot segment writes.",
    )


def expect_in_support(
    source: MaskRows, classnames: Sequence[str], table: NDArray[np.int64]
) -> None:
    """Raise for classes that images to segment have, and no image of the support part."""
    everything = np.arange(len(table))
    queries = everything if source.queries is None else source.queries
    learned, judged = table[source.support].any(0), table[queries].any(0)
    missing = np.flatnonzero(judged & ~learned)
    if not len(missing):
        return
    number = int(missing[0])
    row = next(row for row in queries.tolist() if table[row, number])
    others = f" (and {len(missing) - 1} other classes)" if len(missing) > 1 else ""
    raise FewshotError(
        "dataset.root",
        f"class {classnames[number]!r}{others} has no pixel in the {len(source.support)} images "
        f"of the support part, but {table[row, number]} in mask {source.masks[row]!r}",
        "Put an image that has it into the support part, or add its number to "
        f"dataset.ignore_index: [255, {number}].",
    )


def background_of(classnames: Sequence[str]) -> int | None:
    names = [folded(name) for name in classnames]
    if BACKGROUND in names:
        return names.index(BACKGROUND)
    return 0 if len(names) == 2 else None
