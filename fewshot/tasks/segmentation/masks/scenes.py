"""Generated scenes: shapes in front of textures, with masks, and without any download."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewshot.exceptions import FewshotError, expect, expect_positive_int
from fewshot.tasks.segmentation.masks.assembly import assembled
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.masks.rows import MaskRows
from fewshot.tasks.segmentation.masks.settings import MaskOptions

# Part of the fingerprint: to be raised with every change of what is drawn.
VERSION = 1
BACKGROUNDS = ("gradient", "stripes", "grain")
# Probability that an image has a shape of that class; the last ones are rare.
SHAPES = {"disc": 0.8, "square": 0.7, "triangle": 0.6, "ring": 0.3, "cross": 0.2}
CLASSES = (*BACKGROUNDS, *SHAPES)
LARGEST = 4096


def load_scenes(
    name: str = "scenes",
    seed: int = 0,
    train: int = 80,
    test: int = 30,
    size: Sequence[int] = (192, 256),
    cache: Path | None = None,
) -> MaskDataset:
    """Scenes that are drawn when they are read: the same ones for the same arguments.

    Every image has two or three regions, each of one texture (gradient, stripes, grain), and
    shapes in front of them. Colours say nothing about the class. Rings and crosses are rare.

    Parameters
    ----------
    name : str
    seed : int >= 0
    train, test : int >= 1
        Numbers of images that supports are drawn from, and that are segmented.
    size : two int
        Smallest and largest side in pixels, at least 32 and at most 4096.
    cache : Path, optional
        Folder where numbers of pixels are cached.

    Raises
    ------
    FewshotError
        An argument out of range.
    """
    expect_positive_int("dataset.seed", seed, 0)
    expect_positive_int("dataset.train", train)
    expect_positive_int("dataset.test", test)
    low, high = _sides(size)
    paths = (
        *(f"train/{row:05d}" for row in range(train)),
        *(f"test/{row:05d}" for row in range(test)),
    )
    key = f"scenes {VERSION} {seed} {low} {high} {CLASSES}"

    @lru_cache(maxsize=8)
    def scene(row: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        part = int(row >= train)
        return draw_scene(np.random.default_rng([seed, part, row - part * train]), low, high)

    def digests() -> list[str]:
        return [hashlib.sha256(f"{key} {path}".encode()).hexdigest() for path in paths]

    return assembled(
        MaskRows(
            name=name,
            paths=paths,
            masks=tuple(f"{path}, mask" for path in paths),
            classnames=CLASSES,
            read=lambda row: Image.fromarray(scene(row)[0]),
            read_mask=lambda row: scene(row)[1],
            size=lambda row: scene(row)[1].shape[::-1],
            digests=digests,
            mask_digests=digests,
            support=np.arange(train),
            queries=np.arange(train, train + test),
            facts={"layout": "scenes"},
        ),
        cache=cache,
    )


def _sides(size: Sequence[int]) -> tuple[int, int]:
    try:
        low, high = size
    except (TypeError, ValueError):
        raise FewshotError(
            "dataset.size", f"expected two numbers of pixels, got {size!r}"
        ) from None
    for side in (low, high):
        expect_positive_int("dataset.size", side, 32, LARGEST)
    expect(low <= high, "dataset.size", f"expected the smaller side first, got {list(size)}")
    return int(low), int(high)


def draw_scene(
    rng: np.random.Generator, low: int, high: int
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """An image (H, W, 3) and the class of every pixel (H, W), numbers in `CLASSES`."""
    height, width = rng.integers(low, high + 1, 2)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    image = np.empty((height, width, 3), np.float32)
    mask = np.empty((height, width), np.int16)
    for number, area in _regions(rng, x, y):
        mask[area] = number
        image[area] = _coloured(rng, _background(rng, CLASSES[number], x, y)[area])
    for number, shape in enumerate(SHAPES, start=len(BACKGROUNDS)):
        if rng.random() < SHAPES[shape]:
            area = _shape(rng, shape, x, y)
            mask[area] = number
            grain = 0.5 + 0.15 * rng.standard_normal(int(area.sum()), np.float32)
            image[area] = _coloured(rng, grain.clip(0, 1))
    across, down = rng.uniform(0, 0.4, 2)
    light = 0.8 + x * np.float32(across / width) + y * np.float32(down / height)
    image *= light[..., None]
    image += 8 * rng.standard_normal(image.shape, np.float32)
    return image.clip(0, 255).astype(np.uint8), mask


def _regions(
    rng: np.random.Generator, x: NDArray, y: NDArray
) -> list[tuple[int, NDArray[np.bool_]]]:
    """Two or three bands with wavy borders, each of a class of its own."""
    count = int(rng.integers(2, len(BACKGROUNDS) + 1))
    classes = rng.permutation(len(BACKGROUNDS))[:count]
    angle, wave = rng.uniform(-0.5, 0.5), rng.uniform(20, 60)
    height, width = x.shape
    across = y + angle * (x - width / 2) + 6 * np.sin(x / wave * 2 + rng.uniform(0, 6))
    borders = height * (np.arange(1, count) / count + rng.uniform(-0.12, 0.12, count - 1))
    band = np.searchsorted(borders, across)
    return [(int(number), band == place) for place, number in enumerate(classes)]


def _background(rng: np.random.Generator, texture: str, x: NDArray, y: NDArray) -> NDArray:
    """Values in [0, 1] (H, W)."""
    angle = rng.uniform(0, np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    if texture == "gradient":
        along = along - along.min()
        return along / max(float(along.max()), 1)
    if texture == "stripes":
        return (np.sin(along * 2 * np.pi / rng.uniform(8, 22)) > 0).astype(np.float32)
    side = int(rng.integers(2, 5))
    coarse = rng.random((x.shape[0] // side + 1, x.shape[1] // side + 1), dtype=np.float32)
    return coarse.repeat(side, 0).repeat(side, 1)[: x.shape[0], : x.shape[1]]


def _coloured(rng: np.random.Generator, values: NDArray) -> NDArray:
    """Values in [0, 1] (P,) as a blend of two random colours (P, 3)."""
    first, second = rng.uniform(20, 235, (2, 3)).astype(np.float32)
    return first + values[..., None] * (second - first)


def _shape(rng: np.random.Generator, shape: str, x: NDArray, y: NDArray) -> NDArray[np.bool_]:
    """Pixels of a shape of random size, place and rotation (H, W)."""
    height, width = x.shape
    radius = rng.uniform(0.08, 0.18) * min(height, width)
    dx, dy = x - rng.uniform(0.1, 0.9) * width, y - rng.uniform(0.1, 0.9) * height
    angle = rng.uniform(0, 2 * np.pi)
    u = (dx * np.cos(angle) + dy * np.sin(angle)) / radius
    v = (dy * np.cos(angle) - dx * np.sin(angle)) / radius
    distance = np.hypot(u, v)
    if shape == "disc":
        return distance < 1
    if shape == "square":
        return np.maximum(abs(u), abs(v)) < 0.9
    if shape == "triangle":
        return (v > -0.6) & (v + 1.8 * abs(u) < 1.2)
    if shape == "ring":
        return (distance < 1.1) & (distance > 0.6)
    bars = (np.minimum(abs(u), abs(v)) < 0.3) & (np.maximum(abs(u), abs(v)) < 1.1)
    return np.asarray(bars)


def load_settings(settings: Mapping[str, Any], options: MaskOptions) -> MaskDataset:
    """The scenes that the settings of ``dataset=scenes`` describe."""
    named = {key: settings[key] for key in ("seed", "train", "test", "size") if key in settings}
    return load_scenes(options.name or "scenes", cache=options.cache, **named)
