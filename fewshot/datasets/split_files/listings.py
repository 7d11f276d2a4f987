"""What one file or one part of a file lists, checked cell by cell."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fewshot.datasets.classnames import composed
from fewshot.datasets.labels import MISSING_TEXTS
from fewshot.datasets.parts import CODES, PARTS, ROW_NAMES, SUBSETS
from fewshot.datasets.split_files.columns import roles, texts
from fewshot.datasets.split_files.tables import Table
from fewshot.datasets.split_files.text import lookup_key
from fewshot.exceptions import FewshotError

DRIVE = re.compile(r"[A-Za-z]:(?=/)")  # of Windows


@dataclass(frozen=True, eq=False)
class Listing:
    """N listed images, or folders of images, of which each is in one class.

    Attributes
    ----------
    place : callable
        Position to where it is in the file, for errors.
    paths : list of N str
        In normal form.
    names : list of N str
        Class names.
    numbers : list of N int, or None
        Class numbers, where the file has such.
    lists : list of N str
        Names of the lists that contain them, as written.
    subsets : list of N str, or None
    part : str or None
        The part of all classes.
    by_class : bool
        Whether the words for subsets were those for parts of classes, such as "novel".
    folders : bool
        Whether the paths are those of folders.
    """

    place: Callable[[int], str]
    paths: list[str]
    names: list[str]
    numbers: list[int] | None
    lists: list[str]
    subsets: list[str] | None = None
    part: str | None = None
    by_class: bool = False
    folders: bool = False


def listing_of_table(
    table: Table,
    argument: str,
    columns: Mapping[str, str | None] | None,
    absolute: bool,
    part: str | None = None,
    listed: str | None = None,
) -> Listing:
    """The rows of a table.

    Parameters
    ----------
    table : Table
        At least one row.
    argument : str
        The setting named in errors.
    columns : mapping, optional
        See :func:`~fewshot.datasets.split_files.columns.roles`.
    absolute : bool
        Whether absolute paths are taken.
    part : str, optional
        The part of all classes, unless the table has a column of subsets.
    listed : str, optional
        The subset of all rows, as the file calls it.
    """
    which = roles(table, argument, columns)
    _expect_scalars(table, which, argument)
    names = clean_names(texts(table, which.label), table.place, argument)
    numbers = None
    if which.number is not None:
        numbers = [int(float(text)) for text in texts(table, which.number)]
    if listed is None and which.subset is not None:
        lists, part = texts(table, which.subset), None
        subsets, by_class = _subsets(lists, table, argument)
    elif listed is not None:
        lists = [listed] * len(names)
        subset = lookup_key(listed, ROW_NAMES, str(table.source), argument)
        subsets, by_class = [subset] * len(names), listed.strip().lower() in PARTS[::2]
    else:
        lists, subsets, by_class = [table.source.stem] * len(names), None, False
    paths = clean_paths(texts(table, which.path), table.place, argument, absolute)
    return Listing(table.place, paths, names, numbers, lists, subsets, part, by_class)


def _expect_scalars(table: Table, which: Sequence[int | None], argument: str) -> None:
    for column in which:
        if column is None:
            continue
        for row, cells in enumerate(table.rows):
            if isinstance(cells[column], list | dict | bool):
                raise FewshotError(
                    argument,
                    f"{table.place(row)}: expected text or a number for "
                    f"{table.columns[column]!r}, got {cells[column]!r:.80}",
                    "An image is of one class." if isinstance(cells[column], list) else "",
                )


def _subsets(words: list[str], table: Table, argument: str) -> tuple[list[str], bool]:
    """The subsets that the words or numbers of a column stand for, and whether by class."""
    present = dict.fromkeys(words)
    if present.keys() <= CODES.keys():
        if "2" not in present:
            raise FewshotError(
                argument,
                f"{table.place(0)}: the split of all rows is 0 or 1, and lists differ in which of "
                "the two is train",
                "Write train, val and test.",
            )
        return [SUBSETS[CODES[word]] for word in words], False
    meaning: dict[str, str] = {}
    for word in present:
        if word.lower() in ROW_NAMES:
            meaning[word] = ROW_NAMES[word.lower()]
        else:
            lookup_key(word, ROW_NAMES, table.place(words.index(word)), argument)
    return [meaning[word] for word in words], any(word.lower() in PARTS[::2] for word in present)


def clean_names(
    names: list[str], place: Callable[[int], str], argument: str, free: bool = True
) -> list[str]:
    """Class names in composed form; a missing one is an error.

    With `free`, as no class number goes with a name, so are the texts of missing values.
    """
    clean: dict[str, str] = {}
    for name in dict.fromkeys(names):
        short = name.strip()
        if free and short in MISSING_TEXTS:
            raise FewshotError(
                argument,
                f"{place(names.index(name))}: the class is {short!r}, the text that a missing "
                "label becomes",
                "Drop such rows, or rename the class.",
            )
        if not short:
            raise FewshotError(
                argument, f"{place(names.index(name))}: the class has no name", "Drop such rows."
            )
        clean[name] = composed(short)
    return [clean[name] for name in names]


def clean_paths(
    paths: Iterable[str], place: Callable[[int], str], argument: str, absolute: bool
) -> list[str]:
    """Paths in normal form, with ``/``; one that leads out of the data set is an error.

    Absolute ones are ``/...`` also where they come from Windows; without `absolute`, they are
    errors, too.
    """
    return [
        path if _is_plain(path) else _normal(path, row, place, argument, absolute)
        for row, path in enumerate(paths)
    ]


def _normal(path: str, row: int, place: Callable[[int], str], argument: str, absolute: bool) -> str:
    short = posixpath.normpath(path.strip().replace("\\", "/"))
    drive = DRIVE.match(short)
    rooted = short.startswith("/") or drive is not None
    leaves = short.startswith("..") or re.match("[A-Za-z]:", short) or "\0" in short
    if short == "." or (rooted and not absolute) or (leaves and not (drive and absolute)):
        raise FewshotError(
            argument,
            f"{place(row)}: expected a path below the data set's folder, got {path!r:.80}",
            "Write paths relative to dataset.root." if short != "." else "",
        )
    return "/" + short[drive.end() if drive else 0 :].lstrip("/") if rooted else short


def _is_plain(path: str) -> bool:
    """Whether a path is in normal form for sure, as nearly all are."""
    return (
        bool(path)
        and path[0] not in "./ "
        and path[-1] not in "/ "
        and "//" not in path
        and "/." not in path
        and "\\" not in path
        and "\0" not in path
        and path[1:2] != ":"
    )
