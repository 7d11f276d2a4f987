"""The sentences on predicted errors in as few words as a terminal has room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fewshot.report.comparison.ahead import ends
from fewshot.report.comparison.candidates import Candidate, Setting
from fewshot.report.comparison.order import BASELINE, Order, brief_order_text, order_of
from fewshot.report.comparison.paired import ClassifiedCell
from fewshot.report.comparison.predictions import (
    NO_PREDICTION,
    beside_constant,
    by_shots,
    held_text,
    hindsight,
    in_order,
    mean_mae,
    off_by_ways,
    prediction_lines,
    shared_by_ways,
)
from fewshot.report.wording import shots_text, shown_estimator
from fewshot.units import decimal, is_number, percent


def brief_prediction_lines(
    ranked: Mapping[Setting, Sequence[Candidate]], settings: Sequence[Setting]
) -> list[str]:
    """Of `prediction_lines` those on the first and the last number of shots, in fewer words."""
    whole = prediction_lines(ranked, settings)
    if whole in ([], [NO_PREDICTION]):
        return whole
    lines = []
    for group in ends(by_shots(settings)):
        shared = shared_by_ways(group, ranked)
        if shared is None:
            lines += [
                _line(setting.text(ranked, unlabelled=False), ranked[setting][0])
                for setting in ends(group)
            ]
        else:
            _, estimator, by_ways = shared
            lines.append(_line_of_ways(shots_text(group[-1].shots), estimator, by_ways))
    return lines


def _line(setting: str, best: Candidate) -> str:
    """``auto, 5-way, 1 shot: off by 12.1 points ...``."""
    cells = [cell for cell, _ in best.judged]
    estimator = shown_estimator(cells[0])
    if estimator is None:
        return f"{setting}: no estimator could predict an error."
    cells = [cell for cell in cells if is_number(cell["estimators"][estimator].get("mae"))]
    text = f"{estimator}, {setting}: off by {percent(mean_mae(cells, estimator))} points"
    if estimator != BASELINE:
        order = order_of([cell["estimators"][estimator] for cell in cells])
        constant = beside_constant(cells, estimator, order.positive)
        text += f", saying the same of all by {constant}" if constant else ""
        text += f"; {brief_order_text(order)}"
    held = held_text(cells, estimator)
    return f"{text}; its {held}." if held else f"{text}."


def _line_of_ways(
    shots: str, estimator: str, by_ways: Mapping[int, Sequence[ClassifiedCell]]
) -> str:
    """``auto, 5 shots: off by 4.9 points at 2-way and 5.1 at 5-way (...); tells ...``."""
    cells = {ways: [cell for cell, _ in judged] for ways, judged in by_ways.items()}
    off = off_by_ways({ways: mean_mae(each, estimator) for ways, each in cells.items()})
    averages = [hindsight(judged, estimator) for judged in by_ways.values()]
    known = [percent(mae) for mae in averages if mae is not None]
    after = ""
    if len(known) == len(averages):
        after = f" (their average error, known only afterwards: {in_order(known)})"
    orders = {
        ways: order_of([cell["estimators"][estimator] for cell in each])
        for ways, each in cells.items()
    }
    text = f"{estimator}, {shots}: off by {off}{after}; {_orders_text(orders)}"
    held = held_text([cell for each in cells.values() for cell in each], estimator)
    return f"{text}; its {held}." if held else f"{text}."


def _orders_text(orders: Mapping[int, Order]) -> str:
    """``tells harder episodes from easier ones (Spearman 0.61 at 2-way and 0.52 at 5-way)``."""
    apart = [f"{ways}-way" for ways, order in orders.items() if order.positive]
    rhos = [
        f"{decimal(order.rho)} at {ways}-way"
        for ways, order in orders.items()
        if order.rho is not None
    ]
    measured = f" (Spearman {in_order(rhos)})" if rhos else ""
    if not apart:
        return f"does not tell episodes of the same ways apart{measured}"
    where = "" if len(apart) == len(orders) else f" at {in_order(apart)} only"
    return f"tells harder episodes from easier ones{where}{measured}"
