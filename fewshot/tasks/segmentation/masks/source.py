"""From images and masks of any kind to a data set: what is checked whatever they come from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache as once
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.classnames import folded
from fewshot.datasets.images import UnreadableImageError, unreadable_of
from fewshot.exceptions import FewshotError, expect, shown
from fewshot.files import UNREADABLE
from fewshot.hardware import available_cores
from fewshot.progress import counted_work
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.masks.presence import counted

SMALLEST = 8  # pixels of a side of an image
MOST_UNNAMED = 255  # classes of masks whose classes have no names
BACKGROUND = ("background", "foreground")


@dataclass(frozen=True)
class MaskSource:
    """Images and masks before anything is checked.

    Attributes
    ----------
    name : str
    paths, masks : tuple of M str
        Files, relative to the folder, as messages name them.
    classnames : tuple of C str, or None
        None: as many as the masks have, called by their numbers.
    read, read_mask : callable
        Row to RGB image, and to class numbers (H, W); raise ``UnreadableImageError``.
    size : callable
        Row to width and height of the image as `read` returns it.
    digests, mask_digests : callable
        Hashes of the content of every image and every mask (M,).
    support : ndarray of int64
    queries : ndarray of int64, or None
    stems : tuple of M str, or None
        Names that ``dataset.group`` is matched with; by default the paths.
    groups : tuple of M str, or None
        Where the data set defines them.
    rules : str
        What decides about the meaning of the pixels, for the fingerprint.
    facts : dict
    """

    name: str
    paths: tuple[str, ...]
    masks: tuple[str, ...]
    classnames: tuple[str, ...] | None
    read: Callable[[int], Image.Image]
    read_mask: Callable[[int], NDArray[np.int16]]
    size: Callable[[int], tuple[int, int]]
    digests: Callable[[], Sequence[str]]
    mask_digests: Callable[[], Sequence[str]]
    support: NDArray[np.int64]
    queries: NDArray[np.int64] | None
    stems: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    rules: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def take_rows(self, rows: NDArray[np.int64]) -> MaskSource:
        """Those of some rows, in increasing order; the others leave the parts, too."""
        place = {int(row): i for i, row in enumerate(rows)}

        def kept(part: NDArray[np.int64]) -> NDArray[np.int64]:
            return np.array([place[row] for row in part.tolist() if row in place], np.int64)

        def taken(values: Sequence[str] | None) -> tuple[str, ...] | None:
            return None if values is None else tuple(values[row] for row in rows)

        return replace(
            self,
            paths=taken(self.paths) or (),
            masks=taken(self.masks) or (),
            read=lambda row: self.read(int(rows[row])),
            read_mask=lambda row: self.read_mask(int(rows[row])),
            size=lambda row: self.size(int(rows[row])),
            digests=lambda: taken(self.digests()) or (),
            mask_digests=lambda: taken(self.mask_digests()) or (),
            support=kept(self.support),
            queries=None if self.queries is None else kept(self.queries),
            stems=taken(self.stems),
            groups=taken(self.groups),
        )

    def with_parts(self, support: Sequence[int], queries: Sequence[int] | None) -> MaskSource:
        """The same rows with other parts."""
        judged = None if queries is None else np.asarray(queries, np.int64)
        return replace(self, support=np.asarray(support, np.int64), queries=judged)


def assembled(
    source: MaskSource,
    group: str | None = None,
    on_error: str = "raise",
    cache: Path | None = None,
) -> MaskDataset:
    """The data set of a source.

    Parameters
    ----------
    source : MaskSource
    group : str, optional
        ``dataset.group``.
    on_error : {"raise", "skip"}
        With "skip", images and masks are decoded once, and those that cannot be are left out and
        listed in ``facts["skipped"]``.
    cache : Path, optional
        Folder where numbers of pixels are cached.

    Raises
    ------
    FewshotError
        Empty parts, parts that share an image, a pattern that does not match; masks without a
        class. Errors in single masks come from ``read_mask`` and ``presence`` of the result.
    """
    facts = dict(source.facts)
    if on_error == "skip":
        source, skipped = _readable(source)
        facts["skipped"] = facts.get("skipped", []) + skipped
    expect(len(source.support) > 0, "dataset.root", f"{source.name} has no image to learn from")
    if source.queries is not None:
        expect(len(source.queries) > 0, "dataset.root", f"{source.name} has no image to segment")
        _refuse_shared(source)
    groups = source.groups if group is None else groups_by(group, source.stems or source.paths)

    def fingerprint() -> str:
        digest = hashlib.sha256(repr((source.classnames, source.rules)).encode())
        rows = zip(source.paths, source.digests(), source.mask_digests(), strict=True)
        for path, image, mask in rows:
            digest.update(f"{path}\0{image}\0{mask}\n".encode())
        return digest.hexdigest()

    def image_fingerprint() -> str:
        digest = hashlib.sha256()
        for path, image in zip(source.paths, source.digests(), strict=True):
            digest.update(f"{path}\0{image}\n".encode())
        return digest.hexdigest()

    def read_mask(row: int) -> NDArray[np.int16]:
        return _checked_mask(source, row)

    @once
    def counts() -> NDArray[np.int64]:
        classes = MOST_UNNAMED if source.classnames is None else len(source.classnames)
        file = None if cache is None else cache / f"{fingerprint()[:32]}.npz"
        return counted(read_mask, len(source.paths), classes, file)

    classnames = source.classnames
    if classnames is None:
        present = np.flatnonzero(counts()[:, :-1].any(0))
        classnames = tuple(map(str, range(int(present.max(initial=-1)) + 1)))
        _expect_classes(source, counts())

    @once
    def presence() -> NDArray[np.int64]:
        table = counts()
        _expect_classes(source, table)
        facts["pixels"] = int(table.sum())
        facts["ignored_pixels"] = int(table[:, -1].sum())
        facts["images_without_class"] = int((table[:, :-1].sum(1) == 0).sum())
        result = table[:, : len(classnames)]
        facts["absent_classes"] = [
            name for name, pixels in zip(classnames, result.sum(0), strict=True) if not pixels
        ]
        _expect_in_support(source, classnames, result)
        return result

    images = ImageDataset(
        source.name, np.zeros(len(source.paths), np.int64), ("unlabelled",), source.paths,
        source.read, image_fingerprint, digests=source.digests,
    )  # fmt: skip
    return MaskDataset(
        source.name, images, source.masks, classnames, read_mask, presence, fingerprint,
        np.asarray(source.support, np.int64), source.queries, groups, _background(classnames),
        facts,
    )  # fmt: skip


def _checked_mask(source: MaskSource, row: int) -> NDArray[np.int16]:
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
    if mask.shape == (width, height):
        raise FewshotError(
            "dataset.root",
            f"{sizes}: the image is a photograph that its EXIF orientation turns by 90 degrees, "
            "and its mask is not turned",
            "Turn the mask as viewers show the image, or save the image without that orientation.",
        )
    raise FewshotError(
        "dataset.root", sizes, "Save the mask at the size of its image, without interpolation."
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


def _readable(source: MaskSource) -> tuple[MaskSource, list[dict[str, str]]]:
    """The source without images and masks that cannot be decoded, and what they are."""
    rows = range(len(source.paths))
    with ThreadPoolExecutor(min(8, available_cores() + 1)) as pool:
        tried = pool.map(lambda row: _failure(source, row), rows)
        failures = [
            failure
            for failure, _ in zip(
                tried, counted_work(rows, "reading images", "images"), strict=True
            )
        ]
    kept = np.array([row for row in rows if failures[row] is None], np.int64)
    if len(kept) == 0 and failures:
        raise FewshotError(
            "dataset.root",
            f"no image of {len(failures)} can be used, the first: {failures[0]}",
        )
    skipped = [failure for failure in failures if failure is not None]
    return (source.take_rows(kept) if skipped else source), skipped


def _failure(source: MaskSource, row: int) -> dict[str, str] | None:
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


def _refuse_shared(source: MaskSource) -> None:
    """Raise for an image that is in the support part and among the queries, by name or content."""
    assert source.queries is not None
    both = np.intersect1d(source.support, source.queries)
    expect(
        len(both) == 0,
        "dataset.root",
        f"image {source.paths[both[0]]!r} is in both parts, and {len(both) - 1} others"
        if len(both)
        else "",
        "Take it out of one of the lists: queries that were learned from are no test.",
    )
    digests = source.digests()
    learned = {digests[row]: row for row in source.support.tolist()}
    learned.pop(UNREADABLE, None)
    same = [
        (learned[digests[row]], row) for row in source.queries.tolist() if digests[row] in learned
    ]
    if same:
        first, second = (source.paths[row] for row in same[0])
        raise FewshotError(
            "dataset.root",
            f"images {first!r} and {second!r}, of the support part and of the queries, are the "
            f"same file, and so are {len(same) - 1} other pairs",
            "Take them out of one of the parts: queries that were learned from are no test.",
        )


def _expect_classes(source: MaskSource, table: NDArray[np.int64]) -> None:
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
        not (few and present.tolist() == [0] and ignored and "ignore=255" in source.rules),
        "dataset.binary",
        f"the masks have the values 0 and 255 only, the first is {source.masks[0]!r}",
        "If 255 is the foreground, set dataset.binary=true.",
    )


def _expect_in_support(
    source: MaskSource, classnames: Sequence[str], table: NDArray[np.int64]
) -> None:
    """Raise for classes that the queries have and no image of the support part."""
    if source.queries is None:
        return
    learned, judged = table[source.support].any(0), table[source.queries].any(0)
    missing = np.flatnonzero(judged & ~learned)
    if not len(missing):
        return
    number = int(missing[0])
    row = next(row for row in source.queries.tolist() if table[row, number])
    others = f" (and {len(missing) - 1} other classes)" if len(missing) > 1 else ""
    raise FewshotError(
        "dataset.root",
        f"class {classnames[number]!r}{others} has no pixel in the {len(source.support)} images "
        f"of the support part, but {table[row, number]} in mask {source.masks[row]!r}",
        "Put an image that has it into the support part, or add its number to "
        f"dataset.ignore_index: [255, {number}].",
    )


def _background(classnames: Sequence[str]) -> int | None:
    names = [folded(name) for name in classnames]
    if BACKGROUND[0] in names:
        return names.index(BACKGROUND[0])
    return 0 if len(names) == 2 else None
