"""Lists of images with their classes and their subsets or parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.classnames import SAME_NAMES, composed, distinct_names, folded
from fewshot.datasets.parts import PART_NAMES, PART_OF_SUBSET, SUBSET_NAMES, SUBSETS
from fewshot.datasets.split_files.columns import KNOWN
from fewshot.datasets.split_files.json_lists import json_listings, line_listing
from fewshot.datasets.split_files.listings import Listing, listing_of_table
from fewshot.datasets.split_files.tables import expect_text_file, read_table
from fewshot.datasets.split_files.text import files_of_parts
from fewshot.datasets.walk import is_file, is_folder, sub_folders
from fewshot.exceptions import FewshotError, expect_choice

TABLES = (".csv", ".tsv", ".txt")
SUFFIXES = (".csv", ".tsv", ".json", ".jsonl")  # of files for train, val and test in a folder


@dataclass(frozen=True, eq=False)
class ImageList:
    """A list of M images of C classes; the files need not exist.

    Attributes
    ----------
    paths : tuple of M str
        As listed, in normal form with ``/``; relative ones stay in the folder that they are
        relative to.
    labels : ndarray of shape (M,), int64
    classnames : tuple of C str
    lists : tuple of M str
        Name of the list that contains the image, such as "train"; may be "".
    subset : ndarray of shape (M,), str, or None
    parts : tuple of C str, or None
    folders : bool
        Whether the paths are those of folders of images.
    """

    paths: tuple[str, ...]
    labels: NDArray
    classnames: tuple[str, ...]
    lists: tuple[str, ...]
    subset: NDArray | None
    parts: tuple[str, ...] | None
    folders: bool = False


def read_image_list(
    path: Path,
    argument: str = "dataset.split_file",
    columns: Mapping[str, str | None] | None = None,
    same_names: str = "raise",
    absolute: bool = False,
) -> ImageList:
    """Read a list of images in one of the formats of :mod:`fewshot.datasets.split_files`.

    Rows are sorted by class, subset and path. Classes are in
    order of their numbers where the file has such, else of their names.

    Parameters
    ----------
    path : Path
        A table (CSV, TSV, text) with the columns filename, label and, if images come split,
        subset, or what others call these; JSON (``{"train": [[path, label, classname], ...], "val":
        ..., "test": ...}`` and its relatives), or JSON objects a line; or a folder with train, val
        and test (or base, val, novel) of one of these, whose classes then are base, validation and
        novel, or one of these files.
    argument : str
        The setting named in errors.
    columns : mapping, optional
        Names of columns by role ("path", "label", "subset") where they are unusual.
    same_names : {"raise", "keep"}
        What to do about classes of one name, see
        :func:`~fewshot.datasets.classnames.distinct_names`.
    absolute : bool
        Whether absolute paths are taken; they are ``/...`` then.

    Raises
    ------
    FewshotError
        Malformed; an image comes twice; a class is in two parts; numbers and names of classes do
        not go together.
    """
    expect_choice("dataset.same_names", same_names, ("raise", "keep"))
    if is_folder(path) and (metadata := metadata_files(path)):
        listings = [
            listing
            for subset, file in metadata.items()
            for listing in _metadata(file, subset, argument, columns, absolute)
        ]
    elif is_folder(path):
        files = files_of_parts(path, argument, SUFFIXES)
        listings = [
            listing
            for part, file in files.items()
            for listing in _listings(file, argument, columns, absolute, part)
        ]
    else:
        part = PART_NAMES.get(path.stem.lower())
        listings = list(_listings(path, argument, columns, absolute, part))
    rows = _joined(listings)
    if not rows.paths:
        raise FewshotError(argument, f"{path} lists no image")
    _expect_no_copy(rows, argument)
    classes = _classes_of(rows, argument, same_names)
    return _as_list(rows, classes, argument, same_names, path)


def metadata_files(folder: Path) -> dict[str, Path]:
    """``metadata.csv`` or ``metadata.jsonl`` of Hugging Face's image folders, by subset.

    Right in the folder it is that of "" and the only one, else one may be in ``train``, ``test``...
    """
    if right_here := _metadata_in(folder):
        return {"": right_here}
    subs = [sub for sub in sub_folders(folder) if sub.name.lower() in SUBSET_NAMES]
    return {sub.name: file for sub in subs if (file := _metadata_in(sub))}


def _metadata_in(folder: Path) -> Path | None:
    files = (folder / f"metadata{suffix}" for suffix in (".csv", ".jsonl"))
    return next((file for file in files if is_file(file)), None)


def _metadata(
    file: Path,
    subset: str,
    argument: str,
    columns: Mapping[str, str | None] | None,
    absolute: bool,
) -> Iterator[Listing]:
    """The list of a metadata file, with paths relative to the folder that has the subset's."""
    for listing in _listings(file, argument, columns, absolute, None):
        if not subset:
            yield listing
            continue
        count = len(listing.paths)
        paths = [path if path.startswith("/") else f"{subset}/{path}" for path in listing.paths]
        subsets = [SUBSET_NAMES[subset.lower()]] * count
        yield replace(listing, paths=paths, lists=[subset] * count, subsets=subsets, by_class=False)


def _listings(
    path: Path,
    argument: str,
    columns: Mapping[str, str | None] | None,
    absolute: bool,
    part: str | None,
) -> Iterator[Listing]:
    suffix = path.suffix.lower()
    if suffix == ".json":
        yield from json_listings(path, argument, columns, absolute, part)
    elif suffix in (".jsonl", ".ndjson"):
        yield line_listing(path, argument, columns, absolute, part)
    elif suffix in TABLES:
        table = read_table(path, argument, KNOWN)
        yield listing_of_table(table, argument, columns, absolute, part)
    else:
        expect_text_file(path, argument)
        raise FewshotError(
            argument,
            "expected a .json, .jsonl, .csv, .tsv or .txt file or a folder of such, got "
            f"{str(path)!r}",
        )


class Rows(NamedTuple):
    """The rows of all listings."""

    listings: Sequence[Listing]
    starts: list[int]
    paths: list[str]
    names: list[str]
    numbers: list[int | None]
    lists: list[str]
    subsets: list[str] | None
    parts: list[str | None]

    def where(self, row: int) -> str:
        """The place of a row in its file."""
        which = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.listings[which].place(row - self.starts[which])


def _joined(listings: Sequence[Listing]) -> Rows:
    """All rows, in the order of their listings."""
    counts = [len(listing.paths) for listing in listings]
    numbered = [listing.numbers for listing in listings if listing.numbers is not None]
    numbers: list[int | None] = [None] * sum(counts)
    if len(numbered) == len(listings):  # where some have none, names alone tell classes apart
        numbers = list(chain.from_iterable(numbered))
    parts: list[str | None] = []
    for listing, count in zip(listings, counts, strict=True):
        parts += [listing.part] * count
    split = [listing.subsets for listing in listings if listing.subsets is not None]
    subsets = list(chain.from_iterable(split)) if len(split) == len(listings) else None
    if subsets and any(listing.by_class for listing in listings):
        parts, subsets = [PART_OF_SUBSET[name] for name in subsets], None
    return Rows(
        listings,
        [0, *np.cumsum(counts).tolist()[:-1]],
        [path for listing in listings for path in listing.paths],
        [name for listing in listings for name in listing.names],
        numbers,
        [listed for listing in listings for listed in listing.lists],
        subsets,
        parts,
    )


def _expect_no_copy(rows: Rows, argument: str) -> None:
    """Raise if an image is listed twice."""
    files = [path if path.isascii() else composed(path) for path in rows.paths]
    if len(set(files)) == len(files):
        return
    first: dict[str, int] = {}
    for row, file in enumerate(files):
        other = first.setdefault(file, row)
        if other != row:
            lists = rows.lists[other], rows.lists[row]
            both = f" in {lists[0]} and in {lists[1]}" if lists[0] != lists[1] else ""
            raise FewshotError(
                argument,
                f"{rows.where(row)}: image {rows.paths[row]!r} is listed twice{both}, first as "
                f"{rows.where(other)}",
                "Leave it in one class, and list it once.",
            )


Class = tuple[int | None, str]


def _classes_of(rows: Rows, argument: str, same_names: str) -> dict[Class, str | None]:
    """The part of every class, by number and name, in their order.

    One name per number, one part per class, and, unless `same_names` is "keep", one number per
    name.
    """
    present = dict.fromkeys(zip(rows.numbers, rows.names, rows.parts, strict=True))
    order = sorted(present, key=lambda entry: (entry[0] or 0, entry[1]))
    for before, entry in pairwise(order):
        if entry[0] is not None and before[0] == entry[0] and before[1] != entry[1]:
            raise _clash(rows, argument, before[:2], entry[:2])
    part_of: dict[Class, str | None] = {}
    for number, name, part in present:
        if part_of.setdefault((number, name), part) != part:
            raise _in_two_parts(rows, argument, (number, name))
    if same_names == "raise":
        _expect_distinct(rows, argument, list(part_of))
    return {entry[:2]: part_of[entry[:2]] for entry in order}


def _first(rows: Rows, number: int | None, name: str) -> int:
    """The first row of a class."""
    pairs = zip(rows.numbers, rows.names, strict=True)
    return next(row for row, pair in enumerate(pairs) if pair == (number, name))


def _clash(rows: Rows, argument: str, *classes: Class) -> FewshotError:
    """The error of two classes with one number."""
    first, second = sorted(_first(rows, *entry) for entry in classes)
    return FewshotError(
        argument,
        f"{rows.where(second)}: label {rows.numbers[second]} is {rows.names[second]!r}, but "
        f"{rows.names[first]!r} in {rows.where(first)}",
        "Give every class a number of its own, or leave the numbers out.",
    )


def _in_two_parts(rows: Rows, argument: str, entry: Class) -> FewshotError:
    """The error of a class that is in lists of two parts."""
    members = [
        row for row, pair in enumerate(zip(rows.numbers, rows.names, strict=True)) if pair == entry
    ]
    first = members[0]
    row = next(row for row in members if rows.parts[row] != rows.parts[first])
    return FewshotError(
        argument,
        f"{rows.where(row)}: class {entry[1]!r} is in {rows.lists[first]} and in "
        f"{rows.lists[row]}; these lists must have no class in common",
        "For a split by image, write one CSV file with the columns filename,label,subset.",
    )


def _expect_distinct(rows: Rows, argument: str, classes: Sequence[Class]) -> None:
    """Raise if two classes have one name, or names that differ in spelling only."""
    first: dict[str, Class] = {}
    for entry in classes:
        other = first.setdefault(folded(entry[1]), entry)
        if other == entry:
            continue
        where, where_first = (rows.where(_first(rows, *pair)) for pair in (entry, other))
        if other[1] == entry[1]:
            problem = (
                f"{where}: class {entry[1]!r} has label {entry[0]}, but {other[0]} in {where_first}"
            )
        else:
            problem = (
                f"{where}: class {entry[1]!r} and {other[1]!r} of {where_first} differ in spelling "
                "only"
            )
        raise FewshotError(argument, problem, SAME_NAMES)


def _as_list(
    rows: Rows, classes: Mapping[Class, str | None], argument: str, same_names: str, path: Path
) -> ImageList:
    number = {entry: c for c, entry in enumerate(classes)}
    labels = np.fromiter(
        map(number.__getitem__, zip(rows.numbers, rows.names, strict=True)), np.int64
    )
    place = {subset: i for i, subset in enumerate(SUBSETS)}
    subsets = [place[name] for name in rows.subsets] if rows.subsets else [0] * len(labels)
    order = sorted(range(len(labels)), key=list(zip(labels.tolist(), subsets, rows.paths,
                   strict=True)).__getitem__)  # fmt: skip
    ids = [str(c if entry[0] is None else entry[0]) for c, entry in enumerate(classes)]
    names = distinct_names(argument, [name for _, name in classes], str(path), same_names, ids)
    parts = None if None in classes.values() else tuple(map(str, classes.values()))
    return ImageList(
        tuple(rows.paths[row] for row in order),
        labels[order],
        names,
        tuple(rows.lists[row] for row in order),
        np.array(SUBSETS)[subsets][order] if rows.subsets else None,
        parts,
        any(listing.folders for listing in rows.listings),
    )
