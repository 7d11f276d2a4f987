"""Calibration: mean actual error by mean predicted error, in bins of episodes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.report.charts.base import Axis, Chart, Look, Panel, Trace, Words
from fewshot.report.charts.bins import bin_means, equal_bins
from fewshot.report.charts.looks import estimator_look
from fewshot.report.charts.rows import in_percent, predicting, settings, unique, where

WORDS = Words(
    "Calibration",
    "mean predicted error, %",
    "mean actual error, %",
    "Bins of about equally many episodes by predicted error. On the diagonal the predictions are "
    "right on average; below it they are too gloomy, above it too hopeful. A flat line tells no "
    "episode from another.",
    "predicted = actual",
)
BINS = 10
PER_BIN = 5  # least episodes per bin; fewer would show the noise of single episodes
FEWEST = 2  # bins
COLUMNS = 4


class Bins(NamedTuple):
    """Mean predicted and actual error of bins, from left to right, and their sizes."""

    predicted: NDArray
    actual: NDArray
    sizes: NDArray


def calibration_bins(predicted: NDArray, actual: NDArray) -> Bins | None:
    """About ten bins of equally many episodes; None with too few episodes for two bins.

    Parameters
    ----------
    predicted, actual : ndarray of shape (E,)
        Undefined predictions are NaN. Equal predictions are in one bin.
    """
    defined = np.isfinite(predicted)
    x, y = predicted[defined], actual[defined]
    count = min(BINS, len(x) // PER_BIN)
    if count < FEWEST:
        return None
    bins = equal_bins(x, count)
    sizes = np.bincount(bins)
    predicted_means, actual_means = bin_means(bins, x, y)
    return Bins(predicted_means, actual_means, sizes[sizes > 0])


def calibration_chart(predictions: pd.DataFrame, title: str = "") -> Chart | None:
    """A panel per head, ways and shots, a line per estimator; a constant estimator is a point.

    Parameters
    ----------
    predictions : DataFrame
        Rows of one data set and backbone.

    Returns
    -------
    Chart or None
        None if no estimator predicted enough episodes for two bins.
    """
    rows = in_percent(predictions)
    # The same looks as in charts that show all estimators.
    looks = {name: estimator_look(i) for i, name in enumerate(predicting(predictions))}
    labels = settings(rows)
    traces = _traces(rows, looks)
    if not traces:
        return None
    drawn = [trace for panel in traces.values() for trace in panel]
    axis = Axis(_limits(drawn))
    return Chart(
        title,
        WORDS,
        axis,
        axis,
        [Panel(f"{head}, {labels[key]}", panel) for (head, key), panel in traces.items()],
        _legend(looks, drawn),
        COLUMNS,
        largest=3.0,
        square=True,
        diagonal=True,
    )


def _traces(
    rows: pd.DataFrame, looks: Mapping[str, Look]
) -> dict[tuple[str, tuple[int, int]], list[Trace]]:
    """Traces by head, and ways and shots."""
    traces: dict[tuple[str, tuple[int, int]], list[Trace]] = {}
    for head, key in product(unique(rows["head"]), settings(rows)):
        cell = where(rows, {"head": head, "ways": key[0], "shots": key[1]})
        for name in unique(cell["estimator"]):
            group = where(cell, {"estimator": name})
            columns = (group[column].to_numpy(float) for column in ("predicted", "actual"))
            bins = calibration_bins(*columns)
            if bins is not None:
                trace = Trace(name, looks[name], bins.predicted.tolist(), bins.actual.tolist())
                traces.setdefault((head, key), []).append(trace)
    return traces


def _legend(looks: dict[str, Look], traces: Sequence[Trace]) -> list[tuple[str, Look]]:
    names = {trace.name for trace in traces}
    return [(name, look) for name, look in looks.items() if name in names]


def _limits(traces: Sequence[Trace]) -> tuple[float, float]:
    values = [value for trace in traces for value in (*trace.x, *trace.y)]
    low, high = math.floor(min(values) / 5) * 5, math.ceil(max(values) / 5) * 5
    return low - 1.0, max(high, low + 5) + 1.0
