"""Preparation of rows for charts: numbers in percent, groups in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.report.wording import ORACLE_MARK, RECOMMENDED, shots_text
from fewshot.tasks.base import head_label


def in_percent(predictions: pd.DataFrame) -> pd.DataFrame:
    """Rows with a prediction, with columns ``predicted``, ``actual``, ``low``, ``high`` in %."""
    rows = predictions.assign(
        predicted=100 * numbers(predictions["predicted_error"]),
        actual=100 * numbers(predictions["actual_error"]),
        low=100 * numbers(predictions["lower"]),
        high=100 * numbers(predictions["upper"]),
    )
    return rows.dropna(subset=["predicted", "actual"])


def labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose ``head`` is its name as it is shown, with its variant."""
    pairs = list(zip(rows["head"].astype(str), rows["variant"].astype(str), strict=True))
    labels = {pair: head_label({"head": pair[0], "variant": pair[1]}) for pair in set(pairs)}
    return rows.assign(head=[labels[pair] for pair in pairs])


def numbers(column: pd.Series) -> NDArray:
    """`column` as a float64 array, NaN for missing values."""
    return column.to_numpy(dtype=float, na_value=np.nan)


def unique(column: pd.Series) -> list[str]:
    """Unique names in order of appearance."""
    return [str(name) for name in column.unique()]


def predicting(predictions: pd.DataFrame) -> list[str]:
    """Estimators with any prediction, in the order of the table, oracles last."""
    finite = np.isfinite(numbers(predictions["predicted_error"]))
    present = set(predictions["estimator"][finite])
    names = [name for name in unique(predictions["estimator"]) if name in present]
    return sorted(names, key=lambda name: (name.endswith(ORACLE_MARK), name != RECOMMENDED))


def settings(rows: pd.DataFrame) -> dict[tuple[int, int], str]:
    """Labels by (ways, shots), sorted; they contain the ways only if those differ."""
    return setting_labels(set(zip(rows["ways"].tolist(), rows["shots"].tolist(), strict=True)))


def setting_labels(keys: set[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """Labels by (ways, shots), as for `settings`."""
    if len({ways for ways, _ in keys}) == 1:
        return {key: shots_text(key[1]) for key in sorted(keys)}
    return {key: f"{key[0]}-way {key[1]}-shot" for key in sorted(keys)}


def where(rows: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    """Rows whose columns have these values."""
    chosen = np.ones(len(rows), dtype=bool)
    for name, value in values.items():
        chosen &= (rows[name] == value).to_numpy(dtype=bool)
    return rows[chosen]
