"""The house form of an error: which argument, what is allowed, what came, what to do."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real

LONGEST_LIST = 30


class FewshotError(ValueError):
    """A mistake in what the user gave, told in one line.

    Parameters
    ----------
    argument : str
        The argument or setting at fault, as the user would type it.
    problem : str
        What is allowed and what came instead.
    remedy : str
        What to do about it.
    """

    def __init__(self, argument: str, problem: str, remedy: str = "") -> None:
        self.argument, self.problem, self.remedy = argument, problem, remedy
        super().__init__(argument, problem, remedy)

    def __str__(self) -> str:
        text = f"{self.argument}: {self.problem}"
        if not text.endswith((".", "?", "!")):
            text += "."
        return " ".join(f"{text} {self.remedy}".split())


class UnknownNameError(FewshotError, LookupError):
    """A name that no registry entry has, with the nearest ones that exist."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        problem = f"expected a registered name, got {name!r}"
        super().__init__(kind, problem, suggestion(name, self.known))

    def __reduce__(self) -> tuple[type, tuple[str, str, list[str]]]:
        return type(self), (self.kind, self.name, self.known)


def install_command(extra: str) -> str:
    """The command that installs an extra of this package, as messages name it.

    Examples
    --------
    >>> install_command("llm")
    "pip install '.[llm]' in the clone of fewshot"
    """
    return f"pip install '.[{extra}]' in the clone of fewshot"


def suggestion(name: str, known: Iterable[str]) -> str:
    """'Did you mean ...?' for a near miss, else what there is."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    if len(known) > LONGEST_LIST:
        return f"There are {len(known)}, from {known[0]!r} to {known[-1]!r}."
    return f"Available: {', '.join(known)}."


def expect(condition: bool, argument: str, problem: str, remedy: str = "") -> None:
    """Raise :class:`FewshotError` unless `condition` holds."""
    if not condition:
        raise FewshotError(argument, problem, remedy)


def expect_choice(argument: str, value: object, choices: Iterable[str]) -> None:
    """Raise unless `value` is one of `choices`."""
    choices = list(choices)
    if value not in choices:
        allowed = ", ".join(map(repr, choices))
        raise FewshotError(
            argument, f"expected one of {allowed}, got {value!r}", suggestion(str(value), choices)
        )


def expect_positive_int(argument: str, value: object, minimum: int = 1) -> None:
    """Raise unless `value` is an integer, Python's or NumPy's, of at least `minimum`."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < minimum:  # type: ignore[operator]
        raise FewshotError(argument, f"expected an integer >= {minimum}, got {value!r}")


def expect_number(
    argument: str,
    value: object,
    low: float,
    high: float = math.inf,
    *,
    above: bool = False,
    remedy: str = "",
) -> None:
    """Raise unless `value` is a finite number, Python's or NumPy's, from `low` to `high`.

    With `above`, `low` itself is refused as well.

    Examples
    --------
    >>> from fewshot.exceptions import expect_number
    >>> expect_number("head.lda.shrinkage", 1.5, 0, 1, above=True)
    Traceback (most recent call last):
    fewshot.exceptions.FewshotError: head.lda.shrinkage: expected a number in (0, 1], got 1.5.
    """
    if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
        number = float(value)
        if low <= number <= high and not (above and number == low):
            return
    if math.isinf(high):
        allowed = f"{'>' if above else '>='} {low:g}"
    else:
        allowed = f"in {'(' if above else '['}{low:g}, {high:g}]"
    raise FewshotError(argument, f"expected a number {allowed}, got {value!r}", remedy)
