"""Split files by class: which classes are base, validation and novel."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from reprlib import repr as brief  # aliases of aliases in YAML can be endless
from typing import Any

from fewshot.datasets.classnames import composed
from fewshot.datasets.parts import PART_NAMES, PARTS
from fewshot.datasets.split_files.columns import (
    CLASSES,
    SUBSETS,
    class_column,
    texts,
)
from fewshot.datasets.split_files.tables import expect_text_file, folded_column, read_table
from fewshot.datasets.split_files.text import (
    files_of_parts,
    lookup_key,
    read_lines,
    read_mapping,
)
from fewshot.datasets.walk import is_folder
from fewshot.exceptions import FewshotError

PART_COLUMNS = ("part", *SUBSETS)
KNOWN = frozenset().union(*CLASSES, PART_COLUMNS)
TABLES = (".csv", ".tsv")


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
    elif path.suffix.lower() in TABLES:
        lists = _from_table(path, argument)
    elif path.suffix.lower() == ".txt" and path.stem.lower() in PART_NAMES:
        lists = {PART_NAMES[path.stem.lower()]: read_lines(path, argument)}
    else:
        expect_text_file(path, argument)
        lists = _from_mapping(path, argument)
    return _disjoint(lists, path, argument)


def _names_in(file: Path, argument: str) -> list[str]:
    """Classes of one part: the column of classes, or every line."""
    if file.suffix.lower() == ".txt":
        return read_lines(file, argument)
    table = read_table(file, argument, KNOWN)
    return texts(table, class_column(table, argument))


def _from_table(path: Path, argument: str) -> dict[str, list[str]]:
    table = read_table(path, argument, KNOWN)
    columns = [folded_column(name) for name in table.columns]
    part = next((columns.index(name) for name in PART_COLUMNS if name in columns), None)
    if part is None and path.stem.lower() in PART_NAMES:
        return {PART_NAMES[path.stem.lower()]: _names_in(path, argument)}
    if part is None:
        raise FewshotError(
            argument, f"{path} has no column 'part'; it has {', '.join(table.columns)}"
        )
    names = texts(table, class_column(table, argument))
    lists: dict[str, list[str]] = {}
    for row, (word, name) in enumerate(zip(texts(table, part), names, strict=True)):
        key = lookup_key(word, PART_NAMES, table.place(row), argument)
        lists.setdefault(key, []).append(name)
    return lists


def _from_mapping(path: Path, argument: str) -> dict[str, list[str]]:
    content = read_mapping(path, argument)
    if not isinstance(content, dict) or not content:
        raise FewshotError(
            argument,
            f"{path} should list class names under {', '.join(PARTS)} (or train, val, test)",
        )
    lists: dict[str, list[str]] = {}
    for key, names in content.items():
        part = lookup_key(key, PART_NAMES, str(path), argument)
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
