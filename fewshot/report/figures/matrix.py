"""Matrix of backbones and data sets, drawn by matplotlib."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from fewshot.report.charts.matrix import Matrix
from fewshot.report.figures.style import GREY, INK, ShownFigure, house_style
from fewshot.report.wording import plain

WIDE, HIGH, LETTER = 0.95, 0.34, 0.085


def shaded(matrix: Matrix | None) -> Figure | None:
    """The figure of a matrix, the higher the darker; None without one."""
    if matrix is None:
        return None
    table, title = matrix.values, matrix.title
    rows, columns = [[plain(name) for name in names] for names in (matrix.rows, matrix.columns)]
    margin = 0.25 + LETTER * max(map(len, rows))
    wide = max(WIDE, 0.2 + LETTER * max(map(len, columns)))
    width, height = margin + wide * len(columns) + 0.2, 0.85 + HIGH * len(rows)
    low, high = float(np.nanmin(table)), float(np.nanmax(table))
    with house_style():
        figure = ShownFigure((width, height))
        box = (margin / width, 0.1 / height, wide * len(columns) / width, HIGH * len(rows) / height)
        axes = figure.add_axes(box)
        # All shades are light enough for dark digits.
        darkest = high + 1.2 * (high - low) + 1
        axes.imshow(table, cmap="Blues", vmin=low, vmax=darkest, aspect="auto")
        for i, j in np.ndindex(table.shape):
            text = "\N{EN DASH}" if np.isnan(table[i, j]) else f"{table[i, j]:.1f}"
            axes.text(j, i, text, ha="center", va="center", color=INK)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.xaxis.tick_top()
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        figure.text(0.1 / width, 1 - 0.08 / height, title, ha="left", va="top", color=GREY)
    return figure
