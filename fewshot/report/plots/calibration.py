"""Whether episodes that were said to go wrong by so much did so, on average."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fewshot.report.plots.panels import diagonal, estimator_line, panels, square, wrapped
from fewshot.report.plots.rows import bin_means, equal_bins, in_percent, settings, unique, where
from fewshot.report.style import house_style
from fewshot.report.wording import plain

BINS = 10
# Fewer would show the noise of single episodes.
PER_BIN = 5
COLUMNS = 4


def calibration_curve(predictions: pd.DataFrame, *, title: str = "") -> Figure | None:
    """Mean actual against mean predicted error in about ten bins of equally many episodes.

    Parameters
    ----------
    predictions : DataFrame
        Rows of one data set and backbone. One panel per head, ways and shots, a line per
        estimator; one that says the same of every episode is a point.
    title : str
        What the rows are about.

    Returns
    -------
    Figure or None
        None if nobody predicted enough episodes for two bins.
    """
    rows = in_percent(predictions)
    curves = {}
    keys = [(head, key) for head in unique(rows["head"]) for key in settings(rows)]
    for head, (ways, shots) in keys:
        cell = where(rows, {"head": head, "ways": ways, "shots": shots})
        for name in unique(cell["estimator"]):
            own = cell[(cell["estimator"] == name).to_numpy(dtype=bool)]
            if len(own) >= 2 * PER_BIN:
                x, y = own["predicted"].to_numpy(float), own["actual"].to_numpy(float)
                curves[head, (ways, shots), name] = _curve(x, y)
    if not curves:
        return None
    drawn = {name for _, _, name in curves}
    estimators = {name: i for i, name in enumerate(unique(rows["estimator"])) if name in drawn}
    shown = [key for key in keys if any(curve[:2] == key for curve in curves)]
    labels = settings(rows)
    titles = [f"{head}, {labels[key]}" for head, key in shown]
    handles = [estimator_line(i, plain(name)) for name, i in estimators.items()]
    with house_style():
        figure, axes = panels(
            titles,
            wrapped(len(shown), COLUMNS),
            [*handles, diagonal("predicted = actual")],
            title=title,
            labels=("mean predicted error, %", "mean actual error, %"),
            largest=3.0,
        )
        low, high = _limits(list(curves.values()))
        for (head, key), panel in zip(shown, axes, strict=True):
            for name, i in estimators.items():
                if (head, key, name) in curves:
                    line = estimator_line(i)
                    line.set_data(*curves[head, key, name])
                    panel.add_line(line)
            square(panel, low, high)
    return figure


def _curve(predicted: NDArray, actual: NDArray) -> tuple[NDArray, ...]:
    count = min(BINS, len(predicted) // PER_BIN)
    return bin_means(equal_bins(predicted, count), predicted, actual)


def _limits(curves: list[tuple[NDArray, ...]]) -> tuple[float, float]:
    values = np.concatenate([axis for curve in curves for axis in curve])
    low, high = math.floor(values.min() / 5) * 5, math.ceil(values.max() / 5) * 5
    return low - 1.0, max(high, low + 5) + 1.0
