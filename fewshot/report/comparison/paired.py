"""Paired difference of two combinations of backbone and head on the same episodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fewshot.report.cell_rows import CellRows
from fewshot.report.wording import Cell
from fewshot.statistics.intervals import Difference
from fewshot.statistics.paired import differences, mean_difference
from fewshot.tasks.classification.schema import ClassificationSummary

EvaluatedCell = tuple[Cell, CellRows | None]  # rows, if its task has errors of episodes
ClassifiedCell = tuple[ClassificationSummary, CellRows | None]


def compare(first: Sequence[EvaluatedCell], second: Sequence[EvaluatedCell]) -> Difference | None:
    """The mean paired difference of accuracy over the seeds of both; None without shared episodes.

    Cells are paired when the hashes of their episodes are equal. The interval for other classes
    is that of `fewshot.statistics.populations`, from the classes of each episode.
    """
    others = {_drawn(cell): rows for cell, rows in second}
    gaps, classes = [], []
    for cell, rows in first:
        drawn = _drawn(cell)
        other = None if drawn is None else others.get(drawn)
        if other is None or rows is None or not len(rows):
            continue
        _, at, other_at = np.intersect1d(rows.episode, other.episode, return_indices=True)
        # Of accuracies, so that a positive difference says that the first is better.
        gaps.append(differences(other.actual[other_at], rows.actual[at]))
        classes += rows.classes(at)
    if not gaps:
        return None
    same_ways = len({len(names) for names in classes}) == 1
    return mean_difference(np.concatenate(gaps), np.array(classes) if same_ways else None)


def _drawn(cell: Cell) -> str | None:
    return (cell.get("hashes") or {}).get("episodes")
