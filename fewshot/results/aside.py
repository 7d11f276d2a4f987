"""Cells that several runs have: which one counts, and what is left aside for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fewshot.results.reading import (
    IDENTITY,
    Cell,
    Run,
    identity,
)

Counting = Mapping[tuple[Any, ...], tuple[int, Cell]]

NAMED = 3  # heads in a line


def episodes_of(cell: Mapping[str, Any]) -> int:
    """Episodes (tasks, for one-class tasks) that a cell is over; 0 where the summary has none."""
    count = cell.get("episodes")
    return count if isinstance(count, int) else 0


def counting_cells(runs: Sequence[Run], order: Iterable[int]) -> dict[tuple[Any, ...], Any]:
    """Of every cell the run that counts for it, as an index of `runs`, and the cell.

    The one over most episodes; of those the last in `order`.

    Parameters
    ----------
    runs : sequence of Run
    order : iterable of int
        Indices of `runs`, the oldest first.
    """
    cells: dict[tuple[Any, ...], tuple[int, Cell]] = {}
    for i in order:
        for cell in runs[i].summary["cells"]:
            known = cells.get(identity(cell))
            if known is None or episodes_of(cell) >= episodes_of(known[1]):
                cells[identity(cell)] = (i, cell)
    return cells


def left_aside(runs: Sequence[Run], order: Iterable[int], counting: Counting) -> list[Cell]:
    """Cells whose rows are not shown, as another run has the cell over other rows.

    A cell that was taken from another run, or computed again with the same settings, has the same
    rows, so that nothing is lost with it.

    Returns
    -------
    list of dict
        What names the cell (`IDENTITY`), ``run`` and ``episodes`` of what is left aside,
        ``counts_run`` and ``counts_episodes`` of what is shown instead. Runs are folders.
    """
    aside = []
    for i in order:
        for cell in runs[i].summary["cells"]:
            shown_in, shown = counting[identity(cell)]
            if shown_in == i or _same_rows(cell, shown):
                continue
            entry = {name: cell.get(name) for name in IDENTITY}
            entry |= {"run": str(runs[i].folder), "episodes": episodes_of(cell)}
            entry |= {"counts_run": str(runs[shown_in].folder)}
            aside.append(entry | {"counts_episodes": episodes_of(shown)})
    return aside


def _same_rows(first: Cell, second: Cell) -> bool:
    """By the keys; cells of runs without keys by what they are of and came to."""
    if first.get("key") and second.get("key"):
        return bool(first["key"] == second["key"])
    names = ("episodes", "hashes", "head_parameters", "accuracy", "auroc", "prevalences")
    estimators = [sorted(cell.get("estimators") or {}) for cell in (first, second)]
    return estimators[0] == estimators[1] and all(first.get(n) == second.get(n) for n in names)


def aside_text(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line per pair of runs: ``left aside: runs/b: 60 episodes of ncm, lda on digits, ...``."""
    together: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for one in entries:
        pair = one["run"], one["episodes"], one["counts_run"], one["counts_episodes"]
        together.setdefault(pair, []).append(one)
    return [_line(cells) for cells in together.values()]


def _line(cells: Sequence[Mapping[str, Any]]) -> str:
    """Of cells that one run has and another counts for."""
    run, episodes, counts, more = (
        cells[0][name] for name in ("run", "episodes", "counts_run", "counts_episodes")
    )
    many = f"{len(cells)} cell{'s' * (len(cells) > 1)}"
    heads, datasets = (_named(cell[name] for cell in cells) for name in ("head", "dataset"))
    what = f"{run}: {episodes} episodes of {many} ({heads} on {datasets})"
    if more > episodes:
        return f"{what}, as {counts} has {more} episodes of the same"
    return f"{what}, as {counts} has the same with other settings and was made later"


def _named(values: Iterable[Any]) -> str:
    names = list(dict.fromkeys(map(str, values)))
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
