"""What the pixels of an image say of it: size, contrast, sharpness, and what it is a copy of."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fewshot.features.extraction.signatures import signatures

SEEN = 224  # pixels of the shorter side that most networks see; detail beyond is nothing to them
THUMBNAIL = 64  # pixels per side of what signatures are taken of
LEAST = 16  # pixels per side below which sharpness says nothing
# Variance of the Laplacian that rounding to whole grey levels leaves, 20 / 12, and how many times
# as much is detail.
ROUNDED, DETAIL = 20 / 12, 4


class PixelFacts(NamedTuple):
    """Measurements of one image.

    Attributes
    ----------
    width, height : int
    contrast : float
        Standard deviation of the luminance in grey levels, in [0, 127.5].
    sharpness : float
        See :func:`sharpness`.
    signature : ndarray of shape (66,), float16
    content : str
        Hash of size and pixels.
    """

    width: int
    height: int
    contrast: float
    sharpness: float
    signature: NDArray
    content: str

    @classmethod
    def of(cls, image: Image.Image) -> PixelFacts:
        """Measure an RGB image."""
        content = hashlib.blake2b(repr(image.size).encode(), digest_size=16)
        content.update(image.tobytes())
        side = (THUMBNAIL, THUMBNAIL)
        small = np.asarray(image.resize(side, Image.Resampling.BOX))
        marks = signatures(torch.from_numpy(small.copy()).permute(2, 0, 1)[None])
        grey = as_seen(image)
        return cls(
            *image.size, float(grey.std()), sharpness(grey), marks[0].numpy(), content.hexdigest()
        )


def as_seen(image: Image.Image) -> NDArray:
    """Luminance (H, W), float32, in grey levels; the shorter side is 224 pixels at most."""
    grey, shorter = image.convert("L"), min(image.size)
    if shorter > SEEN:
        width, height = (max(1, round(side * SEEN / shorter)) for side in image.size)
        grey = grey.resize((width, height), Image.Resampling.BOX)
    return np.asarray(grey, np.float32)


def sharpness(grey: NDArray) -> float:
    """Binary logarithm of the variance of the Laplacian over that at half the resolution.

    An edge, a line or a texture has about as much detail at either resolution, whatever its
    contrast, and however little of the image is made of it: between -2 and 1 in photographs,
    drawings and icons alike, where the variance of the Laplacian itself (Pech-Pacheco et al. 2000)
    depends on what is in the image. Blur takes the finest detail first: below -3 where it is gone.
    The finest resolution is taken at whose half there is any detail.

    Infinite for an image without detail; NaN for less than 32 pixels per side, of which nothing can
    be said.

    Parameters
    ----------
    grey : ndarray of shape (H, W), floating
        In grey levels.
    """
    if min(grey.shape) < 2 * LEAST:
        return float("nan")
    rounded = ROUNDED
    while min(grey.shape) >= 2 * LEAST:
        height, width = (side // 2 * 2 for side in grey.shape)
        halved = grey[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))
        coarse = _laplacian_variance(halved)
        if coarse > DETAIL * ROUNDED:
            fine = _laplacian_variance(grey) - rounded
            return float(np.log2(max(fine, ROUNDED / 8) / coarse))
        grey, rounded = halved, rounded / 4
    return float("inf")


def _laplacian_variance(grey: NDArray) -> float:
    centre = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * centre).var())
