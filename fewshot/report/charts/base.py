"""A chart of lines in panels as data, and the words that page and paper say of a chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHOTS = "shots per class"
COLUMNS = 3  # most panels in a row


@dataclass(frozen=True)
class Words:
    """Words of a kind of chart, the same on the page and on paper.

    Attributes
    ----------
    title : str
    x, y : str
        Titles of the axes, with the unit.
    caption : str
        Explains how to read it, on the page.
    reference : str
        What the diagonal, or the level of a panel, stands for.
    """

    title: str
    x: str
    y: str
    caption: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Look:
    """Look of a line by places in the palettes of colours, markers and dashes.

    Attributes
    ----------
    color : int, optional
        The ink of the axes by default.
    marker : int, optional
        No marker by default.
    dash : int
        0 is solid.
    width : float
        In points.
    front : float
        Lines with larger numbers are drawn over others.
    """

    color: int | None = None
    marker: int | None = None
    dash: int = 0
    width: float = 1.3
    front: float = 3


@dataclass(frozen=True)
class Trace:
    """A line: points from left to right, with intervals.

    Attributes
    ----------
    name : str
    look : Look
    x, y : sequence of float
    whiskers : sequence of (x, lower, upper)
        Intervals, several at a point for several seeds.
    capped : bool
        Whether whiskers have caps, which makes them stand out.
    across : bool
        Whether a single point is drawn as a level across the panel.
    """

    name: str
    look: Look
    x: Sequence[float]
    y: Sequence[float]
    whiskers: Sequence[tuple[float, float, float]] = ()
    capped: bool = False
    across: bool = False


@dataclass(frozen=True)
class Panel:
    """Traces beside each other; `level` is a height for comparison, as that of chance."""

    title: str
    traces: Sequence[Trace]
    level: float | None = None


@dataclass(frozen=True)
class Axis:
    """Limits of an axis, and positions and texts of its ticks; round numbers without.

    A categorical axis has a place per value, and no grid.
    """

    limits: tuple[float, float]
    ticks: Sequence[tuple[float, str]] | None = None
    categorical: bool = False


@dataclass(frozen=True)
class Chart:
    """Panels with common axes.

    Attributes
    ----------
    title : str
        What the cells have in common: "eurosat · resnet18 (pooled)".
    words : Words
    x, y : Axis
    panels : sequence of Panel
    legend : sequence of (str, Look)
    columns : int
        Most panels in a row.
    largest, aspect : float
        Largest width of a panel in inches, and its height divided by its width.
    square : bool
        Whether both axes have the same limits and ticks.
    diagonal : bool
        Whether the diagonal is drawn.
    """

    title: str
    words: Words
    x: Axis
    y: Axis
    panels: Sequence[Panel]
    legend: Sequence[tuple[str, Look]]
    columns: int
    largest: float = 3.3
    aspect: float = 1.0
    square: bool = False
    diagonal: bool = False


def categories(values: Sequence[int] | Sequence[float], texts: Sequence[str] | None = None) -> Axis:
    """An axis with a place per value, in order: 0, 1, 2, ..."""
    shown = [str(value) for value in values] if texts is None else texts
    return Axis((-0.5, len(values) - 0.5), list(enumerate(shown)), categorical=True)


def aside(i: int, count: int, step: float) -> float:
    """Horizontal offset of the i-th of some lines, so that none hides another."""
    return step * (i - (count - 1) / 2)
