"""Pivot tables of one measure: entries by row and column, with the best of each column."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    suggestion,
)
from fewshot.results.aside import aside_text
from fewshot.results.joining import Store
from fewshot.results.measures import (
    INTERVALS,
    chosen_cells,
    entries,
    has_estimators,
    main_measure,
    measure_named,
    measure_of,
    tasks_of,
)
from fewshot.results.pairing import (
    Values,
    differences,
    episode_values,
    not_clearly_apart,
)
from fewshot.results.reading import identity
from fewshot.results.schema import CellSummary, LeftAside
from fewshot.tasks import known_tasks, task_named
from fewshot.tasks.base import CELL_COLUMNS, HIGHER, LOWER, NEITHER

# Averaged over; every other key in neither rows nor columns must have a single value.
AVERAGED = ("seed",)
Place = tuple[Any, ...]


@dataclass(frozen=True)
class Entry:
    """One number of the table.

    Attributes
    ----------
    mean : float
        Over the seeds.
    half : float or None
        Half the width of its interval.
    cells : list of CellSummary
        Cells that it is the mean of, one per seed.
    best, near : bool
        Best of its column; not significantly worse than the best on the same episodes.
    """

    mean: float
    half: float | None
    cells: list[CellSummary]
    best: bool = False
    near: bool = False


@dataclass(frozen=True)
class Pivot:
    """A table: `entries` by (row, column), each a tuple of values of `row_keys`, `column_keys`.

    ``aside`` has a line for each run that also has some of its cells but does not count for them.
    """

    row_keys: tuple[str, ...]
    column_keys: tuple[str, ...]
    rows: list[Place]
    columns: list[Place]
    entries: dict[tuple[Place, Place], Entry]
    measure: str
    interval: str
    level: float | None
    paired: bool
    aside: tuple[str, ...] = ()


def keys() -> tuple[str, ...]:
    """Keys of rows and columns: those of a cell, and of the parts that tasks have measures of."""
    further = dict.fromkeys(name for task in known_tasks() for name in task.keys)
    own = (name for name in CELL_COLUMNS if name != "task")
    return (*own, "queries", "task", *further, *part_keys())


def part_keys() -> tuple[str, ...]:
    """Names of the parts of cells that have measures of their own, as ``estimator``."""
    names = (m.of.name for task in known_tasks() for m in task.measures if m.of)
    return tuple(dict.fromkeys(names))


def pivot(
    store: Store,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    measure: str | None = None,
    estimators: Sequence[str] | None = None,
    interval: str = "episodes",
    filters: Mapping[str, Sequence[str]] | None = None,
) -> Pivot:
    """Make a pivot table of one measure, means over seeds.

    Parameters
    ----------
    rows, columns : sequence of str, optional
        Keys of a row and of a column, of `keys`; by default head and backbone, and data set and
        shots, with the variant of the head and the part of the classes where they differ.
    measure : str, optional
        Of any task; the main one of the task by default.
    estimators : sequence of str, optional
        Estimators to show: ``auto`` by default, or all if ``estimator`` is in rows or columns.
    interval : {"episodes", "images", "classes", "none"}
        Population of the interval. Over seeds, intervals over episodes shrink, as other episodes
        were drawn; those over images or classes do not, as these are the same.
    filters : mapping of str to sequence of str, optional
        Values to select, by key.

    Raises
    ------
    FewshotError
        An unknown name, or cells that differ in a key that is in neither rows nor columns.
    """
    expect_choice("--interval", interval, INTERVALS)
    cells = chosen_cells(store.summary()["cells"], filters or {})
    rows = _usual(("head", "variant", "backbone"), cells) if rows is None else rows
    columns = _usual(("dataset", "part", "shots"), cells) if columns is None else columns
    _check_keys(rows, columns)
    measure = measure or _main({cell["task"] for cell in cells})
    if _of_estimators(measure) and estimators is None and "estimator" not in (*rows, *columns):
        estimators = ["auto"]
    better = measure_named(measure).better
    values = {} if better == NEITHER else episode_values(store, measure, estimators)
    # Read again: runs with damaged tables have been removed from the store.
    summary = store.summary()
    cells = chosen_cells(summary["cells"], filters or {})
    selected = list(entries(cells, measure, estimators))
    _check_alike(selected, (*rows, *columns))
    entry_levels = {
        place: entry
        for place, group in _grouped(selected, rows, columns).items()
        if (entry := _entry(group, measure, interval)) is not None
    }
    expect(bool(entry_levels), "--measure", f"{measure} is missing in all cells that were chosen")
    table = {place: entry for place, (entry, _) in entry_levels.items()}
    levels = [level for _, level in entry_levels.values() if level is not None]
    return Pivot(
        tuple(rows),
        tuple(columns),
        sorted({row for row, _ in table}, key=place_order),
        sorted({column for _, column in table}, key=place_order),
        _marked(table, values, measure),
        measure,
        interval,
        max(levels, default=None),
        bool(values),
        tuple(aside_text(_aside_of(table, summary["left_aside"]))),
    )


def _usual(names: Sequence[str], cells: Sequence[CellSummary]) -> tuple[str, ...]:
    """Those of the names that are always shown, or in which the cells differ."""
    sometimes = ("variant", "part")
    return tuple(
        name
        for name in names
        if name not in sometimes or len({cell.get(name) for cell in cells}) > 1
    )


def _aside_of(
    table: Mapping[tuple[Place, Place], Entry], aside: Iterable[LeftAside]
) -> list[LeftAside]:
    """Entries of `aside` whose cells are in the table."""
    shown = {identity(cell) for entry in table.values() for cell in entry.cells}
    return [cell for cell in aside if identity(cell) in shown]


def _main(tasks: Collection[str]) -> str:
    """Main measure of the first of these tasks."""
    return next(main_measure(task.name) for task in known_tasks() if task.name in tasks)


def _of_estimators(measure: str) -> bool:
    return any(has_estimators(task_named(task), measure) for task in tasks_of(measure))


def tasks_left(store: Store, measure: str, filters: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the tasks of the selected cells that do not have `measure`."""
    tasks = {cell["task"] for cell in chosen_cells(store.summary()["cells"], filters)}
    return sorted(tasks - set(tasks_of(measure)))


def _check_keys(rows: Sequence[str], columns: Sequence[str]) -> None:
    for option, names in (("--rows", rows), ("--columns", columns)):
        expect(bool(names), option, "expected at least one name, got none")
        for name in names:
            if name not in keys():
                raise FewshotError(option, f"no cell has {name!r}", suggestion(name, keys()))
    both = sorted(set(rows) & set(columns))
    expect(not both, "--columns", f"{', '.join(both)} names rows already")


def _check_alike(cells: Sequence[CellSummary], named: Sequence[str]) -> None:
    """Raise if cells to be averaged differ in a key; a feature kind belongs to its backbone."""
    tasks = [task_named(name) for name in {cell["task"] for cell in cells}]
    parts = {measure.of.name for task in tasks for measure in task.measures if measure.of}
    for name in keys():
        if name in part_keys() and name not in parts:  # a fact of the cells, which has its name
            continue
        group_key = "backbone" if name == "feature" and "backbone" in named else None
        groups: dict[Any, set[str]] = {None: set()}
        for cell in cells:
            groups.setdefault(group_key and cell.get(group_key), set()).add(str(cell.get(name)))
        most = max(groups, key=lambda group: len(groups[group]))
        values = sorted(groups[most], key=lambda text: (len(text), text))
        if name not in (*named, *AVERAGED) and len(values) > 1:
            raise FewshotError(
                "--rows",
                f"the cells have several values of {name}: {', '.join(values)}",
                "Name it in --rows or --columns"
                + ("." if name in part_keys() else f", or choose with --{name}."),
            )


def _grouped(
    cells: Iterable[CellSummary], rows: Sequence[str], columns: Sequence[str]
) -> dict[tuple[Place, Place], list[CellSummary]]:
    grouped: dict[tuple[Place, Place], list[CellSummary]] = {}
    for cell in cells:
        row, column = (tuple(cell.get(name) for name in named) for named in (rows, columns))
        grouped.setdefault((row, column), []).append(cell)
    return grouped


def _entry(
    cells: list[CellSummary], measure: str, interval: str
) -> tuple[Entry, float | None] | None:
    values = [value for cell in cells if (value := measure_of(cell, measure, interval)) is not None]
    if len(values) < len(cells):
        return None
    halves = [value.half for value in values if value.half is not None]
    half: float | None = None
    if interval != "none" and len(halves) == len(values):
        independent = interval == "episodes"
        squares = sum(half_width**2 for half_width in halves)
        half = squares**0.5 / len(halves) if independent else sum(halves) / len(halves)
    mean = sum(value.mean for value in values) / len(values)
    return Entry(mean, half, cells), values[0].level


def _marked(
    table: dict[tuple[Place, Place], Entry], values: Values, measure: str
) -> dict[tuple[Place, Place], Entry]:
    """Mark the best entry of each column, and entries not significantly worse.

    Estimators that saw unlabelled images are compared with each other, the others as well.
    """
    better = measure_named(measure).better
    if better == NEITHER:
        return table
    marked = dict(table)
    groups: dict[tuple[Place, bool], dict[Place, Entry]] = {}
    for (row, column), entry in table.items():
        groups.setdefault((column, saw_unlabelled(entry)), {})[row] = entry
    for (column, _), in_column in groups.items():
        if len(in_column) < 2:
            continue
        choose = {HIGHER: max, LOWER: min}[better]
        top = choose(in_column, key=lambda row: in_column[row].mean)
        for row, entry in in_column.items():
            best = entry.mean == in_column[top].mean
            gap = None if best else differences(entry.cells, in_column[top].cells, values, measure)
            near = not_clearly_apart(gap)
            marked[row, column] = Entry(entry.mean, entry.half, entry.cells, best, near)
    return marked


def saw_unlabelled(entry: Entry) -> bool:
    """Whether the entry is of an estimator that saw unlabelled images."""
    return any(cast("Mapping[str, Any]", cell).get("sees_unlabelled") for cell in entry.cells)


def place_order(place: Place) -> tuple[Any, ...]:
    """Sort key: nothing first, then numbers, also in front of a text, then names."""
    return tuple(
        (0, 0.0, "") if value is None or value == ""
        else (1, float(value), "") if isinstance(value, (int, float))
        else (1, float(number[0]), str(value)) if (number := re.match(r"\d+(?= |$)", str(value)))
        else (2, 0.0, str(value))
        for value in place
    )  # fmt: skip
