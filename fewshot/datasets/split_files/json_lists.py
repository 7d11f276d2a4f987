"""Lists of images in JSON: of CoOp and those that followed it, of Closer Look, of easyfsl."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fewshot.datasets.parts import PARTS, ROW_NAMES
from fewshot.datasets.split_files.columns import expect_no_roles
from fewshot.datasets.split_files.listings import (
    Listing,
    clean_names,
    clean_paths,
    listing_of_table,
)
from fewshot.datasets.split_files.tables import names_image, read_json_lines, table_of_entries
from fewshot.datasets.split_files.text import lookup_key, read_mapping
from fewshot.exceptions import FewshotError

BY_CLASS = "To split by class, set dataset=folder dataset.split=FILE."
NAMES, LABELS, CLASSES = "image_names", "image_labels", "label_names"
ROOTS, ROOT_NAMES = "class_roots", "class_names"
Columns = Mapping[str, str | None] | None


def json_listings(
    path: Path, argument: str, columns: Columns, absolute: bool, part: str | None
) -> Iterator[Listing]:
    """The lists of a JSON file.

    Parameters
    ----------
    path : Path
    argument : str
        The setting named in errors.
    columns : mapping, optional
        Keys of entries that are objects, by role.
    absolute : bool
        Whether absolute paths are taken.
    part : str, optional
        The part of all classes, where the file is one of several for base and novel classes.
    """
    content = read_mapping(path, argument)
    whole = partial(_entries, path, argument, columns, absolute)
    if isinstance(content, list) and content and isinstance(content[0], dict | list):
        yield whole(content, "", part=part)
        return
    if not isinstance(content, dict):
        raise FewshotError(argument, f"{path} should have lists under train, val and test")
    if content.keys() >= {NAMES, LABELS} or content.keys() >= {ROOTS, ROOT_NAMES}:
        expect_no_roles(columns, f"{path} has lists of names")
    if content.keys() >= {NAMES, LABELS}:
        yield _closer_look(path, argument, content, absolute, part)
    elif content.keys() >= {ROOTS, ROOT_NAMES}:
        yield _class_roots(path, argument, content, absolute, part)
    elif _by_classes(content) and not content.keys() <= ROW_NAMES.keys():
        yield whole(_flat(content), "", part=part)
    else:
        yield from _subset_lists(path, argument, content, whole)


def line_listing(
    path: Path, argument: str, columns: Columns, absolute: bool, part: str | None
) -> Listing:
    """The list of a file with a JSON object or ``[path, label, classname]`` in every line."""
    values = read_json_lines(path, argument)
    if not values:
        raise FewshotError(argument, f"{path} lists no image")
    entries = [value for _, value in values]

    def place(row: int) -> str:
        return f"{path}, line {values[row][0]}"

    return _entries(path, argument, columns, absolute, entries, "", part=part, place=place)


def _subset_lists(
    path: Path, argument: str, content: dict[str, Any], whole: Callable[..., Listing]
) -> Iterator[Listing]:
    """``{"train": [...], ...}``, also with ``{"data": [...], "indices": [...]}`` for a list."""
    seen: dict[str, str] = {}
    for key, value in content.items():
        subset = lookup_key(key, ROW_NAMES, str(path), argument)
        if seen.setdefault(subset, key) != key:
            raise FewshotError(argument, f"{path}: {seen[subset]!r} and {key!r} are the same")
        entries, inside = value, key
        if isinstance(value, dict) and "data" in value:
            entries, inside = _sampled(f"{path}: {key}", value, argument), f"{key}.data"
        elif isinstance(value, dict) and _by_classes(value):
            entries = _flat(value)
        if not isinstance(entries, list):
            raise FewshotError(argument, f"{path}: {key} should be a list of images")
        if entries:
            yield whole(entries, inside, listed=key)


def _sampled(where: str, content: dict[str, Any], argument: str) -> Any:
    """The images of ``{"data": [...], "indices": [...]}``.

    The indices say which images of the whole training set they were, so they can be larger than
    the number of images here.
    """
    data, indices = content["data"], content.get("indices")
    if isinstance(data, list) and indices is not None:
        if not isinstance(indices, list) or len(indices) != len(data):
            got = len(indices) if isinstance(indices, list) else repr(indices)[:40]
            raise FewshotError(
                argument, f"{where}.indices: expected {len(data)}, one per image of data, got {got}"
            )
        for i, index in enumerate(indices):
            if type(index) is not int or index < 0:
                raise FewshotError(
                    argument,
                    f"{where}.indices[{i}]: expected a whole number from 0, got {index!r:.40}",
                )
    return data


def _by_classes(content: dict[str, Any]) -> bool:
    """Whether an object has lists of image files by class."""
    if not content or not all(isinstance(files, list) and files for files in content.values()):
        return False
    first = next(iter(content.values()))[0]
    return isinstance(first, str) and names_image(first)


def _flat(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"path": file, "class": name} for name, files in content.items() for file in files]


def _entries(
    path: Path,
    argument: str,
    columns: Columns,
    absolute: bool,
    entries: list[Any],
    inside: str,
    part: str | None = None,
    listed: str | None = None,
    place: Callable[[int], str] | None = None,
) -> Listing:
    """A list of objects or of ``[path, label, classname]``."""

    def where(row: int) -> str:
        return f"{path}: {inside}[{row}]"

    place = place or where
    if not isinstance(entries[0], dict):
        expect_no_roles(columns, f"{path} has lists of [path, label, classname]")
        return _triples(path, argument, absolute, entries, part, listed, place)
    for row, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise FewshotError(argument, f"{place(row)}: expected an object, got {entry!r:.80}")
    table = table_of_entries(path, entries, place)
    return listing_of_table(table, argument, columns, absolute, part, listed)


def _triples(
    path: Path,
    argument: str,
    absolute: bool,
    entries: list[Any],
    part: str | None,
    listed: str | None,
    place: Callable[[int], str],
) -> Listing:
    for row, entry in enumerate(entries):
        if not (
            type(entry) is list and len(entry) == 3 and type(entry[0]) is str
            and type(entry[1]) is int and type(entry[2]) is str
        ):  # fmt: skip
            raise FewshotError(
                argument,
                f"{place(row)}: expected [path, label, classname], got {repr(entry)[:80]}",
                BY_CLASS if isinstance(entry, str) else "",
            )
    count = len(entries)
    subset = listed and lookup_key(listed, ROW_NAMES, str(path), argument)
    return Listing(
        place,
        clean_paths((entry[0] for entry in entries), place, argument, absolute),
        clean_names([entry[2] for entry in entries], place, argument, free=False),
        [entry[1] for entry in entries],
        [listed or path.stem] * count,
        [subset] * count if subset else None,
        part,
        listed is not None and listed.strip().lower() in PARTS[::2],
    )


def _closer_look(
    path: Path, argument: str, content: dict[str, Any], absolute: bool, part: str | None
) -> Listing:
    """``{"image_names": [...], "image_labels": [...], "label_names": [...]}``, of one part."""
    names, labels = _list_of(path, argument, content, NAMES), content[LABELS]
    classes = content.get(CLASSES)
    if not isinstance(labels, list) or len(labels) != len(names):
        count = len(labels) if isinstance(labels, list) else repr(labels)[:40]
        raise FewshotError(
            argument, f"{path}: expected {len(names)} {LABELS}, one per image, got {count}"
        )
    for row, label in enumerate(labels):
        where = f"{path}: {LABELS}[{row}]"
        if type(label) is not int or label < 0:
            raise FewshotError(
                argument, f"{where}: expected a whole number from 0, got {label!r:.40}"
            )
        if isinstance(classes, list) and label >= len(classes):
            raise FewshotError(
                argument,
                f"{where}: expected a position in the {len(classes)} {CLASSES}, got {label}",
            )
    of_label = classes if isinstance(classes, list) else range(max(labels) + 1)

    def place(row: int) -> str:
        return f"{path}: {NAMES}[{row}]"

    return Listing(
        place,
        clean_paths(map(str, names), place, argument, absolute),
        clean_names([str(of_label[label]) for label in labels], place, argument, free=False),
        list(labels),
        [path.stem] * len(names),
        part=part,
    )


def _class_roots(
    path: Path, argument: str, content: dict[str, Any], absolute: bool, part: str | None
) -> Listing:
    """``{"class_names": [...], "class_roots": [...]}``: a folder of images per class."""
    roots = _list_of(path, argument, content, ROOTS)
    names = _list_of(path, argument, content, ROOT_NAMES)
    if len(names) != len(roots):
        raise FewshotError(
            argument, f"{path}: expected a folder per class, got {len(names)} {ROOT_NAMES} and "
            f"{len(roots)} {ROOTS}",
        )  # fmt: skip

    def place(row: int) -> str:
        return f"{path}: {ROOTS}[{row}]"

    return Listing(
        place,
        clean_paths(map(str, roots), place, argument, absolute),
        clean_names([str(name) for name in names], place, argument),
        list(range(len(names))) if part is None else None,
        [path.stem] * len(names),
        part=part,
        folders=True,
    )


def _list_of(path: Path, argument: str, content: dict[str, Any], key: str) -> list[Any]:
    values = content[key]
    if not isinstance(values, list) or not values:
        raise FewshotError(argument, f"{path}: {key} should be a list, got {values!r:.80}")
    for row, value in enumerate(values):
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise FewshotError(argument, f"{path}: {key}[{row}]: expected text, got {value!r:.80}")
    return values
