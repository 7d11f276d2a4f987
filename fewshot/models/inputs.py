"""Images, files and features as users of a classifier give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.files import load_files
from fewshot.datasets.images import pixel_limit, read_image
from fewshot.exceptions import FewshotError, expect


def is_feature_array(X: Any) -> bool:
    """Whether it is a matrix of features (M, D): two axes, no images."""
    return len(getattr(X, "shape", ())) == 2


def feature_tensor(X: Any) -> Tensor:
    """Features (M, D), float32 or wider."""
    values = torch.as_tensor(np.asarray(X))
    expect(values.ndim == 2, "X", f"expected features (M, D), got {tuple(values.shape)}")
    return values if values.dtype == torch.float64 else values.float()


def image_dataset(X: Any, argument: str = "X") -> ImageDataset:
    """Images to classify, a row per entry and in their order.

    Parameters
    ----------
    X : path, or a sequence of M paths, PIL images or uint8 arrays (H, W, 3) or (H, W)
        A path of a folder stands for the images in it, at any depth.

    Raises
    ------
    FewshotError
        None, or something else.
    """
    if isinstance(X, str | Path):
        return load_files([str(X)], argument)
    entries: Sequence[Any] = [X] if isinstance(X, Image.Image) else list(X)
    expect(len(entries) > 0, argument, "expected at least one image, got none")
    limit = pixel_limit()
    paths = tuple(
        str(entry) if isinstance(entry, str | Path) else str(row)
        for row, entry in enumerate(entries)
    )

    def read(row: int) -> Image.Image:
        entry = entries[row]
        if isinstance(entry, str | Path):
            return read_image(Path(entry).expanduser(), limit)
        return entry.convert("RGB") if isinstance(entry, Image.Image) else _from_array(entry)

    def fingerprint() -> str:
        raise NotImplementedError("features of images at hand are not kept")

    labels = np.zeros(len(entries), dtype=np.int64)
    return ImageDataset("images", labels, ("unlabelled",), paths, read, fingerprint)


def _from_array(entry: Any) -> Image.Image:
    pixels: NDArray = np.asarray(entry)
    fine = pixels.dtype == np.uint8 and (pixels.ndim == 2 or pixels.shape[2:] == (3,))
    if not fine:
        raise FewshotError(
            "X",
            f"expected paths, PIL images or uint8 arrays (H, W, 3), got {pixels.dtype} of shape "
            f"{pixels.shape}",
        )
    return Image.fromarray(pixels).convert("RGB")
