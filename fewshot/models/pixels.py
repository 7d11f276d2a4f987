"""Pixels of images in arrays and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fewshot.datasets.labels import as_array
from fewshot.exceptions import FewshotError

EXPECTED = "expected images (paths, PIL images or uint8 arrays (H, W, 3))"
CHANNELS = (1, 3, 4)  # grey, RGB, RGB with transparency
NORMALISED = "Give images as they were before they were normalised, uint8 in 0..255."


def picture_of(pixels: Any) -> Image.Image:
    """An image of pixels (H, W) or (H, W, C); of tensors channels may come first."""
    values: NDArray = pixels.detach().cpu().numpy() if isinstance(pixels, torch.Tensor) else pixels
    if _channels_first(values.shape):
        values = np.moveaxis(values, 0, -1)
    if values.shape[2:] == (1,):
        values = values[..., 0]
    return Image.fromarray(np.ascontiguousarray(values))


def _channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) > 2 and shape[-3] in CHANNELS and shape[-1] not in CHANNELS


def check_pixels(pixels: Any, name: str, several: bool = False) -> None:
    """Raise unless these are pixels of an image (H, W) or (H, W, C), or of M of them.

    Parameters
    ----------
    pixels : ndarray or Tensor, uint8, or uint16 of greys
        Of tensors channels may come first, as torchvision has them.
    name : str
        The expression that has these pixels, for messages.
    several : bool
        Whether the first axis counts images.

    Raises
    ------
    FewshotError
        Another shape or type, with what makes it one of these.
    """
    shape, kind = tuple(pixels.shape), dtype_name(pixels)
    of_image = shape[several:]
    first = _channels_first(of_image)
    if first and of_image[0] > 1 and not isinstance(pixels, torch.Tensor):
        axes = "0, 2, 3, 1" if several else "1, 2, 0"
        problem = f"expected channels last, (H, W, 3), got an array {shape} as {name}"
        raise FewshotError(_argument(name), problem, f"Give {name}.transpose({axes}).")
    channels = 1 if len(of_image) == 2 else of_image[0 if first else -1]
    fits = len(of_image) in (2, 3) and channels in CHANNELS and 0 not in shape
    if fits and (kind == "uint8" or (kind == "uint16" and channels == 1)):
        return
    problem = f"{EXPECTED}, got {kind} of shape {shape} as {name}"
    raise FewshotError(_argument(name), problem, _as_bytes(pixels, name) if fits else "")


def _as_bytes(pixels: Any, name: str) -> str:
    """How pixels of another type become uint8, by the range of their values."""
    convert = "to(torch.uint8)" if isinstance(pixels, torch.Tensor) else "astype('uint8')"
    values = as_array(pixels)
    if values.dtype == bool:
        return f"Give 255 * {name}.{convert}."
    if values.dtype.kind not in "iuf" or not values.size or not np.isfinite(values).all():
        return ""
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > (65535 if values.dtype.kind in "iu" else 255):
        return NORMALISED
    if values.dtype.kind == "f" and high <= 1:
        return f"Give (255 * {name}).round().{convert}."
    if high > 255:
        return f"Give ({name} / 257).round().{convert}."
    return f"Give {name}.round().{convert}, if 255 is white."


def _argument(name: str) -> str:
    return name.partition("[")[0]


def dtype_name(pixels: Any) -> str:
    """Name of the type of an array or a tensor: "uint8"."""
    return str(pixels.dtype).removeprefix("torch.")
