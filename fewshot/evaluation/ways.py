"""How many classes the episodes of a run have: numbers, or what the data set suggests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fewshot.datasets.cards import card_names
from fewshot.exceptions import expect, expect_positive_int
from fewshot.features.bank import FeatureBank
from fewshot.paths import card
from fewshot.units import joined

SETTING = "episodes.ways"
AUTO = "auto"
USUAL = (5,)
FEWEST = 2
# "effective" takes all classes where no number is given.
SAMPLERS_OF_WAYS = ("balanced", "imbalanced", "disjoint", "effective")
Ways = tuple[int, ...] | str | None


def ways_of(value: Any, sampler: str) -> Ways:
    """The setting ``episodes.ways`` for a sampler; None for those that take no number of them."""
    if sampler not in SAMPLERS_OF_WAYS:
        return None
    return value if value is None or isinstance(value, str) else listed(value)


def listed(value: Any) -> tuple[Any, ...]:
    """A number, or a list of them, as a tuple."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def check_ways(ways: Ways, sampler: str) -> None:
    """Raise FewshotError unless a sampler can draw episodes of these ways."""
    if sampler not in SAMPLERS_OF_WAYS:
        return
    takes_all = sampler == "effective"
    wanted = "a number, a list of them, or " + ("null" if takes_all else AUTO)
    if ways is None or isinstance(ways, str):
        fine = takes_all if ways is None else ways == AUTO and not takes_all
        expect(fine, SETTING, f"expected {wanted}, got {ways or 'none'}")
        return
    expect(len(ways) > 0, SETTING, f"expected {wanted}, got []")
    for number in ways:
        expect_positive_int(SETTING, number, FEWEST)
    for number in ways:
        twice = ways.count(number) > 1
        expect(not twice, SETTING, f"expected different numbers, got {number} twice")


def suggested_ways(bank: FeatureBank) -> tuple[int, ...]:
    """Ways that the card of a bank's data set suggests, ascending; 5 where it says nothing."""
    name = bank.info.get("dataset")
    return tuple(sorted(card(name).get("ways", USUAL))) if name in card_names() else USUAL


def at_most(ways: Sequence[int], classes: int) -> tuple[int, ...]:
    """The ways, none more than there are classes, but two at least.

    Examples
    --------
    >>> from fewshot.evaluation.ways import at_most
    >>> at_most((2, 5), 10), at_most((2, 5), 3), at_most((2, 5), 2), at_most((5,), 1)
    ((2, 5), (2, 3), (2,), (2,))
    """
    return tuple(dict.fromkeys(max(FEWEST, min(number, classes)) for number in ways))


def fewer_notice(ways: Sequence[int], classes: int) -> str:
    """A line where there are fewer classes than ways; empty else.

    Examples
    --------
    >>> from fewshot.evaluation.ways import fewer_notice
    >>> fewer_notice((5,), 3)
    'episodes.ways: auto: the 3 classes, instead of 5'
    """
    more = [str(number) for number in ways if number > classes]
    return f"{SETTING}: {AUTO}: the {classes} classes, instead of {joined(more)}" if more else ""
