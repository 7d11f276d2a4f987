"""Scatter plot of predicted and actual errors of episodes, with prediction intervals."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fewshot.report.figures.panels import diagonal, panels, square
from fewshot.report.figures.rows import (
    in_percent,
    predicting,
    settings,
    unique,
    where,
)
from fewshot.report.figures.style import (
    COLORS,
    GREY,
    MARKERS,
    house_style,
    nth,
)
from fewshot.report.payload.packing import bin_means

POINTS = 2000
# More points than this are rasterized inside the SVG.
VECTOR_POINTS = 300
COLUMNS = 5
BAND_BINS = 16
NARROW = 2.0


def predicted_vs_actual(
    predictions: pd.DataFrame, *, title: str = "", points: int = POINTS
) -> Figure | None:
    """A panel per head and estimator, a point per episode; the diagonal is a perfect prediction.

    Where an estimator has intervals, a light band shows their mean bounds along its predictions.

    Parameters
    ----------
    predictions : DataFrame
        Rows of one data set and backbone; estimators without any prediction get no panel.
    title : str
        Title of the figure.
    points : int
        Points drawn in a panel at most, evenly spaced through the rows. The mean absolute
        error printed in the panel is always that of all episodes.

    Returns
    -------
    Figure or None
        None if no estimator predicted anything.
    """
    rows = in_percent(predictions)
    if rows.empty:
        return None
    heads, estimators, series = unique(rows["head"]), predicting(predictions), settings(rows)
    keys = list(product(heads, estimators))
    titles = [name if len(heads) == 1 else f"{head}, {name}" for head, name in keys]
    with house_style():
        figure, axes = panels(
            titles,
            min(len(estimators), COLUMNS),
            _handles(series, bool(rows["low"].notna().any())),
            title=title,
            labels=("predicted error, %", "actual error, %"),
            largest=2.6,
        )
        low, high = _limits(rows)
        for (head, estimator), panel in zip(keys, axes, strict=True):
            panel_rows = where(rows, {"head": head, "estimator": estimator})
            _scatter(panel, panel_rows, series, points)
            square(panel, low, high)
    return figure


def _scatter(axes: Axes, panel: pd.DataFrame, series: dict[Any, str], points: int) -> None:
    """Draw points and bands of one panel, and print the MAE of each of its series."""
    misses = {}
    share = max(1, points // len(series))
    for i, (key, label) in enumerate(series.items()):
        chosen = where(panel, {"ways": key[0], "shots": key[1]})
        if chosen.empty:
            continue
        _band(axes, chosen, nth(COLORS, i))
        x, y = chosen["predicted"].to_numpy(float), chosen["actual"].to_numpy(float)
        misses[label] = float(np.abs(x - y).mean())
        take = np.unique(np.linspace(0, len(x) - 1, min(len(x), share)).astype(int))
        axes.scatter(
            x[take],
            y[take],
            s=13,
            marker=nth(MARKERS, i),
            color=nth(COLORS, i),
            alpha=0.4 if len(panel) > VECTOR_POINTS else 0.75,
            linewidths=0,
            zorder=2,
            rasterized=len(panel) > VECTOR_POINTS,
        )
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
    place: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "bottom"}
    axes.text(0.98, 0.03, _mae_text(misses), fontsize=8.5, bbox=box, zorder=4, **place)


def _band(axes: Axes, rows: pd.DataFrame, color: str) -> None:
    """Draw the mean bounds of the intervals along the predictions; a bar if those are equal."""
    rows = rows.dropna(subset=["low", "high"])
    if rows.empty:
        return
    x, low, high = (rows[name].to_numpy(float) for name in ("predicted", "low", "high"))
    # A narrower band would be hidden by its points.
    bins = BAND_BINS if np.ptp(x) > NARROW else 1
    edges = np.linspace(x.min(), x.max(), bins + 1)[1:-1]
    x, low, high = bin_means(np.searchsorted(edges, x), x, low, high)
    # Drawn above the points, which would hide it.
    style: dict[str, Any] = {"color": color, "linewidth": 1.0, "zorder": 2.5}
    if len(x) > 1:
        axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0, zorder=1)
        axes.plot(x, low, x, high, **style)
    else:
        axes.errorbar(x, low, yerr=[np.zeros_like(x), high - low], fmt="none", capsize=5, **style)
        axes.errorbar(x, low, xerr=1.5, fmt="none", **style)


def _handles(series: dict[Any, str], banded: bool) -> list[Line2D]:
    handles = [
        Line2D([], [], linestyle="", marker=nth(MARKERS, i), color=nth(COLORS, i), label=label)
        for i, label in enumerate(series.values())
    ]
    handles.append(diagonal("predicted = actual"))
    if banded:
        band: dict[str, Any] = {"color": GREY, "alpha": 0.25, "linewidth": 7}
        handles.append(Line2D([], [], **band, label="prediction interval"))
    return handles


def _mae_text(misses: dict[str, float]) -> str:
    """The MAE of each series, or their range where there are too many for the panel."""
    if len(misses) <= 3:
        return "\n".join(f"{label}: MAE {miss:.1f}" for label, miss in misses.items())
    return f"MAE {min(misses.values()):.1f} to {max(misses.values()):.1f}"


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Common limits of both axes: multiples of 10 % around all points."""
    values = rows[["predicted", "actual"]].to_numpy(float)
    low, high = math.floor(values.min() / 10) * 10, math.ceil(values.max() / 10) * 10
    # Points on the frame would be cut in half.
    return low - 1.5, max(high, low + 10) + 1.5
