"""scikit-learn's digits: 1,797 real scans of 8 x 8 pixels that need no download."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.paths import card


def load_digits(name: str = "digits") -> ImageDataset:
    """The test part of the UCI set of handwritten digits (Alpaydin and Kaynak, 1998)."""
    from sklearn.datasets import load_digits as load

    facts = card("digits")
    bunch = load()
    grey = (bunch.images * (255 / 16)).round().astype(np.uint8)
    labels = bunch.target.astype(np.int64)

    def read(row: int) -> Image.Image:
        return Image.fromarray(grey[row]).convert("RGB")

    def fingerprint() -> str:
        return hashlib.sha256(grey.tobytes() + labels.tobytes()).hexdigest()

    classnames = tuple(facts["classnames"])
    return ImageDataset(
        name,
        labels,
        classnames,
        tuple(f"digits/{row:04d}" for row in range(len(labels))),
        read,
        fingerprint,
        parts=tuple("base" if c in facts["split"]["base"] else "novel" for c in classnames),
        input=facts["input"],
    )
