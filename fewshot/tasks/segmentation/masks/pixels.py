"""From the pixels of a mask file to class numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewshot.exceptions import FewshotError, expect, expect_bool, shown
from fewshot.tasks.segmentation.masks.base import IGNORED
from fewshot.tasks.segmentation.masks.colours import ColourTable

ROOT = "dataset.root"
INTEGERS = ("1", "L", "P", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
# Formats that change pixels.
LOSSY = {"JPEG": "JPEG", "MPO": "JPEG", "WEBP": "WebP", "AVIF": "AVIF", "HEIF": "HEIC",
         "JPEG2000": "JPEG 2000"}  # fmt: skip
WHITE = 255
MOST_CLASSES = 32767
LARGEST_BYTE = 255
WIDE_WHITE = 65535
SCALES = {"L;2": 85, "L;4": 17}


@dataclass(frozen=True)
class PixelRules:
    """What the values of the pixels of masks mean.

    Attributes
    ----------
    classes : int or None
        Number of classes; None: as many as there are values.
    ignored : tuple of int
        Values that are of no class.
    binary : bool
        Values 0 and 255, or 0 and 1: background and foreground.
    reduce_zero_label : bool
        0 is of no class, 1 is class 0.
    colours : ColourTable, optional
        For masks in colour.
    numbers : mapping of int to int, optional
        Class by value; all other values are of no class (Cityscapes).
    """

    classes: int | None
    ignored: tuple[int, ...] = (WHITE,)
    binary: bool = False
    reduce_zero_label: bool = False
    colours: ColourTable | None = None
    numbers: tuple[tuple[int, int], ...] = ()

    @property
    def white_ignored(self) -> bool:
        """Whether 255 is a value of no class, where values are numbers of classes."""
        return WHITE in self.ignored and not self.binary and self.colours is None

    @property
    def text(self) -> str:
        """All of them, for hashes."""
        ignored = ",".join(map(str, self.ignored))
        colours = self.colours and sorted(self.colours.numbers.items())
        return (
            f"classes={self.classes} ignore={ignored} binary={self.binary} "
            f"zero={self.reduce_zero_label} colours={colours} numbers={self.numbers}"
        )


def ignored_values(value: Any) -> tuple[int, ...]:
    """The values of ``dataset.ignore_index``: a number, several, or none.

    Raises
    ------
    FewshotError
        Something else.
    """
    values = [] if value is None else value
    values = [values] if isinstance(values, int) else values
    whole = isinstance(values, Sequence) and all(
        isinstance(entry, int) and not isinstance(entry, bool) for entry in values
    )
    expect(
        whole and not isinstance(value, bool | str),
        "dataset.ignore_index",
        f"expected a number, a list of numbers or null, got {shown(value)}",
    )
    return tuple(sorted(set(values)))


def rules_of(
    classes: int | None,
    binary: object = False,
    ignore_index: object = WHITE,
    reduce_zero_label: object = False,
    colours: ColourTable | None = None,
) -> PixelRules:
    """Rules from the settings of masks, checked.

    Raises
    ------
    FewshotError
        A setting of another type; settings that exclude each other.
    """
    expect_bool("dataset.binary", binary)
    expect_bool("dataset.reduce_zero_label", reduce_zero_label)
    ignored = ignored_values(ignore_index)
    expect(
        not (binary and reduce_zero_label),
        "dataset.binary",
        "excludes dataset.reduce_zero_label: masks of two values would have one class",
    )
    expect(
        not (binary and classes not in (None, 2)),
        "dataset.binary",
        f"expected two class names for masks of two values, got {classes}",
        "Name background and foreground in classes.txt, or remove it.",
    )
    shift = int(bool(reduce_zero_label))
    if classes is not None and ignore_index == WHITE and classes > WHITE - shift:
        raise FewshotError(
            "dataset.ignore_index",
            f"{classes} classes have the values {shift} to {classes - 1 + shift}, and {WHITE} of "
            "them is of no class",
            "Set dataset.ignore_index=null, or to the value that means no class, or to "
            f"[{WHITE}] if it is.",
        )
    if binary:
        classes, ignored = 2, tuple(value for value in ignored if value not in (0, 1, WHITE))
    if classes is not None:
        expect(classes <= MOST_CLASSES, ROOT, f"{classes} classes, more than {MOST_CLASSES}")
    return PixelRules(classes, ignored, bool(binary), bool(reduce_zero_label), colours)


def class_numbers(image: Image.Image, rules: PixelRules, name: str) -> NDArray[np.int16]:
    """Class of every pixel of an opened mask.

    Parameters
    ----------
    image : PIL.Image.Image
    rules : PixelRules
    name : str
        Of the mask, for messages.

    Returns
    -------
    ndarray of shape (H, W), int16
        ``IGNORED`` or a class number.

    Raises
    ------
    FewshotError
        A lossy format, colours without a table or outside of it, values of no class.
    """
    if image.format in LOSSY:
        raise FewshotError(
            ROOT,
            f"mask {name!r} is a {LOSSY[image.format]} image, whose compression changes pixels",
            "Save masks as PNG, from the original ones: converting this file does not mend it.",
        )
    if rules.colours is not None:
        coloured = _by_colour(image, rules.colours, name)
        if coloured is not None:
            return coloured
    scale = 1 if rules.binary else _scale(image)
    values = _values(image, name)
    if scale > 1:
        values = values // scale
    if rules.colours is not None:
        return _by_order(values, rules, name)
    if rules.numbers:
        return _listed(values, rules.numbers)
    return _numbers(values, rules, name)


def _values(image: Image.Image, name: str) -> NDArray:
    """Whole numbers (H, W) of a mask without colours."""
    if image.mode in INTEGERS:
        values = np.asarray(image)
        if values.dtype.kind == "f":
            return _whole(values, name)
        return values.astype(np.int64) if values.dtype == bool else values
    if image.mode == "RGB":
        pixels = np.asarray(image)
        if np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(
            pixels[..., 0], pixels[..., 2]
        ):
            return pixels[..., 0]
        raise FewshotError(
            "dataset.palette",
            f"mask {name!r} is in colour, and no class has a colour",
            "Give the folder a classes.csv with the columns name, r, g, b, or name such a file by "
            "dataset.palette=FILE.",
        )
    problem = f"mask {name!r} has the mode {image.mode}"
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        problem = f"mask {name!r} has an alpha channel (mode {image.mode})"
    raise FewshotError(
        ROOT, problem, "Save masks as PNG of one channel, with the class number of every pixel."
    )


def _scale(image: Image.Image) -> int:
    """What Pillow multiplies numbers of a grey PNG of 2 or 4 bits by when it loads them."""
    tiles = getattr(image, "tile", None)
    return SCALES.get(str(tiles[0][3]), 1) if image.format == "PNG" and tiles else 1


def _by_order(values: NDArray, rules: PixelRules, name: str) -> NDArray[np.int16]:
    """Class numbers of a mask without colours: numbers of the lines of the table of colours."""
    assert rules.colours is not None
    lines = np.array(rules.colours.order, np.int16)
    plain = _numbers(values, replace(rules, classes=len(lines)), name)
    return np.where(plain == IGNORED, np.int16(IGNORED), lines[plain])


def _whole(values: NDArray, name: str) -> NDArray[np.int64]:
    """Floating point values as whole numbers, if they are."""
    fine = np.isfinite(values) & (values == np.round(values)) & (abs(values) < 2**31)
    count = int((~fine).sum())
    if count:
        raise FewshotError(
            ROOT,
            f"mask {name!r} has numbers with fractions, {count} pixels; the first is "
            f"{values[~fine][0]:g}",
            "Save masks as PNG, with the class number of every pixel.",
        )
    return values.astype(np.int64)


def _listed(values: NDArray, numbers: Sequence[tuple[int, int]]) -> NDArray[np.int16]:
    """Classes of the values that are listed."""
    result = np.full(values.shape, IGNORED, np.int16)
    for value, number in numbers:
        result[values == value] = number
    return result


def _numbers(values: NDArray, rules: PixelRules, name: str) -> NDArray[np.int16]:
    """Class numbers from whole numbers."""
    ignored = np.isin(values, rules.ignored) if rules.ignored else np.zeros(values.shape, bool)
    if rules.binary:
        return _two(values, ignored, rules, name)
    if rules.reduce_zero_label:
        ignored |= values == 0
        values = values.astype(np.int64) - 1
    classes = LARGEST_BYTE if rules.classes is None else rules.classes
    outside = ~ignored & ((values < 0) | (values >= classes))
    if outside.any():
        raise _no_class(values, outside, ignored, rules, name)
    result = values.astype(np.int16)  # a copy
    result[ignored] = IGNORED
    return result


def _two(values: NDArray, ignored: NDArray, rules: PixelRules, name: str) -> NDArray[np.int16]:
    """0 and 1 from masks of 0 and 255, or of 0 and 1."""
    white = WIDE_WHITE if values.max(initial=0) > WHITE else WHITE
    outside = ~ignored & ~np.isin(values, (0, 1, white))
    mixed = bool((values == 1).any() and (values == white).any())
    if outside.any() or mixed:
        count = int(outside.sum())
        example = int(values[outside][0]) if count else 1
        raise FewshotError(
            "dataset.binary",
            f"expected masks of 0 and 255, or of 0 and 1; mask {name!r} has the value {example} "
            f"as well, {count or int((values == 1).sum())} pixels of such values",
            "Save it without smoothing; values of no class are named by dataset.ignore_index.",
        )
    result = (values != 0).astype(np.int16)
    result[ignored] = IGNORED
    return result


def _no_class(
    values: NDArray, outside: NDArray, ignored: NDArray, rules: PixelRules, name: str
) -> FewshotError:
    """The error for values that are no class."""
    shift = int(rules.reduce_zero_label)
    wrong, pixels = np.unique(values[outside], return_counts=True)
    first, top = int(wrong[0]) + shift, int(wrong[-1]) + shift
    problem = f"mask {name!r} has the value {first}, {pixels[0]} pixels"
    if len(wrong) > 1:
        problem += f" (and {len(wrong) - 1} other values up to {top}, {pixels[1:].sum()} pixels)"
    known = "its classes have no names" if rules.classes is None else f"{rules.classes} classes"
    if rules.classes is not None:
        known = f"there are {rules.classes} classes, {shift} to {rules.classes - 1 + shift}"
    if top > LARGEST_BYTE:
        return FewshotError(
            ROOT,
            f"{problem}, but {known}: such values are often numbers of instances, not of classes",
            "Save masks with the class number of every pixel.",
        )
    held = np.unique(values[~ignored]) + shift
    if set(held.tolist()) <= {0, WHITE} and (rules.classes or 2) == 2:
        return FewshotError(
            "dataset.binary",
            f"mask {name!r} has the values 0 and 255 only, {pixels[0]} pixels of 255",
            "If 255 is the foreground, set dataset.binary=true.",
        )
    return FewshotError(
        ROOT,
        f"{problem}, but {known}",
        "Name all classes in classes.txt, a line each, or add values of no class to "
        "dataset.ignore_index: a list such as [255, 254].",
    )


def _by_colour(image: Image.Image, table: ColourTable, name: str) -> NDArray[np.int16] | None:
    """Class numbers of a mask in colour; None for one that has numbers in place of colours."""
    if (
        image.mode in ("RGBA", "PA", "LA")
        and np.asarray(image.convert("RGBA"))[..., 3].min() < WHITE
    ):
        raise FewshotError(
            ROOT,
            f"mask {name!r} has an alpha channel with transparent pixels, which have no colour",
            "Save masks as PNG without alpha channel.",
        )
    if image.mode == "P":
        return _by_palette(image, table)
    if image.mode not in ("RGB", "RGBA", "PA", "LA"):
        return None
    numbers, unknown = table.numbers_of(np.asarray(image.convert("RGB")))
    if not unknown.any():
        return numbers
    pixels = np.asarray(image.convert("RGB"))[unknown]
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    most = int(np.argmax(counts))
    others = f" (and {len(colours) - 1} other colours)" if len(colours) > 1 else ""
    raise FewshotError(
        "dataset.palette",
        f"mask {name!r} has the colour {tuple(colours[most].tolist())}, {counts[most]} pixels"
        f"{others}, which {table.origin} does not have",
        "Add it there, with the name void where its pixels are of no class.",
    )


def _by_palette(image: Image.Image, table: ColourTable) -> NDArray[np.int16] | None:
    """Class numbers by the colours of a palette; None if it has others than the table."""
    colours = np.zeros((256, 3), np.uint8)
    listed = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    colours[: len(listed)] = listed
    numbers, unknown = table.numbers_of(colours)
    values = np.asarray(image)
    return None if unknown[values].any() else numbers[values]
