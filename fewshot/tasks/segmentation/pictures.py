"""Pictures of masks: colours of classes, overlays, and image, truth and prediction side by side."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH = 720  # pixels of a triptych; about 20 kB
GAP = 4  # pixels between its parts
QUALITY = 60
OPACITY = 0.65
STRIPES = 6  # pixels between the stripes over ignored pixels
PREFIX = "data:image/webp;base64,"


def palette(classes: int) -> NDArray[np.uint8]:
    """Colours of classes by the formula of PASCAL VOC's colour map.

    The bits of a class number go in turn to red, green and blue, from the highest bit of each down:
    0 is black, 1 dark red, 2 dark green. All colours of at most 256 classes differ; after that they
    come round again.

    Parameters
    ----------
    classes : int
        C.

    Returns
    -------
    ndarray of shape (C, 3), uint8
        Red, green and blue.

    References
    ----------
    Everingham et al., The PASCAL Visual Object Classes Challenge: VOClabelcolormap of its devkit.
    """
    numbers = np.arange(classes) % 256
    colors = np.zeros((classes, 3), dtype=np.uint8)
    for step in range(8):
        for channel in range(3):
            bit = numbers >> (3 * step + channel) & 1
            colors[:, channel] |= (bit << (7 - step)).astype(np.uint8)
    return colors


def indexed(values: NDArray[np.uint8]) -> Image.Image:
    """A picture of class numbers (H, W), in the colours of `palette` where programs show it."""
    image = Image.fromarray(values)
    image.putpalette(palette(256).reshape(-1).tolist())
    return image


def overlay(
    image: Image.Image,
    mask: NDArray[np.integer],
    *,
    background: int | None = None,
    opacity: float = OPACITY,
) -> Image.Image:
    """An image with its mask in the colours of `palette` over it, at the size of the mask.

    Parameters
    ----------
    image : PIL image
    mask : ndarray of shape (H, W)
        Class numbers; ignored pixels, which are negative, are striped in white.
    background : int, optional
        Class that is left as it is in the image.
    opacity : float
        Of the colours, in [0, 1].

    Returns
    -------
    PIL image of mode RGB and size (W, H)
    """
    mask = np.asarray(mask)
    height, width = mask.shape
    pixels = np.asarray(image.convert("RGB").resize((width, height)), dtype=np.float64)
    ignored = mask < 0
    colors = palette(max(1, int(mask.max(initial=0)) + 1))
    painted = (1 - opacity) * pixels + opacity * colors[np.where(ignored, 0, mask)]
    if background is not None:
        painted[mask == background] = pixels[mask == background]
    rows, columns = np.ogrid[:height, :width]
    striped = (rows + columns) % STRIPES < STRIPES // 3
    painted[ignored] = pixels[ignored]
    painted[ignored & striped] = 255
    return Image.fromarray(np.rint(painted).astype(np.uint8))


def triptych(
    image: Image.Image,
    truth: NDArray[np.integer],
    prediction: NDArray[np.integer],
    *,
    background: int | None = None,
    width: int = WIDTH,
) -> str:
    """Image, truth and prediction side by side, as a data URI of a small WebP picture.

    Parameters
    ----------
    image : PIL image
    truth, prediction : ndarray of shape (H, W)
        Class numbers, negative where there is no truth.
    background : int, optional
        Class that is left as it is in the image.
    width : int
        Pixels of the whole picture; a smaller image is not enlarged.
    """
    height, full = np.shape(truth)
    part = min(full, max(1, (width - 2 * GAP) // 3))
    size = part, max(1, round(height * part / full))
    small = image.convert("RGB").resize(size)
    parts = [small]
    for mask in (truth, prediction):
        parts.append(overlay(small, _smaller(mask, size), background=background))
    joined = Image.new("RGB", (3 * part + 2 * GAP, size[1]), "white")
    for place, picture in enumerate(parts):
        joined.paste(picture, (place * (part + GAP), 0))
    buffer = io.BytesIO()
    joined.save(buffer, format="WEBP", quality=QUALITY, method=4)
    return PREFIX + base64.b64encode(buffer.getvalue()).decode("ascii")


def _smaller(mask: NDArray[np.integer], size: tuple[int, int]) -> NDArray[np.int32]:
    """A mask at another size (W, H): the class at the middle of every new pixel."""
    height, width = np.shape(mask)
    rows = ((np.arange(size[1]) + 0.5) * height / size[1]).astype(int)
    columns = ((np.arange(size[0]) + 0.5) * width / size[0]).astype(int)
    return np.asarray(mask, dtype=np.int32)[np.ix_(rows, columns)]
