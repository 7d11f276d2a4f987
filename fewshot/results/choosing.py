"""Cells by what names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fewshot.exceptions import FewshotError, suggestion


def chosen_cells(
    cells: Iterable[dict[str, Any]], filters: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """The cells that have one of the values of every filter.

    Parameters
    ----------
    filters : mapping of str to sequence of str
        By key of a cell, the values that are wanted, as text.

    Raises
    ------
    FewshotError
        No cell has a value.
    """
    found = list(cells)
    for name, values in filters.items():
        there = {str(cell.get(name)) for cell in found}
        for value in values:
            if value not in there:
                raise FewshotError(f"--{name}", f"no cell has {value!r}", suggestion(value, there))
        found = [cell for cell in found if not values or str(cell.get(name)) in values]
    return found
