"""Predicted against actual errors, and errors against shots. No pyplot, no global figure."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from fewshot.report.style import COLORS, DASHES, GREY, INK, MARKERS, house_style, nth
from fewshot.report.wording import plain, shots_text
from fewshot.results.statistics import mean_interval

POINTS = 2000
# More markers than this are drawn as an image inside the SVG.
VECTOR_POINTS = 300
COLUMNS = 4


def predicted_vs_actual(
    predictions: pd.DataFrame, *, title: str = "", points: int = POINTS
) -> Figure:
    """One panel per head and estimator, one point per episode; the diagonal is a perfect guess.

    Parameters
    ----------
    predictions : DataFrame
        Rows of one data set and backbone; estimators without any number get no panel.
    title : str
        What the rows are about.
    points : int
        Points drawn in a panel at most, evenly spaced through the rows. The mean absolute
        error printed in the panel is always that of all episodes.
    """
    rows = predictions.assign(
        predicted=100 * _numbers(predictions["predicted_error"]),
        actual=100 * _numbers(predictions["actual_error"]),
    ).dropna(subset=["predicted", "actual"])
    with house_style():
        if rows.empty:
            return _empty("No estimator made a prediction.", title)
        heads, estimators = list(rows["head"].unique()), _predicting(predictions)
        figure, panels = _grid(heads, estimators, title)
        low, high = _limits(rows)
        series = _series(rows)
        for (head, estimator), axes in panels.items():
            panel = rows[(rows["head"] == head) & (rows["estimator"] == estimator)]
            _scatter(axes, panel, series, points)
            axes.plot([low, high], [low, high], color=INK, linewidth=0.9, zorder=3)
            axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
            axes.set_xticks(MaxNLocator(5).tick_values(low, high))
            axes.set_yticks(axes.get_xticks())
            axes.set(xlim=(low, high), ylim=(low, high))
        _outer_labels(panels, len(estimators), "predicted error, %", "actual error, %")
        handles = [
            Line2D([], [], linestyle="", marker=nth(MARKERS, i), color=nth(COLORS, i), label=label)
            for i, label in enumerate(series.values())
        ]
        handles.append(Line2D([], [], color=INK, linewidth=0.9, label="predicted = actual"))
        return _finished(figure, handles)


def error_vs_shots(episodes: pd.DataFrame, predictions: pd.DataFrame, *, title: str = "") -> Figure:
    """Mean actual error with its 95 % interval over episodes, and the mean of each prediction.

    Parameters
    ----------
    episodes, predictions : DataFrame
        Rows of one data set and backbone. One panel per head (and number of ways).
    title : str
        What the rows are about.
    """
    with house_style():
        panels = list(dict.fromkeys(zip(episodes["head"], episodes["ways"], strict=True)))
        if not panels:
            return _empty("There are no episodes.", title)
        shots = sorted(episodes["shots"].unique())
        finite = predictions[np.isfinite(_numbers(predictions["predicted_error"]))]
        estimators = _predicting(predictions)
        columns = min(len(panels), 3)
        height = math.ceil(len(panels) / columns)
        figure = Figure((3.9 * columns + 0.5, 3.3 * height + 0.7), layout="constrained")
        shared, top = None, 1.0
        for i, (head, ways) in enumerate(panels):
            axes = figure.add_subplot(height, columns, i + 1, sharey=shared)
            shared = shared or axes
            actual, guessed = _of(episodes, head, ways), _of(finite, head, ways)
            top = max(top, _shot_lines(axes, actual, guessed, shots, estimators))
            axes.set_title(_short(f"{head}, {ways}-way"), loc="left")
            axes.set_xlabel("shots per class")
            axes.set_ylabel("error, %" if i % columns == 0 else "")
        axes.set_ylim(0, 1.08 * top)
        handles = [Line2D([], [], color=INK, marker="o", label="actual error (95 % interval)")]
        handles += [_line(i, f"predicted by {plain(name)}") for i, name in enumerate(estimators)]
        _title(figure, title)
        return _finished(figure, handles)


def _scatter(axes: Axes, panel: pd.DataFrame, series: dict[Any, str], points: int) -> None:
    """Points of one panel, and the mean absolute error of each of its series."""
    misses = {}
    share = max(1, points // len(series))
    for i, (key, label) in enumerate(series.items()):
        chosen = panel[(panel["ways"] == key[0]) & (panel["shots"] == key[1])]
        if chosen.empty:
            continue
        x, y = chosen["predicted"].to_numpy(float), chosen["actual"].to_numpy(float)
        misses[label] = np.abs(x - y).mean()
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


def _mae_text(misses: dict[str, float]) -> str:
    """A line per series, or the range where the lines would hide the points."""
    if len(misses) <= 3:
        return "\n".join(f"{label}: MAE {miss:.1f}" for label, miss in misses.items())
    return f"MAE {min(misses.values()):.1f} to {max(misses.values()):.1f}"


def _shot_lines(
    axes: Axes,
    episodes: pd.DataFrame,
    predictions: pd.DataFrame,
    shots: list[int],
    estimators: list[str],
) -> float:
    """Lines of one panel, side by side where they would hide each other; their highest point."""
    place = {K: i for i, K in enumerate(shots)}
    count, top = len(estimators), 0.0
    for i, name in enumerate(estimators):
        rows = predictions[predictions["estimator"] == name]
        means = rows.groupby("shots")["predicted_error"].mean().astype(float)
        aside = 0.05 * (i - count // 2 + (i >= count // 2))
        x = [place[K] + aside for K in means.index]
        line = _line(i)
        line.set_data(x, 100 * means.to_numpy(float))
        axes.add_line(line)
        top = max([top, *100 * means])
    actual = {K: mean_interval(rows["actual_error"]) for K, rows in episodes.groupby("shots")}
    mean = np.array([100 * row["mean"] for row in actual.values()])
    # One episode has no interval: a bar of no length.
    half = np.nan_to_num([100 * (row["upper"] - row["mean"]) for row in actual.values()])
    x = [place[K] for K in actual]
    axes.errorbar(x, mean, yerr=half, color=INK, marker="o", linewidth=1.8, capsize=4, zorder=4)
    axes.set_xticks(range(len(shots)), [str(K) for K in shots])
    axes.set_xlim(-0.5, len(shots) - 0.5)
    axes.grid(axis="x", visible=False)
    return max(top, float((mean + half).max()))


def _line(i: int, label: str = "") -> Line2D:
    style = {"linestyle": nth(DASHES, i), "marker": nth(MARKERS[1:], i), "markersize": 5}
    return Line2D([], [], color=nth(COLORS, i), linewidth=1.4, zorder=3, label=label, **style)


def _grid(
    heads: list[str], estimators: list[str], title: str
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """Axes by (head, estimator): heads below each other, or one head's panels wrapped."""
    count = len(heads) * len(estimators)
    columns = _columns(count, len(estimators))
    height = math.ceil(count / columns)
    figure = Figure((2.75 * columns + 0.6, 2.95 * height + 0.8), layout="constrained")
    panels = {}
    for i, (head, estimator) in enumerate(product(heads, estimators)):
        axes = figure.add_subplot(height, columns, i + 1)
        name = estimator if len(heads) == 1 else f"{head}, {estimator}"
        axes.set_title(_short(name), loc="left")
        panels[head, estimator] = axes
    _title(figure, title)
    return figure, panels


def _columns(panels: int, estimators: int) -> int:
    """A column per estimator; a single head's panels are wrapped."""
    return min(estimators, COLUMNS) if panels == estimators else estimators


def _outer_labels(panels: dict[tuple[str, str], Axes], estimators: int, x: str, y: str) -> None:
    """Label the first column, and the panels that have no panel below."""
    columns = _columns(len(panels), estimators)
    for i, axes in enumerate(panels.values()):
        if i % columns == 0:
            axes.set_ylabel(y)
        if i + columns >= len(panels):
            axes.set_xlabel(x)


def _series(rows: pd.DataFrame) -> dict[tuple[int, int], str]:
    """(ways, shots) in order, with a label that says the ways only if they differ."""
    keys = sorted(set(zip(rows["ways"], rows["shots"], strict=True)))
    if len({ways for ways, _ in keys}) == 1:
        return {key: shots_text(key[1]) for key in keys}
    return {key: f"{key[0]}-way {key[1]}-shot" for key in keys}


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Common limits of both axes: tens of percent around all points."""
    values = rows[["predicted", "actual"]].to_numpy(float)
    low, high = math.floor(values.min() / 10) * 10, math.ceil(values.max() / 10) * 10
    # Points on the frame would be cut in half.
    return low - 1.5, max(high, low + 10) + 1.5


def _numbers(column: pd.Series) -> NDArray:
    return column.to_numpy(dtype=float, na_value=np.nan)


def _predicting(predictions: pd.DataFrame) -> list[str]:
    """Estimators with any number, in the order of the table, where they may start without."""
    finite = np.isfinite(_numbers(predictions["predicted_error"]))
    some = set(predictions["estimator"][finite])
    return [name for name in predictions["estimator"].unique() if name in some]


def _of(rows: pd.DataFrame, head: str, ways: int) -> pd.DataFrame:
    return rows[(rows["head"] == head) & (rows["ways"] == ways)]


def _short(title: str, longest: int = 26) -> str:
    """What fits above a panel."""
    title = plain(title)
    return title if len(title) <= longest else f"{title[: longest - 1]}…"


def _empty(text: str, title: str) -> Figure:
    figure = Figure((6.0, 1.6), layout="constrained")
    figure.text(0.5, 0.45, text, ha="center", va="center", color=GREY)
    _title(figure, title)
    return figure


def _title(figure: Figure, title: str) -> None:
    if title:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=9.5, color=GREY)


def _finished(figure: Figure, handles: list[Line2D]) -> Figure:
    """The legend below, and the layout settled once rather than at every save."""
    columns = max(1, min(len(handles), int(figure.get_figwidth() // 1.9)))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    figure.set_layout_engine("none")
    return figure
