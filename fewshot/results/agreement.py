"""How far two runs of the same settings have the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fewshot.results.pairing import same_episodes
from fewshot.results.reading import identity
from fewshot.results.result import Result
from fewshot.results.schema import CellSummary

# Facts of the environment that can change a number.
DECISIVE = ("fewshot", "python", "torch", "torchvision", "timm", "open_clip_torch", "numpy",
            "scikit-learn", "pillow", "platform", "device")  # fmt: skip


@dataclass(frozen=True)
class CellAgreement:
    """A cell of an earlier run beside the same cell, computed anew.

    Attributes
    ----------
    cell : CellSummary
        Of the earlier run.
    missing : bool
        Whether there is no such cell in the new run; everything below is empty then.
    same_features, same_episodes : bool
        Whether both have features and episodes of the same hash.
    tables : dict of str to float
        Largest absolute difference of a number by table, in the units of the table; 0: the rows
        are the same to the last bit, NaN: texts, or the number of rows, differ.
    """

    cell: CellSummary
    missing: bool
    same_features: bool
    same_episodes: bool
    tables: Mapping[str, float]

    @property
    def is_same(self) -> bool:
        """Whether all rows are the same to the last bit."""
        return not self.missing and not any(self.tables.values())  # NaN is true


def agreement(earlier: Sequence[Result], new: Sequence[Result]) -> list[CellAgreement]:
    """Compare each cell of an earlier run with that of the same identity in a new one."""
    counterparts = {identity(cell.summary): cell for cell in new}
    return [_compared(cell, counterparts.get(identity(cell.summary))) for cell in earlier]


def changed_environment(earlier: Mapping[str, object], new: Mapping[str, object]) -> dict[str, str]:
    """Facts of the environment that differ, as ``{"torch": "2.3.0 -> 2.9.1"}``."""
    return {
        name: f"{earlier.get(name)} -> {new.get(name)}"
        for name in DECISIVE
        if earlier.get(name) != new.get(name)
    }


def largest_difference(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """Largest absolute difference of a number in two tables of the same rows in the same order.

    Returns
    -------
    float
        0 if everything is equal; NaN if there are other rows or columns, or other texts, or a
        number in one where the other has none.
    """
    if len(first) != len(second) or set(first.columns) != set(second.columns):
        return float("nan")
    largest = 0.0
    for name in first.columns:
        a, b = first[name].reset_index(drop=True), second[name].reset_index(drop=True)
        if pd.api.types.is_float_dtype(a) and pd.api.types.is_float_dtype(b):
            x, y = a.to_numpy(dtype=float), b.to_numpy(dtype=float)
            if not np.array_equal(np.isnan(x), np.isnan(y)):
                return float("nan")
            differ = (x != y) & ~np.isnan(x)  # equal infinities have no gap
            gaps = np.abs(x[differ] - y[differ])
            largest = max(largest, float(np.max(gaps, initial=0.0)))
        elif not all(map(_equal, a, b)):
            return float("nan")
    return largest


def _compared(cell: Result, counterpart: Result | None) -> CellAgreement:
    if counterpart is None:
        return CellAgreement(cell.summary, True, False, False, {})
    hashes = [
        (result.summary.get("hashes") or {}).get("features") for result in (cell, counterpart)
    ]
    # Tables that an earlier version did not have are empty there.
    names = [name for name, rows in cell.tables.items() if len(rows)]
    return CellAgreement(
        cell.summary,
        False,
        hashes[0] is not None and hashes[0] == hashes[1],
        same_episodes(cell.summary, counterpart.summary),
        {name: largest_difference(cell.tables[name], counterpart.rows(name)) for name in names},
    )


def _equal(a: Any, b: Any) -> bool:
    """Whether two entries of a table are equal: lists, texts, numbers, or both missing."""
    if isinstance(a, list | np.ndarray) or isinstance(b, list | np.ndarray):
        return np.array_equal(np.asarray(a), np.asarray(b))
    return bool(a == b) or bool(pd.isna(a) and pd.isna(b))
