"""Lists of images with their classes and their subsets or parts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.classnames import composed
from fewshot.datasets.labels import MISSING_TEXTS
from fewshot.datasets.layout import SUBSET_NAMES, SUBSET_ORDER
from fewshot.datasets.split_files.text import (
    PART_NAMES,
    column,
    files_of_parts,
    lookup_key,
    read_mapping,
    read_table,
)
from fewshot.datasets.walk import is_folder
from fewshot.exceptions import FewshotError

PATH_COLUMNS = ("path", "filename", "file", "image")
CLASS_COLUMNS = ("class", "classname", "label", "category")
SUBSET_COLUMNS = ("subset", "split", "set")


@dataclass(frozen=True, eq=False)
class ImageList:
    """A list of M images of C classes; the files need not exist.

    Attributes
    ----------
    paths : tuple of M str
        As listed, with ``/``; none leaves the folder that it is relative to.
    labels : ndarray of shape (M,), int64
    classnames : tuple of C str
    lists : tuple of M str
        Name of the list that contains the image, such as "train"; may be "".
    subset : ndarray of shape (M,), str, or None
    parts : tuple of C str, or None
    """

    paths: tuple[str, ...]
    labels: NDArray
    classnames: tuple[str, ...]
    lists: tuple[str, ...]
    subset: NDArray | None
    parts: tuple[str, ...] | None


class Row(NamedTuple):
    """An entry of a list and its location in the file."""

    where: str
    path: str
    classname: str
    number: int | None
    listed: str
    subset: str | None = None
    part: str | None = None


def read_image_list(path: Path, argument: str = "dataset.split_file") -> ImageList:
    """Read a CoOp JSON file, miniImageNet CSV files, or a CSV file of images.

    Rows are sorted by class, subset and path. Classes are in
    order of their numbers where the file has such, else of their names.

    Parameters
    ----------
    path : Path
        ``{"train": [[path, label, classname], ...], "val": ..., "test": ...}``; a folder with
        train.csv, val.csv and test.csv (columns filename, label) or one of them; or a CSV file
        with the columns filename, label and, if images come split, subset.
    argument : str
        The setting named in errors.

    Raises
    ------
    FewshotError
        Malformed; an image comes twice; a class is in two parts; numbers and names of classes do
        not go together.
    """
    if is_folder(path):
        files = files_of_parts(path, argument)
        rows = [row for part, file in files.items() for row in _table_rows(file, argument, part)]
    elif path.suffix.lower() == ".csv":
        rows = list(_table_rows(path, argument, PART_NAMES.get(path.stem.lower())))
    elif path.suffix.lower() == ".json":
        rows = list(_json_rows(path, argument))
    else:
        raise FewshotError(
            argument, f"expected a .json file, a .csv file or a folder of such, got {str(path)!r}"
        )
    if not rows:
        raise FewshotError(argument, f"{path} lists no image")
    _expect_consistent(rows, argument)
    return _as_list(rows)


def _table_rows(path: Path, argument: str, part: str | None) -> Iterator[Row]:
    columns, rows = read_table(path, argument)
    file, classname = column(columns, PATH_COLUMNS), column(columns, CLASS_COLUMNS)
    if file is None or classname is None:
        raise FewshotError(
            argument,
            f"{path} should have the columns filename and label; it has {', '.join(columns)}",
            "" if file else "To split by class, set dataset=folder dataset.split=FILE.",
        )
    subset = column(columns, SUBSET_COLUMNS)
    for line, row in rows:
        where = f"{path}, line {line}"
        listed = row[subset] if subset else path.stem
        part_of = subset and lookup_key(listed, SUBSET_NAMES, path, argument, line)
        yield Row(
            where, _inside(row[file], where, argument), _free_name(row[classname], where, argument),
            None, listed, part_of, None if subset else part,
        )  # fmt: skip


def _json_rows(path: Path, argument: str) -> Iterator[Row]:
    content = read_mapping(path, argument)
    if not isinstance(content, dict):
        raise FewshotError(argument, f"{path} should have lists under train, val and test")
    seen: dict[str, str] = {}
    for key, entries in content.items():
        subset = lookup_key(key, SUBSET_NAMES, path, argument)
        if seen.setdefault(subset, key) != key:
            raise FewshotError(argument, f"{path}: {seen[subset]!r} and {key!r} are the same")
        if not isinstance(entries, list):
            raise FewshotError(argument, f"{path}: {key} should be a list of images")
        for i, entry in enumerate(entries):
            where = f"{path}: {key}[{i}]"
            file, number, name = _triple(entry, where, argument)
            yield Row(
                where, _inside(file, where, argument), _name(name, where, argument),
                number, key, subset,
            )  # fmt: skip


def _triple(entry: Any, where: str, argument: str) -> tuple[str, int, str]:
    fine = isinstance(entry, list) and len(entry) == 3
    if fine and all(isinstance(text, str) for text in entry[::2]) and type(entry[1]) is int:
        return entry[0], entry[1], entry[2]
    remedy = "To split by class, set dataset=folder dataset.split=FILE."
    raise FewshotError(
        argument,
        f"{where}: expected [path, label, classname], got {repr(entry)[:80]}",
        remedy if isinstance(entry, str) else "",
    )


def _name(name: str, where: str, argument: str) -> str:
    if not name.strip():
        raise FewshotError(argument, f"{where}: the class has no name")
    return composed(name.strip())


def _free_name(name: str, where: str, argument: str) -> str:
    """A class name without a number; texts of missing values are errors."""
    if name.strip() in MISSING_TEXTS:
        raise FewshotError(
            argument,
            f"{where}: the class is {name.strip()!r}, the text that a missing label becomes",
            "Drop such rows, or rename the class.",
        )
    return _name(name, where, argument)


def _inside(path: str, where: str, argument: str) -> str:
    """A listed path in normal form; a path that leaves the data set is an error."""
    short = posixpath.normpath(path.strip().replace("\\", "/"))
    leaves = short.startswith(("/", "..")) or re.match("[A-Za-z]:", short) or "\0" in short
    if leaves or short == ".":
        raise FewshotError(
            argument, f"{where}: expected a path below the data set's folder, got {path!r:.80}"
        )
    return short


def _expect_consistent(rows: list[Row], argument: str) -> None:
    """One entry per image, one name per number, one number and one part per class."""
    files: dict[str, Row] = {}
    names: dict[int | None, Row] = {}
    classes: dict[str, Row] = {}
    for row in rows:
        other = files.setdefault(composed(row.path), row)
        if other is not row:
            both = f"in {other.listed} and in {row.listed}" if other.listed != row.listed else ""
            raise FewshotError(
                argument,
                f"{row.where}: image {row.path!r} is listed twice {both}".rstrip()
                + f", first as {other.where}",
            )
        named = names.setdefault(row.number, row)
        if row.number is not None and named.classname != row.classname:
            raise FewshotError(
                argument,
                f"{row.where}: label {row.number} is {row.classname!r}, but {named.classname!r} "
                f"in {named.where}",
            )
        first = classes.setdefault(row.classname, row)
        if first.number != row.number:
            raise FewshotError(
                argument,
                f"{row.where}: class {row.classname!r} has label {row.number}, but "
                f"{first.number} in {first.where}",
            )
        if first.part != row.part:
            raise FewshotError(
                argument,
                f"{row.where}: class {row.classname!r} is in {first.listed} and in {row.listed}; "
                "these lists must have no class in common",
                "For a split by image, write one CSV file with the columns filename,label,subset.",
            )


def _as_list(rows: list[Row]) -> ImageList:
    by_class = sorted(rows, key=lambda row: (row.number or 0, row.classname))
    classnames = tuple(dict.fromkeys(row.classname for row in by_class))
    number = {name: c for c, name in enumerate(classnames)}
    part_of = {row.classname: row.part for row in rows}

    def place(row: Row) -> tuple[int, int, str]:
        return number[row.classname], SUBSET_ORDER.index(row.subset or "train"), row.path

    rows = sorted(rows, key=place)
    split = rows[0].subset is not None
    return ImageList(
        tuple(row.path for row in rows),
        np.array([number[row.classname] for row in rows], dtype=np.int64),
        classnames,
        tuple(row.listed for row in rows),
        np.array([row.subset for row in rows]) if split else None,
        None if None in part_of.values() else tuple(str(part_of[name]) for name in classnames),
    )
