"""Pivot tables for papers, as numbers: what stands where, what is best, how it was made."""

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
# Averaged over; everything else that is in neither rows nor columns has to be one.
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
        What it was made of, one per seed.
    best, near : bool
        Best of its column; not clearly worse than the best on the same episodes.
    """

    mean: float
    half: float | None
    cells: list[dict[str, Any]]
    best: bool = False
    near: bool = False


@dataclass(frozen=True)
class Pivot:
    """A table: `entries` by (row, column), each a tuple of values of `row_keys`, `column_keys`.

    ``aside`` says which runs have some of its cells too and do not count for them.
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
    """Cells as a table of one measure, means over seeds.

    Parameters
    ----------
    rows, columns : sequence of str
        What names a row and a column, of `KEYS`.
    measure : str, optional
        Of `fewshot.results.measures.BETTER`; the main one of the task by default.
    estimators : sequence of str, optional
        Whose measure: ``auto`` by default, or all if ``estimator`` names rows or columns.
    interval : {"episodes", "images", "classes", "none"}
        Half its width stands beside a number. Over seeds, intervals over episodes shrink, as
        other episodes were drawn; those over images or classes do not, as these are the same.
    filters : mapping of str to sequence of str, optional
        Values that are wanted, by key.

    Raises
    ------
    FewshotError
        An unknown name, or cells that differ in something that names neither row nor column.
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
    # Again: a table that turned out to be damaged took its run's cells along.
    summary = store.summary()
    cells = chosen_cells(summary["cells"], filters or {})
    found = list(entries(cells, measure, estimators))
    _check_alike(found, (*rows, *columns))
    made = {
        place: entry
        for place, own in _grouped(found, rows, columns).items()
        if (entry := _entry(own, measure, interval)) is not None
    }
    expect(bool(made), "--measure", f"{measure} is missing in all cells that were chosen")
    table = {place: entry for place, (entry, _) in made.items()}
    levels = [level for _, level in made.values() if level is not None]
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
    """What was left aside of the cells that the table is made of."""
    shown = {identity(cell) for entry in table.values() for cell in entry.cells}
    return [one for one in aside if identity(one) in shown]


def _main(tasks: Collection[str]) -> str:
    """The measure of the first of these tasks."""
    return next(measure for task, measure in FIRST.items() if task in tasks)


def tasks_left(store: Store, measure: str, filters: Mapping[str, Sequence[str]]) -> list[str]:
    """Tasks of the chosen cells that `measure` is not of."""
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


def _check_alike(found: Sequence[Mapping[str, Any]], named: Sequence[str]) -> None:
    """An average over different things means nothing; a feature kind belongs to its backbone."""
    for name in KEYS:
        own = "backbone" if name == "feature" and "backbone" in named else None
        groups: dict[Any, set[str]] = {None: set()}
        for one in found:
            groups.setdefault(own and one[own], set()).add(str(one.get(name)))
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
    found: Iterable[dict[str, Any]], rows: Sequence[str], columns: Sequence[str]
) -> dict[tuple[Place, Place], list[dict[str, Any]]]:
    grouped: dict[tuple[Place, Place], list[dict[str, Any]]] = {}
    for one in found:
        row, column = (tuple(one.get(name) for name in keys) for keys in (rows, columns))
        grouped.setdefault((row, column), []).append(one)
    return grouped


def _entry(
    own: list[dict[str, Any]], measure: str, interval: str
) -> tuple[Entry, float | None] | None:
    known = [value for one in own if (value := measure_of(one, measure, interval)) is not None]
    if len(known) < len(own):
        return None
    halves = [value.half for value in known if value.half is not None]
    half: float | None = None
    if interval != "none" and len(halves) == len(known):
        independent = interval == "episodes"
        squares = sum(one**2 for one in halves)
        half = squares**0.5 / len(halves) if independent else sum(halves) / len(halves)
    mean = sum(value.mean for value in known) / len(known)
    return Entry(mean, half, own), known[0].level


def _marked(
    table: dict[tuple[Place, Place], Entry], values: Values, measure: str
) -> dict[tuple[Place, Place], Entry]:
    """Marks the best of each column, and what is not clearly worse."""
    if BETTER[measure] == NEITHER:
        return table
    marked = dict(table)
    for column in {column for _, column in table}:
        own = {row: entry for (row, at), entry in table.items() if at == column}
        if len(own) < 2:
            continue
        choose = {HIGHER: max, LOWER: min}[BETTER[measure]]
        top = choose(own, key=lambda row: own[row].mean)
        for row, entry in own.items():
            best = entry.mean == own[top].mean
            gap = None if best else differences(entry.cells, own[top].cells, values, measure)
            near = not_clearly_apart(gap)
            marked[row, column] = Entry(entry.mean, entry.half, entry.cells, best, near)
    return marked


def _order(place: Place) -> tuple[Any, ...]:
    """Numbers by size, names by the alphabet, nothing first."""
    return tuple(
        (0, 0.0, "") if one is None
        else (1, float(one), "") if isinstance(one, (int, float))
        else (2, 0.0, str(one))
        for one in place
    )  # fmt: skip
