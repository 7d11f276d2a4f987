"""Decoding of image files of any format, mode and bit depth to 8-bit RGB."""

from __future__ import annotations

import io
import threading
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fewshot.exceptions import FewshotError

# Pillow tries no other parser than these, so that a file of another kind cannot reach one.
# JPEG 2000 is left out: not every Pillow has its decoder, and few need it.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
EXTENSIONS = frozenset({
    ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff",
    ".gif", ".ppm", ".pgm", ".pbm", ".pnm",
})  # fmt: skip
EXPECTED = "JPEG, PNG, WebP, BMP, TIFF, GIF or PNM"

UPRIGHT = 1

_filters = threading.Lock()  # the filters of warnings are global, and images are read by threads


class UnreadableImageError(ValueError):
    """An image cannot be decoded; the message gives the reason."""


def read_image(source: Path | bytes | BinaryIO) -> Image.Image:
    """Decode an image to RGB: a file, its bytes, or an open binary file.

    The orientation in the EXIF data is applied, transparency is laid on white, 16-bit and
    floating greys are brought to 8 bits, and of an animation the first frame is taken. Colour
    profiles are not applied, as training pipelines do not.

    Raises
    ------
    UnreadableImageError
        Truncated, damaged, too large for Pillow's limit, or not an image.
    """
    try:
        with _open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            image.load()
            # These formats say how deep they are; elsewhere mode I may hold anything.
            full = 65535.0 if image.mode == "I" and image.format in ("PNG", "PPM") else None
            # exif_transpose always copies, which costs a tenth of decoding.
            turned = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT) != UPRIGHT
            return to_rgb(ImageOps.exif_transpose(image) if turned else image, full)
    except UnidentifiedImageError:
        raise UnreadableImageError(f"not {_article(source)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImageError("more than 90 million pixels") from None
    except OSError as error:
        raise UnreadableImageError(error.strerror or str(error)) from None
    except MemoryError:  # no fault of the image
        raise
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise UnreadableImageError(str(error) or type(error).__name__) from None


def _open(source: Path | BinaryIO) -> Image.Image:
    """Read the header; an image that is too large is refused before its pixels are touched."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(source, formats=FORMATS)


def _article(source: Path | bytes | BinaryIO) -> str:
    """Description of the expected formats, with the reason of the failure where it is known."""
    if isinstance(source, bytes):
        start = source[:4]
    elif isinstance(source, Path):
        with source.open("rb") as file:
            start = file.read(4)
    else:
        source.seek(0)
        start = source.read(4)
    if not start:
        return f"a {EXPECTED} image: the file is empty"
    if start in (b"II*\0", b"MM\0*"):
        return "a kind of TIFF that can be read, or damaged; RGB in floating point, for one, cannot"
    return f"a {EXPECTED} image"


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


def _eight_bits(values: np.ndarray, full: float | None = None) -> Image.Image:
    """Greys up to `full`; by default 1, 255 or 65535, the smallest that holds them."""
    values = np.nan_to_num(values.astype(np.float64)).clip(0)
    if full is None:
        top = float(values.max(initial=0))
        is_float = top <= 1 and not np.all(values == np.round(values))
        full = 1.0 if is_float else 255.0 if top <= 255 else 65535.0
    return Image.fromarray((values.clip(0, full) * (255 / full)).round().astype(np.uint8))


def unreadable(path: str, reason: str, count: int = 1) -> FewshotError:
    """The error for an image that cannot be read."""
    more = f" (and {count - 1} more)" if count > 1 else ""
    return FewshotError(
        "dataset",
        f"cannot read image {path!r}{more}: {reason}",
        "Replace or remove it, or set dataset.on_error=skip.",
    )
