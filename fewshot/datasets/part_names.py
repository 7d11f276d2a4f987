"""The part of the classes in the name of a data set: ``digits (base classes)``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

NOVEL = "novel"
OTHERS = ("validation", "base")
NAMED = re.compile(rf" \(({'|'.join(OTHERS)}) classes\)$")

Item = TypeVar("Item")


def name_with_part(dataset: str, part: str) -> str:
    """Name of a data set in rows and cells: ``digits (base classes)``; novel ones go without."""
    return dataset if part == NOVEL else f"{dataset} ({part} classes)"


def part_of_name(dataset: str) -> str:
    """The part in the name of a data set; "novel" if the name has none."""
    match = NAMED.search(dataset)
    return match[1] if match else NOVEL


def of_one_part(items: Iterable[Item], dataset: Callable[[Item], str]) -> list[Item]:
    """Items on novel classes; if there are none, on validation classes, else on base classes.

    For averages and tests over data sets: base classes of a data set are no data set of their own,
    and settings may have been chosen on them.

    Parameters
    ----------
    items : iterable
    dataset : callable
        Function from an item to the name of its data set.
    """
    table: dict[str, list[Item]] = {}
    for item in items:
        table.setdefault(part_of_name(dataset(item)), []).append(item)
    return next((table[part] for part in (NOVEL, *OTHERS) if part in table), [])
