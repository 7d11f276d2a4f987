"""How near the predicted errors of a data set came, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from fewshot.report.wording import Cell, interval_level, known, percent, shown_estimator

BASELINE = "constant"


def foretold(cells: Sequence[Cell]) -> list[str]:
    """Mean absolute error of who speaks for the cells, beside that of the constant baseline.

    Only cells in which both predicted count, so that the two numbers are about the same episodes.
    """
    speakers = [shown_estimator(cell) for cell in cells]
    told = [name for name in speakers if name is not None]
    if not told:
        return (
            ["No estimator could predict an error."] if any(c["estimators"] for c in cells) else []
        )
    who = max(dict.fromkeys(told), key=told.count)
    own = [cell for cell, name in zip(cells, speakers, strict=True) if name == who]
    both = [c for c in own if known(c["estimators"].get(BASELINE, {}).get("mae"))]
    if who == BASELINE or not both:
        mae = _mean([cell["estimators"][who]["mae"] for cell in own])
        return [
            f"{who} predicted the error of each episode, off by {percent(mae)} points on average."
        ]
    mae = _mean([cell["estimators"][who]["mae"] for cell in both])
    constant = _mean([cell["estimators"][BASELINE]["mae"] for cell in both])
    nearer = sum(_clearly_nearer(cell, who) for cell in both)
    if len(both) == 1:
        verdict = "clearly nearer" if nearer else "not clearly nearer"
    else:
        verdict = f"clearly nearer in {nearer} of {len(both)} cells"
    return [
        f"{who} predicted the error of each episode from its shots alone, off by {percent(mae)} "
        f"points on average; saying the same of all would be off by {percent(constant)} "
        f"({verdict}).{_coverage(both, who)}"
    ]


def _clearly_nearer(cell: Cell, who: str) -> bool:
    """Whether the paired difference of the two on the same episodes excludes zero."""
    for row in cell.get("comparisons") or []:
        lower, upper = row["difference"].get("lower"), row["difference"].get("upper")
        if not (known(lower) and known(upper)):
            continue
        if (row["first"], row["second"]) == (who, BASELINE):
            return upper < 0
        if (row["first"], row["second"]) == (BASELINE, who):
            return lower > 0
    return False


def _coverage(cells: Sequence[Cell], who: str) -> str:
    rows = [cell["estimators"][who] for cell in cells]
    rows = [row for row in rows if known(row.get("coverage"))]
    levels = {interval_level(row) for row in rows}
    if not rows or len(levels) > 1:
        return ""
    held = percent(_mean([row["coverage"] for row in rows]), digits=0)
    return f" Its {100 * levels.pop():.4g} % intervals held {held} % of the errors."


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
