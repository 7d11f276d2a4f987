"""From an image to what a network takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fewshot.exceptions import expect, expect_choice, expect_positive_int

INTERPOLATION = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Transform:
    """Resize the short side to size / crop_pct, cut the centre, normalise.

    Every field changes the features, so every field is in the key of a feature bank.

    Attributes
    ----------
    size : int
        Pixels of the square that the network sees.
    crop_pct : float
        In (0, 1].
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos"}
        Pillow's antialiased filters.
    mean, std : tuple of three float
        In units of the [0, 1] range.
    """

    size: int = 224
    crop_pct: float = 0.875
    interpolation: str = "bicubic"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        expect_positive_int("backbone.size", self.size)
        expect_choice("backbone.interpolation", self.interpolation, INTERPOLATION)
        expect(
            _is_number(self.crop_pct) and 0 < self.crop_pct <= 1,
            "backbone.crop_pct",
            f"expected a number in (0, 1], got {self.crop_pct!r}",
        )
        for name, lowest in (("mean", -math.inf), ("std", 0)):
            values = getattr(self, name)
            three = isinstance(values, tuple | list) and len(values) == 3
            expect(
                three and all(_is_number(v) and lowest < v < math.inf for v in values),
                f"backbone.{name}",
                f"expected three {'positive ' * (name == 'std')}numbers, got {values!r}",
            )
            object.__setattr__(self, name, tuple(values))

    def pixels(self, image: Image.Image) -> Tensor:
        """Resized and cropped pixels of an RGB image: (3, size, size), uint8."""
        short = math.floor(self.size / self.crop_pct)
        width, height = image.size
        scale = short / min(width, height)
        # Only the square that is kept is resampled: the box is the crop in source pixels.
        side = self.size / scale
        left, top = (width - side) / 2, (height - side) / 2
        box = (max(0.0, left), max(0.0, top), min(width, left + side), min(height, top + side))
        filtered = image.resize((self.size, self.size), INTERPOLATION[self.interpolation], box)
        return torch.from_numpy(np.array(filtered)).permute(2, 0, 1)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Network input (B, 3, size, size), float32, from uint8 pixels."""
        mean = torch.tensor(self.mean, device=pixels.device).view(-1, 1, 1) * 255
        std = torch.tensor(self.std, device=pixels.device).view(-1, 1, 1) * 255
        return (pixels.float() - mean) / std


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
