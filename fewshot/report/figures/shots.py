"""Figures of actual errors, and of the MAE of predicted errors, by shots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from fewshot.report.figures.panels import estimator_line, panels, wrapped
from fewshot.report.figures.rows import in_percent, predicting, where
from fewshot.report.figures.style import INK, house_style
from fewshot.report.wording import plain
from fewshot.statistics.populations import mean_interval

REFERENCE = "constant"
COLUMNS = 3


def error_vs_shots(
    episodes: pd.DataFrame, predictions: pd.DataFrame, *, title: str = ""
) -> Figure | None:
    """Mean actual error with its 95 % interval over episodes, and the mean of each prediction.

    Parameters
    ----------
    episodes, predictions : DataFrame
        Rows of one data set and backbone. One panel per head (and number of ways).
    title : str
        Title of the figure.

    Returns
    -------
    Figure or None
        None if there are no episodes.
    """
    if episodes.empty:
        return None
    rows = in_percent(predictions)
    estimators = predicting(predictions)
    handles = [Line2D([], [], color=INK, marker="o", label="actual error (95 % interval)")]
    handles += [
        estimator_line(i, f"predicted by {plain(name)}") for i, name in enumerate(estimators)
    ]
    with house_style():
        figure, axes, positions = _by_head(episodes, handles, title, "error, %")
        top = 1.0
        for panel, keys in axes:
            for i, name in enumerate(estimators):
                guesses = where(rows, keys | {"estimator": name}).set_index("shots")["predicted"]
                x, mean, _ = _means(guesses)
                line = estimator_line(i)
                line.set_data([positions[K] + _offset(i, len(estimators)) for K in x], mean)
                panel.add_line(line)
                top = max([top, *mean])
            x, mean, half = _means(100 * where(episodes, keys).set_index("shots")["actual_error"])
            style: dict[str, Any] = {"color": INK, "marker": "o", "linewidth": 1.8, "zorder": 4}
            panel.errorbar([positions[K] for K in x], mean, yerr=half, capsize=4, **style)
            top = max(top, float((mean + half).max()))
        _finish(axes, positions, top)
    return figure


def mae_vs_shots(predictions: pd.DataFrame, *, title: str = "") -> Figure | None:
    """Mean of |predicted - actual| of every estimator with its 95 % interval over episodes.

    The constant baseline is a line without a marker: estimators below it have a smaller MAE.

    Parameters
    ----------
    predictions : DataFrame
        Rows of one data set and backbone. One panel per head (and number of ways).
    title : str
        Title of the figure.

    Returns
    -------
    Figure or None
        None if no estimator predicted anything.
    """
    rows = in_percent(predictions)
    if rows.empty:
        return None
    rows = rows.assign(miss=(rows["predicted"] - rows["actual"]).abs())
    estimators = predicting(predictions)
    handles = [_mae_line(i, name, plain(name)) for i, name in enumerate(estimators)]
    with house_style():
        figure, axes, positions = _by_head(rows, handles, title, "MAE, points")
        top = 1.0
        for panel, keys in axes:
            for i, name in enumerate(estimators):
                misses = where(rows, keys | {"estimator": name}).set_index("shots")["miss"]
                shots, mean, half = _means(misses)
                offset = 0.0 if name == REFERENCE else _offset(i, len(estimators))
                x = [positions[K] + offset for K in shots]
                line = _mae_line(i, name)
                line.set_data(x, mean)
                panel.add_line(line)
                panel.vlines(x, mean - half, mean + half, color=line.get_color(), linewidth=1.3)
                if name == REFERENCE and len(x) == 1:
                    panel.hlines(mean, -0.5, 0.5, color=INK, linewidth=1.2)
                top = max([top, *(mean + half)])
        _finish(axes, positions, top)
    return figure


def _by_head(
    rows: pd.DataFrame, handles: list[Line2D], title: str, label: str
) -> tuple[Figure, list[tuple[Axes, dict[str, Any]]], dict[int, int]]:
    """Figure, panels with the (head, ways) of their rows, and the position of every shot."""
    keys = list(dict.fromkeys(zip(rows["head"], rows["ways"].tolist(), strict=True)))
    figure, axes = panels(
        [f"{head}, {ways}-way" for head, ways in keys],
        wrapped(len(keys), COLUMNS),
        handles,
        title=title,
        labels=("shots per class", label),
        largest=4.2,
        aspect=0.7,
    )
    positions = {K: i for i, K in enumerate(sorted(set(rows["shots"].tolist())))}
    panel_keys = [{"head": head, "ways": ways} for head, ways in keys]
    return figure, list(zip(axes, panel_keys, strict=True)), positions


def _means(values: pd.Series) -> tuple[list[int], NDArray, NDArray]:
    """Shots, means and half intervals of values that are indexed by shots."""
    rows = {int(K): mean_interval(group.to_numpy(float)) for K, group in _groups(values).items()}
    mean = np.array([row["mean"] for row in rows.values()])
    # One episode has no interval: a bar of length 0.
    half = np.nan_to_num([row["upper"] - row["mean"] for row in rows.values()])
    return list(rows), mean, half


def _groups(values: pd.Series) -> dict[Any, pd.Series]:
    return {K: values[values.index == K] for K in sorted(set(values.index.tolist()))}


def _finish(axes: list[tuple[Axes, dict[str, Any]]], positions: dict[int, int], top: float) -> None:
    for panel, _ in axes:
        panel.set_xticks(range(len(positions)), [str(K) for K in positions])
        panel.set_xlim(-0.5, len(positions) - 0.5)
        panel.set_ylim(0, 1.08 * top)
        panel.grid(axis="x", visible=False)


def _offset(i: int, count: int) -> float:
    """Horizontal offset of the i-th line, never 0: the actual error is drawn there."""
    step = min(0.05, 0.7 / max(count, 1))
    return step * (i - count // 2 + (i >= count // 2))


def _mae_line(i: int, name: str, label: str = "") -> Line2D:
    if name == REFERENCE:
        return Line2D([], [], color=INK, linewidth=1.2, zorder=2, label=label)
    return estimator_line(i, label)
