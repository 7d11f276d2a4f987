"""Decoding of image files of any format, mode and bit depth to 8-bit RGB."""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fewshot.datasets.image_kinds import (
    EXPECTED,
    FORMATS,
    RAW,
    extension_of,
    kind_by_phrase,
    remedies,
)
from fewshot.exceptions import FewshotError
from fewshot.file_kinds import HEAD, TAIL, kind_of, kind_of_bytes

# Larger images are refused, as a few bytes may claim to be a picture that fills the memory. Phones
# make photographs of 200 megapixels, which take 0.8 GB while they are decoded.
MAX_PIXELS = 300_000_000
VARIABLE = "FEWSHOT_MAX_PIXELS"
# Images beyond Pillow's own limit are decoded one at a time, JPEGs of them at half their width and
# height or less.
LARGE = 89_478_485
BLOCK = 2**22  # pixels that are in floating point at a time

UPRIGHT = 1
TURNS = range(2, 9)  # orientations that turn or mirror
QUARTER_TURNS = range(5, 9)  # orientations that exchange width and height

_globals = threading.Lock()  # filters of warnings and Pillow's limit are global, reading is not
_large = threading.Lock()


class UnreadableImageError(ValueError):
    """An image cannot be decoded.

    Attributes
    ----------
    reason : str
    remedy : str
        What to install or to set so that it can be; "" where the image itself is at fault.
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


def pixel_limit(max_pixels: object = None) -> int:
    """The number of pixels that an image may have.

    Parameters
    ----------
    max_pixels : int >= 1, optional
        By default the environment variable ``FEWSHOT_MAX_PIXELS``, else 300 million.

    Raises
    ------
    FewshotError
        Not a number of pixels.
    """
    name, value = "dataset.max_pixels", max_pixels
    if value is None:
        name, value = VARIABLE, os.environ.get(VARIABLE) or MAX_PIXELS
    try:
        number = float(value)  # type: ignore[arg-type]
        if isinstance(value, bool) or not 1 <= number < float("inf"):
            raise ValueError
    except (TypeError, ValueError):
        raise FewshotError(name, f"expected a number of pixels, got {value!r}") from None
    return int(number)


def read_image(source: Path | bytes | BinaryIO, max_pixels: int | None = None) -> Image.Image:
    """Decode an image to RGB: a file, its bytes, or an open binary file.

    The orientation in the EXIF data is applied, transparency is laid on white, 16-bit and
    floating greys are brought to 8 bits, and of an animation the first frame is taken. Colour
    profiles are not applied, as training pipelines do not.

    Parameters
    ----------
    source : Path, bytes or binary file
        What it is decides its content, whatever its name.
    max_pixels : int, optional
        See :func:`pixel_limit`.

    Raises
    ------
    UnreadableImageError
        Truncated, damaged, larger than `max_pixels`, of a kind that is not read here, or not an
        image.
    """
    with opened_image(source, max_pixels) as image:
        return _decoded(image)


def image_size(source: Path | bytes | BinaryIO, max_pixels: int | None = None) -> tuple[int, int]:
    """Width and height of an image as :func:`read_image` returns it; only its header is read.

    Raises
    ------
    UnreadableImageError
        See :func:`read_image`.
    """
    with opened_image(source, max_pixels) as image:
        width, height = image.size
        turned = _orientation(image) in QUARTER_TURNS
    return (height, width) if turned else (width, height)


def image_orientation(source: Path | bytes | BinaryIO, max_pixels: int | None = None) -> int:
    """Orientation in the EXIF data of an image, `UPRIGHT` where it has none; its header is read.

    Raises
    ------
    UnreadableImageError
        See :func:`read_image`.
    """
    with opened_image(source, max_pixels) as image:
        return _orientation(image)


def _orientation(image: Image.Image) -> int:
    orientation: int = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    return orientation if orientation in TURNS else UPRIGHT  # cameras write 0 for unknown


@contextmanager
def opened_image(
    source: Path | bytes | BinaryIO, max_pixels: int | None = None
) -> Iterator[Image.Image]:
    """An image of any kind that is read here, as it is in its file.

    Whatever goes wrong while it is decoded is raised as one error.

    Parameters
    ----------
    source, max_pixels
        See :func:`read_image`.

    Raises
    ------
    UnreadableImageError
        See :func:`read_image`.
    """
    limit = pixel_limit(max_pixels)
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    with _as_unreadable():
        try:
            with _open(stream) as image:
                _expect_size(image, limit)
                with _room_for(image):
                    yield image
        except UnidentifiedImageError:
            raise _not_an_image(stream) from None


def decode_image(image: Image.Image, max_pixels: int | None = None) -> Image.Image:
    """An image in memory, or one that Pillow has opened, as :func:`read_image` gives a file.

    Raises
    ------
    UnreadableImageError
        See :func:`read_image`.
    """
    with _as_unreadable():
        _expect_size(image, pixel_limit(max_pixels))
        return _decoded(image)


@contextmanager
def _as_unreadable() -> Iterator[None]:
    """Whatever goes wrong while an image is decoded, as one error."""
    try:
        yield
    except (UnreadableImageError, FewshotError):
        raise
    except OSError as error:
        raise UnreadableImageError(error.strerror or str(error)) from None
    except MemoryError:  # no fault of the image
        raise
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise UnreadableImageError(str(error) or type(error).__name__) from None


def _open(stream: Path | BinaryIO) -> Image.Image:
    """Read the header, by the parser of a rarer kind if the first bytes say that it is one."""
    try:
        image = _header(stream, FORMATS)
    except UnidentifiedImageError:
        kind = kind_by_phrase(_content(stream))
        if kind is None or kind.always_read or not kind.readable():
            raise
        return _header(stream, (str(kind.format),))
    if image.format == "TIFF" and isinstance(stream, Path) and extension_of(stream) in RAW:
        image.close()  # what can be read is its thumbnail
        raise UnidentifiedImageError
    return image


def _header(stream: Path | BinaryIO, formats: tuple[str, ...]) -> Image.Image:
    """Read the header, whatever size it claims; no pixel is touched."""
    with _globals, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return Image.open(stream, formats=formats)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                return Image.open(stream, formats=formats)
            finally:
                Image.MAX_IMAGE_PIXELS = limit


def _expect_size(image: Image.Image, limit: int) -> None:
    width, height = image.size
    if width * height > limit:
        raise UnreadableImageError(
            f"{width * height:,} pixels ({width} x {height}), more than the {limit:,} that "
            "dataset.max_pixels allows",
            f"Set dataset.max_pixels or {VARIABLE} to {width * height} or more",
        )


@contextmanager
def _room_for(image: Image.Image) -> Iterator[None]:
    """Decode large images one at a time, whatever the number of threads, and JPEGs smaller."""
    width, height = image.size
    if width * height <= LARGE:
        yield
        return
    if image.format in ("JPEG", "MPO"):
        scale = next((s for s in (2, 4) if width * height <= LARGE * s * s), 8)
        image.draft(None, (width // scale, height // scale))
    with _large:
        yield


def _decoded(image: Image.Image) -> Image.Image:
    image.load()
    # These formats say how deep they are; elsewhere mode I may hold anything.
    full = 65535.0 if image.mode == "I" and image.format in ("PNG", "PPM") else None
    # exif_transpose always copies, which costs a tenth of decoding.
    turned = _orientation(image) != UPRIGHT
    return to_rgb(ImageOps.exif_transpose(image) if turned else image, full)


def _not_an_image(stream: Path | BinaryIO) -> UnreadableImageError:
    """What a file is instead, or why it cannot be read, with the remedy where there is one."""
    phrase = _content(stream)
    kind = kind_by_phrase(phrase)
    extension = extension_of(stream) if isinstance(stream, Path) else ""
    if extension in RAW:
        return UnreadableImageError(f"a camera's {extension} file", remedies([extension]))
    if phrase == "a TIFF image":
        return UnreadableImageError(
            "not a kind of TIFF that can be read, or damaged; RGB in floating point, for one, "
            "cannot"
        )
    if kind is not None and not kind.readable():
        remedy = kind.remedy.format(kind.name)
        return UnreadableImageError(f"{phrase}, which Pillow cannot read here", remedy)
    if kind is not None:
        return UnreadableImageError(f"not a {EXPECTED} image: it seems to be {phrase}, damaged")
    what = "the file is empty" if (phrase or "").startswith("an empty file") else f"it is {phrase}"
    return UnreadableImageError(f"not a {EXPECTED} image" + (f": {what}" if phrase else ""))


def _content(stream: Path | BinaryIO) -> str | None:
    """A phrase for what a file is by its first bytes."""
    if isinstance(stream, Path):
        return kind_of(stream)
    stream.seek(0)
    head = stream.read(HEAD)
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - TAIL))
    return kind_of_bytes(head, stream.read(TAIL), size)


def to_rgb(image: Image.Image, full: float | None = None) -> Image.Image:
    """An 8-bit RGB image from any mode of Pillow.

    Parameters
    ----------
    image : Image
    full : float, optional
        White of the modes I and F, where the file's format fixes it.
    """
    if image.mode.startswith("I;16"):
        image = _eight_bits(np.asarray(image), 65535.0)
    elif image.mode in ("I", "F"):
        image = _eight_bits(np.asarray(image), full)
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values: NDArray, full: float | None = None) -> Image.Image:
    """Greys up to `full`; by default 1, 255 or 65535, the smallest that holds them."""
    rows = max(1, BLOCK // max(1, values.shape[1]))
    blocks = [values[start : start + rows] for start in range(0, len(values), rows)]
    white = _white(blocks) if full is None else full
    scaled = [_scaled(block, white) for block in blocks]
    return Image.fromarray(np.concatenate(scaled) if scaled else values.astype(np.uint8))


def _scaled(values: NDArray, white: float) -> NDArray:
    return (_finite(values).clip(0, white) * (255 / white)).round().astype(np.uint8)


def _finite(values: NDArray) -> NDArray:
    return np.nan_to_num(values.astype(np.float64)).clip(0)


def _white(blocks: list[NDArray]) -> float:
    top = max((float(_finite(block).max(initial=0)) for block in blocks), default=0.0)
    if top <= 1 and not all(np.all((v := _finite(block)) == np.round(v)) for block in blocks):
        return 1.0
    return 255.0 if top <= 255 else 65535.0


def unreadable_of(failures: Sequence[Mapping[str, Any]], why: str = "") -> FewshotError:
    """The error for images that cannot be read.

    Parameters
    ----------
    failures : sequence of mapping
        ``path``, ``reason`` and perhaps ``remedy`` of each; the first is named.
    why : str
        What to say before its reason.
    """
    first, more = failures[0], len(failures) - 1
    others = f" (and {more} more)" if more else ""
    remedy = str(first.get("remedy", "")).rstrip(".") or "Replace or remove it"
    return FewshotError(
        "dataset",
        f"cannot read image {first['path']!r}{others}: {why}{first['reason']}",
        f"{remedy}, or set dataset.on_error=skip.",
    )
