"""Errors of users: the argument, the allowed values, the value received, and a remedy."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real

LONGEST_LIST = 30


class FewshotError(ValueError):
    """Invalid input by the user, with a message of one line.

    Parameters
    ----------
    argument : str
        The argument or setting at fault, as the user would type it.
    problem : str
        The allowed values and the value received.
    remedy : str
        How to fix it.
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
    """A name that is not registered, with the closest registered names as a suggestion."""

    def __init__(self, kind: str, name: str, candidates: Iterable[str]) -> None:
        self.kind, self.name, self.candidates = kind, name, sorted(candidates)
        problem = f"expected a registered name, got {name!r}"
        super().__init__(kind, problem, suggestion(name, self.candidates))

    def __reduce__(self) -> tuple[type, tuple[str, str, list[str]]]:
        return type(self), (self.kind, self.name, self.candidates)


def install_command(extra: str) -> str:
    """Return the command that installs an extra of this package, for messages.

    Examples
    --------
    >>> install_command("llm")
    "pip install '.[llm]' in the clone of fewshot"
    """
    return f"pip install '.[{extra}]' in the clone of fewshot"


def suggestion(name: str, candidates: Iterable[str]) -> str:
    """Return 'Did you mean ...?' for names close to `name`, else the available names."""
    candidates = sorted(candidates)
    near = difflib.get_close_matches(name, candidates, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    if len(candidates) > LONGEST_LIST:
        return f"There are {len(candidates)}, from {candidates[0]!r} to {candidates[-1]!r}."
    return f"Available: {', '.join(candidates)}."


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


def expect_bool(argument: str, value: object) -> None:
    """Raise unless `value` is True or False; other values would silently count as one of them."""
    if not isinstance(value, bool):
        raise FewshotError(argument, f"expected true or false, got {value!r}")


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
