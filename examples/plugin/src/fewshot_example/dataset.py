"""Images that are drawn."""

import hashlib

import numpy as np
from PIL import Image

from fewshot.datasets import ImageDataset


def stripes(classes: int = 8, images: int = 20, seed: int = 0) -> ImageDataset:
    """Coloured stripes of several directions, drawn on the fly.

    Parameters
    ----------
    classes : int
        Number of directions.
    images : int
        Images of each class.
    seed : int
        Decides phases and colours.
    """
    labels = np.repeat(np.arange(classes), images)

    def read(row: int) -> Image.Image:
        rng = np.random.default_rng((seed, row))
        angle = np.pi * labels[row] / classes
        y, x = np.mgrid[:64, :64] / 10
        wave = np.sin(x * np.cos(angle) + y * np.sin(angle) + rng.uniform(0, 1))
        colour = rng.uniform(60, 195, size=3)
        pixels = colour + 60 * wave[..., None] + rng.normal(0, 10, (64, 64, 3))
        return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))

    def fingerprint() -> str:
        """Everything that the images depend on; raise the number when `read` changes."""
        return hashlib.sha256(f"stripes 1 {classes} {images} {seed}".encode()).hexdigest()

    return ImageDataset(
        name="stripes",
        labels=labels,
        classnames=tuple(f"{180 * c // classes} degrees" for c in range(classes)),
        paths=tuple(f"{label}/{row}" for row, label in enumerate(labels)),
        read=read,
        fingerprint=fingerprint,
    )
