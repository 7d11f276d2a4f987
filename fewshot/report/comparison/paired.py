"""Paired difference of two combinations of backbone and head on the same episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewshot.report.cell_rows import CellRows
from fewshot.report.wording import Cell
from fewshot.statistics.populations import LEVEL, class_variance, half_width

EvaluatedCell = tuple[Cell, CellRows | None]  # rows, if its task has errors of episodes


@dataclass(frozen=True)
class Difference:
    """Mean accuracy of the first minus that of the second over the same episodes.

    Attributes
    ----------
    mean, half : float
        Mean, and half the width of its interval over episodes.
    classes : float or None
        Half the width of the interval for other classes; None where every episode has all.
    """

    mean: float
    half: float
    classes: float | None

    @property
    def clear(self) -> bool:
        """Whether the interval over episodes excludes 0."""
        return abs(self.mean) > self.half

    @property
    def clear_elsewhere(self) -> bool | None:
        """Whether the interval over classes excludes 0; None if there is none."""
        return None if self.classes is None else abs(self.mean) > self.classes


def compare(first: Sequence[EvaluatedCell], second: Sequence[EvaluatedCell]) -> Difference | None:
    """The mean paired difference over the seeds of both; None if they share no episodes.

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
        gaps.append(other.actual[other_at] - rows.actual[at])
        classes += rows.classes(at)
    if not gaps or len(classes) < 2:
        return None
    return _difference(np.concatenate(gaps), classes)


def _drawn(cell: Cell) -> str | None:
    return (cell.get("hashes") or {}).get("episodes")


def _difference(gaps: NDArray, classes: list[list[str]]) -> Difference:
    # Sums of equal shares in another order differ in the last digit.
    gaps = np.where(np.abs(gaps) < 1e-12, 0, gaps)
    draw = float(gaps.var(ddof=1)) / len(gaps)
    between = None
    if len({len(names) for names in classes}) == 1:
        numbers = {
            name: i for i, name in enumerate(sorted({n for names in classes for n in names}))
        }
        table = np.array([[numbers[name] for name in names] for names in classes])
        between = class_variance(gaps, table)
        degrees = len(numbers) - 1
    return Difference(
        mean=float(gaps.mean()),
        half=half_width(draw, LEVEL),
        classes=None if between is None else half_width(draw + between, LEVEL, degrees),
    )
