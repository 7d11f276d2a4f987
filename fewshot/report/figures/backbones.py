"""Figure of the errors of several backbones by shots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
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
from fewshot.report.wording import Cell, backbone_name, feature_kinds, plain
from fewshot.tasks.base import dataset_label, head_label
from fewshot.units import is_number

COLUMNS = 3
PANELS = 12
OFFSET = 0.04


def error_of_backbones(cells: Sequence[Cell], *, title: str = "") -> Figure | None:
    """Mean actual error by shots, a panel per data set and head, a line per backbone.

    Bars are 95 % intervals over episodes; the mean over several seeds has none.

    Parameters
    ----------
    cells : sequence of dict
        Cells of classification.
    title : str
        Title of the figure.

    Returns
    -------
    Figure or None
        None with fewer than two backbones. At most twelve panels, the first ones.
    """
    kinds = feature_kinds(cells)
    names = list(dict.fromkeys(backbone_name(cell, kinds) for cell in cells))
    if len(names) < 2:
        return None
    groups: dict[tuple[str, str, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((dataset_label(cell), head_label(cell), cell["ways"]), []).append(cell)
    shown = list(groups.items())[:PANELS]
    positions = {K: i for i, K in enumerate(sorted({cell["shots"] for cell in cells}))}
    with house_style():
        figure, axes = panels(
            [f"{dataset}, {head}, {ways}-way" for (dataset, head, ways), _ in shown],
            wrapped(len(shown), COLUMNS),
            [_line(i, plain(name)) for i, name in enumerate(names)],
            title=title,
            labels=("shots per class", "error, %"),
            aspect=0.75,
        )
        top = 1.0
        for panel, (_, cells_of_panel) in zip(axes, shown, strict=True):
            for i, name in enumerate(names):
                of_name = [cell for cell in cells_of_panel if backbone_name(cell, kinds) == name]
                offset = OFFSET * (i - (len(names) - 1) / 2)
                top = max(top, _draw(panel, of_name, i, positions, offset))
        for panel in axes:
            panel.set_xticks(range(len(positions)), [str(K) for K in positions])
            panel.set(xlim=(-0.5, len(positions) - 0.5), ylim=(0, 1.08 * top))
            panel.grid(axis="x", visible=False)
    return figure


def _draw(
    panel: Axes, cells: Sequence[Cell], i: int, positions: dict[int, int], offset: float
) -> float:
    """Draw the line of one backbone, and return its largest value."""
    by_shots: dict[int, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: cell["shots"]):
        if is_number(cell["actual_error"]["mean"]):
            by_shots.setdefault(cell["shots"], []).append(cell["actual_error"])
    line = _line(i)
    x = [positions[K] + offset for K in by_shots]
    y = [
        100 * float(np.mean([interval["mean"] for interval in intervals]))
        for intervals in by_shots.values()
    ]
    for position, intervals in zip(x, by_shots.values(), strict=True):
        low, high = intervals[0].get("lower"), intervals[0].get("upper")
        if len(intervals) == 1 and is_number(low) and is_number(high):
            panel.vlines(position, 100 * low, 100 * high, color=line.get_color(), linewidth=1.2)
    line.set_data(x, y)
    panel.add_line(line)
    return max(y, default=0.0)


def _line(i: int, label: str = "") -> Line2D:
    style = {"marker": nth(MARKERS, i), "markersize": 4.5, "linewidth": 1.3}
    dash = nth(("-", "--", ":"), i // len(COLORS))
    return Line2D([], [], color=nth(COLORS, i), linestyle=dash, zorder=3, label=label, **style)
