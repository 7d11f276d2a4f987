"""How near the predicted errors came, and whether they tell episodes apart, in a sentence each.

One sentence per ways and shots, of the combination that is best there: errors at one shot and at
five, or of several heads, are unlike, and their average is of nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from fewshot.report.comparison.ahead import gap_text
from fewshot.report.comparison.candidates import Candidate, Setting
from fewshot.report.comparison.order import BASELINE, order_of, order_text
from fewshot.report.wording import (
    Cell,
    interval_level,
    known,
    percent,
    shots_text,
    shown_estimator,
)

NOBODY = "No estimator could predict an error."


class Gap(NamedTuple):
    """Mean over seeds of the paired difference of |predicted - actual|, with half its interval."""

    mean: float
    half: float


def foretold(ranked: Mapping[Setting, Sequence[Candidate]], chosen: Sequence[Setting]) -> list[str]:
    """Mean absolute error of who speaks for the best combination, beside the constant baseline's.

    Parameters
    ----------
    ranked : mapping of (ways, shots) to sequence of Candidate
        The best first.
    chosen : sequence of (ways, shots)
        Those that get a sentence.
    """
    cells = [cell for own in ranked.values() for one in own for cell, _ in one.judged]
    if not any(cell["estimators"] for cell in cells):
        return []
    if all(shown_estimator(cell) is None for cell in cells):
        return [NOBODY]
    return [_line(setting, ranked[setting]) for setting in chosen]


def _line(setting: Setting, ranked: Sequence[Candidate]) -> str:
    best = ranked[0]
    where = f"Predicted errors, {setting[0]}-way, {shots_text(setting[1])}, {best.name}"
    cells = [cell for cell, _ in best.judged]
    who = shown_estimator(cells[0])
    if who is None:
        return f"{where}: no estimator could predict an error."
    cells = [cell for cell in cells if known(_mae(cell, who))]
    many = f" (mean of {len(cells)} seeds)" if len(cells) > 1 else ""
    off = f"off by {percent(_mean_mae(cells, who))} points on average{many}"
    if who == BASELINE:
        text = f"{where}: only {BASELINE}, which says the same of all, predicted any and is {off}."
        return text + _coverage(cells, who) + _others(ranked[1:], who)
    text = f"{where}: {who}, from the shots alone, is {off}"
    order = order_of([cell["estimators"][who] for cell in cells])
    text += _beside_constant(cells, who, order.known)
    text += f" {order_text(order)}{_coverage(cells, who)}"
    return text + _others(ranked[1:], who)


def _beside_constant(cells: Sequence[Cell], who: str, tells_apart: bool) -> str:
    """Whether it is nearer than saying the same of all, by the differences on the same episodes."""
    baseline = [one for one in (_constant_mae(cell, who) for cell in cells) if known(one)]
    if len(baseline) < len(cells):
        return "."
    gap = _gap(cells, who)
    nearer = gap is not None and gap.mean + gap.half < 0
    verdict = "clearly nearer" if nearer and tells_apart else "not clearly nearer"
    if nearer and not tells_apart:
        verdict = "nearer to their average"
    constant = percent(fmean(baseline))
    return f"; saying the same of all would be off by {constant} ({verdict}){_gap_told(gap)}."


def _gap_told(gap: Gap | None) -> str:
    if gap is None:
        return ""
    worse = "clearly further off, " if gap.mean - gap.half > 0 else ""
    return f", {worse}a difference of {gap_text(gap.mean, gap.half)} points"


def _gap(cells: Sequence[Cell], who: str) -> Gap | None:
    """MAE minus that of the constant; None where a cell does not say how clear it is."""
    found = [_paired(cell, who) for cell in cells]
    gaps = [one for one in found if one is not None]
    if len(gaps) < len(cells) or not gaps:
        return None
    # Seeds are other draws of episodes, independent of each other.
    half = math.hypot(*(one.half for one in gaps)) / len(gaps)
    return Gap(fmean(one.mean for one in gaps), half)


def _paired(cell: Cell, who: str) -> Gap | None:
    for row in cell.get("comparisons") or []:
        if {row["first"], row["second"]} != {who, BASELINE}:
            continue
        lower, upper = row["difference"].get("lower"), row["difference"].get("upper")
        if known(lower) and known(upper):
            sign = 1 if row["first"] == who else -1
            return Gap(sign * (lower + upper) / 2, (upper - lower) / 2)
    return None


def _coverage(cells: Sequence[Cell], who: str) -> str:
    rows = [cell["estimators"][who] for cell in cells]
    rows = [row for row in rows if known(row.get("coverage"))]
    levels = {interval_level(row) for row in rows}
    if not rows or len(levels) > 1:
        return ""
    held = percent(fmean(row["coverage"] for row in rows), digits=0)
    return f" Its {100 * levels.pop():.4g} % intervals held {held} % of the errors."


def _others(others: Sequence[Candidate], who: str) -> str:
    """From where to where the errors of the other combinations at the same setting go."""
    found = []
    for one in others:
        cells = [cell for cell, _ in one.judged if known(_mae(cell, who))]
        if cells:
            found.append(_mean_mae(cells, who))
    if not found:
        return ""
    low, high = percent(min(found)), percent(max(found))
    told = low if low == high else f"{low} to {high}"
    many = "The other combination" if len(found) == 1 else f"The {len(found)} other combinations"
    return f" {many}: off by {told}."


def _mae(cell: Cell, who: str) -> float | None:
    found: float | None = cell["estimators"].get(who, {}).get("mae")
    return found


def _constant_mae(cell: Cell, who: str) -> float | None:
    """That of the baseline on the episodes for which `who` has a number, which may be fewer."""
    own, constant = cell["estimators"][who], cell["estimators"].get(BASELINE, {})
    if own.get("defined") == constant.get("defined"):
        return _mae(cell, BASELINE)
    skill = own.get("skill")
    return own["mae"] / (1 - skill) if known(skill) and skill < 1 else None


def _mean_mae(cells: Sequence[Cell], who: str) -> float:
    return fmean(cell["estimators"][who]["mae"] for cell in cells)
