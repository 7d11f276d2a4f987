"""Selection of one run per cell where several runs have it, and a list of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from fewshot.results.reading import Run, identity
from fewshot.results.schema import CellSummary, LeftAside
from fewshot.tasks import task_named
from fewshot.tasks.base import dataset_label, head_label
from fewshot.units import counted

Counting = Mapping[tuple[Any, ...], tuple[int, CellSummary]]

NAMED = 3  # heads in a line


def episodes_of(cell: CellSummary) -> int:
    """Number of episodes (tasks, for one-class tasks) of a cell; 0 if the summary has none."""
    count = cell.get("episodes")
    return count if isinstance(count, int) else 0


def counting_cells(
    runs: Sequence[Run], order: Iterable[int]
) -> dict[tuple[Any, ...], tuple[int, CellSummary]]:
    """Select the run that counts for each cell: identity to index of `runs` and the cell.

    The run with the most episodes; among equals the last in `order`.

    Parameters
    ----------
    runs : sequence of Run
    order : iterable of int
        Indices of `runs`, the oldest first.
    """
    cells: dict[tuple[Any, ...], tuple[int, CellSummary]] = {}
    for i in order:
        for cell in runs[i].summary["cells"]:
            current = cells.get(identity(cell))
            if current is None or episodes_of(cell) >= episodes_of(current[1]):
                cells[identity(cell)] = (i, cell)
    return cells


def left_aside(runs: Sequence[Run], order: Iterable[int], counting: Counting) -> list[LeftAside]:
    """List the cells that are not shown because another run has them with different rows.

    A cell that was reused from another run, or computed again with the same settings, has the same
    rows and is not listed.

    Returns
    -------
    list of dict
        Keys that identify the cell; ``run`` and ``episodes`` of the cell that is not shown;
        ``counts_run`` and ``counts_episodes`` of the cell shown instead. Runs are folders.
    """
    aside: list[LeftAside] = []
    for i in order:
        for cell in runs[i].summary["cells"]:
            shown_in, shown = counting[identity(cell)]
            if shown_in == i or _same_rows(cell, shown):
                continue
            entry = {
                **{name: cell.get(name) for name in task_named(cell["task"]).identity},
                "run": str(runs[i].folder),
                "episodes": episodes_of(cell),
                "counts_run": str(runs[shown_in].folder),
                "counts_episodes": episodes_of(shown),
            }
            aside.append(cast("LeftAside", entry))
    return aside


def _same_rows(first: CellSummary, second: CellSummary) -> bool:
    """Whether two cells have the same rows: by key, without keys by settings and results."""
    if first.get("key") and second.get("key"):
        return bool(first["key"] == second["key"])
    task = task_named(first["task"])
    parts = {measure.of.key for measure in task.measures if measure.of}
    names = {"episodes", "hashes", "head_parameters", *(measure.name for measure in task.measures)}
    alike = all(first.get(name) == second.get(name) for name in names - parts)
    return alike and all(_names(first, part) == _names(second, part) for part in parts)


def _names(cell: Mapping[str, Any], part: str) -> list[Any]:
    """Names of parts of a cell, as of its estimators; parts without a name as they are."""
    parts = cell.get(part) or ()
    return sorted(parts) if isinstance(parts, Mapping) else list(parts)


def aside_text(entries: Iterable[LeftAside]) -> list[str]:
    """A line per pair of runs: ``left aside: runs/b: 60 episodes of ncm, lda on digits, ...``."""
    by_pair: dict[tuple[str, int, str, int], list[LeftAside]] = {}
    for entry in entries:
        pair = entry["run"], entry["episodes"], entry["counts_run"], entry["counts_episodes"]
        by_pair.setdefault(pair, []).append(entry)
    return [_line(cells) for cells in by_pair.values()]


def _line(cells: Sequence[LeftAside]) -> str:
    """One line about the cells of one run that another run replaces."""
    run, episodes = cells[0]["run"], cells[0]["episodes"]
    counts, more = cells[0]["counts_run"], cells[0]["counts_episodes"]
    many = counted(len(cells), "cell")
    heads, datasets = _named(map(head_label, cells)), _named(map(dataset_label, cells))
    what = f"{run}: {episodes} episodes of {many} ({heads} on {datasets})"
    if more > episodes:
        return f"{what}, as {counts} has {more} episodes of the same"
    return f"{what}, as {counts} has the same with other settings and was made later"


def _named(values: Iterable[Any]) -> str:
    names = list(dict.fromkeys(map(str, values)))
    hidden = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {hidden} more" if hidden > 0 else "")
