"""Split files by class: which classes are base, validation and novel."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from reprlib import repr as brief  # aliases of aliases in YAML can be endless
from typing import Any

from fewshot.datasets.classnames import composed
from fewshot.datasets.parts import PARTS
from fewshot.datasets.split_files.text import (
    PART_NAMES,
    column,
    files_of_parts,
    lookup_key,
    read_lines,
    read_mapping,
    read_table,
)
from fewshot.datasets.walk import is_folder
from fewshot.exceptions import FewshotError

CLASS_COLUMNS = ("class", "classname", "label", "category")
PART_COLUMNS = ("part", "split", "subset", "set")


def read_class_split(path: Path, argument: str = "dataset.split") -> dict[str, list[str]]:
    """Class names under "base", "validation" and "novel", sorted, in composed Unicode form.

    Parameters
    ----------
    path : Path
        A YAML or JSON file of lists of names under base, validation, novel or train, val, test; a
        CSV file with the columns class and part; a folder with train, val and test as .csv (column
        label) or .txt (a class a line), or one of these, which then is the only part.
    argument : str
        The setting named in errors.

    Raises
    ------
    FewshotError
        Malformed, or a class is in two parts.
    """
    if is_folder(path):
        files = files_of_parts(path, argument)
        lists = {part: _names_in(file, argument) for part, file in files.items()}
    elif path.suffix.lower() == ".csv":
        lists = _from_table(path, argument)
    elif path.suffix.lower() == ".txt" and path.stem.lower() in PART_NAMES:
        lists = {PART_NAMES[path.stem.lower()]: read_lines(path, argument)}
    else:
        lists = _from_mapping(path, argument)
    return _disjoint(lists, path, argument)


def _names_in(file: Path, argument: str) -> list[str]:
    """Classes of one part: the column of classes, or every line."""
    if file.suffix.lower() == ".txt":
        return read_lines(file, argument)
    columns, rows = read_table(file, argument)
    name = _class_column(columns, file, argument)
    return [row[name] for _, row in rows]


def _from_table(path: Path, argument: str) -> dict[str, list[str]]:
    columns, rows = read_table(path, argument)
    part = column(columns, PART_COLUMNS)
    if part is None and path.stem.lower() in PART_NAMES:
        return {PART_NAMES[path.stem.lower()]: _names_in(path, argument)}
    if part is None:
        raise FewshotError(argument, f"{path} has no column 'part'; it has {', '.join(columns)}")
    name = _class_column(columns, path, argument)
    lists: dict[str, list[str]] = {}
    for line, row in rows:
        lists.setdefault(lookup_key(row[part], PART_NAMES, path, argument, line), []).append(
            row[name]
        )
    return lists


def _class_column(columns: list[str], path: Path, argument: str) -> str:
    name = column(columns, CLASS_COLUMNS)
    if name is None:
        raise FewshotError(
            argument, f"{path} has no column 'class' or 'label'; it has {', '.join(columns)}"
        )
    return name


def _from_mapping(path: Path, argument: str) -> dict[str, list[str]]:
    content = read_mapping(path, argument)
    if not isinstance(content, dict) or not content:
        raise FewshotError(
            argument,
            f"{path} should list class names under {', '.join(PARTS)} (or train, val, test)",
        )
    lists: dict[str, list[str]] = {}
    for key, names in content.items():
        part = lookup_key(key, PART_NAMES, path, argument)
        if part in lists:
            raise FewshotError(argument, f"{path}: {key!r} is the second list of the part {part}")
        lists[part] = list(_names(names, f"{path}: {key}", argument))
    return lists


def _names(names: Any, where: str, argument: str) -> Iterable[str]:
    if not isinstance(names, list):
        raise FewshotError(argument, f"{where} should list class names, got {brief(names)}")
    for i, name in enumerate(names):
        if isinstance(name, list) and len(name) == 3:
            raise FewshotError(
                argument,
                f"{where} lists images, not classes",
                "Set dataset=listed dataset.split_file=FILE.",
            )
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise FewshotError(argument, f"{where}[{i}]: expected a class name, got {brief(name)}")
        yield str(name)


def _disjoint(lists: dict[str, list[str]], path: Path, argument: str) -> dict[str, list[str]]:
    part_of: dict[str, str] = {}
    for part in PARTS:
        for name in lists.get(part, ()):
            other = part_of.setdefault(composed(name), part)
            if other != part:
                raise FewshotError(
                    argument,
                    f"class {name!r} is in {other} and in {part} of {path}",
                    "Parts must have no class in common.",
                )
    return {
        part: sorted(name for name, other in part_of.items() if other == part) for part in PARTS
    }
