"""Which names that a source gave are confusers of a class, and why the others are none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from fewshot.text.confusers.lists import ConfuserLists, Dropped
from fewshot.text.confusers.spelling import alike, forms, is_kind_by_words, same, spelled
from fewshot.text.prompts import readable

# Target and name to what WordNet says: a reason to drop the name, "" for no relation in any sense,
# None where it leaves that open.
Kinship = Callable[[str, str], str | None]


def clean(
    target: str, names: Iterable[str], kinship: Kinship | None = None, most: int | None = None
) -> tuple[list[str], list[Dropped]]:
    """Drop what names the class itself, a kind of it, or something that it is a kind of.

    In this order: names that are the class's own but for case, number, hyphens, accents, spaces
    and articles; names that came before; synonyms, hypernyms and hyponyms by WordNet; names that
    contain the class's as their head noun, or are the head noun of it. A head noun does not count
    where WordNet knows both names and relates them in no sense: a sea horse is no horse.

    Parameters
    ----------
    target : str
        Class name; alternatives after commas and slashes count too.
    names : iterable of str
        The most confusing first; read no further than needed.
    kinship : callable, optional
        Relations by WordNet; without it spelling alone decides.
    most : int, optional
        Stop at so many that are kept.

    Returns
    -------
    kept : list of str
    dropped : list of Dropped

    Examples
    --------
    >>> from fewshot.text.confusers.hygiene import clean
    >>> kept, dropped = clean("crab", ["Crabs", "lobster", "hermit crab", "the lobster"])
    >>> kept, [one.name for one in dropped]
    (['lobster'], ['Crabs', 'hermit crab', 'the lobster'])
    """
    kept: list[str] = []
    dropped: list[Dropped] = []
    for name in map(readable, names):
        if most is not None and len(kept) >= most:
            break
        why = _why_not(target, name, kept, kinship)
        if why is None:
            kept.append(name)
        else:
            dropped.append(Dropped(name, why))
    return kept, dropped


def shortened(lists: ConfuserLists, most: int) -> ConfuserLists:
    """The first `most` names of every class."""
    return replace(lists, names=tuple(own[:most] for own in lists.names))


def _why_not(target: str, name: str, kept: list[str], kinship: Kinship | None) -> str | None:
    own, other = forms(target), spelled(name)
    if not other:
        return "no word in it"
    if alike(target, name):
        return "the class's own name in another form"
    again = next((one for one in kept if same(spelled(one), other)), None)
    if again is not None:
        return f"the same as {again!r}"
    related = kinship(target, name) if kinship else None
    return (related or None) if related is not None else _by_words(own, other)


def _by_words(own: tuple[str, ...], other: str) -> str | None:
    if any(is_kind_by_words(other, form) for form in own):
        return "a kind of the class by its head noun"
    if any(is_kind_by_words(form, other) for form in own):
        return "the head noun of the class's name"
    return None
