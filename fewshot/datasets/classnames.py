"""Normalisation and comparison of class names: Unicode form, case, separators."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from fewshot.datasets.cards import unique_names
from fewshot.exceptions import FewshotError, expect_choice, suggestion

SAME_NAMES = "Rename or merge them, or set dataset.same_names=keep if they are two classes."


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


def expect_distinct(
    argument: str, names: Iterable[str], where: str, remedy: str = SAME_NAMES
) -> None:
    """Raise if two class names are equal or differ in their spelling only.

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
        if (other := first.get(key)) == name:
            raise FewshotError(argument, f"two classes of {where} have the name {name!r}", remedy)
        if other is not None:
            # Two Unicode forms look the same on a screen: show the code points.
            show = ascii if composed(other) == composed(name) else repr
            raise FewshotError(
                argument,
                f"classes {show(other)} and {show(name)} of {where} differ in spelling only",
                remedy,
            )
        first[key] = name


def distinct_names(
    argument: str,
    names: Sequence[str],
    where: str,
    same_names: str = "raise",
    ids: Sequence[str] | None = None,
    remedy: str = SAME_NAMES,
) -> tuple[str, ...]:
    """The names of C classes, none twice: the rule of ``dataset.same_names`` for all data.

    Parameters
    ----------
    argument : str
        The setting or argument that errors name.
    names : sequence of C str
    where : str
        The file or data set that has them, for errors.
    same_names : {"raise", "keep"}
        What to do about names that are equal or differ in spelling only (:func:`folded`). With
        "keep", equal ones are followed by what identifies the class and others stay as they are.
    ids : sequence of C str, optional
        What identifies the classes; by default their numbers 0..C-1.
    remedy : str

    Raises
    ------
    FewshotError
        Two such names with "raise"; another word than these two.

    Examples
    --------
    >>> from fewshot.datasets.classnames import distinct_names
    >>> distinct_names("classnames", ["crane", "kite", "crane"], "birds.npz", "keep")
    ('crane (0)', 'kite', 'crane (2)')
    """
    expect_choice("dataset.same_names", same_names, ("raise", "keep"))
    if same_names == "raise":
        expect_distinct(argument, names, where, remedy)
    ids = [str(c) for c in range(len(names))] if ids is None else ids
    while len(set(names)) < len(names):  # once, unless "crane (0)" was a name already
        names = unique_names(names, ids)
    return tuple(names)


def composed_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names in composed Unicode form; names that would become equal are unchanged."""
    count = Counter(map(composed, names))
    return tuple(composed(name) if count[composed(name)] == 1 else name for name in names)


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Suggestion "Did you mean ...?": a name that differs in spelling only, else a similar one."""
    candidates = list(candidates)
    alike = [candidate for candidate in candidates if folded(candidate) == folded(name)]
    return f"Did you mean {alike[0]!r}?" if alike else suggestion(name, candidates)
