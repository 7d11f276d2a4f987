"""Scatter of predicted and actual errors of episodes, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fewshot.report.charts.scatter import Band, Scatter, ScatterPanel, Series
from fewshot.report.figures.panels import diagonal, panels, square
from fewshot.report.figures.style import COLORS, GREY, house_style, marker, nth
from fewshot.report.wording import plain

# More points than this are rasterized inside the SVG.
VECTOR_POINTS = 300


def scattered(chart: Scatter | None) -> Figure | None:
    """The figure of a scatter; None without one."""
    if chart is None:
        return None
    with house_style():
        figure, axes = panels(
            [panel.title for panel in chart.panels],
            chart.columns,
            _handles(chart),
            title=chart.title,
            labels=(chart.words.x, chart.words.y),
            largest=2.6,
        )
        for place, panel in zip(axes, chart.panels, strict=True):
            _draw(place, panel)
            square(place, *chart.limits)
    return figure


def _draw(axes: Axes, panel: ScatterPanel) -> None:
    """Draw points and bands of one panel, and print the MAE of each of its series."""
    many = panel.episodes > VECTOR_POINTS
    for series in panel.series:
        color = nth(COLORS, series.place)
        if series.band is not None:
            _band(axes, series.band, color)
        axes.scatter(
            series.x,
            series.y,
            s=13,
            marker=marker(series.place),
            color=color,
            alpha=0.4 if many else 0.75,
            linewidths=0,
            zorder=2,
            rasterized=many,
        )
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
    place: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "bottom"}
    axes.text(0.98, 0.03, _mae_text(panel.series), fontsize=8.5, bbox=box, zorder=4, **place)


def _band(axes: Axes, band: Band, color: str) -> None:
    """Draw the bounds of the intervals; a bar if the predictions are equal."""
    x, low, high = band.x, band.low, band.high
    # Drawn above the points, which would hide it.
    style: dict[str, Any] = {"color": color, "linewidth": 1.0, "zorder": 2.5}
    if len(x) > 1:
        axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0, zorder=1)
        axes.plot(x, low, x, high, **style)
    else:
        axes.errorbar(x, low, yerr=[np.zeros_like(x), high - low], fmt="none", capsize=5, **style)
        axes.errorbar(x, low, xerr=1.5, fmt="none", **style)


def _handles(chart: Scatter) -> list[Line2D]:
    handles = [
        Line2D([], [], linestyle="", marker=marker(i), color=nth(COLORS, i), label=plain(label))
        for i, label in enumerate(chart.labels)
    ]
    handles.append(diagonal(chart.words.reference))
    if chart.banded:
        band: dict[str, Any] = {"color": GREY, "alpha": 0.25, "linewidth": 7}
        handles.append(Line2D([], [], **band, label="prediction interval"))
    return handles


def _mae_text(series: Sequence[Series]) -> str:
    """The MAE of each series, or their range where there are too many for the panel."""
    if len(series) <= 3:
        return "\n".join(f"{one.label}: MAE {one.mae:.1f}" for one in series)
    least, most = (choose(one.mae for one in series) for choose in (min, max))
    return f"MAE {least:.1f} to {most:.1f}"
