"""Sentences on the accuracy of predicted errors: MAE, rank correlation and coverage.

One sentence per number of shots, on the best combination: errors at different shots or of different
heads have different scales and are not averaged. Several numbers of ways stand in one sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import cast

import numpy as np

from fewshot.report.cell_rows import CellRows
from fewshot.report.comparison.ahead import evenly_spaced, gap_text
from fewshot.report.comparison.candidates import Candidate, Setting
from fewshot.report.comparison.order import (
    BASELINE,
    Order,
    order_by_ways_text,
    order_of,
    order_text,
)
from fewshot.report.comparison.paired import ClassifiedCell
from fewshot.report.wording import (
    RECOMMENDED,
    SUPPORT_ALONE,
    interval_level,
    sees_unlabelled,
    shots_text,
    shown_estimator,
    unlabelled_short,
)
from fewshot.statistics.intervals import Difference, over_seeds
from fewshot.statistics.predictions import hindsight_mae, rank_correlation
from fewshot.tasks.classification.schema import ClassificationSummary, EstimatorSummary
from fewshot.units import is_number, percent, short_percent

SMALLEST_GAP = 5e-4  # smaller differences vanish in a percentage with one decimal
NO_PREDICTION = "No estimator could predict an error."


def prediction_lines(
    ranked: Mapping[Setting, Sequence[Candidate]], settings: Sequence[Setting]
) -> list[str]:
    """A sentence per number of shots: MAE of the shown estimator beside those of constants.

    Parameters
    ----------
    ranked : mapping of Setting to sequence of Candidate
        The best first.
    settings : sequence of Setting
        Those that sentences are on; of many numbers of shots some.
    """
    cells = [
        cell for ranking in ranked.values() for candidate in ranking for cell, _ in candidate.judged
    ]
    if not any(cell["estimators"] for cell in cells):
        return []
    if all(shown_estimator(cell) is None for cell in cells):
        return [NO_PREDICTION]
    lines = []
    for group in evenly_spaced(by_shots(settings)):
        line = _line_of_ways(group, ranked)
        lines += [line] if line else [_line(setting, ranked) for setting in group]
    return lines


def by_shots(settings: Iterable[Setting]) -> list[list[Setting]]:
    """Settings that differ in their ways alone, together."""
    groups: dict[Setting, list[Setting]] = {}
    for setting in settings:
        groups.setdefault(setting._replace(ways=0), []).append(setting)
    return list(groups.values())


def shared_by_ways(
    settings: Sequence[Setting], ranked: Mapping[Setting, Sequence[Candidate]]
) -> tuple[str, str, dict[int, list[ClassifiedCell]]] | None:
    """The combination that is best with most ways, its estimator, and its cells by the ways.

    None where one sentence cannot be on all: there are no several ways, it is another estimator
    that is shown for some, or one that saw unlabelled images.
    """
    best = ranked[settings[-1]][0]
    estimator = shown_estimator(best.judged[0][0])
    if len(settings) == 1 or estimator is None or estimator == BASELINE:
        return None
    by_ways = {
        setting.ways: _predicted(ranked[setting], best.name, estimator) for setting in settings
    }
    return (best.name, estimator, by_ways) if all(by_ways.values()) else None


def _line_of_ways(
    settings: Sequence[Setting], ranked: Mapping[Setting, Sequence[Candidate]]
) -> str:
    """A sentence on several numbers of ways; empty where one cannot be on all."""
    shared = shared_by_ways(settings, ranked)
    if shared is None:
        return ""
    name, estimator, by_ways = shared
    cells_by_ways = {ways: [cell for cell, _ in judged] for ways, judged in by_ways.items()}
    off = off_by_ways({w: mean_mae(cells, estimator) for w, cells in cells_by_ways.items()})
    where = f"Predicted errors, {shots_text(settings[-1].shots)}, {name}"
    text = f"{where}: {estimator}, from the shots alone, is off by {off} on average"
    text += _hindsight_clause(list(by_ways.values()), estimator)
    orders = {
        ways: order_of([cell["estimators"][estimator] for cell in cells])
        for ways, cells in cells_by_ways.items()
    }
    constants = [_constant_maes(cells, estimator) for cells in cells_by_ways.values()]
    if all(constants):
        nearer = [
            f"{ways}-way"
            for ways, cells in cells_by_ways.items()
            if (gap := mae_gap(cells, estimator)) is not None
            and gap.below
            and orders[ways].positive
        ]
        means = in_order(percent(fmean(maes)) for maes in constants)
        verdict = f"clearly nearer at {in_order(nearer)}" if nearer else "not clearly nearer"
        text += f"; saying the same of all would be off by {means} ({verdict})"
    text += f". {order_by_ways_text(orders, _pooled_order(list(by_ways.values()), estimator))}"
    return text + _coverage([cell for cells in cells_by_ways.values() for cell in cells], estimator)


def off_by_ways(maes: Mapping[int, float]) -> str:
    """``4.9 points at 2-way and 5.1 at 5-way``."""
    units = [" points", *[""] * (len(maes) - 1)]
    pairs = zip(maes.items(), units, strict=True)
    return in_order(f"{percent(mae)}{unit} at {ways}-way" for (ways, mae), unit in pairs)


def _predicted(ranked: Sequence[Candidate], name: str, estimator: str) -> list[ClassifiedCell]:
    """Cells of a combination for which an estimator is shown, from the shots alone."""
    return [
        (cell, rows)
        for candidate in ranked
        if candidate.name == name
        for cell, rows in candidate.judged
        if shown_estimator(cell) == estimator
        and is_number(_mae(cell, estimator))
        and not sees_unlabelled(cell["estimators"][estimator])
    ]


def _pooled_order(groups: Sequence[Sequence[ClassifiedCell]], estimator: str) -> Order:
    """Rank correlation over the episodes of several numbers of ways; of each seed, then joined."""
    by_seed: dict[int, list[CellRows]] = {}
    for cell, rows in (pair for judged in groups for pair in judged):
        if rows is not None and len(rows):
            by_seed.setdefault(cell["seed"], []).append(rows)
    summaries: list[EstimatorSummary] = []
    for parts in by_seed.values():
        if len(parts) == len(groups):
            predicted = np.concatenate([rows.predictions(estimator).predicted for rows in parts])
            rho = rank_correlation(predicted, np.concatenate([rows.actual for rows in parts]))
            summaries.append({"spearman": rho, "defined": int(np.isfinite(predicted).sum())})
    return order_of(summaries)


def _hindsight_clause(groups: Sequence[Sequence[ClassifiedCell]], estimator: str) -> str:
    """What the mean error of the same episodes would miss by, of each group of cells."""
    maes = [hindsight(judged, estimator) for judged in groups]
    if any(mae is None for mae in maes):
        return ""
    return (
        " (the average error of the same episodes, which is known only afterwards, would miss by "
        f"{in_order(map(percent, maes))})"
    )


def hindsight(judged: Sequence[ClassifiedCell], estimator: str) -> float | None:
    """MAE of the mean error of the same episodes, over the cells that have rows."""
    each = [
        hindsight_mae(rows.predictions(estimator).predicted, rows.actual)
        for _, rows in judged
        if rows is not None and len(rows)
    ]
    values = [mae for mae in each if mae is not None]
    return fmean(values) if values else None


def _line(setting: Setting, ranked_settings: Mapping[Setting, Sequence[Candidate]]) -> str:
    """The sentence on one number of ways."""
    ranked = ranked_settings[setting]
    best = ranked[0]
    where = f"Predicted errors, {setting.text(ranked_settings, unlabelled=False)}, {best.name}"
    judged: Sequence[ClassifiedCell] = best.judged
    estimator = shown_estimator(judged[0][0])
    if estimator is None:
        return f"{where}: no estimator could predict an error."
    judged = [pair for pair in judged if is_number(_mae(pair[0], estimator))]
    cells = [cell for cell, _ in judged]
    over_seeds = f" (mean of {len(cells)} seeds)" if len(cells) > 1 else ""
    off = f"off by {percent(mean_mae(cells, estimator))} points on average{over_seeds}"
    if estimator == BASELINE:
        text = f"{where}: only {BASELINE}, which says the same of all, predicted any and is {off}."
        return text + _coverage(cells, estimator) + _others(ranked[1:], estimator)
    seen = sees_unlabelled(cells[0]["estimators"][estimator])
    source = unlabelled_short(cells[0]) if seen else "from the shots alone"
    text = f"{where}: {estimator}, {source}, is {off}{_hindsight_clause([judged], estimator)}"
    text += _support_clause(cells, estimator) if seen else ""
    order = order_of([cell["estimators"][estimator] for cell in cells])
    text += _constant_clause(cells, estimator, order.positive)
    text += f" {order_text(order)}{_coverage(cells, estimator)}"
    return text + _others(ranked[1:], estimator)


def _support_clause(cells: Sequence[ClassificationSummary], estimator: str) -> str:
    """A clause with the MAE of the same estimator from the shots alone, on the same episodes."""
    alone = [row for cell in cells if (row := cell["estimators"].get(SUPPORT_ALONE))]
    rows = [cell["estimators"][estimator] for cell in cells]
    same = [row.get("defined") for row in alone] == [row.get("defined") for row in rows]
    if estimator != RECOMMENDED or not same or not all(is_number(row.get("mae")) for row in alone):
        return ""
    mae = percent(mean_mae(cells, SUPPORT_ALONE))
    gap = mae_gap(cells, estimator, SUPPORT_ALONE)
    if gap is None:
        return f", and by {mae} from the shots alone"
    verdict = "not clearly nearer with them"
    if gap.below:
        verdict = "clearly nearer with them"
    elif gap.above:
        verdict = "clearly further off with them"
    if abs(gap.mean) + gap.half < SMALLEST_GAP:
        return f", and by {mae} from the shots alone (the same)"
    difference = gap_text(gap.mean, gap.half)
    return f", and by {mae} from the shots alone ({verdict}, {difference} points)"


def _constant_clause(
    cells: Sequence[ClassificationSummary], estimator: str, tells_apart: bool
) -> str:
    """A clause that compares the MAE with the constant baseline's on the same episodes."""
    constant = beside_constant(cells, estimator, tells_apart)
    clause = _gap_clause(mae_gap(cells, estimator))
    return f"; saying the same of all would be off by {constant}{clause}." if constant else "."


def beside_constant(
    cells: Sequence[ClassificationSummary], estimator: str, tells_apart: bool
) -> str:
    """MAE of the constant baseline, and whether the estimator is nearer; empty without one."""
    baseline = _constant_maes(cells, estimator)
    if not baseline:
        return ""
    gap = mae_gap(cells, estimator)
    nearer = gap is not None and gap.below
    verdict = "clearly nearer" if nearer and tells_apart else "not clearly nearer"
    if nearer and not tells_apart:
        verdict = "nearer to their average"
    return f"{percent(fmean(baseline))} ({verdict})"


def _gap_clause(gap: Difference | None) -> str:
    if gap is None:
        return ""
    worse = "clearly further off, " if gap.above else ""
    return f", {worse}a difference of {gap_text(gap.mean, gap.half)} points"


def mae_gap(
    cells: Sequence[ClassificationSummary], estimator: str, other: str = BASELINE
) -> Difference | None:
    """MAE minus that of another; None if a cell has no interval of the difference."""
    paired = [_paired(cell, estimator, other) for cell in cells]
    gaps = [gap for gap in paired if gap is not None]
    return over_seeds(gaps) if gaps and len(gaps) == len(cells) else None


def _paired(cell: ClassificationSummary, estimator: str, other: str) -> Difference | None:
    for row in cell.get("comparisons") or []:
        if {row["first"], row["second"]} != {estimator, other}:
            continue
        return Difference.of(row["difference"], sign=1 if row["first"] == estimator else -1)
    return None


def _coverage(cells: Sequence[ClassificationSummary], estimator: str) -> str:
    held = held_text(cells, estimator)
    return f" Its {held}." if held else ""


def held_text(cells: Sequence[ClassificationSummary], estimator: str) -> str:
    """``90 % intervals held 94 % of the errors``; empty without intervals of one level."""
    rows = [cell["estimators"][estimator] for cell in cells]
    rows = [row for row in rows if is_number(row.get("coverage"))]
    levels = {interval_level(row) for row in rows}
    if not rows or len(levels) > 1:
        return ""
    held = percent(fmean(cast("float", row["coverage"]) for row in rows), digits=0)
    return f"{short_percent(levels.pop())} intervals held {held} % of the errors"


def _others(others: Sequence[Candidate], estimator: str) -> str:
    """A sentence with the range of the MAEs of the other combinations in the same setting."""
    means = []
    for candidate in others:
        cells = [cell for cell, _ in candidate.judged if is_number(_mae(cell, estimator))]
        if cells:
            means.append(mean_mae(cells, estimator))
    if not means:
        return ""
    low, high = percent(min(means)), percent(max(means))
    span = low if low == high else f"{low} to {high}"
    subject = "The other combination" if len(means) == 1 else f"The {len(means)} other combinations"
    return f" {subject}: off by {span}."


def in_order(texts: Iterable[str]) -> str:
    """``4.6``, ``4.6 and 3.9``, ``4.6, 4.2 and 3.9``: in order, equal ones as well."""
    *most, last = texts
    return f"{', '.join(most)} and {last}" if most else last


def _mae(cell: ClassificationSummary, estimator: str) -> float | None:
    row = cell["estimators"].get(estimator)
    return None if row is None else row.get("mae")


def _constant_maes(cells: Sequence[ClassificationSummary], estimator: str) -> list[float]:
    """MAEs of the baseline, one per cell; none if a cell lacks it."""
    maes = [mae for mae in (_constant_mae(cell, estimator) for cell in cells) if is_number(mae)]
    return maes if len(maes) == len(cells) else []


def _constant_mae(cell: ClassificationSummary, estimator: str) -> float | None:
    """MAE of the baseline on the episodes for which `estimator` is defined, which may be fewer."""
    row, constant = cell["estimators"][estimator], cell["estimators"].get(BASELINE, {})
    if row.get("defined") == constant.get("defined"):
        return _mae(cell, BASELINE)
    skill = row.get("skill")
    return cast("float", row["mae"]) / (1 - skill) if is_number(skill) and skill < 1 else None


def mean_mae(cells: Sequence[ClassificationSummary], estimator: str) -> float:
    return fmean(cast("float", cell["estimators"][estimator]["mae"]) for cell in cells)
