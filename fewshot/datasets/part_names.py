"""Which classes of a data set a cell was judged on, as its name says, so that none are mixed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

NOVEL = "novel"
OTHERS = ("validation", "base")
NAMED = re.compile(rf" \(({'|'.join(OTHERS)}) classes\)$")

One = TypeVar("One")


def name_with_part(dataset: str, part: str) -> str:
    """Name of a data set in rows and cells: ``digits (base classes)``; novel ones go without."""
    return dataset if part == NOVEL else f"{dataset} ({part} classes)"


def part_of_name(dataset: str) -> str:
    """The part that the name of a data set says."""
    found = NAMED.search(dataset)
    return found[1] if found else NOVEL


def of_one_part(given: Iterable[One], dataset: Callable[[One], str]) -> list[One]:
    """The ones on novel classes; without any those on validation classes, else on base classes.

    For averages and tests over data sets: base classes of a data set are no data set of their own,
    and settings may have been chosen on them.

    Parameters
    ----------
    given : iterable
    dataset : callable
        Gives the name of the data set of one of them.
    """
    table: dict[str, list[One]] = {}
    for one in given:
        table.setdefault(part_of_name(dataset(one)), []).append(one)
    return next((table[part] for part in (NOVEL, *OTHERS) if part in table), [])
