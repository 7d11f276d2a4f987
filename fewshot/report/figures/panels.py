"""Figures of several panels, placed explicitly: a layout engine takes longer than drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fewshot.report.figures.style import (
    COLORS,
    DASHES,
    GREY,
    INK,
    MARKERS,
    ShownFigure,
    nth,
)
from fewshot.report.wording import UNLABELLED_MARK, plain

# Inches. The page shows a figure of WIDTH without scrolling or shrinking.
WIDTH = 11.6
LEFT, RIGHT, ABOVE, BELOW = 0.62, 0.14, 0.33, 0.52
BETWEEN, UNDER = 0.24, 0.2
LARGEST = 3.3
LETTER, LEGEND_ROW = 0.075, 0.21
LONGEST = 26


def panels(
    titles: Sequence[str],
    columns: int,
    handles: Sequence[Line2D],
    *,
    title: str,
    labels: tuple[str, str],
    largest: float = LARGEST,
    aspect: float = 1.0,
) -> tuple[Figure, list[Axes]]:
    """A figure with a panel per title, `columns` in a row, and the legend below.

    All panels are to have the same limits: only the outer ones have tick labels.

    Parameters
    ----------
    titles : sequence of str
        Titles of the panels, row by row.
    columns : int
        Panels in a row.
    handles : sequence of Line2D
        The legend.
    title : str
        Title of the figure; "" for none.
    labels : (str, str)
        Labels of the horizontal and the vertical axes.
    largest : float
        Largest width of a panel in inches.
    aspect : float
        Height of a panel divided by its width.
    """
    handles = [*handles, *_mark(titles, handles)]
    rows = math.ceil(len(titles) / columns)
    wide = min(largest, (WIDTH - LEFT - RIGHT - (columns - 1) * BETWEEN) / columns)
    high = aspect * wide
    width = max(LEFT + columns * wide + (columns - 1) * BETWEEN + RIGHT, 4.2)
    keys = _legend_columns(handles, width)
    legend = LEGEND_ROW * math.ceil(len(handles) / keys) + 0.1
    top = 0.3 if title else 0.05
    height = top + rows * (ABOVE + high) + (rows - 1) * UNDER + BELOW + legend
    figure = ShownFigure((width, height))
    axes = []
    for i, text in enumerate(titles):
        row, column = divmod(i, columns)
        x = LEFT + column * (wide + BETWEEN)
        y = height - top - (row + 1) * (ABOVE + high) - row * UNDER
        panel = figure.add_axes((x / width, y / height, wide / width, high / height))
        panel.set_title(_short(text, int(wide / LETTER)), loc="left")
        _label_outer_axes(panel, labels, left=column == 0, below=i + columns >= len(titles))
        axes.append(panel)
    if title:
        figure.text(0.12 / width, 1 - 0.08 / height, plain(title), ha="left", va="top", color=GREY)
    spot = (0.5, 0.05 / height)
    figure.legend(handles=handles, loc="lower center", bbox_to_anchor=spot, ncols=keys)
    return figure, axes


def _mark(titles: Sequence[str], handles: Sequence[Line2D]) -> list[Line2D]:
    """Legend entry of the mark of estimators that saw unlabelled images, where there are any."""
    texts = [*titles, *(str(handle.get_label()) for handle in handles)]
    if not any(UNLABELLED_MARK in text for text in texts):
        return []
    label = f"{UNLABELLED_MARK} sees unlabelled images, others the shots alone"
    return [Line2D([], [], linestyle="None", label=label)]


def square(axes: Axes, low: float, high: float) -> None:
    """Set the same limits and ticks on both axes, and draw the diagonal."""
    axes.plot([low, high], [low, high], color=INK, linewidth=0.9, zorder=3)
    round_numbers = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
    ticks = [tick for tick in round_numbers if low <= tick <= high]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")


def diagonal(label: str) -> Line2D:
    """Legend entry of the diagonal."""
    return Line2D([], [], color=INK, linewidth=0.9, label=label)


def estimator_line(i: int, label: str = "") -> Line2D:
    """Line style and legend entry of the i-th estimator."""
    style = {"linestyle": nth(DASHES, i), "marker": nth(MARKERS[1:], i), "markersize": 4.5}
    return Line2D([], [], color=nth(COLORS, i), linewidth=1.3, zorder=3, label=label, **style)


def wrapped(count: int, most: int) -> int:
    """Number of columns for `count` panels, at most `most`, with rows of about equal length."""
    return math.ceil(count / math.ceil(count / most))


def _label_outer_axes(axes: Axes, labels: tuple[str, str], *, left: bool, below: bool) -> None:
    axes.tick_params(labelleft=left, labelbottom=below)
    if below:
        axes.set_xlabel(labels[0])
    if left:
        axes.set_ylabel(labels[1])


def _legend_columns(handles: Sequence[Line2D], width: float) -> int:
    longest = max(len(str(handle.get_label())) for handle in handles)
    return max(1, min(len(handles), int(width / (0.55 + LETTER * longest))))


def _short(title: str, longest: int) -> str:
    """`title` cut to the width of a panel."""
    title, longest = plain(title), min(longest, LONGEST)
    return title if len(title) <= longest else f"{title[: longest - 1]}…"
