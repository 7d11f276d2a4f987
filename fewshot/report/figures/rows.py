"""Rows as figures need them: numbers in percent, groups in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.report.wording import ORACLE_MARK, RECOMMENDED, shots_text


def in_percent(predictions: pd.DataFrame) -> pd.DataFrame:
    """Rows that have a prediction, with ``predicted``, ``actual``, ``low`` and ``high`` in %."""
    rows = predictions.assign(
        predicted=100 * numbers(predictions["predicted_error"]),
        actual=100 * numbers(predictions["actual_error"]),
        low=100 * numbers(predictions["lower"]),
        high=100 * numbers(predictions["upper"]),
    )
    return rows.dropna(subset=["predicted", "actual"])


def numbers(column: pd.Series) -> NDArray:
    """As float64, NaN where there is none."""
    return column.to_numpy(dtype=float, na_value=np.nan)


def unique(column: pd.Series) -> list[str]:
    """Names in the order in which they come."""
    return [str(name) for name in column.unique()]


def predicting(predictions: pd.DataFrame) -> list[str]:
    """Estimators with any number, in the order of the table, where they may start without."""
    finite = np.isfinite(numbers(predictions["predicted_error"]))
    some = set(predictions["estimator"][finite])
    names = [name for name in unique(predictions["estimator"]) if name in some]
    return sorted(names, key=lambda name: (name.endswith(ORACLE_MARK), name != RECOMMENDED))


def settings(rows: pd.DataFrame) -> dict[tuple[int, int], str]:
    """(ways, shots) in order, with a label that says the ways only if they differ."""
    return setting_labels(set(zip(rows["ways"].tolist(), rows["shots"].tolist(), strict=True)))


def setting_labels(keys: set[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """As `settings`."""
    if len({ways for ways, _ in keys}) == 1:
        return {key: shots_text(key[1]) for key in sorted(keys)}
    return {key: f"{key[0]}-way {key[1]}-shot" for key in sorted(keys)}


def where(rows: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    """Rows whose columns have these values."""
    chosen = np.ones(len(rows), dtype=bool)
    for name, value in values.items():
        chosen &= (rows[name] == value).to_numpy(dtype=bool)
    return rows[chosen]
