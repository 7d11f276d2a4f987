"""Errors of several backbones by shots."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import cast

from fewshot.report.charts.base import (
    COLUMNS,
    SHOTS,
    Axis,
    Chart,
    Panel,
    Trace,
    Words,
    aside,
    categories,
)
from fewshot.report.charts.looks import backbone_look
from fewshot.report.wording import backbone_name, feature_kinds
from fewshot.results.schema import Interval
from fewshot.tasks.base import dataset_label, head_label
from fewshot.tasks.classification.schema import ClassificationSummary
from fewshot.units import is_number

WORDS = Words("Error of backbones", SHOTS, "error, %")
PANELS = 12
OFFSET = 0.04


def backbones_chart(cells: Sequence[ClassificationSummary], title: str = "") -> Chart | None:
    """Mean actual error by shots, a panel per data set and head, a line per backbone.

    Bars are 95 % intervals over episodes; the mean over several seeds has none.

    Parameters
    ----------
    cells : sequence of dict
        Cells of classification.

    Returns
    -------
    Chart or None
        None with fewer than two backbones. At most twelve panels, the first ones.
    """
    kinds = feature_kinds(cells)
    names = list(dict.fromkeys(backbone_name(cell, kinds) for cell in cells))
    if len(names) < 2:
        return None
    groups: dict[tuple[str, str, int], list[ClassificationSummary]] = {}
    for cell in cells:
        groups.setdefault((dataset_label(cell), head_label(cell), cell["ways"]), []).append(cell)
    shots = sorted({cell["shots"] for cell in cells})
    panels = [
        Panel(
            f"{dataset}, {head}, {ways}-way",
            [
                _trace([c for c in inside if backbone_name(c, kinds) == name], (i, names), shots)
                for i, name in enumerate(names)
            ],
        )
        for (dataset, head, ways), inside in list(groups.items())[:PANELS]
    ]
    top = max([1.0, *(value for panel in panels for trace in panel.traces for value in trace.y)])
    legend = [(name, backbone_look(i)) for i, name in enumerate(names)]
    return Chart(title, WORDS, categories(shots), Axis((0, 1.08 * top)), panels, legend, COLUMNS,
                 aspect=0.75)  # fmt: skip


def _trace(
    cells: Sequence[ClassificationSummary],
    backbone: tuple[int, Sequence[str]],
    shots: Sequence[int],
) -> Trace:
    i, names = backbone
    by_shots: dict[int, list[Interval]] = {}
    for cell in sorted(cells, key=lambda cell: int(cell["shots"])):
        if is_number(cell["actual_error"]["mean"]):
            by_shots.setdefault(cell["shots"], []).append(cell["actual_error"])
    x = [shots.index(K) + aside(i, len(names), OFFSET) for K in by_shots]
    y = [
        100 * fmean(cast("float", row["mean"]) for row in intervals)
        for intervals in by_shots.values()
    ]
    whiskers = []
    for place, intervals in zip(x, by_shots.values(), strict=True):
        low, high = intervals[0].get("lower"), intervals[0].get("upper")
        if len(intervals) == 1 and is_number(low) and is_number(high):
            whiskers.append((place, 100 * low, 100 * high))
    return Trace(names[i], backbone_look(i), x, y, whiskers)
