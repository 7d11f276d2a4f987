"""Which columns of a list are the paths of images, their classes and their subsets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fewshot.datasets.parts import CODES, ROW_NAMES
from fewshot.datasets.split_files.tables import Table, folded_column, names_image
from fewshot.exceptions import FewshotError, suggestion

# Names that lists have for their columns, folded, the clearest first: those of pandas and glob,
# miniImageNet, easyfsl, CoOp and its followers, Hugging Face, Kaggle, Open Images and WILDS.
PATHS = (
    {"path", "paths", "filepath", "filepaths", "imagepath", "imagepaths", "imgpath", "impath",
     "relpath", "relativepath", "imagefilepath"},
    {"filename", "filenames", "imagename", "imagenames", "imgname", "imagefilename",
     "imgfilename", "fname", "file", "files", "imagefile", "imgfile"},
    {"image", "images", "img", "photo", "picture"},
    {"imageid", "imgid", "photoid", "fileid", "id"},
)  # fmt: skip
CLASSES = (
    {"classname", "classnames", "labelname", "labelnames", "categoryname", "classlabel",
     "labeltext", "targetname"},
    {"class", "classes"},
    {"label", "labels", "category", "categories", "target", "targets", "y"},
    {"species", "breed", "speciesname", "breedname", "scientificname"},
)  # fmt: skip
NUMBERS = {
    "labelid", "classid", "categoryid", "targetid", "labelidx", "classidx", "labelindex",
    "classindex", "classnumber",
}  # fmt: skip
CLEAR_NUMBERS = NUMBERS | {"label", "labels", "class", "category"}
SUBSETS = ("subset", "split", "set", "part", "partition", "phase", "dataset")
ALWAYS_SUBSETS = SUBSETS[:3]  # others are columns of subsets only if all cells are words for such
KNOWN = frozenset().union(*PATHS, *CLASSES, NUMBERS, SUBSETS)
NUMBER = re.compile(r"\d+(\.0*)?")
SETTING = "dataset.columns"
ROLES = ("path", "label", "subset")


class Roles(NamedTuple):
    """Positions of the columns of a table; None for one that it does not have."""

    path: int
    label: int
    number: int | None
    subset: int | None


def roles(table: Table, argument: str, chosen: Mapping[str, str | None] | None = None) -> Roles:
    """The columns of paths, class names, class numbers and subsets.

    Names are compared without case, ``_``, ``-`` and spaces. Of a column of whole numbers and one
    of text, the text names the classes and the numbers give their order.

    Parameters
    ----------
    table : Table
    argument : str
        The setting named in errors about the file.
    chosen : mapping, optional
        Columns by role ("path", "label", "subset"): the setting ``dataset.columns``.

    Raises
    ------
    FewshotError
        No such column, several that could be meant, or a chosen one that the table does not have.
    """
    chosen = {role: name for role, name in expect_roles(chosen).items() if name is not None}
    picked = {role: _picked(table, role, str(name)) for role, name in chosen.items()}
    columns = [folded_column(name) for name in table.columns]
    path = picked["path"] if "path" in picked else _path(table, columns, argument)
    if "label" in picked:
        label, number = picked["label"], None
    else:
        label, number = _classes(table, columns, path, argument)
    subset = picked["subset"] if "subset" in picked else _subset(table, columns, (path, label))
    return Roles(path, label, number, subset)


def expect_roles(chosen: Mapping[str, str | None] | None) -> Mapping[str, str | None]:
    """The setting ``dataset.columns``; raise unless it names columns by role."""
    if chosen is None:
        return {}
    if not isinstance(chosen, Mapping):
        raise FewshotError(
            SETTING, f"expected names of columns for path, label, subset, got {chosen!r:.80}",
            "Say for instance dataset.columns.label=species.",
        )  # fmt: skip
    for role in chosen:
        if role not in ROLES:
            raise FewshotError(
                f"{SETTING}.{role}", f"expected one of {', '.join(ROLES)}, got {role!r}",
                suggestion(str(role), ROLES),
            )  # fmt: skip
    return chosen


def expect_no_roles(chosen: Mapping[str, str | None] | None, why: str) -> None:
    """Raise if columns are named for a file that has none."""
    for role, name in expect_roles(chosen).items():
        if name is not None:
            raise FewshotError(
                f"{SETTING}.{role}", f"expected nothing, as {why}, no columns, got {name!r}"
            )


def texts(table: Table, column: int) -> list[str]:
    """Cells of a column as text; "" for None, which is a cell that an object of JSON lacks."""
    cells = [row[column] for row in table.rows]
    if all(type(cell) is str for cell in cells):
        return [cell.strip() for cell in cells]
    return ["" if cell is None else str(cell).strip() for cell in cells]


def class_column(table: Table, argument: str) -> int:
    """The column of class names of a list of classes."""
    columns = [folded_column(name) for name in table.columns]
    for names in CLASSES:
        if candidates := _places(columns, names):
            return _only(table, candidates, argument, "label")
    raise FewshotError(
        argument, f"{table.source} has no column 'class' or 'label'; it has {_listed(table)}"
    )


def _picked(table: Table, role: str, name: str) -> int:
    exact = _places(table.columns, {name})
    candidates = exact or _places(
        [folded_column(column) for column in table.columns], {folded_column(name)}
    )
    if len(candidates) != 1:
        raise FewshotError(
            f"{SETTING}.{role}",
            f"expected a column of {table.source} ({_listed(table)}), got {name!r}",
            suggestion(name, table.columns),
        )
    return candidates[0]


def _places(columns: list[str], names: set[str]) -> list[int]:
    return [place for place, name in enumerate(columns) if name in names]


def _path(table: Table, columns: list[str], argument: str) -> int:
    """The clearest column of paths; of several, one whose first cell has an image's extension."""
    tiers = [candidates for names in PATHS if (candidates := _places(columns, names))]
    if not tiers:
        raise _missing(table, argument)
    for candidates in tiers:
        images = [place for place in candidates if _is_image(table.rows[0][place])]
        if images:
            return _only(table, images, argument, "path")
    return _only(table, tiers[0], argument, "path")


def _is_image(cell: Any) -> bool:
    return isinstance(cell, str) and names_image(cell)


def _classes(table: Table, columns: list[str], path: int, argument: str) -> tuple[int, int | None]:
    """The column of class names, and one of class numbers that goes with them."""
    tiers = [[place for place in _places(columns, names) if place != path] for names in CLASSES]
    numeric = {place for place in (*(place for tier in tiers for place in tier),
               *_places(columns, NUMBERS)) if _whole_numbers(table, place)}  # fmt: skip
    text_tiers = [[place for place in tier if place not in numeric] for tier in tiers]
    for candidates in text_tiers[:3] if any(text_tiers[:3]) else text_tiers:
        if candidates:
            label = _only(table, candidates, argument, "label")
            clear = columns[label] in CLASSES[0]
            return label, next(
                (place for place in sorted(numeric) if (clear and columns[place] in CLEAR_NUMBERS)
                 or _can_number(table, columns, place, label)), None
            )  # fmt: skip
    for candidates in (*tiers, _places(columns, NUMBERS)):
        if candidates:
            return _only(table, candidates, argument, "label"), None
    raise _missing(table, argument)


def _whole_numbers(table: Table, column: int) -> bool:
    """Whether all cells are whole numbers from 0 on."""
    cells = {row[column] for row in table.rows if isinstance(row[column], str | int | float)}
    return bool(cells) and all(
        not isinstance(cell, bool) and NUMBER.fullmatch(str(cell).strip()) for cell in cells
    )


def _can_number(table: Table, columns: list[str], number: int, label: int) -> bool:
    """Whether a column of numbers numbers the classes: each number goes with one name.

    Columns such as ``y`` may number the rows instead.
    """
    pairs = set(zip(texts(table, number), texts(table, label), strict=True))
    of_rows = columns[number] not in CLEAR_NUMBERS and len(pairs) == len(table.rows)
    return len({value for value, _ in pairs}) == len(pairs) and not of_rows


def _subset(table: Table, columns: list[str], taken: tuple[int, ...]) -> int | None:
    for name in SUBSETS:
        for place in _places(columns, {name}):
            if place not in taken and (name in ALWAYS_SUBSETS or _are_subsets(table, place)):
                return place
    return None


def _are_subsets(table: Table, column: int) -> bool:
    words = {text.lower() for text in texts(table, column)}
    return words <= ROW_NAMES.keys() or (words <= CODES.keys() and "2" in words)


def _only(table: Table, candidates: list[int], argument: str, role: str) -> int:
    """The candidate; of several, the first if all group the rows alike, else an error."""
    if len(candidates) > 1:
        columns = [texts(table, place) for place in candidates]
        groups = len(set(zip(*columns, strict=True)))
        if any(len(set(column)) != groups for column in columns):
            names = [table.columns[place] for place in candidates]
            raise FewshotError(
                argument,
                f"{table.source} has several columns that could be the {role}: {', '.join(names)}",
                f"Say which: {SETTING}.{role}={names[0]}.",
            )
    return candidates[0]


def _missing(table: Table, argument: str) -> FewshotError:
    """The error of a table without a column of paths or of classes."""
    columns = [folded_column(name) for name in table.columns]
    by_class = not any(_places(columns, names) for names in PATHS)
    return FewshotError(
        argument,
        f"{table.source} should have the columns filename and label; it has {_listed(table)}",
        f"Say which they are: {SETTING}.path=COLUMN {SETTING}.label=COLUMN."
        + " To split by class, set dataset=folder dataset.split=FILE." * by_class,
    )


def _listed(table: Table) -> str:
    return ", ".join(_shown(table.columns)) or "none"


def _shown(columns: list[str]) -> Iterator[str]:
    for name in columns[:20]:
        yield name or "(a column without a name)"
    if len(columns) > 20:
        yield f"and {len(columns) - 20} more"
