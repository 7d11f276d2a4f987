"""Calibration curves: mean actual error by mean predicted error."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fewshot.report.figures.panels import (
    diagonal,
    estimator_line,
    panels,
    square,
    wrapped,
)
from fewshot.report.figures.rows import (
    in_percent,
    predicting,
    settings,
    unique,
    where,
)
from fewshot.report.figures.style import house_style
from fewshot.report.payload.packing import bin_means, equal_bins
from fewshot.report.wording import plain

BINS = 10
# Least episodes per bin; fewer would show the noise of single episodes.
PER_BIN = 5
COLUMNS = 4


def calibration_curve(predictions: pd.DataFrame, *, title: str = "") -> Figure | None:
    """Mean actual against mean predicted error in about ten bins of equally many episodes.

    Parameters
    ----------
    predictions : DataFrame
        Rows of one data set and backbone. One panel per head, ways and shots, a line per
        estimator; a constant estimator is a point.
    title : str
        Title of the figure.

    Returns
    -------
    Figure or None
        None if no estimator predicted enough episodes for two bins.
    """
    rows = in_percent(predictions)
    curves = _curves(rows)
    if not curves:
        return None
    labels = settings(rows)
    drawn = {name for by_estimator in curves.values() for name in by_estimator}
    # The same colours and markers as in figures that show all estimators.
    positions = {name: i for i, name in enumerate(predicting(predictions)) if name in drawn}
    handles = [estimator_line(i, plain(name)) for name, i in positions.items()]
    with house_style():
        figure, axes = panels(
            [f"{head}, {labels[key]}" for head, key in curves],
            wrapped(len(curves), COLUMNS),
            [*handles, diagonal("predicted = actual")],
            title=title,
            labels=("mean predicted error, %", "mean actual error, %"),
            largest=3.0,
        )
        low, high = _limits(
            [curve for by_estimator in curves.values() for curve in by_estimator.values()]
        )
        for panel, by_estimator in zip(axes, curves.values(), strict=True):
            for name, curve in by_estimator.items():
                line = estimator_line(positions[name])
                line.set_data(*curve)
                panel.add_line(line)
            square(panel, low, high)
    return figure


def _curves(rows: pd.DataFrame) -> dict[tuple[str, Any], dict[str, tuple[NDArray, ...]]]:
    """Binned means by (head, (ways, shots)) and estimator, where there are enough episodes."""
    curves: dict[tuple[str, Any], dict[str, tuple[NDArray, ...]]] = {}
    for head, (ways, shots) in product(unique(rows["head"]), settings(rows)):
        cell = where(rows, {"head": head, "ways": ways, "shots": shots})
        for name in unique(cell["estimator"]):
            group = where(cell, {"estimator": name})
            count = min(BINS, len(group) // PER_BIN)
            if count > 1:
                x, y = (
                    group["predicted"].to_numpy(float),
                    group["actual"].to_numpy(float),
                )
                means = bin_means(equal_bins(x, count), x, y)
                curves.setdefault((head, (ways, shots)), {})[name] = means
    return curves


def _limits(curves: list[tuple[NDArray, ...]]) -> tuple[float, float]:
    values = np.concatenate([axis for curve in curves for axis in curve])
    low, high = math.floor(values.min() / 5) * 5, math.ceil(values.max() / 5) * 5
    return low - 1.0, max(high, low + 5) + 1.0
