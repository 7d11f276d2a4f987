"""Coverage: how often intervals hold the actual error, against how often they should."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.report.charts.base import Axis, Chart, Look, Panel, Trace, Words
from fewshot.report.charts.looks import setting_look
from fewshot.report.charts.rows import setting_labels
from fewshot.report.wording import (
    EstimatorColumn,
    display_name,
    estimator_columns,
    oracle_names,
    told_apart,
)
from fewshot.tasks.base import head_label
from fewshot.tasks.classification.schema import ClassificationSummary

WORDS = Words(
    "Coverage",
    "nominal coverage, %",
    "measured coverage, %",
    "How often the actual error lay within the interval, against how often it should. Below the "
    "diagonal the intervals are too narrow, above it wider than need be.",
    "measured = nominal",
)
COLUMNS = 4


def coverage_chart(cells: Sequence[ClassificationSummary], title: str = "") -> Chart | None:
    """A panel per estimator with intervals, a line per head, ways and shots.

    Parameters
    ----------
    cells : sequence of dict
        Of one data set and backbone; those that differ in their seed are averaged.

    Returns
    -------
    Chart or None
        None if no estimator has intervals.
    """
    curves = _curves(cells)
    if not curves:
        return None
    oracles = oracle_names(cells)
    legend = _legend({key for lines in curves.values() for key in lines}, cells)
    panels = [
        Panel(
            display_name(column.name, column.name in oracles, column.sees),
            [
                Trace(label, look, *(100 * lines[key]).T.tolist())
                for key, (label, look) in legend.items()
                if key in lines
            ],
        )
        for column, lines in curves.items()
    ]
    # Levels start at 50 %; markers at 0 and 100 % would be cut in half.
    x = Axis((46, 100), [(level, str(level)) for level in range(50, 101, 10)])
    return Chart(title, WORDS, x, Axis((-2, 102)), panels, list(legend.values()), COLUMNS,
                 largest=3.0, diagonal=True)  # fmt: skip


def _curves(
    cells: Sequence[ClassificationSummary],
) -> dict[EstimatorColumn, dict[Any, NDArray]]:
    """Pairs (L, 2) of nominal and measured coverage by estimator, head, ways and shots."""
    by_estimator: dict[EstimatorColumn, dict[Any, list[Any]]] = {}
    for column in estimator_columns(cells):
        for cell in cells:
            curve = column.row(cell).get("coverage_curve")
            if curve:
                key = (_label(cell, cells), (cell["ways"], cell["shots"]))
                by_estimator.setdefault(column, {}).setdefault(key, []).append(curve)
    return {
        column: {key: np.mean(repeats, axis=0) for key, repeats in curves.items()}
        for column, curves in by_estimator.items()
    }


def _label(cell: ClassificationSummary, cells: Sequence[ClassificationSummary]) -> str:
    """The head, with how episodes were drawn where the cells differ in it."""
    drawn = told_apart(cell, cells)
    return f"{head_label(cell)}, {drawn}" if drawn else head_label(cell)


def _legend(keys: set[Any], cells: Sequence[ClassificationSummary]) -> dict[Any, tuple[str, Look]]:
    """Names and looks: colour and marker by ways and shots as in the scatter, dashes by head."""
    heads = {head: i for i, head in enumerate(dict.fromkeys(_label(cell, cells) for cell in cells))}
    labels = setting_labels({(cell["ways"], cell["shots"]) for cell in cells})
    positions = {key: i for i, key in enumerate(labels)}
    order = sorted(keys, key=lambda key: (heads[key[0]], positions[key[1]]))
    return {
        (head, key): (f"{head}, {labels[key]}", setting_look(positions[key], heads[head]))
        for head, key in order
    }
