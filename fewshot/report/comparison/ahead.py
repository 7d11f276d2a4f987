"""Whether one is ahead of the next, in the words that docs/reports.md explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fewshot.report.wording import known, percent

if TYPE_CHECKING:
    from fewshot.report.comparison.paired import Difference


MOST = 4


def ahead_text(gap: Difference, what: str, name: str) -> str:
    """``clearly ahead of the next head, lda (+2.4 ± 0.2 points on the same episodes)``."""
    told = f"{gap_text(gap.mean, gap.half)} points on the same episodes"
    if not gap.clear:
        return f"not clearly ahead of the next {what}, {name} ({told})"
    if gap.clear_elsewhere is False:
        elsewhere = f"± {percent(gap.classes)} for other classes, where it is not clear"
        return f"ahead of the next {what}, {name}, on these classes ({told}; {elsewhere})"
    return f"clearly ahead of the next {what}, {name} ({told})"


def gap_text(mean: float, half: float) -> str:
    """``+2.4 ± 0.2``; with a digit more where one would not show which of the two is larger."""
    digits = 2 if percent(abs(mean)) == percent(half) else 1
    return f"{percent(mean, sign=True, digits=digits)} ± {percent(half, digits=digits)}"


def signed(gap: Mapping[str, Any], sign: int) -> dict[str, Any] | None:
    """A difference, or the same of the pair turned round."""
    lower, upper = gap["lower"], gap["upper"]
    if not (known(lower) and known(upper)):
        return None
    bounds = sorted((sign * lower, sign * upper))
    return {"mean": sign * gap["mean"], "lower": bounds[0], "upper": bounds[1]}


def evenly(values: Sequence[Any]) -> list[Any]:
    """At most a few, evenly spread, the first and the last among them."""
    if len(values) <= MOST:
        return list(values)
    return [values[round(i * (len(values) - 1) / (MOST - 1))] for i in range(MOST)]
