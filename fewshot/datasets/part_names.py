"""Parts of the classes of a data set in results: which come first where they are averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

NOVEL = "novel"
OTHERS = ("validation", "base")

Item = TypeVar("Item")


def of_one_part(items: Iterable[Item], part: Callable[[Item], str]) -> list[Item]:
    """Items on novel classes; if there are none, on validation classes, else on base classes.

    For averages and tests over data sets: base classes of a data set are no data set of their own,
    and settings may have been chosen on them.

    Parameters
    ----------
    items : iterable
    part : callable
        Function from an item to the part of its classes.
    """
    table: dict[str, list[Item]] = {}
    for item in items:
        table.setdefault(part(item), []).append(item)
    return next((table[name] for name in (NOVEL, *OTHERS) if name in table), [])
