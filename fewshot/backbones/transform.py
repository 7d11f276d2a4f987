"""Image transforms that give the same pixels as the libraries of the networks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fewshot.exceptions import expect, expect_choice, expect_positive_int
from fewshot.memory import available_memory
from fewshot.units import counted
from fewshot.units import size as in_bytes

INTERPOLATION = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

RESIZE = ("shortest", "longest", "squash")
# Pixels of a resized image. More have only strips hundreds of times as long as wide, and images of
# which a tiny share is kept: just their centre is resampled, or they might not fit into memory.
LARGEST = 2**25


# Bytes per pixel of a square on its way through a network, at least: the pixels, the numbers, and
# the first maps of the smallest networks.
BYTES_PER_PIXEL = 64
SURE = 512  # pixels of a square that fits anywhere


def check_size(size: int, images: int = 1) -> None:
    """Raise FewshotError unless the memory that is available holds `images` squares of `size`."""
    available = available_memory()
    if size <= SURE or available is None:
        return
    need = BYTES_PER_PIXEL * images * size * size
    most = math.isqrt(available // (BYTES_PER_PIXEL * images))
    expect(
        need <= available,
        "backbone.size",
        f"{counted(images, 'image')} of {size} x {size} pixels at a time need {in_bytes(need)} of "
        f"memory or more, and {in_bytes(available)} are available",
        f"Lower backbone.size, to {most} at most" + " or features.batch_size" * (images > 1) + ".",
    )


@dataclass(frozen=True)
class Transform:
    """Resize to size / crop_pct, cut the centre, normalise: the steps of the networks' libraries.

    Sizes are rounded as torchvision, timm and open_clip round them, so that pixels are theirs bit
    for bit. Every field changes the features, so every field is in the key of a feature bank.

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
    resize : {"shortest", "longest", "squash"}
        What becomes floor(size / crop_pct) pixels long: the short side, the long side (the rest
        of the square is filled) or both sides, ignoring their ratio.
    fill : tuple of three int
        Colour beside images that are narrower than the square, in [0, 255].
    """

    size: int = 224
    crop_pct: float = 0.875
    interpolation: str = "bicubic"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    resize: str = "shortest"
    fill: tuple[int, ...] = (0, 0, 0)

    def __post_init__(self) -> None:
        expect_positive_int("backbone.size", self.size)
        check_size(self.size)
        expect_choice("backbone.interpolation", self.interpolation, INTERPOLATION)
        expect(
            _is_number(self.crop_pct) and 0 < self.crop_pct <= 1,
            "backbone.crop_pct",
            f"expected a number in (0, 1], got {self.crop_pct!r}",
        )
        expect_choice("backbone.resize", self.resize, RESIZE)
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
        width, height = self.resized(*image.size)
        across, down = min(width, self.size), min(height, self.size)
        left, top = round((width - across) / 2), round((height - down) / 2)
        window = (left, top, left + across, top + down)
        centre = _centre(image, (width, height), window, INTERPOLATION[self.interpolation])
        if (across, down) != (self.size, self.size):
            square = Image.new("RGB", (self.size, self.size), self.fill)
            square.paste(centre, ((self.size - across) // 2, (self.size - down) // 2))
            centre = square
        return torch.from_numpy(np.array(centre)).permute(2, 0, 1)

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after resizing, before the centre is cut out."""
        edge = math.floor(self.size / self.crop_pct)
        if self.resize == "squash":
            return edge, edge
        if self.resize == "longest":
            ratio = max(width, height) / edge
            return max(1, round(width / ratio)), max(1, round(height / ratio))
        if width <= height:
            return edge, int(edge * height / width)
        return int(edge * width / height), edge

    def normalise(self, pixels: Tensor) -> Tensor:
        """Network input (B, 3, size, size), float32, from uint8 pixels."""
        mean = torch.tensor(self.mean, device=pixels.device).view(-1, 1, 1) * 255
        std = torch.tensor(self.std, device=pixels.device).view(-1, 1, 1) * 255
        return (pixels.float() - mean) / std


def _centre(
    image: Image.Image,
    resized: tuple[int, int],
    window: tuple[int, int, int, int],
    resampling: Image.Resampling,
) -> Image.Image:
    """The part `window` of the image after resizing."""
    if math.prod(resized) <= LARGEST:
        # Resizing with a box would do less, but Pillow then orders its two passes otherwise, and
        # what is clipped to [0, 255] between them differs by up to 30 levels at sharp edges.
        whole = image if image.size == resized else image.resize(resized, resampling)
        return whole.crop(window)
    across, down = (before / after for before, after in zip(image.size, resized, strict=True))
    left, top, right, bottom = window
    box = (
        left * across,
        top * down,
        min(image.width, right * across),
        min(image.height, bottom * down),
    )
    return image.resize((right - left, bottom - top), resampling, box)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
