"""Wording of a paired difference, as docs/reports.md explains it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from fewshot.statistics.intervals import Difference
from fewshot.units import decimal, percent, plus_minus

MOST = 4
T = TypeVar("T")


def ahead_text(
    gap: Difference, what: str, name: str, *, share: bool = True, episode: str = "episode"
) -> str:
    """``clearly ahead of the next head, lda (+2.4 ± 0.2 points on the same episodes)``.

    `share` says whether the difference is one of shares, in points; `episode` is what an episode is
    called.
    """
    points = " points" if share else ""
    text = f"{gap_text(gap.mean, gap.half, share=share)}{points} on the same {episode}s"
    if not gap.above:
        return f"not clearly ahead of the next {what}, {name} ({text})"
    if gap.clear_elsewhere is False:
        width = percent(gap.classes) if share else decimal(gap.classes)
        elsewhere = f"± {width} for other classes, where it is not clear"
        return f"ahead of the next {what}, {name}, on these classes ({text}; {elsewhere})"
    return f"clearly ahead of the next {what}, {name} ({text})"


def gap_text(mean: float, half: float, *, share: bool = True) -> str:
    """``+2.4 ± 0.2``; a further decimal where it is needed to show which number is larger."""
    scale, digits = (1.0, 1) if share else (0.01, 2)  # `percent` multiplies by 100
    mean, half = scale * mean, scale * half
    digits += percent(abs(mean), digits=digits) == percent(half, digits=digits)
    return plus_minus(mean, half, digits=digits, sign=True)


def ends(values: Sequence[T]) -> list[T]:
    """The first and the last of several values."""
    return [*values[:1], *values[1:][-1:]]


def evenly_spaced(values: Sequence[T]) -> list[T]:
    """At most `MOST` of the values, evenly spaced, including the first and the last."""
    if len(values) <= MOST:
        return list(values)
    return [values[round(i * (len(values) - 1) / (MOST - 1))] for i in range(MOST)]
