"""Charts of lines in panels, drawn by matplotlib."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fewshot.report.charts.base import Chart, Look, Trace
from fewshot.report.figures.panels import diagonal, panels, square, wrapped
from fewshot.report.figures.style import COLORS, DASHES, INK, MARKERS, house_style, nth
from fewshot.report.wording import plain

SOLID_FIRST = ("-", *DASHES)
LEVEL: dict[str, Any] = {"color": INK, "linestyle": "--", "linewidth": 0.9}


def drawn(chart: Chart | None) -> Figure | None:
    """The figure of a chart; None without one."""
    if chart is None:
        return None
    handles = [line_of(look, plain(name)) for name, look in chart.legend]
    words = chart.words
    if chart.diagonal:
        handles.append(diagonal(words.reference))
    elif any(panel.level is not None for panel in chart.panels):
        handles.append(Line2D([], [], label=words.reference, **LEVEL))
    with house_style():
        figure, axes = panels(
            [panel.title for panel in chart.panels],
            wrapped(len(chart.panels), chart.columns),
            handles,
            title=chart.title,
            labels=(words.x, plain(words.y)),
            largest=chart.largest,
            aspect=chart.aspect,
        )
        for place, panel in zip(axes, chart.panels, strict=True):
            if chart.diagonal and not chart.square:
                ends = [min(chart.x.limits[0], 0), chart.x.limits[1]]
                place.plot(ends, ends, color=INK, linewidth=0.9, zorder=3)
            for trace in panel.traces:
                _draw(place, trace)
            if panel.level is not None:
                place.axhline(panel.level, zorder=1, **LEVEL)
            _set_axes(place, chart)
    return figure


def line_of(look: Look, label: str = "") -> Line2D:
    """A line of a look, without points: the entry of a legend."""
    color = INK if look.color is None else nth(COLORS, look.color)
    size = 6.0 if look.color is None else 4.5  # what is in ink stands out
    marker = "None" if look.marker is None else nth(MARKERS, look.marker)
    return Line2D(
        [], [], color=color, marker=marker, markersize=size, linewidth=look.width,
        linestyle=nth(SOLID_FIRST, look.dash), zorder=look.front, label=label,
    )  # fmt: skip


def _draw(axes: Axes, trace: Trace) -> None:
    line = line_of(trace.look)
    style: dict[str, Any] = {"color": line.get_color(), "linewidth": trace.look.width}
    if trace.capped:
        halves = [(high - low) / 2 for _, low, high in trace.whiskers]
        style |= {"marker": line.get_marker(), "capsize": 4, "zorder": trace.look.front}
        axes.errorbar(trace.x, trace.y, yerr=halves, **style)
        return
    line.set_data(list(trace.x), list(trace.y))
    axes.add_line(line)
    if trace.whiskers:
        places, low, high = zip(*trace.whiskers, strict=True)
        axes.vlines(places, low, high, **style)
    if trace.across and len(trace.y) == 1:
        axes.hlines(trace.y, -0.5, 0.5, **style)


def _set_axes(axes: Axes, chart: Chart) -> None:
    if chart.square:
        square(axes, *chart.x.limits)
        return
    axes.set(xlim=chart.x.limits, ylim=chart.y.limits)
    if chart.x.ticks is not None:
        axes.set_xticks(*zip(*chart.x.ticks, strict=True))
    if chart.x.categorical:
        axes.grid(axis="x", visible=False)
