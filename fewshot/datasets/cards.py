"""Cards: metadata of data sets by name, ``datasets/cards/<name>.yaml``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fewshot.exceptions import FewshotError, UnknownNameError, expect_choice
from fewshot.paths import card, resource_dir


def card_names() -> list[str]:
    """Names of all cards, sorted."""
    return sorted(path.stem for path in resource_dir("datasets/cards").glob("*.yaml"))


def facts_of(name: str | None) -> dict[str, Any]:
    """Metadata of the card called `name`; an empty dict for None.

    Raises
    ------
    UnknownNameError
        There is no such card.
    """
    if name is None:
        return {}
    if name not in (names := card_names()):
        raise UnknownNameError("dataset.card", str(name), names)
    return card(name)


def unique_names(names: Sequence[str], ids: Sequence[str]) -> tuple[str, ...]:
    """Class names; a name that occurs more than once is followed by the class id.

    Examples
    --------
    >>> from fewshot.datasets.cards import unique_names
    >>> unique_names(["crane", "kite", "crane"], ["n02012849", "n01608432", "n03126707"])
    ('crane (n02012849)', 'kite', 'crane (n03126707)')
    """
    count = Counter(names)
    rows = zip(names, ids, strict=True)
    return tuple(f"{name} ({class_id})" if count[name] > 1 else name for name, class_id in rows)


def card_classnames(facts: Mapping[str, Any]) -> Sequence[str] | None:
    """Class names that the card lists, in class order; None if the data define the names."""
    if facts.get("classnames_from", "card") == "card":
        return facts.get("classnames")
    listed: Sequence[str] | None = facts.get("other_classnames", {}).get("card")
    return listed


def parts_of(
    facts: Mapping[str, Any], classnames: Sequence[str], class_split: str | None = None
) -> tuple[str, ...] | None:
    """Part of every class according to the card, or None if the card defines none.

    Parameters
    ----------
    facts : mapping
        A card: ``split`` lists class names under base, validation and novel; ``other_splits``
        holds further such lists by name.
    classnames : sequence of C str
    class_split : str, optional
        One of ``other_splits`` instead of ``split``.

    Raises
    ------
    FewshotError
        No split of that name; classes of the data and of the card differ.
    """
    lists = facts.get("split")
    if class_split is not None:
        others = facts.get("other_splits", {})
        expect_choice("dataset.class_split", class_split, others)
        lists = others[class_split]
    if not lists:
        return None
    part_of = {name: part for part, names in lists.items() for name in names}
    differing = sorted(part_of.keys() ^ set(classnames))
    if differing:
        raise FewshotError(
            "dataset.split",
            f"classes of the data and of the card {facts.get('name')!r} differ, "
            f"for instance in {differing[0]!r}",
            "The data may be altered; or set dataset.split=none.",
        )
    return tuple(part_of[name] for name in classnames)
