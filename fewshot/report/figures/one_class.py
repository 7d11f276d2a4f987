"""Figure of the macro F1 of one-class rules by the share of positives."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fewshot.report.figures.panels import panels, wrapped
from fewshot.report.figures.style import (
    COLORS,
    MARKERS,
    house_style,
    nth,
)
from fewshot.report.text.one_class import at, shares, source_text
from fewshot.report.wording import Cell, plain
from fewshot.units import is_number, short_percent

OFFSET = 0.08
COLUMNS = 3


def macro_f1_vs_prevalence(cells: Sequence[Cell], *, title: str = "") -> Figure:
    """Mean macro F1 of every rule with intervals over classes, a panel per source of confusers.

    Rules that need no confusers are in every panel.

    Parameters
    ----------
    cells : sequence of dict
        Cells of one-class tasks, of one data set and backbone.
    title : str
        Title of the figure.
    """
    sources = list(dict.fromkeys(cell["source"] for cell in cells if cell["source"] != "none"))
    sources = sources or ["none"]
    against = list(dict.fromkeys(cell["against"] for cell in cells))
    shown = [(source, negatives) for negatives in against for source in sources]
    rules = list(dict.fromkeys(cell["head"] for cell in cells))
    positions = {share: i for i, share in enumerate(shares(cells))}
    titles = [
        source_text(source) + (f", {negatives}" if len(against) > 1 else "")
        for source, negatives in shown
    ]
    handles = [_line(i, plain(rule)) for i, rule in enumerate(rules)]
    with house_style():
        figure, axes = panels(
            titles,
            wrapped(len(shown), COLUMNS),
            handles,
            title=title,
            labels=("share of positives", "macro F1, %"),
            aspect=0.8,
        )
        for panel, (source, negatives) in zip(axes, shown, strict=True):
            shown_cells = [cell for cell in cells if cell["source"] in (source, "none")]
            for cell in shown_cells:
                if cell["against"] == negatives:
                    i = rules.index(cell["head"])
                    _draw(panel, cell, i, positions, OFFSET * (i - (len(rules) - 1) / 2))
            panel.set_xticks(
                range(len(positions)), [short_percent(share, 3) for share in positions]
            )
            panel.set(xlim=(-0.5, len(positions) - 0.5), ylim=(0, 102))
            panel.grid(axis="x", visible=False)
    return figure


def _draw(panel: Axes, cell: Cell, i: int, positions: dict[float, int], offset: float) -> None:
    """Draw the line of one rule, and the interval at every share."""
    line, points = _line(i), []
    for share, x in positions.items():
        interval = at(cell, share).get("macro_f1") or {}
        if is_number(interval.get("mean")):
            points.append((x + offset, 100 * interval["mean"]))
            if is_number(interval["lower"]) and is_number(interval["upper"]):
                bounds = 100 * interval["lower"], 100 * interval["upper"]
                panel.vlines(x + offset, *bounds, color=line.get_color())
    line.set_data([x for x, _ in points], [y for _, y in points])
    panel.add_line(line)


def _line(i: int, label: str = "") -> Line2D:
    # With more rules than colours, rules of the same colour differ in marker and dashes.
    again = i // len(COLORS)
    style = {"marker": nth(MARKERS, i + again), "markersize": 4.5, "linewidth": 1.3}
    style["linestyle"] = nth(("-", "--", ":"), again)
    return Line2D([], [], color=nth(COLORS, i), zorder=3, label=label, **style)
