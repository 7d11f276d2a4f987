"""Tables in text files (CSV, TSV, lines of JSON), with the place of every row."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot.datasets.image_kinds import KINDS
from fewshot.exceptions import FewshotError
from fewshot.text_files import read_text, without_duplicates

SEPARATORS = (",", ";", "\t", "|")
NAMES_OF_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
SEPARATOR_LINE = re.compile(r"sep=(.)")  # which Excel writes above a table
PATH_AND_NUMBER = re.compile(r"(.+?)\s+(\d+)")  # lines of Caffe's lists
# What reads a table in a binary format with pandas.
BINARY = {
    ".parquet": "read_parquet", ".feather": "read_feather", ".xlsx": "read_excel",
    ".xls": "read_excel", ".xlsm": "read_excel", ".ods": "read_excel", ".dta": "read_stata",
}  # fmt: skip
PICKLES = (".pkl", ".pickle", ".pck", ".pt", ".pth")
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".tar")


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of cells below names of columns.

    Attributes
    ----------
    source : Path
    columns : list of str
        As they are written.
    rows : sequence of sequences
        Cells of every row: text, or what JSON has.
    place : callable
        Position of a row to where it is, such as ``list.csv, line 7``.
    """

    source: Path
    columns: list[str]
    rows: Sequence[Sequence[Any]]
    place: Callable[[int], str]


def folded_column(name: str) -> str:
    """The name of a column without case, ``_``, ``-``, ``.`` and spaces.

    Examples
    --------
    >>> from fewshot.datasets.split_files.tables import folded_column
    >>> folded_column("Image_ID"), folded_column("file name")
    ('imageid', 'filename')
    """
    return re.sub(r"[\s_.-]+", "", name.casefold())


def read_table(path: Path, argument: str, known: AbstractSet[str]) -> Table:
    """A table whose cells are separated by a comma, a semicolon, a tab or a bar.

    The separator is the one that makes most known columns of the first line. A first line that has
    an image's file name instead makes the table one of paths and classes, without a header.

    Parameters
    ----------
    path : Path
    argument : str
        The setting named in errors.
    known : set of str
        Columns that the caller looks for, folded.

    Raises
    ------
    FewshotError
        It cannot be read, is empty, or a row has another number of cells than the first.
    """
    text = read_text(path, argument)
    first, separator = _first_line(text), None
    if said := SEPARATOR_LINE.fullmatch(first):
        separator = said[1]
        text = text.replace(first, "", 1)  # the line stays, blank, and lines keep their numbers
        first = _first_line(text)
    separator = separator or _separator(first, known)
    head = _cells(first, separator)
    named = any(folded_column(cell) in known for cell in head)
    if not named and len(head) == 1 and path.suffix.lower() == ".txt" and not _has_image(head):
        raise FewshotError(
            argument,
            f"expected a table of images with columns such as filename,label, or a folder of such, "
            f"got lines such as {head[0]!r:.80} in {path}",
            "To split by class, set dataset=folder dataset.split=FILE.",
        )
    if named or not _has_image(head):
        return _with_header(path, argument, text, separator)
    return _without_header(path, argument, text, separator)


def read_json_lines(path: Path, argument: str) -> list[tuple[int, Any]]:
    """What a file has in its lines, one JSON value each, with their numbers; blank ones aside."""
    values = []
    for number, line in enumerate(read_text(path, argument).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values.append((number, json.loads(line, object_pairs_hook=without_duplicates)))
        except ValueError as error:
            raise FewshotError(argument, f"cannot parse {path}, line {number}: {error}") from None
        except RecursionError:
            where = f"{path}, line {number}"
            raise FewshotError(argument, f"cannot parse {where}: nested too deeply") from None
    return values


def table_of_entries(
    path: Path, entries: Sequence[dict[str, Any]], place: Callable[[int], str]
) -> Table:
    """JSON objects as a table: a column per key; None where an object has no such key."""
    keys: dict[str, None] = {}
    for entry in entries:
        if not entry.keys() <= keys.keys():
            keys |= dict.fromkeys(entry)
    columns = list(keys)
    return Table(path, columns, [[entry.get(key) for key in columns] for entry in entries], place)


def expect_text_file(path: Path, argument: str) -> None:
    """Raise with what to do about a spreadsheet, a binary table, a pickle or a packed file."""
    suffix = path.suffix.lower()
    if suffix in BINARY:
        csv_file = path.with_suffix(".csv").name
        raise FewshotError(
            argument,
            f"expected a text file such as CSV, got {path.name!r}",
            f'Write one: python -c "import pandas; pandas.{BINARY[suffix]}({str(path)!r})'
            f'.to_csv({csv_file!r}, index=False)".',
        )
    if suffix in PICKLES:
        raise FewshotError(
            argument,
            f"expected a text file such as CSV, got {path.name!r}; pickles could run code and are "
            "never loaded",
            "Write its images to a CSV file with the columns filename,label.",
        )
    if suffix in PACKED:
        raise FewshotError(
            argument, f"expected a text file such as CSV, got {path.name!r}", "Unpack it first."
        )


def _first_line(text: str) -> str:
    return next((line for line in text.split("\n", 64) if line.strip(" \t,;|")), "").strip(" ")


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return [line]


def _separator(line: str, known: AbstractSet[str]) -> str:
    """The separator that makes most known columns of a line, else most cells with an image."""

    def fit(separator: str) -> tuple[int, bool, bool]:
        cells = _cells(line, separator)
        columns = sum(folded_column(cell) in known for cell in cells)
        return columns, len(cells) > 1 and _has_image(cells), len(cells) > 1

    return max(SEPARATORS, key=fit)  # the first of equals


def names_image(text: str) -> bool:
    """Whether a text ends as the name of an image file does."""
    _, dot, extension = text.strip().rpartition(".")
    return f"{dot}{extension.lower()}" in KINDS


def _has_image(cells: Sequence[str]) -> bool:
    """Whether a cell is an image's file name, also with a number behind it."""
    words = (match[1] if (match := PATH_AND_NUMBER.fullmatch(cell.strip())) else cell.strip()
             for cell in cells)  # fmt: skip
    return any(map(names_image, words))


def _with_header(path: Path, argument: str, text: str, separator: str) -> Table:
    lines, rows = _read_rows(path, argument, text, separator)
    if len(rows) < 2:
        raise FewshotError(argument, f"{path} has no rows below a line that names its columns")
    columns = [cell.strip() for cell in rows[0]]
    del lines[0], rows[0]
    for line, cells in zip(lines, rows, strict=True):
        if len(cells) != len(columns):
            raise _uneven(path, argument, line, columns, cells, separator)
    return Table(path, columns, rows, lambda row: f"{path}, line {lines[row]}")


def _uneven(
    path: Path, argument: str, line: int, columns: list[str], cells: list[str], separator: str
) -> FewshotError:
    name = NAMES_OF_SEPARATORS.get(separator, repr(separator))
    return FewshotError(
        argument,
        f"{path}, line {line}: expected {len(columns)} cells ({','.join(columns)}), got "
        f"{len(cells)}",
        f"Cells with {name} in them need quotes." if len(cells) > len(columns) else "",
    )


def _without_header(path: Path, argument: str, text: str, separator: str) -> Table:
    """Paths and classes, in either order; in lines of text also parted by blanks."""
    lines, rows = _read_rows(path, argument, text, separator)
    if all(len(cells) == 1 for cells in rows):
        matches = [PATH_AND_NUMBER.fullmatch(cells[0].strip()) for cells in rows]
        rows = [list(match.groups()) if match else cells for match, cells in
                zip(matches, rows, strict=True)]  # fmt: skip
    first = next((row for row, cells in enumerate(rows) if len(cells) != 2), None)
    images = [_has_image([cell]) for cell in rows[0]]
    if first is not None or sum(images) != 1:
        raise FewshotError(
            argument,
            f"{path}, line {lines[first or 0]}: expected a path and a class, as there is no line "
            f"that names the columns, got {','.join(rows[first or 0])!r:.80}",
            "Put a line with the names of the columns on top, such as filename,label.",
        )
    columns = ["path", "label"] if images[0] else ["label", "path"]
    return Table(path, columns, rows, lambda row: f"{path}, line {lines[row]}")


def _read_rows(
    path: Path, argument: str, text: str, separator: str
) -> tuple[list[int], list[list[str]]]:
    """Numbers and cells of all lines that are not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                lines.append(reader.line_num)
                rows.append(cells)
    except csv.Error as error:
        where = f"{path}, line {reader.line_num}"
        raise FewshotError(argument, f"cannot parse {where}: {error}") from None
    return lines, rows
