"""One way to read an image file, whatever its format, mode and depth."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# Pillow tries no other parser than these, so that a file of another kind cannot reach one.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})

_filters = threading.Lock()  # the filters of warnings are global, and images are read by threads


class UnreadableImageError(ValueError):
    """An image that cannot be decoded, and why."""


def read_image(path: Path) -> Image.Image:
    """Decode an image file to RGB.

    The orientation that a camera noted is applied, transparency is laid on white, 16-bit and
    floating greys are brought to 8 bits, and of an animation the first frame is taken.

    Raises
    ------
    UnreadableImageError
        Truncated, damaged, too large for Pillow's limit, or not an image.
    """
    try:
        with _open(path) as image:
            image.load()
            return to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise UnreadableImageError("not a JPEG, PNG, WebP, BMP or TIFF image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImageError("more than 90 million pixels") from None
    except OSError as error:
        raise UnreadableImageError(error.strerror or str(error)) from None
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise UnreadableImageError(str(error) or type(error).__name__) from None


def _open(path: Path) -> Image.Image:
    """Read the header; an image that is too large is refused before its pixels are touched."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(path, formats=FORMATS)


def to_rgb(image: Image.Image) -> Image.Image:
    """An 8-bit RGB image from any mode of Pillow."""
    if image.mode.startswith("I;16"):
        image = _eight_bits(np.asarray(image), 65535.0)
    elif image.mode in ("I", "F"):
        image = _eight_bits(np.asarray(image))
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _eight_bits(values: np.ndarray, full: float | None = None) -> Image.Image:
    """Greys up to `full`; by default 1, 255 or 65535, the smallest that holds them."""
    values = np.nan_to_num(values.astype(np.float64)).clip(0)
    if full is None:
        top = float(values.max(initial=0))
        is_float = top <= 1 and not np.all(values == np.round(values))
        full = 1.0 if is_float else 255.0 if top <= 255 else 65535.0
    return Image.fromarray((values.clip(0, full) * (255 / full)).round().astype(np.uint8))
