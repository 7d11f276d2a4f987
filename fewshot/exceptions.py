"""Errors of users: the argument, the allowed values, the value received, and a remedy."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real

LONGEST_LIST = 30
LONGEST_VALUE = 100  # characters of a value in a message
LARGEST_INT = 2**63 - 1  # of the integers that arrays and tables hold

MOST_REPEATS = 1_000_000  # of steps, iterations, samples: more have no use, and no end


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


def shown(value: object) -> str:
    """Return a value as messages show it: ``repr``, cut where it is long.

    Examples
    --------
    >>> shown("abc"), shown(10**5000)
    ("'abc'", 'an integer of more than 4300 digits')
    """
    try:
        text = repr(value)
    except ValueError:  # Python's limit, which comes before the time that the digits would take
        return "an integer of more than 4300 digits"
    if len(text) <= LONGEST_VALUE:
        return text
    return f"{text[: LONGEST_VALUE - 3]}..."


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
    if not near:  # methods as papers write them
        plain = {candidate.casefold(): candidate for candidate in candidates}
        near = [plain[n] for n in difflib.get_close_matches(name.casefold(), plain, 3, 0.5)]
    swapped = [candidate for candidate in near if sorted(candidate) == sorted(name)]
    if near := swapped or near:  # letters in another order: nothing else was meant
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
    if not isinstance(value, str) or value not in choices:
        allowed = ", ".join(map(repr, choices))
        raise FewshotError(
            argument,
            f"expected one of {allowed}, got {shown(value)}",
            suggestion(shown(value).strip("'"), choices),
        )


def expect_bool(argument: str, value: object) -> None:
    """Raise unless `value` is True or False; other values would silently count as one of them."""
    if not isinstance(value, bool):
        raise FewshotError(argument, f"expected true or false, got {shown(value)}")


def expect_positive_int(
    argument: str,
    value: object,
    minimum: int = 1,
    maximum: int = LARGEST_INT,
    remedy: str = "",
) -> None:
    """Raise unless `value` is an integer, Python's or NumPy's, from `minimum` to `maximum`.

    Examples
    --------
    >>> from fewshot.exceptions import expect_positive_int
    >>> expect_positive_int("seed", 2**63, 0)
    Traceback (most recent call last):
    fewshot.exceptions.FewshotError: seed: expected an integer <= 9223372036854775807, got \
9223372036854775808.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if whole and minimum <= value <= maximum:  # type: ignore[operator]
        return
    bound = f"<= {maximum}" if whole and value > maximum else f">= {minimum}"  # type: ignore[operator]
    raise FewshotError(argument, f"expected an integer {bound}, got {shown(value)}", remedy)


def expect_repeats(argument: str, value: object, minimum: int = 1) -> None:
    """Raise unless `value` is a number of steps, samples or the like: at most ``MOST_REPEATS``."""
    expect_positive_int(argument, value, minimum, MOST_REPEATS)


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
    number = _as_float(value)
    if math.isfinite(number) and low <= number <= high and not (above and number == low):
        return
    if math.isinf(high):
        allowed = f"{'>' if above else '>='} {low:g}"
    else:
        allowed = f"in {'(' if above else '['}{low:g}, {high:g}]"
    raise FewshotError(argument, f"expected a number {allowed}, got {shown(value)}", remedy)


def _as_float(value: object) -> float:
    """A number as float; NaN for anything else, and for an integer that no array holds."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    if isinstance(value, Integral) and abs(value) > LARGEST_INT:  # type: ignore[operator]
        return math.nan
    return float(value)
