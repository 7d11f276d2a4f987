"""Whether intervals hold as often as they promise, at every level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from fewshot.report.plots.panels import diagonal, panels, square, wrapped
from fewshot.report.plots.rows import setting_labels
from fewshot.report.style import COLORS, DASHES, MARKERS, house_style, nth
from fewshot.report.wording import Cell, display_name, estimator_names, oracle_names, plain

COLUMNS = 4
SOLID_FIRST = ("-", *DASHES)


def coverage_vs_nominal(cells: Sequence[Cell], *, title: str = "") -> Figure | None:
    """Share of intervals that held the actual error, against their nominal level.

    Parameters
    ----------
    cells : sequence of dict
        Summaries of one data set and backbone. One panel per estimator with intervals, a line
        per head, ways and shots; cells that differ in their seed are averaged.
    title : str
        What the cells are about.

    Returns
    -------
    Figure or None
        None if nobody gave intervals.
    """
    lines: dict[str, dict[Any, list[NDArray]]] = {}
    for name in estimator_names(cells):
        for cell in cells:
            curve = cell["estimators"].get(name, {}).get("coverage_curve")
            if curve:
                key = (cell["head"], (cell["ways"], cell["shots"]))
                lines.setdefault(name, {}).setdefault(key, []).append(100 * np.array(curve))
    if not lines:
        return None
    told = oracle_names(cells)
    styles = _styles({key for own in lines.values() for key in own}, cells)
    with house_style():
        figure, axes = panels(
            [display_name(name, name in told) for name in lines],
            wrapped(len(lines), COLUMNS),
            [*(_line(look) for look in styles.values()), diagonal("measured = nominal")],
            title=title,
            labels=("nominal coverage, %", "measured coverage, %"),
            largest=3.0,
        )
        for panel, curves in zip(axes, lines.values(), strict=True):
            square(panel, 0.0, 100.0)
            for key, look in styles.items():
                for mean in [np.mean(curves[key], axis=0)] if key in curves else []:
                    line = _line(look)
                    line.set_data(mean[:, 0], mean[:, 1])
                    panel.add_line(line)
            # Marks at 0 and 100 % would be cut in half.
            panel.set(xlim=(40, 102), ylim=(-2, 102), aspect="auto")
            panel.set_xticks(range(40, 101, 20))
    return figure


def _styles(keys: set[Any], cells: Sequence[Cell]) -> dict[Any, dict[str, Any]]:
    """Colour and marker by ways and shots as in the scatter, dashes by head."""
    heads = {head: i for i, head in enumerate(dict.fromkeys(cell["head"] for cell in cells))}
    labels = setting_labels({(cell["ways"], cell["shots"]) for cell in cells})
    places = {key: i for i, key in enumerate(labels)}
    return {
        (head, key): {
            "color": nth(COLORS, places[key]),
            "marker": nth(MARKERS, places[key]),
            "linestyle": nth(SOLID_FIRST, heads[head]),
            "label": f"{plain(head)}, {labels[key]}",
        }
        for head, key in sorted(keys, key=lambda key: (heads[key[0]], places[key[1]]))
    }


def _line(look: dict[str, Any]) -> Line2D:
    return Line2D([], [], linewidth=1.4, markersize=4.5, zorder=4, **look)
