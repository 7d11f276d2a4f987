"""What the page shows of a single cell, as data: values of its parts, predictions, pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewshot.report.charts.base import Words
from fewshot.report.charts.confusion import ConfusionChart
from fewshot.units import is_number


@dataclass(frozen=True)
class PartRow:
    """A part of a cell, as a class; all numbers are shares in [0, 1], None where undefined.

    Attributes
    ----------
    name : str
    value, lower, upper : float or None
        Measured, with its interval.
    predicted : float or None
    weight : float or None
        Share of what is judged that belongs to the part, as of pixels.
    color : str, optional
        By which pictures show it: ``#rrggbb``.
    """

    name: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    predicted: float | None = None
    weight: float | None = None
    color: str | None = None


@dataclass(frozen=True)
class PartsChart:
    """Values of the parts of a cell.

    `words` has the title and the caption; ``x`` is the title of the values, ``y`` that of the
    parts. `weight` is the title of the weights.
    """

    words: Words
    rows: Sequence[PartRow]
    weight: str = ""
    predicted: str = "predicted"


@dataclass(frozen=True, eq=False)
class Cloud:
    """Predicted (x) and actual (y) values of an estimator, arrays (P,) of shares.

    `lower` and `upper` bound the predictions, where there are intervals; `episode` and `part` say
    what a point is of, `part` as a place in the parts of the chart.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    episode: NDArray[np.int64]
    lower: NDArray[np.float64] | None = None
    upper: NDArray[np.float64] | None = None
    part: NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False)
class CloudsChart:
    """Predicted against actual values; the diagonal is a perfect prediction."""

    words: Words
    clouds: Sequence[Cloud]
    parts: Sequence[str] = ()


@dataclass(frozen=True)
class Picture:
    """A picture of a cell: what it is, as "worst", where it is from, its value and a data URI."""

    rank: str
    file: str
    text: str
    picture: str


@dataclass(frozen=True)
class Details:
    """What the page shows of a single cell beside its measures.

    Attributes
    ----------
    parts : PartsChart, optional
    confusion : ConfusionChart, optional
    clouds : sequence of CloudsChart
    pictures : sequence of Picture
        The most telling first: what does not fit into the page is left out from the end.
    pictured : Words, optional
        Title and caption of the pictures; ``x`` says what each shows, to those who do not see it.
    colors : sequence of (str, str)
        Legend of the pictures: names and colours, ``#rrggbb``.
    """

    parts: PartsChart | None = None
    confusion: ConfusionChart | None = None
    clouds: Sequence[CloudsChart] = ()
    pictures: Sequence[Picture] = ()
    pictured: Words | None = None
    colors: Sequence[tuple[str, str]] = ()


def by_value(rows: Sequence[PartRow]) -> list[PartRow]:
    """Rows with the highest value first, those without one last."""
    return sorted(rows, key=lambda row: -row.value if is_number(row.value) else math.inf)


def thinned(cloud: Cloud, most: int) -> Cloud:
    """At most `most` points of a cloud, evenly spaced."""
    count = len(cloud.x)
    if count <= most:
        return cloud
    take = np.unique(np.linspace(0, count - 1, most).astype(int))

    def some(values: NDArray | None) -> NDArray | None:
        return None if values is None else values[take]

    return Cloud(
        cloud.name,
        cloud.x[take],
        cloud.y[take],
        cloud.episode[take],
        some(cloud.lower),
        some(cloud.upper),
        some(cloud.part),
    )
