"""Colours of classes: tables such as CamVid's, and masks in colour by them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.classnames import expect_distinct, folded
from fewshot.datasets.walk import instead_of_file, is_file
from fewshot.exceptions import FewshotError, expect, shown
from fewshot.tasks.segmentation.masks.base import IGNORED
from fewshot.tasks.segmentation.pictures import palette as class_colours
from fewshot.text_files import read_text

PALETTE = "dataset.palette"
# Files in a folder that are taken for its table of colours: ours, CamVid's two, CVAT's.
FILES = ("classes.csv", "class_dict.csv", "_classes.csv", "label_colors.txt", "labelmap.txt")
# Names of what is no class, in tables of colours.
VOID = frozenset({"void", "ignore", "ignored", "unlabeled", "unlabelled", "don't care"})
COLUMNS = {
    "name": {"name", "class", "classname", "label", "category"},
    "r": {"r", "red"},
    "g": {"g", "green"},
    "b": {"b", "blue"},
}


@dataclass(frozen=True)
class ColourTable:
    """Names and colours of classes.

    Attributes
    ----------
    classnames : tuple of C str
        Without those that mean "of no class".
    numbers : dict of int to int
        Class, or ``IGNORED``, by colour: 65536 red + 256 green + blue.
    order : tuple of int
        Class, or ``IGNORED``, of every line: what masks without colours have as numbers.
    origin : str
        Where it is from, for messages.
    """

    classnames: tuple[str, ...]
    numbers: dict[int, int]
    order: tuple[int, ...]
    origin: str

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        codes = np.array(sorted(self.numbers), np.int32)
        return codes, np.array([self.numbers[code] for code in codes.tolist()], np.int16)

    def numbers_of(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Class of every pixel (..., 3) of an RGB image, and which have an unknown colour."""
        wide = pixels.astype(np.int32)
        codes = (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
        known, classes = self._sorted
        place = np.searchsorted(known, codes).clip(0, len(known) - 1)
        unknown = known[place] != codes
        return np.where(unknown, np.int16(IGNORED), classes[place]), unknown


def colour_table(palette: object, folder: Path) -> ColourTable | None:
    """The table that ``dataset.palette`` means, or that a folder has.

    Parameters
    ----------
    palette : str, mapping or None
        A file, relative to the current folder or to `folder`; or red, green and blue (0 to 255) by
        class name. None: one of `FILES` in `folder`, if there is one.
    folder : Path

    Raises
    ------
    FewshotError
        No such file, another format, two classes of one name or colour.
    """
    if isinstance(palette, Mapping):
        rows = [(str(name), colour, PALETTE) for name, colour in palette.items()]
        return _table(rows, PALETTE)
    if palette is None:
        file = next((folder / name for name in FILES if is_file(folder / name)), None)
        return None if file is None else read_colours(file)
    expect(
        isinstance(palette, str) and bool(palette),
        PALETTE,
        f"expected a file, or colours by name such as {{sky: [128, 128, 128]}}, got "
        f"{shown(palette)}",
    )
    path = Path(str(palette)).expanduser()
    file = next((place for place in (path, folder / path) if is_file(place)), None)
    if file is None:
        raise FewshotError(PALETTE, f"expected a file, got {instead_of_file(path)}")
    return read_colours(file)


def read_colours(file: Path) -> ColourTable | None:
    """Names and colours in a file: CSV with or without a header, CamVid's or CVAT's lists.

    A table with a header and without columns of colours is none of colours: None.
    """
    text = read_text(file, PALETTE)
    if file.suffix.lower() == ".csv":
        rows = _of_csv(text, file)
    elif "label:color_rgb" in text.partition("\n")[0].replace(" ", ""):
        rows = _of_cvat(text, file)
    else:
        rows = _of_camvid(text, file)
    return None if rows is None else _table(rows, str(file))


Row = tuple[str, Any, str]  # name, colour, place


def _of_csv(text: str, file: Path) -> list[Row] | None:
    """Rows below a header, in any order of columns; or name, r, g, b."""
    first = text.strip().partition("\n")[0]
    separator = max(",;\t", key=first.count)
    cells = [
        (number, [cell.strip() for cell in row])
        for number, row in enumerate(csv.reader(io.StringIO(text), delimiter=separator), start=1)
        if any(cell.strip() for cell in row)
    ]
    expect(bool(cells), PALETTE, f"{file} is empty", "Expected the columns name, r, g, b.")
    head = [cell.casefold().replace("_", "") for cell in cells[0][1]]
    places = {
        role: next((i for i, cell in enumerate(head) if cell in names), None)
        for role, names in COLUMNS.items()
    }
    if all(place is not None for place in places.values()):
        order = [int(place) for place in places.values() if place is not None]
        del cells[0]
    elif len(head) >= 4 and all(cell.isdecimal() for cell in head[1:4]):
        order = [0, 1, 2, 3]
    elif file.name in FILES and all(places[role] is None for role in "rgb"):
        return None
    else:
        raise FewshotError(
            PALETTE,
            f"expected the columns name, r, g, b in {file}, got {','.join(cells[0][1])!r:.80}",
        )
    rows = []
    for number, row in cells:
        where = f"{file}, line {number}"
        expect(len(row) > max(order), PALETTE, f"{where}: expected name, r, g, b, got {row}")
        name, *colour = (row[place] for place in order)
        rows.append((name, colour, where))
    return rows


def _of_camvid(text: str, file: Path) -> list[Row]:
    """Lines ``64 128 64<tab>Animal``."""
    rows = []
    for number, line in _lines(text):
        words = line.split(None, 3)
        expect(
            len(words) == 4,
            PALETTE,
            f"{file}, line {number}: expected red, green, blue and a name, got {line!r:.80}",
        )
        rows.append((words[3].strip(), words[:3], f"{file}, line {number}"))
    return rows


def _of_cvat(text: str, file: Path) -> list[Row]:
    """Lines ``name:r,g,b:parts:actions`` below a comment."""
    rows = []
    for number, line in _lines(text):
        name, _, rest = line.partition(":")
        colour = rest.partition(":")[0].split(",")
        rows.append((name.strip(), colour, f"{file}, line {number}"))
    return rows


def _lines(text: str) -> list[tuple[int, str]]:
    lines = enumerate(map(str.strip, text.split("\n")), start=1)
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def _table(rows: Sequence[Row], origin: str) -> ColourTable:
    expect(bool(rows), PALETTE, f"{origin} has no class", "Expected the columns name, r, g, b.")
    expect_distinct(PALETTE, [name for name, _, _ in rows], origin, "Rename one of them.")
    names: list[str] = []
    numbers: dict[int, int] = {}
    holder: dict[int, str] = {}
    for name, colour, where in rows:
        code = _code(colour, where)
        expect(bool(name), PALETTE, f"{where}: expected the name of a class, got nothing")
        expect(
            code not in holder,
            PALETTE,
            f"{where}: {holder.get(code)!r} and {name!r} have the same colour, {_shown(code)}",
            "Give every class a colour of its own, as it is in the masks.",
        )
        holder[code] = name
        numbers[code] = IGNORED if folded(name) in VOID else len(names)
        if numbers[code] != IGNORED:
            names.append(name)
    expect(bool(names), PALETTE, f"{origin} has no class but {', '.join(holder.values())}")
    return ColourTable(tuple(names), numbers, tuple(numbers.values()), origin)


def _code(colour: Any, where: str) -> int:
    """A colour as one number."""
    values = list(colour) if isinstance(colour, Sequence) and not isinstance(colour, str) else []
    try:
        red, green, blue = (int(str(value)) for value in values)
        fine = all(0 <= value <= 255 for value in (red, green, blue))
    except ValueError:
        fine = False
    if not fine:
        raise FewshotError(
            PALETTE, f"{where}: expected red, green and blue from 0 to 255, got {shown(colour)}"
        )
    return (red << 16) | (green << 8) | blue


def _shown(code: int) -> str:
    return f"{code >> 16}, {code >> 8 & 255}, {code & 255}"


def voc_table(classnames: Sequence[str]) -> ColourTable:
    """The colours of PASCAL VOC, where its masks are in RGB; its border is of no class."""
    rows: list[Row] = [
        (name, colour.tolist(), "VOC")
        for name, colour in zip(classnames, class_colours(len(classnames)), strict=True)
    ]
    return _table([*rows, ("void", [224, 224, 192], "VOC")], "PASCAL VOC")
