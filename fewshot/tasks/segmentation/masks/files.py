"""Images and masks that are files: what they have in common, whatever their layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewshot.datasets.fingerprint import index_of
from fewshot.datasets.images import (
    image_orientation,
    image_size,
    opened_image,
    pixel_limit,
    read_image,
)
from fewshot.datasets.walk import printable
from fewshot.files import file_digests
from fewshot.tasks.segmentation.masks.pixels import PixelRules, class_numbers
from fewshot.tasks.segmentation.masks.rows import MaskRows


@dataclass(frozen=True)
class MaskFiles:
    """Files of images and masks, row by row.

    Attributes
    ----------
    root : Path
    images, masks : sequence of M Path
    names : sequence of M str
        Of the images, without extension.
    classnames : tuple of C str, or None
    rules : PixelRules
    support : sequence of int
    queries : sequence of int, or None
    groups : sequence of M str, or None
    opener : callable, optional
        Reads a mask that is no image file.
    facts : mapping
    """

    root: Path
    images: Sequence[Path]
    masks: Sequence[Path]
    names: Sequence[str]
    classnames: tuple[str, ...] | None
    rules: PixelRules
    support: Sequence[int]
    queries: Sequence[int] | None
    groups: Sequence[str] | None = None
    opener: Callable[[Path], Image.Image] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def rows_of_files(
    files: MaskFiles, name: str, max_pixels: int | None = None, digests: Path | None = None
) -> MaskRows:
    """Readers of files.

    Parameters
    ----------
    files : MaskFiles
    name : str
        Of the data set.
    max_pixels : int, optional
        Larger images and masks are refused.
    digests : Path, optional
        Folder for remembered content hashes.
    """
    limit = pixel_limit(max_pixels)
    paths = tuple(_relative(file, files.root) for file in files.images)
    masks = tuple(_relative(file, files.root) for file in files.masks)

    def read_mask(row: int) -> NDArray[np.int16]:
        if files.opener is not None:
            return class_numbers(files.opener(files.masks[row]), files.rules, masks[row])
        with opened_image(files.masks[row], limit) as image:
            return class_numbers(image, files.rules, masks[row])

    def hashes(listed: Sequence[Path], use: str) -> list[str]:
        return file_digests(listed, index_of(files.root, digests, use))

    return MaskRows(
        name=name,
        paths=paths,
        masks=masks,
        classnames=files.classnames,
        read=lambda row: read_image(files.images[row], limit),
        read_mask=read_mask,
        size=lambda row: image_size(files.images[row], limit),
        digests=lambda: hashes(files.images, "images of masks"),
        mask_digests=lambda: hashes(files.masks, "masks"),
        support=np.asarray(files.support, np.int64),
        queries=None if files.queries is None else np.asarray(files.queries, np.int64),
        stems=tuple(files.names),
        groups=None if files.groups is None else tuple(files.groups),
        rules=files.rules.text,
        white_ignored=files.rules.white_ignored,
        facts=dict(files.facts),
        orientation=lambda row: image_orientation(files.images[row], limit),
    )


def _relative(file: Path, root: Path) -> str:
    inside = file.is_relative_to(root)
    return printable((file.relative_to(root) if inside else file).as_posix())
