"""Actual errors, and mean absolute errors of predictions, by shots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fewshot.report.charts.base import (
    COLUMNS,
    SHOTS,
    Axis,
    Chart,
    Look,
    Panel,
    Trace,
    Words,
    categories,
)
from fewshot.report.charts.looks import estimator_look
from fewshot.report.charts.rows import in_percent, predicting, where
from fewshot.statistics.populations import mean_interval

ERROR = Words("Error by shots", SHOTS, "error, %")
MAE = Words("Mean absolute error by shots", SHOTS, "MAE, points")
REFERENCE = "constant"
LARGEST, ASPECT = 4.2, 0.7
ACTUAL = Look(marker=0, width=1.8, front=4)


def error_chart(episodes: pd.DataFrame, predictions: pd.DataFrame, title: str = "") -> Chart | None:
    """Mean actual error with its 95 % interval over episodes, and the mean of each prediction.

    Parameters
    ----------
    episodes, predictions : DataFrame
        Rows of one data set and backbone. A panel per head and number of ways; episodes of several
        seeds count as episodes.

    Returns
    -------
    Chart or None
        None if there are no episodes.
    """
    if episodes.empty:
        return None
    rows = in_percent(predictions)
    estimators = predicting(predictions)
    keys, positions = _keys(episodes), _positions(episodes)
    panels = []
    for key in keys:
        traces = []
        for i, name in enumerate(estimators):
            guesses = where(rows, key | {"estimator": name}).set_index("shots")["predicted"]
            means = _means(guesses)
            x = [positions[K] + aside(i, len(estimators)) for K in means]
            traces.append(
                Trace(name, estimator_look(i), x, [row["mean"] for row in means.values()])
            )
        actual = _means(100 * where(episodes, key).set_index("shots")["actual_error"])
        traces.append(_with_intervals("actual error", ACTUAL, actual, positions, 0.0, capped=True))
        panels.append(Panel(_title(key), traces))
    legend = [("actual error (95 % interval)", ACTUAL)]
    legend += [(f"predicted by {name}", estimator_look(i)) for i, name in enumerate(estimators)]
    return _chart(title, ERROR, panels, legend, positions)


def mae_chart(predictions: pd.DataFrame, title: str = "") -> Chart | None:
    """Mean of |predicted - actual| of every estimator with its 95 % interval over episodes.

    The constant baseline is a line without a marker: estimators below it have a smaller MAE.

    Parameters
    ----------
    predictions : DataFrame
        Rows of one data set and backbone. A panel per head and number of ways.

    Returns
    -------
    Chart or None
        None if no estimator predicted anything.
    """
    rows = in_percent(predictions)
    if rows.empty:
        return None
    rows = rows.assign(miss=(rows["predicted"] - rows["actual"]).abs())
    estimators = predicting(predictions)
    looks = {name: _mae_look(i, name) for i, name in enumerate(estimators)}
    keys, positions = _keys(rows), _positions(rows)
    panels = []
    for key in keys:
        traces = []
        for i, name in enumerate(estimators):
            misses = where(rows, key | {"estimator": name}).set_index("shots")["miss"]
            offset = 0.0 if name == REFERENCE else aside(i, len(estimators))
            trace = _with_intervals(
                name, looks[name], _means(misses), positions, offset, across=name == REFERENCE
            )
            traces.append(trace)
        panels.append(Panel(_title(key), traces))
    return _chart(title, MAE, panels, list(looks.items()), positions)


def aside(i: int, count: int) -> float:
    """Horizontal offset of the i-th line, never 0: the actual error is drawn there."""
    step = min(0.05, 0.7 / max(count, 1))
    return step * (i - count // 2 + (i >= count // 2))


def _chart(
    title: str,
    words: Words,
    panels: Sequence[Panel],
    legend: Sequence[tuple[str, Look]],
    positions: dict[int, int],
) -> Chart:
    traces = [trace for panel in panels for trace in panel.traces]
    heights = [value for trace in traces for value in trace.y]
    heights += [whisker[2] for trace in traces for whisker in trace.whiskers]
    y = Axis((0, 1.08 * max([1.0, *heights])))
    return Chart(title, words, categories(list(positions)), y, panels, legend, COLUMNS,
                 largest=LARGEST, aspect=ASPECT)  # fmt: skip


def _with_intervals(
    name: str,
    look: Look,
    means: dict[int, dict[str, Any]],
    positions: dict[int, int],
    offset: float,
    **options: bool,
) -> Trace:
    x = [positions[K] + offset for K in means]
    y = [row["mean"] for row in means.values()]
    # One episode has no interval: a whisker of length 0.
    halves = np.nan_to_num([row["upper"] - row["mean"] for row in means.values()])
    whiskers = [(*point, float(half)) for *point, half in zip(x, y, halves, strict=True)]
    bounds = [(place, mean - half, mean + half) for place, mean, half in whiskers]
    return Trace(name, look, x, y, bounds, **options)


def _keys(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Head and ways of every panel."""
    pairs = dict.fromkeys(zip(rows["head"], rows["ways"].tolist(), strict=True))
    return [{"head": head, "ways": ways} for head, ways in pairs]


def _title(key: dict[str, Any]) -> str:
    return f"{key['head']}, {key['ways']}-way"


def _positions(rows: pd.DataFrame) -> dict[int, int]:
    return {K: i for i, K in enumerate(sorted(set(rows["shots"].tolist())))}


def _means(values: pd.Series) -> dict[int, dict[str, Any]]:
    """Means with their intervals, by shots, of values that are indexed by shots."""
    return {
        int(K): mean_interval(values[values.index == K].to_numpy(float))
        for K in sorted(set(values.index.tolist()))
    }


def _mae_look(i: int, name: str) -> Look:
    return Look(width=1.2, front=2) if name == REFERENCE else estimator_look(i)
