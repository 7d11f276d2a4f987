"""Predicted against actual errors of episodes, with prediction intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.report.charts.base import Words
from fewshot.report.charts.bins import bin_means
from fewshot.report.charts.rows import in_percent, predicting, settings, unique, where
from fewshot.report.wording import shots_text

WORDS = Words(
    "Predicted against actual error",
    "predicted error, %",
    "actual error, %",
    "On the diagonal the prediction was exact; above it the episode went worse than predicted, "
    "below it better.",
    "predicted = actual",
)
POINTS = 2000
COLUMNS = 5
COLUMNS_OF_SHOTS = 4
BAND_BINS = 16
NARROW = 2.0


@dataclass(frozen=True, eq=False)
class Band:
    """Mean bounds of the intervals along the predictions, arrays of equal length."""

    x: NDArray
    low: NDArray
    high: NDArray


@dataclass(frozen=True, eq=False)
class Series:
    """Points of a number of ways and shots, or of one of them, with the MAE of all episodes.

    `place` is its place among the series; `x` and `y` are the points that are drawn, in percent.
    """

    place: int
    label: str
    x: NDArray
    y: NDArray
    mae: float
    band: Band | None


@dataclass(frozen=True, eq=False)
class ScatterPanel:
    """The series of a head and an estimator, maybe of one number of shots; and its episodes."""

    title: str
    series: Sequence[Series]
    episodes: int


@dataclass(frozen=True, eq=False)
class Scatter:
    """Panels with common limits of both axes; `labels` are those of all series."""

    title: str
    panels: Sequence[ScatterPanel]
    labels: Sequence[str]
    columns: int
    limits: tuple[float, float]
    banded: bool
    words: Words = WORDS


def scatter_chart(
    predictions: pd.DataFrame, title: str = "", points: int = POINTS, words: Words = WORDS
) -> Scatter | None:
    """A panel per head and estimator, a point per episode; the diagonal is a perfect prediction.

    Of several numbers of ways there is a panel for each number of shots, so that harder and easier
    tasks stand beside each other, in a colour per number of ways. Where an estimator has intervals,
    a band has their mean bounds along its predictions.

    Parameters
    ----------
    predictions : DataFrame
        Rows of one data set and backbone; estimators without any prediction get no panel.
    points : int
        Points of a panel at most, evenly spaced through the rows.
    words : Words
        Of errors by default.

    Returns
    -------
    Scatter or None
        None if no estimator predicted anything.
    """
    rows = in_percent(predictions)
    if rows.empty:
        return None
    heads, estimators, labels = unique(rows["head"]), predicting(predictions), settings(rows)
    several = len({ways for ways, _ in labels}) > 1
    if several:
        panels, names = _panels_of_shots(rows, heads, estimators, points)
        numbers = len({shots for _, shots in labels})  # a row per estimator where they fit
        columns = numbers if 1 < numbers <= COLUMNS_OF_SHOTS else min(len(panels), COLUMNS_OF_SHOTS)
    else:
        panels, names = [], list(labels.values())
        for head, name in product(heads, estimators):
            inside = where(rows, {"head": head, "estimator": name})
            series = _series(inside, labels, max(1, points // len(labels)))
            panels.append(ScatterPanel(name if len(heads) == 1 else f"{head}, {name}", series,
                                       len(inside)))  # fmt: skip
        columns = min(len(estimators), COLUMNS)
    banded = bool(rows["low"].notna().any())
    return Scatter(title, panels, names, columns, _limits(rows), banded, words)


def _panels_of_shots(
    rows: pd.DataFrame, heads: Sequence[str], estimators: Sequence[str], points: int
) -> tuple[list[ScatterPanel], list[str]]:
    """A panel per estimator, head and number of shots, where there are predictions; and labels."""
    numbers = {key: sorted(set(rows[key].tolist())) for key in ("ways", "shots")}
    panels = []
    for name, head, shots in product(estimators, heads, numbers["shots"]):
        inside = where(rows, {"head": head, "estimator": name, "shots": shots})
        if inside.empty:
            continue
        labels = {(ways, shots): f"{ways}-way" for ways in numbers["ways"]}
        series = _series(inside, labels, max(1, points // len(labels)))
        texts = [name, *([head] if len(heads) > 1 else []), shots_text(shots)]
        panels.append(ScatterPanel(", ".join(texts), series, len(inside)))
    return panels, [f"{ways}-way" for ways in numbers["ways"]]


def _series(rows: pd.DataFrame, labels: Mapping[Any, str], share: int) -> list[Series]:
    series = []
    for place, (key, label) in enumerate(labels.items()):
        chosen = where(rows, {"ways": key[0], "shots": key[1]})
        if chosen.empty:
            continue
        x, y = chosen["predicted"].to_numpy(float), chosen["actual"].to_numpy(float)
        take = np.unique(np.linspace(0, len(x) - 1, min(len(x), share)).astype(int))
        mae = float(np.abs(x - y).mean())
        series.append(Series(place, label, x[take], y[take], mae, _band(chosen)))
    return series


def _band(rows: pd.DataFrame) -> Band | None:
    rows = rows.dropna(subset=["low", "high"])
    if rows.empty:
        return None
    x, low, high = (rows[name].to_numpy(float) for name in ("predicted", "low", "high"))
    # A narrower band would be hidden by its points.
    bins = BAND_BINS if np.ptp(x) > NARROW else 1
    edges = np.linspace(x.min(), x.max(), bins + 1)[1:-1]
    return Band(*bin_means(np.searchsorted(edges, x), x, low, high))


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Common limits of both axes: multiples of 10 % around all points."""
    values = rows[["predicted", "actual"]].to_numpy(float)
    low, high = math.floor(values.min() / 10) * 10, math.ceil(values.max() / 10) * 10
    # Points on the frame would be cut in half.
    return low - 1.5, max(high, low + 10) + 1.5
