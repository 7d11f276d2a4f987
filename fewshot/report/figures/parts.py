"""Values of the parts of a cell with their intervals, drawn by matplotlib."""

from __future__ import annotations

import math

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fewshot.report.charts.details import PartsChart, by_value
from fewshot.report.figures.style import COLORS, GREY, ShownFigure, house_style
from fewshot.report.wording import plain

WIDTH, ROW, AROUND = 5.6, 0.22, 1.15  # inches
MARKERS = "oD"
LONGEST, MOST = 28, 60


def parts_figure(chart: PartsChart | None, title: str = "") -> Figure | None:
    """A row per part, the highest value first: its interval, its prediction beside it.

    Of more than `MOST` parts the others are left out, which the title says. None without a chart.
    """
    if chart is None or not chart.rows:
        return None
    rows = by_value(chart.rows)[:MOST]
    with house_style():
        figure = ShownFigure((WIDTH, AROUND + ROW * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for place, row in enumerate(rows):
            bounds = [100 * (math.nan if end is None else end) for end in (row.lower, row.upper)]
            axes.plot(bounds, [place, place], color=COLORS[0], linewidth=1.6)
        for i, values in enumerate(([r.value for r in rows], [r.predicted for r in rows])):
            x = [math.nan if value is None else 100 * value for value in values]
            axes.plot(x, range(len(rows)), MARKERS[i], color=COLORS[i], markersize=4.5)
        names = (plain(row.name) for row in rows)
        axes.set_yticks(range(len(rows)), [name[:LONGEST] for name in names])
        axes.set(xlim=(-1, 101), ylim=(len(rows) - 0.4, -0.6), xlabel=chart.words.x)
        axes.grid(axis="y", visible=False)
        cut = f" ({MOST} of {len(chart.rows)})" if len(rows) < len(chart.rows) else ""
        figure.suptitle(f"{plain(title)}{cut}", x=0.02, ha="left", color=GREY, fontsize=9.5)
        handles = [
            Line2D([], [], marker="o", color=COLORS[0], label="measured, with its interval"),
            Line2D([], [], marker="D", color=COLORS[1], linestyle="", label=chart.predicted),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure
