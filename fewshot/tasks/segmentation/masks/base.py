"""The interface of data sets with masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.base import ImageDataset

IGNORED = -1  # in masks: pixels that are of no class, which nobody learns from or is judged on


@dataclass(frozen=True, eq=False)
class MaskDataset:
    """Images whose pixels have classes; nothing is decoded before it is read.

    Attributes
    ----------
    name : str
    images : ImageDataset
        M images; its labels and class names mean nothing here.
    masks : tuple of M str
        Name of the mask of every image, for messages: a file relative to the folder.
    classnames : tuple of C str
    read_mask : callable
        Row number to class numbers (H, W), int16, `IGNORED` or in [0, C). Raises FewshotError that
        names the file.
    presence : callable
        Numbers of pixels (M, C), int64: of every class in every image. Computed in one pass over
        all masks, and cached where there is a cache.
    fingerprint : callable
        Hash of names, class names and content of all images and masks.
    support : ndarray of int64
        Rows that supports are drawn from.
    queries : ndarray of int64, or None
        Rows that are segmented and judged; None: all images that are not support of the draw.
    groups : tuple of M str, or None
        Group of every image (drive, patient): support and queries never share one.
    background : int or None
        Number of the class that is background, where the data set says so: its masks have two
        classes, or a class of that name.
    facts : dict
        What reports say of the data set beside this: skipped images, what was read.
    """

    name: str
    images: ImageDataset
    masks: tuple[str, ...]
    classnames: tuple[str, ...]
    read_mask: Callable[[int], NDArray[np.int16]]
    presence: Callable[[], NDArray[np.int64]]
    fingerprint: Callable[[], str]
    support: NDArray[np.int64]
    queries: NDArray[np.int64] | None = None
    groups: tuple[str, ...] | None = None
    background: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.masks)
