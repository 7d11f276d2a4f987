"""What an image data set is to the rest of the suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Images with labels and names; none is decoded before it is read.

    Attributes
    ----------
    name : str
    labels : ndarray of shape (M,), int64
    classnames : tuple of C str
    paths : tuple of M str
        A name for every image, relative to where the data set is.
    read : callable
        Row number to RGB image; raises ``UnreadableImageError``.
    fingerprint : callable
        Hash of names, labels and content of all images.
    parts : tuple of C str, or None
        "base", "validation" or "novel" for every class, where the data set says so.
    input : dict
        What the images ask of a transform (``size``, ``crop_pct``), as 8 x 8 scans do.
    """

    name: str
    labels: NDArray
    classnames: tuple[str, ...]
    paths: tuple[str, ...]
    read: Callable[[int], Image.Image]
    fingerprint: Callable[[], str]
    parts: tuple[str, ...] | None = None
    input: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self) -> NDArray:
        """Images of every class: (C,)."""
        return np.bincount(self.labels, minlength=len(self.classnames))
