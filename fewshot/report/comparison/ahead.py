"""Wording of a paired difference, as docs/reports.md explains it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fewshot.statistics.intervals import Difference
from fewshot.units import percent, plus_minus

MOST = 4


def ahead_text(gap: Difference, what: str, name: str) -> str:
    """``clearly ahead of the next head, lda (+2.4 ± 0.2 points on the same episodes)``."""
    text = f"{gap_text(gap.mean, gap.half)} points on the same episodes"
    if not gap.above:
        return f"not clearly ahead of the next {what}, {name} ({text})"
    if gap.clear_elsewhere is False:
        elsewhere = f"± {percent(gap.classes)} for other classes, where it is not clear"
        return f"ahead of the next {what}, {name}, on these classes ({text}; {elsewhere})"
    return f"clearly ahead of the next {what}, {name} ({text})"


def gap_text(mean: float, half: float) -> str:
    """``+2.4 ± 0.2``; two decimals where one would not show which number is larger."""
    digits = 2 if percent(abs(mean)) == percent(half) else 1
    return plus_minus(mean, half, digits=digits, sign=True)


def evenly_spaced(values: Sequence[Any]) -> list[Any]:
    """At most `MOST` of the values, evenly spaced, including the first and the last."""
    if len(values) <= MOST:
        return list(values)
    return [values[round(i * (len(values) - 1) / (MOST - 1))] for i in range(MOST)]
