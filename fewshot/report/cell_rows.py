"""Rows of episodes and predictions as arrays by cell, in any order of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.report.wording import Cell
from fewshot.tasks.base import CELL_COLUMNS, EPISODIC_KEYS, identity_of

IDENTITY = (*CELL_COLUMNS, *EPISODIC_KEYS)
NUMBERS = ("predicted_error", "lower", "upper")


@dataclass(frozen=True, eq=False)
class EstimatorPredictions:
    """Predicted errors and interval bounds of an estimator, arrays (E,), NaN where undefined."""

    predicted: NDArray
    lower: NDArray
    upper: NDArray


class CellRows:
    """Rows of one cell: ``episode`` (E,) int64, ``actual`` (E,) and the estimators' predictions."""

    def __init__(self, tables: RowsByCell, rows: NDArray, predicted_rows: NDArray) -> None:
        self._tables, self._rows, self._predicted_rows = tables, rows, predicted_rows
        self.episode: NDArray = tables.episode[rows]
        self.actual: NDArray = tables.actual[rows]

    def __len__(self) -> int:
        return len(self._rows)

    def classes(self, chosen: Sequence[int] | NDArray | slice = slice(None)) -> list[list[str]]:
        """Class names of the episodes at the positions `chosen` of the rows."""
        names_by_episode = self._tables.classes.iloc[self._rows[chosen]]
        return [[str(name) for name in names] for names in names_by_episode.tolist()]

    def predictions(self, estimator: str) -> EstimatorPredictions:
        """Predictions of an estimator in the order of ``episode``; all NaN if it has no rows."""
        tables = self._tables
        number = tables.numbers.get(estimator, -1)
        rows = self._predicted_rows[tables.estimator[self._predicted_rows] == number]
        episodes = tables.predicted_episode[rows]
        if len(rows) != len(self) or not np.array_equal(episodes, self.episode):
            order = np.argsort(episodes, kind="stable")
            positions = np.searchsorted(episodes[order], self.episode)
            positions[positions == len(rows)] = 0
            present = (
                episodes[order][positions] == self.episode
                if len(rows)
                else np.zeros(len(self), bool)
            )
            rows = rows[order][positions] if len(rows) else np.zeros(len(self), np.int64)
        else:
            present = np.ones(len(self), bool)
        if not present.any():
            return EstimatorPredictions(*(np.full(len(self), np.nan) for _ in NUMBERS))
        return EstimatorPredictions(
            *(np.where(present, tables.columns[name][rows], np.nan) for name in NUMBERS)
        )


class RowsByCell:
    """The tables of episodes and predictions, split by cell.

    Parameters
    ----------
    episodes, predictions : DataFrame
        Columns of ``EPISODE_COLUMNS`` and ``PREDICTION_COLUMNS``.
    """

    def __init__(self, episodes: pd.DataFrame, predictions: pd.DataFrame) -> None:
        self.episode: NDArray = episodes["episode"].to_numpy(dtype=np.int64)
        self.actual = floats(episodes["actual_error"])
        self.classes = episodes["classes"]
        self.predicted_episode: NDArray = predictions["episode"].to_numpy(dtype=np.int64)
        self.columns = {name: floats(predictions[name]) for name in NUMBERS}
        self.estimator, names = pd.factorize(predictions["estimator"])
        self.numbers = {str(name): i for i, name in enumerate(names)}
        self._episodes, self._predictions = by_cell(episodes), by_cell(predictions)

    def of(self, cell: Cell) -> CellRows:
        """Rows of one cell; empty if the tables have none."""
        key = identity_of(cell, EPISODIC_KEYS)
        none: NDArray = np.empty(0, dtype=np.int64)
        return CellRows(self, self._episodes.get(key, none), self._predictions.get(key, none))


def floats(column: pd.Series) -> NDArray:
    """`column` as a float64 array, NaN for missing values."""
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def by_cell(rows: pd.DataFrame, names: Iterable[str] = IDENTITY) -> Mapping[Any, NDArray]:
    """Positions of the rows of every cell, in table order, by the values of the columns `names`."""
    names = list(names)
    if rows.empty:
        return {}
    # Rows made by hand may lack what all of them share.
    rows = rows.assign(**{name: "" for name in EPISODIC_KEYS if name in names and name not in rows})
    combined: NDArray = np.zeros(len(rows), dtype=np.int64)
    for name in names:
        codes, values = pd.factorize(rows[name])
        combined = combined * (len(values) + 1) + codes
    order = np.argsort(combined, kind="stable")
    starts = np.flatnonzero(np.diff(combined[order], prepend=combined[order[0]] - 1))
    pieces = np.split(order, starts[1:])
    firsts = rows[names].iloc[[piece[0] for piece in pieces]]
    keys = firsts.astype(object).itertuples(index=False, name=None)
    return dict(zip(keys, pieces, strict=True))
