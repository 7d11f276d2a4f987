"""Groups of mean ranks, and words on their test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fewshot.units import is_number

if TYPE_CHECKING:
    from fewshot.report.comparison.ranks import Ranking


def joined(means: Sequence[float], critical: float | None) -> list[tuple[int, int]]:
    """First and last index of each maximal group of sorted ranks within the critical difference."""
    if critical is None:
        return []
    groups: list[tuple[int, int]] = []
    for first in range(len(means)):
        last = max(i for i in range(len(means)) if means[i] - means[first] < critical or i == first)
        if last > first and not (groups and groups[-1][1] >= last):
            groups.append((first, last))
    return groups


def verdict(ranks: Ranking) -> str:
    """Critical difference or p value of the test, or why there is none."""
    if ranks["critical_difference"] is not None:
        return f"critical difference {ranks['critical_difference']:.2f}"
    if ranks["p"] is not None:
        return f"{ranks['test']}: p = {ranks['p']:.2g}"
    return "too few data sets for a test: differences may be chance"


def rank_caption(ranks: Ranking) -> str:
    """What the ranks are over, the test, and what bars mean."""
    sentences = [f"Over {ranks['over']}."]
    if is_number(ranks["p"]):
        p = "< 0.001" if ranks["p"] < 0.001 else f"= {ranks['p']:.3f}"
        sentences.append(f"{ranks['test']}: p {p}.")
    if is_number(ranks["critical_difference"]):
        sentences.append("A bar on the right joins what is not told apart.")
    return " ".join([*sentences, ranks["note"]]).strip()
