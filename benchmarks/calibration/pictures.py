"""Pictures from files, glyphs of fonts and parts of pictures."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Load = Callable[[], Image.Image]
# Longest side of what is written.
SIDE = 256


def opened(path: Path) -> Load:
    """The picture in a file, read when it is wanted."""
    return lambda: Image.open(path)


def member(archive: Path, name: str) -> Load:
    """The picture in a file of a zip archive."""
    return lambda: Image.open(io.BytesIO(zipfile.ZipFile(archive).read(name)))


def ready(image: Image.Image) -> Load:
    """A picture that is in memory."""
    return lambda: image


def flat(image: Image.Image) -> Image.Image:
    """RGB, with white behind what is transparent."""
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def is_blank(image: Image.Image) -> bool:
    """Whether all pixels are alike: fonts have empty glyphs, and games empty frames."""
    return int(np.ptp(np.asarray(image))) == 0


def drawn(font_file: Path, text: str) -> Load:
    """Black text on white, in the middle of a square."""

    def load() -> Image.Image:
        font = ImageFont.truetype(str(font_file), 96 if len(text) == 1 else 64)
        left, top, right, bottom = font.getbbox(text)
        side = int(1.3 * max(right - left, bottom - top, 1))
        image = Image.new("RGB", (side, side), "white")
        corner = ((side - left - right) / 2, (side - top - bottom) / 2)
        ImageDraw.Draw(image).text(corner, text, "black", font)
        return image

    return load


def crops(
    image: Image.Image, count: int, share: tuple[float, float], rng: np.random.Generator
) -> dict[str, Load]:
    """Random squares, their sides a share of the image's shorter one, by number."""
    parts = {}
    for i in range(count):
        side = int(rng.uniform(*share) * min(image.size))
        x, y = (int(rng.integers(0, length - side + 1)) for length in image.size)
        part = image.crop((x, y, x + side, y + side))
        parts[f"{i:02}"] = ready(part.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return parts


def blurred(image: Image.Image) -> Image.Image:
    """Out of focus, by a fiftieth of its side."""
    return image.filter(ImageFilter.GaussianBlur(max(image.size) / 50))


def small(image: Image.Image) -> Image.Image:
    """28 pixels a side, as cut out of a larger picture."""
    return image.resize((28, 28), Image.Resampling.BILINEAR)


def noisy(image: Image.Image) -> Image.Image:
    """Dark, with the noise that comes of that."""
    pixels = np.asarray(image, np.float64)
    rng = np.random.default_rng(zlib.crc32(pixels.tobytes()))
    poor = 0.4 * pixels + 50 + rng.normal(0, 40, pixels.shape)
    return Image.fromarray(np.clip(poor, 0, 255).astype(np.uint8))
