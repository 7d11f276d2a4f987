"""From images and masks of any kind to a data set."""

from __future__ import annotations

import hashlib
from functools import cache as once
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.base import ImageDataset
from fewshot.exceptions import expect
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.masks.checks import (
    apart,
    background_of,
    checked_mask,
    expect_classes,
    expect_in_support,
    expect_judged,
    expect_turned_masks,
    expect_two_classes,
    groups_by,
    readable,
)
from fewshot.tasks.segmentation.masks.presence import counted
from fewshot.tasks.segmentation.masks.rows import MaskRows

MOST_UNNAMED = 255  # classes of masks whose classes have no names


def assembled(
    source: MaskRows,
    group: str | None = None,
    on_error: str = "raise",
    cache: Path | None = None,
) -> MaskDataset:
    """The data set of a source.

    Parameters
    ----------
    source : MaskRows
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
    if on_error == "skip":
        source = readable(source)
    if source.queries is not None:
        source = apart(source, on_error)
    for rows, purpose in ((source.support, "learn from"), (source.queries, "segment")):
        expect(
            rows is None or len(rows) > 0,
            "dataset.root",
            f"{source.name} has no image to {purpose}",
            "All of that part were left out: see what is wrong with dataset.on_error=raise."
            if source.facts.get("skipped")
            else "Put some there.",
        )
    facts = dict(source.facts)
    groups = source.groups if group is None else groups_by(group, source.stems or source.paths)

    @once
    def fingerprint() -> str:
        digest = hashlib.sha256(repr((source.classnames, source.rules)).encode())
        rows = zip(source.paths, source.digests(), source.mask_digests(), strict=True)
        for path, image, mask in rows:
            digest.update(f"{path}\0{image}\0{mask}\n".encode())
        return digest.hexdigest()

    @once
    def image_fingerprint() -> str:
        digest = hashlib.sha256()
        for path, image in zip(source.paths, source.digests(), strict=True):
            digest.update(f"{path}\0{image}\n".encode())
        return digest.hexdigest()

    def read_mask(row: int) -> NDArray[np.int16]:
        return checked_mask(source, row)

    @once
    def counts() -> NDArray[np.int64]:
        classes = MOST_UNNAMED if source.classnames is None else len(source.classnames)
        file = None if cache is None else cache / f"{fingerprint()[:32]}.npz"
        if source.facts.get("layout") == "folder" and not (file and file.exists()):
            expect_turned_masks(source)
        return counted(read_mask, len(source.paths), classes, file)

    classnames = source.classnames
    if classnames is None:
        present = np.flatnonzero(counts()[:, :-1].any(0))
        classnames = tuple(map(str, range(int(present.max(initial=-1)) + 1)))
        expect_classes(source, counts())

    @once
    def presence() -> NDArray[np.int64]:
        table = counts()
        expect_classes(source, table)
        facts["pixels"] = int(table.sum())
        facts["ignored_pixels"] = int(table[:, -1].sum())
        facts["images_without_class"] = int((table[:, :-1].sum(1) == 0).sum())
        result = table[:, : len(classnames)]
        facts["absent_classes"] = [
            name for name, pixels in zip(classnames, result.sum(0), strict=True) if not pixels
        ]
        expect_two_classes(source, classnames)
        expect_judged(source, table)
        expect_in_support(source, classnames, result)
        return result

    images = ImageDataset(
        source.name, np.zeros(len(source.paths), np.int64), ("unlabelled",), source.paths,
        source.read, image_fingerprint, digests=source.digests,
    )  # fmt: skip
    return MaskDataset(
        source.name, images, source.masks, classnames, read_mask, presence, fingerprint,
        np.asarray(source.support, np.int64), source.queries, groups, background_of(classnames),
        facts,
    )  # fmt: skip
