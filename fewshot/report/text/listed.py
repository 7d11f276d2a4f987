"""Long lists, of which the first entries are shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LISTED = 12


def listed(values: Sequence[Any]) -> str:
    """``a, b, c and 5 more``."""
    shown = ", ".join(map(str, values[:LISTED])) or "none"
    more = len(values) - LISTED
    return f"{shown} and {more} more" if more > 0 else shown


def listed_pairs(what: str, texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of name and text of the first entries, and the number of the others."""
    yield from ((f"{what} {name}", text) for name, text in list(texts.items())[:LISTED])
    if len(texts) > LISTED:
        yield f"{what} others", f"{len(texts) - LISTED} more classes, in summary.json"
