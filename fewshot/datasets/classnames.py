"""Normalisation and comparison of class names: Unicode form, case, separators."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from fewshot.exceptions import FewshotError, suggestion


def composed(name: str) -> str:
    """The name in Unicode's composed form (NFC).

    An archive made on a Mac often has "é" as two characters where Linux and split files have one.

    Examples
    --------
    >>> from fewshot.datasets.classnames import composed
    >>> composed("cafe\\u0301") == "caf\\u00e9"
    True
    """
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """The name without regard to case, Unicode form and the choice among ``_``, ``-`` and space.

    Examples
    --------
    >>> from fewshot.datasets.classnames import folded
    >>> folded("Sea_Horse")
    'sea horse'
    """
    return re.sub(r"[\s_-]+", " ", composed(composed(name).casefold()))


def expect_distinct(argument: str, names: Iterable[str], where: str) -> None:
    """Raise if two class names differ in their spelling only.

    On a file system that ignores case or Unicode form, as most of those of macOS and Windows do,
    the two would have been one class.

    Raises
    ------
    FewshotError
        The message names both.
    """
    first: dict[str, str] = {}
    for name in names:
        key = folded(name)
        if (other := first.get(key)) is not None:
            # Two Unicode forms look the same on a screen: show the code points.
            show = ascii if composed(other) == composed(name) else repr
            raise FewshotError(
                argument,
                f"classes {show(other)} and {show(name)} of {where} differ in spelling only",
                "Rename or merge them, or set dataset.same_names=keep if they are two classes.",
            )
        first[key] = name


def composed_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names in composed Unicode form; names that would become equal are unchanged."""
    count = Counter(map(composed, names))
    return tuple(composed(name) if count[composed(name)] == 1 else name for name in names)


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Suggestion "Did you mean ...?": a name that differs in spelling only, else a similar one."""
    candidates = list(candidates)
    alike = [candidate for candidate in candidates if folded(candidate) == folded(name)]
    return f"Did you mean {alike[0]!r}?" if alike else suggestion(name, candidates)
