"""Pivot tables of one measure: entries by row and column, with the best of each column."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    suggestion,
)
from fewshot.results.aside import aside_text
from fewshot.results.joining import Store
from fewshot.results.measures import (
    BETTER,
    FIRST,
    HIGHER,
    INTERVALS,
    LOWER,
    NEITHER,
    OF_ESTIMATORS,
    chosen_cells,
    entries,
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

KEYS = (
    "dataset", "backbone", "feature", "head", "ways", "shots", "seed", "queries", "task",
    "source", "against", "estimator", "prevalence",
)  # fmt: skip
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
    cells : list of dict
        Cells that it is the mean of, one per seed.
    best, near : bool
        Best of its column; not significantly worse than the best on the same episodes.
    """

    mean: float
    half: float | None
    cells: list[dict[str, Any]]
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


def pivot(
    store: Store,
    rows: Sequence[str] = ("head", "backbone"),
    columns: Sequence[str] = ("dataset", "shots"),
    measure: str | None = None,
    estimators: Sequence[str] | None = None,
    interval: str = "episodes",
    filters: Mapping[str, Sequence[str]] | None = None,
) -> Pivot:
    """Make a pivot table of one measure, means over seeds.

    Parameters
    ----------
    rows, columns : sequence of str
        Keys of a row and of a column, of `KEYS`.
    measure : str, optional
        Of `fewshot.results.measures.BETTER`; the main one of the task by default.
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
    _check_keys(rows, columns)
    expect_choice("--interval", interval, INTERVALS)
    cells = chosen_cells(store.summary()["cells"], filters or {})
    measure = measure or _main({cell["task"] for cell in cells})
    if measure in OF_ESTIMATORS and estimators is None and "estimator" not in (*rows, *columns):
        estimators = ["auto"]
    values = (
        {}
        if BETTER.get(measure, NEITHER) == NEITHER
        else episode_values(store, measure, estimators)
    )
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
        sorted({row for row, _ in table}, key=_order),
        sorted({column for _, column in table}, key=_order),
        _marked(table, values, measure),
        measure,
        interval,
        max(levels, default=None),
        bool(values),
        tuple(aside_text(_aside_of(table, summary["left_aside"]))),
    )


def _aside_of(
    table: Mapping[tuple[Place, Place], Entry], aside: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Entries of `aside` whose cells are in the table."""
    shown = {identity(cell) for entry in table.values() for cell in entry.cells}
    return [cell for cell in aside if identity(cell) in shown]


def _main(tasks: Collection[str]) -> str:
    """Main measure of the first of these tasks."""
    return next(measure for task, measure in FIRST.items() if task in tasks)


def tasks_left(store: Store, measure: str, filters: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the tasks of the selected cells that do not have `measure`."""
    tasks = {cell["task"] for cell in chosen_cells(store.summary()["cells"], filters)}
    return sorted(tasks - set(tasks_of(measure)))


def _check_keys(rows: Sequence[str], columns: Sequence[str]) -> None:
    for option, names in (("--rows", rows), ("--columns", columns)):
        expect(bool(names), option, "expected at least one name, got none")
        for name in names:
            if name not in KEYS:
                raise FewshotError(option, f"no cell has {name!r}", suggestion(name, KEYS))
    both = sorted(set(rows) & set(columns))
    expect(not both, "--columns", f"{', '.join(both)} names rows already")


def _check_alike(cells: Sequence[Mapping[str, Any]], named: Sequence[str]) -> None:
    """Raise if cells to be averaged differ in a key; a feature kind belongs to its backbone."""
    for name in KEYS:
        group_key = "backbone" if name == "feature" and "backbone" in named else None
        groups: dict[Any, set[str]] = {None: set()}
        for cell in cells:
            groups.setdefault(group_key and cell[group_key], set()).add(str(cell.get(name)))
        most = max(groups, key=lambda group: len(groups[group]))
        values = sorted(groups[most], key=lambda text: (len(text), text))
        if name not in (*named, *AVERAGED) and len(values) > 1:
            raise FewshotError(
                "--rows",
                f"the cells have several values of {name}: {', '.join(values)}",
                "Name it in --rows or --columns"
                + ("." if name == "prevalence" else f", or choose with --{name}."),
            )


def _grouped(
    cells: Iterable[dict[str, Any]], rows: Sequence[str], columns: Sequence[str]
) -> dict[tuple[Place, Place], list[dict[str, Any]]]:
    grouped: dict[tuple[Place, Place], list[dict[str, Any]]] = {}
    for cell in cells:
        row, column = (tuple(cell.get(name) for name in keys) for keys in (rows, columns))
        grouped.setdefault((row, column), []).append(cell)
    return grouped


def _entry(
    cells: list[dict[str, Any]], measure: str, interval: str
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
    """Mark the best entry of each column, and entries not significantly worse."""
    if BETTER[measure] == NEITHER:
        return table
    marked = dict(table)
    for column in {column for _, column in table}:
        in_column = {row: entry for (row, place), entry in table.items() if place == column}
        if len(in_column) < 2:
            continue
        choose = {HIGHER: max, LOWER: min}[BETTER[measure]]
        top = choose(in_column, key=lambda row: in_column[row].mean)
        for row, entry in in_column.items():
            best = entry.mean == in_column[top].mean
            gap = None if best else differences(entry.cells, in_column[top].cells, values, measure)
            near = not_clearly_apart(gap)
            marked[row, column] = Entry(entry.mean, entry.half, entry.cells, best, near)
    return marked


def _order(place: Place) -> tuple[Any, ...]:
    """Sort key: None first, then numbers by size, then names alphabetically."""
    return tuple(
        (0, 0.0, "") if value is None
        else (1, float(value), "") if isinstance(value, (int, float))
        else (2, 0.0, str(value))
        for value in place
    )  # fmt: skip
