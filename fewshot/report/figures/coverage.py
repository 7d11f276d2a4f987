"""Figure of measured against nominal coverage of prediction intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from fewshot.report.figures.panels import diagonal, panels, wrapped
from fewshot.report.figures.rows import setting_labels
from fewshot.report.figures.style import (
    COLORS,
    DASHES,
    INK,
    MARKERS,
    house_style,
    nth,
)
from fewshot.report.wording import (
    Cell,
    display_name,
    estimator_names,
    oracle_names,
    plain,
)
from fewshot.tasks.base import head_label

COLUMNS = 4
SOLID_FIRST = ("-", *DASHES)


def coverage_vs_nominal(cells: Sequence[Cell], *, title: str = "") -> Figure | None:
    """Share of intervals that contain the actual error, against their nominal level.

    Parameters
    ----------
    cells : sequence of dict
        Summaries of one data set and backbone. One panel per estimator with intervals, a line
        per head, ways and shots; cells that differ in their seed are averaged.
    title : str
        Title of the figure.

    Returns
    -------
    Figure or None
        None if no estimator has intervals.
    """
    lines = _curves(cells)
    if not lines:
        return None
    oracles = oracle_names(cells)
    styles = _styles({key for curves in lines.values() for key in curves}, cells)
    with house_style():
        figure, axes = panels(
            [display_name(name, name in oracles) for name in lines],
            wrapped(len(lines), COLUMNS),
            [*(_line(style) for style in styles.values()), diagonal("measured = nominal")],
            title=title,
            labels=("nominal coverage, %", "measured coverage, %"),
            largest=3.0,
        )
        for panel, curves in zip(axes, lines.values(), strict=True):
            panel.plot([0, 100], [0, 100], color=INK, linewidth=0.9, zorder=3)
            for key in filter(curves.__contains__, styles):
                line = _line(styles[key])
                line.set_data(*curves[key].T)
                panel.add_line(line)
            # Levels start at 50 %; markers at 0 and 100 % would be cut in half.
            panel.set(xlim=(46, 100), ylim=(-2, 102), xticks=range(50, 101, 10))
    return figure


def _curves(cells: Sequence[Cell]) -> dict[str, dict[Any, NDArray]]:
    """Pairs (L, 2) of nominal and measured coverage by estimator, head, ways and shots."""
    by_estimator: dict[str, dict[Any, list[Any]]] = {}
    for name in estimator_names(cells):
        for cell in cells:
            curve = cell["estimators"].get(name, {}).get("coverage_curve")
            if curve:
                key = (head_label(cell), (cell["ways"], cell["shots"]))
                by_estimator.setdefault(name, {}).setdefault(key, []).append(curve)
    return {
        name: {key: 100 * np.mean(repeats, axis=0) for key, repeats in curves.items()}
        for name, curves in by_estimator.items()
    }


def _styles(keys: set[Any], cells: Sequence[Cell]) -> dict[Any, dict[str, Any]]:
    """Colour and marker by ways and shots as in the scatter, dashes by head."""
    heads = {head: i for i, head in enumerate(dict.fromkeys(head_label(cell) for cell in cells))}
    labels = setting_labels({(cell["ways"], cell["shots"]) for cell in cells})
    positions = {key: i for i, key in enumerate(labels)}
    return {
        (head, key): {
            "color": nth(COLORS, positions[key]),
            "marker": nth(MARKERS, positions[key]),
            "linestyle": nth(SOLID_FIRST, heads[head]),
            "label": f"{plain(head)}, {labels[key]}",
        }
        for head, key in sorted(keys, key=lambda key: (heads[key[0]], positions[key[1]]))
    }


def _line(style: dict[str, Any]) -> Line2D:
    return Line2D([], [], linewidth=1.4, markersize=4.5, zorder=4, **style)
