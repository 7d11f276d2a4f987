"""Preparation of rows for charts: numbers in percent, groups in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.report.wording import (
    ORACLE_MARK,
    RECOMMENDED,
    UNLABELLED_MARK,
    drawn_order,
    episodic_name,
    shots_text,
)
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
    """Rows whose ``head`` is its name as it is shown, with its variant.

    Where rows differ in their protocol or their unlabelled images, these are in it as well, and
    rows with fewer images come first.
    """
    drawn = rows["unlabelled_images"].astype(str) if "unlabelled_images" in rows else None
    several = drawn is not None and drawn.nunique() > 1
    if drawn is not None and several:
        kinds = {text.partition(" ")[2] for text in drawn.unique() if text}
        order = sorted(drawn.unique(), key=drawn_order)
        rows = rows.iloc[np.argsort(drawn.map(order.index).to_numpy(), kind="stable")]
        drawn = rows["unlabelled_images"].astype(str)
        # What all have in common is left out: titles of panels are short.
        drawn = drawn.str.partition(" ")[0] if len(kinds) == 1 else drawn
    texts = {"head": rows["head"].astype(str), "variant": rows["variant"].astype(str)}
    if "protocol" in rows and rows["protocol"].astype(str).nunique() > 1:
        texts["protocol"] = rows["protocol"].astype(str)
    if drawn is not None and several:
        texts["unlabelled_images"] = drawn
    keys = list(zip(*texts.values(), strict=True))
    labels = {key: _label(dict(zip(texts, key, strict=True))) for key in set(keys)}
    return rows.assign(head=[labels[key] for key in keys])


def _label(texts: Mapping[str, str]) -> str:
    """``ncm, imbalanced(alpha=2), 15 unlabelled``."""
    drawn = (
        episodic_name(key, texts[key]) for key in ("protocol", "unlabelled_images") if key in texts
    )
    return ", ".join([head_label(texts), *drawn])


def numbers(column: pd.Series) -> NDArray:
    """`column` as a float64 array, NaN for missing values."""
    return column.to_numpy(dtype=float, na_value=np.nan)


def unique(column: pd.Series) -> list[str]:
    """Unique names in order of appearance."""
    return [str(name) for name in column.unique()]


def predicting(predictions: pd.DataFrame) -> list[str]:
    """Estimators with any prediction, by their names as they are shown, in groups.

    Those that saw unlabelled images, others, oracles, each in the order of the table.
    """
    finite = np.isfinite(numbers(predictions["predicted_error"]))
    present = set(predictions["estimator"][finite])
    names = [name for name in unique(predictions["estimator"]) if name in present]
    first = (RECOMMENDED, f"{RECOMMENDED} {UNLABELLED_MARK}")
    groups = {ORACLE_MARK: 2, UNLABELLED_MARK: 0}
    return sorted(names, key=lambda name: (groups.get(name[-1:], 1), name not in first))


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
