"""Reading of user files: JSON, YAML, CSV and lines of text."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import yaml

from fewshot.datasets.layout import SUBSET_NAMES, SUBSET_ORDER
from fewshot.datasets.parts import PARTS
from fewshot.datasets.walk import is_file
from fewshot.exceptions import FewshotError, suggestion
from fewshot.files import regular_file

PART_OF_SUBSET = dict(zip(SUBSET_ORDER, PARTS, strict=True))
PART_NAMES = {part: part for part in PARTS} | {
    name: PART_OF_SUBSET[subset] for name, subset in SUBSET_NAMES.items()
}


def read_text(path: Path, argument: str) -> str:
    """A file as text in UTF-8, with or without a byte order mark."""
    try:
        return regular_file(argument, path).read_text(encoding="utf-8-sig")
    except FewshotError:
        raise
    except OSError as error:
        raise FewshotError(argument, f"cannot read {str(path)!r}: {error.strerror}") from None
    except ValueError as error:
        raise FewshotError(argument, f"cannot parse {path}: {error}", "Save it as UTF-8.") from None


def read_mapping(path: Path, argument: str) -> Any:
    """Content of a JSON file, by its extension, or of a YAML file, with all scalars as text.

    Raises
    ------
    FewshotError
        It cannot be read or parsed, or has a duplicate key.
    """
    text = read_text(path, argument)
    try:
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=_without_duplicates)
        # Every name as text, or a class called `no` would be False and `007` would be 7.
        return yaml.load(text, _Text)
    except (ValueError, yaml.YAMLError) as error:
        raise FewshotError(argument, f"cannot parse {path}: {error}") from None
    except RecursionError:
        raise FewshotError(argument, f"cannot parse {path}: nested too deeply") from None


def read_table(path: Path, argument: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Columns of a CSV file with a header, in lower case, and its rows with their line numbers.

    Raises
    ------
    FewshotError
        It cannot be read, is empty, or a row has another number of cells than the header.
    """
    lines = csv.reader(io.StringIO(read_text(path, argument), newline=""), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    columns: list[str] = []
    try:
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = [cell.strip().lower() for cell in cells]
                continue
            if len(cells) != len(columns):
                raise FewshotError(
                    argument,
                    f"{path}, line {lines.line_num}: expected {len(columns)} cells "
                    f"({','.join(columns)}), got {len(cells)}",
                )
            cut = (cell.strip() for cell in cells)
            rows.append((lines.line_num, dict(zip(columns, cut, strict=True))))
    except csv.Error as error:
        where = f"{path}, line {lines.line_num}"
        raise FewshotError(argument, f"cannot parse {where}: {error}") from None
    if not rows:
        raise FewshotError(argument, f"{path} has no rows below a line that names its columns")
    return columns, rows


def read_lines(path: Path, argument: str) -> list[str]:
    """Lines of a text file that are not blank."""
    lines = read_text(path, argument).split("\n")
    return [line.strip() for line in lines if line.strip()]


def files_of_parts(folder: Path, argument: str) -> dict[str, Path]:
    """``train``, ``val`` and ``test`` with .csv, or else .txt, in a folder, under their parts.

    Raises
    ------
    FewshotError
        There are none, or two for one part.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if is_file(path))
    except OSError as error:
        raise FewshotError(argument, f"cannot list {str(folder)!r}: {error.strerror}") from None
    for suffix in (".csv", ".txt"):
        files: dict[str, Path] = {}
        for path in paths:
            if path.suffix.lower() == suffix and path.stem.lower() in PART_NAMES:
                other = files.setdefault(PART_NAMES[path.stem.lower()], path)
                if other != path:
                    raise FewshotError(
                        argument, f"{other.name!r} and {path.name!r} in {folder} are the same part"
                    )
        if files:
            return files
    raise FewshotError(
        argument, f"folder {str(folder)!r} has no train.csv, val.csv, test.csv, nor such .txt"
    )


def lookup_key(
    key: object, values: dict[str, str], path: Path, argument: str, line: int = 0
) -> str:
    """The value of a key or a cell in `values`, without regard to case."""
    if isinstance(key, str) and key.strip().lower() in values:
        return values[key.strip().lower()]
    where = f"{path}, line {line}" if line else str(path)
    raise FewshotError(
        argument,
        f"{where}: expected one of {', '.join(values)}, got {key!r}",
        suggestion(str(key), values),
    )


def column(columns: list[str], names: tuple[str, ...]) -> str | None:
    """The first of `names` that is a column, or None."""
    return next((name for name in names if name in columns), None)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _expect_unique([key for key, _ in pairs])
    return dict(pairs)


def _expect_unique(keys: list[Any]) -> None:
    texts = [key for key in keys if isinstance(key, str)]  # others are no keys, and may be huge
    if len(set(texts)) < len(texts):
        raise ValueError(f"key {next(key for key in texts if texts.count(key) > 1)!r} comes twice")


class _Text(yaml.BaseLoader):
    """YAML whose scalars stay text and whose keys come once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        _expect_unique([self.construct_object(key, deep=True) for key, _ in node.value])
        return super().construct_mapping(node, deep)
