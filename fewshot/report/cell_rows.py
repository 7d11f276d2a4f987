"""The rows of every cell, found once: numbers as arrays, whatever the order of the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.report.wording import Cell
from fewshot.results.schema import CELL_COLUMNS

NUMBERS = ("predicted_error", "lower", "upper")


@dataclass(frozen=True, eq=False)
class Said:
    """What one estimator said of the episodes of a cell, each (E,), NaN where there is nothing."""

    predicted: NDArray
    lower: NDArray
    upper: NDArray


class CellRows:
    """Rows of one cell: ``episode`` (E,) int64, ``actual`` (E,) and what estimators said."""

    def __init__(self, tables: RowsByCell, rows: NDArray, guesses: NDArray) -> None:
        self._tables, self._rows, self._guesses = tables, rows, guesses
        self.episode: NDArray = tables.episode[rows]
        self.actual: NDArray = tables.actual[rows]

    def __len__(self) -> int:
        return len(self._rows)

    def classes(self, chosen: Sequence[int] | NDArray | slice = slice(None)) -> list[list[str]]:
        """Names of the classes of some of the episodes, by their places among the rows."""
        listed = self._tables.classes.iloc[self._rows[chosen]]
        return [[str(name) for name in one] for one in listed.tolist()]

    def said(self, estimator: str) -> Said:
        """In the order of ``episode``; nothing from an estimator without rows."""
        tables = self._tables
        number = tables.numbers.get(estimator, -1)
        own = self._guesses[tables.estimator[self._guesses] == number]
        place = tables.guessed[own]
        if len(own) != len(self) or not np.array_equal(place, self.episode):
            order = np.argsort(place, kind="stable")
            at = np.searchsorted(place[order], self.episode)
            at[at == len(own)] = 0
            there = place[order][at] == self.episode if len(own) else np.zeros(len(self), bool)
            own = own[order][at] if len(own) else np.zeros(len(self), np.int64)
        else:
            there = np.ones(len(self), bool)
        if not there.any():
            return Said(*(np.full(len(self), np.nan) for _ in NUMBERS))
        return Said(*(np.where(there, tables.columns[name][own], np.nan) for name in NUMBERS))


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
        self.guessed: NDArray = predictions["episode"].to_numpy(dtype=np.int64)
        self.columns = {name: floats(predictions[name]) for name in NUMBERS}
        self.estimator, names = pd.factorize(predictions["estimator"])
        self.numbers = {str(name): i for i, name in enumerate(names)}
        self._episodes, self._predictions = by_cell(episodes), by_cell(predictions)

    def of(self, cell: Cell) -> CellRows:
        """Rows of one cell, none where the tables have none."""
        key = tuple(cell[name] for name in CELL_COLUMNS)
        none: NDArray = np.empty(0, dtype=np.int64)
        return CellRows(self, self._episodes.get(key, none), self._predictions.get(key, none))


def floats(column: pd.Series) -> NDArray:
    """As float64, NaN where there is none."""
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def by_cell(rows: pd.DataFrame, names: Iterable[str] = CELL_COLUMNS) -> Mapping[Any, NDArray]:
    """Places of the rows of every cell, in their order, by the cell's names."""
    names = list(names)
    if rows.empty:
        return {}
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
