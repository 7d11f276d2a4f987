"""Macro F1 of one-class rules by the share of positives."""

from __future__ import annotations

from collections.abc import Sequence

from fewshot.report.charts.base import (
    COLUMNS,
    Axis,
    Chart,
    Panel,
    Trace,
    Words,
    aside,
    categories,
)
from fewshot.report.charts.looks import rule_look
from fewshot.report.text.one_class import at, shares, source_text
from fewshot.results.schema import Interval
from fewshot.tasks.one_class.schema import OneClassSummary
from fewshot.units import is_number, short_percent

WORDS = Words("Macro F1 by the share of positives", "share of positives", "macro F1, %")
NONE = "none"  # source of rules that need no confusers
OFFSET = 0.08


def shares_chart(cells: Sequence[OneClassSummary], title: str = "") -> Chart:
    """Mean macro F1 of every rule with intervals over classes, a panel per source of confusers.

    Rules that need no confusers are in every panel.

    Parameters
    ----------
    cells : sequence of dict
        Of one-class tasks, of one data set and backbone.
    """
    sources = list(dict.fromkeys(c["source"] for c in cells if c["source"] != NONE)) or [NONE]
    against = list(dict.fromkeys(cell["against"] for cell in cells))
    rules = list(dict.fromkeys(cell["head"] for cell in cells))
    positions = shares(cells)
    panels = [
        Panel(
            source_text(source) + (f", {negatives}" if len(against) > 1 else ""),
            [
                _trace(cell, rules, positions)
                for cell in cells
                if cell["source"] in (source, NONE) and cell["against"] == negatives
            ],
        )
        for negatives in against
        for source in sources
    ]
    x = categories(positions, [short_percent(share, 3) for share in positions])
    legend = [(str(rule), rule_look(i)) for i, rule in enumerate(rules)]
    return Chart(title, WORDS, x, Axis((0, 102)), panels, legend, COLUMNS, aspect=0.8)


def _trace(cell: OneClassSummary, rules: Sequence[str], positions: Sequence[float]) -> Trace:
    i = rules.index(cell["head"])
    x, y, whiskers = [], [], []
    for place, share in enumerate(positions):
        interval: Interval = at(cell, share).get("macro_f1") or {}
        if not is_number(mean := interval.get("mean")):
            continue
        x.append(place + aside(i, len(rules), OFFSET))
        y.append(100 * mean)
        lower, upper = interval["lower"], interval["upper"]
        if is_number(lower) and is_number(upper):
            whiskers.append((x[-1], 100 * lower, 100 * upper))
    return Trace(str(cell["head"]), rule_look(i), x, y, whiskers)
