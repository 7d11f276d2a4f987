"""Sentences on the accuracy of predicted errors: MAE, rank correlation and coverage.

One sentence per ways and shots, on the best combination: errors at different shots or of different
heads have different scales and are not averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import cast

from fewshot.report.comparison.ahead import gap_text
from fewshot.report.comparison.candidates import Candidate, Setting
from fewshot.report.comparison.order import BASELINE, brief_order_text, order_of, order_text
from fewshot.report.wording import (
    RECOMMENDED,
    SUPPORT_ALONE,
    interval_level,
    sees_unlabelled,
    shown_estimator,
    unlabelled_short,
)
from fewshot.statistics.intervals import Difference, over_seeds
from fewshot.tasks.classification.schema import ClassificationSummary
from fewshot.units import is_number, percent, short_percent

SMALLEST_GAP = 5e-4  # smaller differences vanish in a percentage with one decimal
NO_PREDICTION = "No estimator could predict an error."


def prediction_lines(
    ranked: Mapping[Setting, Sequence[Candidate]], chosen: Sequence[Setting]
) -> list[str]:
    """A sentence per setting: MAE of the shown estimator beside that of the constant baseline.

    Parameters
    ----------
    ranked : mapping of Setting to sequence of Candidate
        The best first.
    chosen : sequence of Setting
        Settings that get a sentence.
    """
    cells = [
        cell for ranking in ranked.values() for candidate in ranking for cell, _ in candidate.judged
    ]
    if not any(cell["estimators"] for cell in cells):
        return []
    if all(shown_estimator(cell) is None for cell in cells):
        return [NO_PREDICTION]
    return [_line(setting.text(ranked, unlabelled=False), ranked[setting]) for setting in chosen]


def brief_prediction_lines(
    ranked: Mapping[Setting, Sequence[Candidate]], chosen: Sequence[Setting]
) -> list[str]:
    """As `prediction_lines`, in fewer words: ``auto, 5-way, 1 shot: off by 12.1 points ...``."""
    lines = prediction_lines(ranked, chosen)
    if len(lines) != len(chosen) or lines == [NO_PREDICTION]:
        return lines
    return [_brief(setting.text(ranked, unlabelled=False), ranked[setting]) for setting in chosen]


def _brief(setting: str, ranked: Sequence[Candidate]) -> str:
    estimator, cells = _shown(ranked[0])
    if estimator is None:
        return f"{setting}: no estimator could predict an error."
    text = f"{estimator}, {setting}: off by {percent(_mean_mae(cells, estimator))} points"
    order = order_of([cell["estimators"][estimator] for cell in cells])
    if estimator != BASELINE:
        constant = _constant(cells, estimator, order.positive)
        text += f", saying the same of all by {constant[0]} ({constant[1]})" if constant else ""
        text += f"; {brief_order_text(order)}"
    held = _held(cells, estimator)
    return f"{text}; its {held}." if held else f"{text}."


def _shown(best: Candidate) -> tuple[str | None, list[ClassificationSummary]]:
    """The estimator that speaks for a combination, and the cells in which it predicted any."""
    cells = [cell for cell, _ in best.judged]
    estimator = shown_estimator(cells[0])
    if estimator is None:
        return None, cells
    return estimator, [cell for cell in cells if is_number(_mae(cell, estimator))]


def _line(setting: str, ranked: Sequence[Candidate]) -> str:
    best = ranked[0]
    where = f"Predicted errors, {setting}, {best.name}"
    estimator, cells = _shown(best)
    if estimator is None:
        return f"{where}: no estimator could predict an error."
    over_seeds = f" (mean of {len(cells)} seeds)" if len(cells) > 1 else ""
    off = f"off by {percent(_mean_mae(cells, estimator))} points on average{over_seeds}"
    if estimator == BASELINE:
        text = f"{where}: only {BASELINE}, which says the same of all, predicted any and is {off}."
        return text + _coverage(cells, estimator) + _others(ranked[1:], estimator)
    seen = sees_unlabelled(cells[0]["estimators"][estimator])
    source = unlabelled_short(cells[0]) if seen else "from the shots alone"
    text = f"{where}: {estimator}, {source}, is {off}"
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
    mae = percent(_mean_mae(cells, SUPPORT_ALONE))
    gap = _gap(cells, estimator, SUPPORT_ALONE)
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
    constant = _constant(cells, estimator, tells_apart)
    if constant is None:
        return "."
    mae, verdict = constant
    clause = _gap_clause(_gap(cells, estimator))
    return f"; saying the same of all would be off by {mae} ({verdict}){clause}."


def _constant(
    cells: Sequence[ClassificationSummary], estimator: str, tells_apart: bool
) -> tuple[str, str] | None:
    """MAE of the constant baseline as text, and whether the estimator is nearer, in words."""
    baseline = [mae for mae in (_constant_mae(cell, estimator) for cell in cells) if is_number(mae)]
    if len(baseline) < len(cells):
        return None
    gap = _gap(cells, estimator)
    nearer = gap is not None and gap.below
    verdict = "clearly nearer" if nearer and tells_apart else "not clearly nearer"
    if nearer and not tells_apart:
        verdict = "nearer to their average"
    return percent(fmean(baseline)), verdict


def _gap_clause(gap: Difference | None) -> str:
    if gap is None:
        return ""
    worse = "clearly further off, " if gap.above else ""
    return f", {worse}a difference of {gap_text(gap.mean, gap.half)} points"


def _gap(
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
    held = _held(cells, estimator)
    return f" Its {held}." if held else ""


def _held(cells: Sequence[ClassificationSummary], estimator: str) -> str:
    """``90 % intervals held 94 % of the errors``; empty without intervals."""
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
            means.append(_mean_mae(cells, estimator))
    if not means:
        return ""
    low, high = percent(min(means)), percent(max(means))
    span = low if low == high else f"{low} to {high}"
    subject = "The other combination" if len(means) == 1 else f"The {len(means)} other combinations"
    return f" {subject}: off by {span}."


def _mae(cell: ClassificationSummary, estimator: str) -> float | None:
    row = cell["estimators"].get(estimator)
    return None if row is None else row.get("mae")


def _constant_mae(cell: ClassificationSummary, estimator: str) -> float | None:
    """MAE of the baseline on the episodes for which `estimator` is defined, which may be fewer."""
    row, constant = cell["estimators"][estimator], cell["estimators"].get(BASELINE, {})
    if row.get("defined") == constant.get("defined"):
        return _mae(cell, BASELINE)
    skill = row.get("skill")
    return cast("float", row["mae"]) / (1 - skill) if is_number(skill) and skill < 1 else None


def _mean_mae(cells: Sequence[ClassificationSummary], estimator: str) -> float:
    return fmean(cast("float", cell["estimators"][estimator]["mae"]) for cell in cells)
