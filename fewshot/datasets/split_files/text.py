"""Reading of user files of text: JSON, YAML, lines, and files named after parts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from fewshot.datasets.parts import PART_NAMES
from fewshot.datasets.walk import is_file
from fewshot.exceptions import FewshotError, suggestion
from fewshot.text_files import expect_unique, read_text, without_duplicates


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
            return json.loads(text, object_pairs_hook=without_duplicates)
        # Every name as text, or a class called `no` would be False and `007` would be 7.
        return yaml.load(text, _Text)
    except (ValueError, yaml.YAMLError) as error:
        raise FewshotError(argument, f"cannot parse {path}: {error}") from None
    except RecursionError:
        raise FewshotError(argument, f"cannot parse {path}: nested too deeply") from None


def read_lines(path: Path, argument: str) -> list[str]:
    """Lines of a text file that are not blank."""
    lines = read_text(path, argument).split("\n")
    return [line.strip() for line in lines if line.strip()]


def files_of_parts(
    folder: Path, argument: str, suffixes: Sequence[str] = (".csv", ".txt")
) -> dict[str, Path]:
    """``train``, ``val`` and ``test`` (or ``base`` ...) in a folder, under their parts.

    They have the first of `suffixes` with which there are any.

    Raises
    ------
    FewshotError
        There are none, or two for one part.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if is_file(path))
    except OSError as error:
        raise FewshotError(argument, f"cannot list {str(folder)!r}: {error.strerror}") from None
    for suffix in suffixes:
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
        argument,
        f"folder {str(folder)!r} has no train{suffixes[0]}, val{suffixes[0]}, test{suffixes[0]}, "
        f"nor such {', '.join(suffixes[1:])}",
    )


def lookup_key(key: object, values: Mapping[str, str], where: str, argument: str) -> str:
    """The value of a key or a cell in `values`, without regard to case."""
    if isinstance(key, str) and key.strip().lower() in values:
        return values[key.strip().lower()]
    raise FewshotError(
        argument,
        f"{where}: expected one of {', '.join(values)}, got {key!r:.80}",
        suggestion(str(key), values),
    )


class _Text(yaml.BaseLoader):
    """YAML whose scalars stay text and whose keys come once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        expect_unique([self.construct_object(key, deep=True) for key, _ in node.value])
        return super().construct_mapping(node, deep)
