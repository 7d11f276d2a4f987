"""Numbers, shares, counts, names, times and sizes as people read them. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeGuard


def is_number(value: float | None) -> TypeGuard[float]:
    """Whether `value` is a finite number."""
    return value is not None and math.isfinite(value)


def percent(value: float | None, missing: str = "-", *, digits: int = 1, sign: bool = False) -> str:
    """A share in percent (or a difference of shares in points), without the unit.

    Examples
    --------
    >>> percent(0.6312), percent(-0.0001), percent(0.02, sign=True), percent(None)
    ('63.1', '0.0', '+2.0', '-')
    """
    if not is_number(value):
        return missing
    text = f"{100 * value:{'+' if sign else ''}.{digits}f}"
    # "-0.0" would claim a direction which the digits do not show.
    return text if float(text) else f"{0:.{digits}f}"


def plus_minus(
    mean: float | None,
    half: float | None,
    missing: str = "-",
    *,
    digits: int | None = None,
    sign: bool = False,
) -> str:
    """A mean share and half the width of its interval, in percent; the mean alone without one.

    One decimal, or two where one would print the interval as 0.

    Examples
    --------
    >>> plus_minus(0.631, 0.008), plus_minus(0.631, 0.0003), plus_minus(0.631, None)
    ('63.1 ± 0.8', '63.10 ± 0.03', '63.1')
    """
    if not is_number(mean):
        return missing
    if not is_number(half):
        return percent(mean, digits=1 if digits is None else digits, sign=sign)
    if digits is None:
        digits = 1 if half == 0 or half >= 0.0005 else 2
    return f"{percent(mean, digits=digits, sign=sign)} ± {percent(half, digits=digits)}"


def decimal(value: float | None, missing: str = "-", *, sign: bool = False) -> str:
    """A pure number with two decimals."""
    return percent(None if value is None else value / 100, missing, digits=2, sign=sign)


def short_percent(share: float, digits: int = 4) -> str:
    """A chosen share, such as the level of an interval, without zeros that say nothing.

    Examples
    --------
    >>> short_percent(0.95), short_percent(0.975), short_percent(1 / 3, 3)
    ('95 %', '97.5 %', '33.3 %')
    """
    return f"{100 * share:.{digits}g} %"


def rough_percent(share: float) -> str:
    """A predicted share, with a decimal below 10 % only.

    Examples
    --------
    >>> rough_percent(0.314), rough_percent(0.0314), rough_percent(0.0)
    ('31 %', '3.1 %', '0 %')
    """
    value = 100 * share
    return f"{value:.0f} %" if value >= 9.95 or value < 0.05 else f"{value:.1f} %"


def counted(number: int, word: str) -> str:
    """A number of things.

    Examples
    --------
    >>> counted(1, "run"), counted(0, "run"), counted(1234, "image")
    ('1 run', '0 runs', '1,234 images')
    """
    return f"{number:,} {word}{'s' * (number != 1)}"


def joined(names: Iterable[str]) -> str:
    """One name or more in a sentence, each once.

    Examples
    --------
    >>> joined(["a", "b", "c"]), joined(["a"])
    ('a, b and c', 'a')
    """
    *most, last = dict.fromkeys(names)
    return f"{', '.join(most)} and {last}" if most else last


def duration(seconds: float) -> str:
    """Seconds as words, rounded up to what matters.

    Examples
    --------
    >>> duration(7.2), duration(95), duration(9000), duration(200_000)
    ('7 s', '1 min 35 s', '2 h 30 min', '2 d 7 h')
    """
    steps = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    left = max(1, round(seconds))
    words = []
    for unit, length in steps:
        count, left = divmod(left, length)
        if count:
            words.append(f"{count} {unit}")
        elif words:
            break
    return " ".join(words[:2])


def size(count: float) -> str:
    """Bytes in decimal units.

    Examples
    --------
    >>> size(512), size(9_200_000), size(1_536_000_000)
    ('512 B', '9.2 MB', '1.5 GB')
    """
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5:
            return f"{count:.3g} {unit}" if count >= 100 else f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} TB"
