"""Which name of a class prompts, questions and reports use, beside what identifies the class.

What identifies a class (a folder, a WordNet id, a name of the data set's own lists) decides splits,
taxonomies and the order of classes, and never changes with the names that people read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fewshot.datasets.cards import unique_names
from fewshot.datasets.classnames import expect_distinct, folded, nearest
from fewshot.datasets.identifiers import (
    WORDNET_ID,
    identifiers,
    readable_names,
    wordnet_names,
)
from fewshot.datasets.split_files.text import read_lines, read_mapping
from fewshot.datasets.walk import is_file
from fewshot.exceptions import FewshotError
from fewshot.paths import card

if TYPE_CHECKING:
    from fewshot.datasets.base import ImageDataset
    from fewshot.features.bank import FeatureBank

SETTING = "dataset.classnames"
AUTO, CLIP, CARD, DATA = "auto", "clip", "card", "data"
WORDS = (AUTO, CLIP, CARD, DATA)
FILE, WORDNET = "file", "wordnet"
Named = TypeVar("Named", bound="ImageDataset | FeatureBank")


def with_names(loaded: Named, wanted: str | None, facts: Mapping[str, Any]) -> Named:
    """A data set with the class names that the setting ``dataset.classnames`` means.

    Parameters
    ----------
    loaded : ImageDataset or FeatureBank
        As its loader made it.
    wanted : {"auto", "clip", "card", "data"} or str, optional
        CLIP's names, the card's own, what the data call their classes, or a file; see
        :func:`read_names`. "auto" (or None) takes the first of the three that there is; of
        features, whose names somebody chose, only names that look like identifiers change.
    facts : mapping
        The data set's card, or nothing.

    Returns
    -------
    ImageDataset or FeatureBank
        ``classnames`` are the names, ``ids`` what identifies the classes, and ``naming`` says
        whose the names are.

    Raises
    ------
    FewshotError
        No such names for these classes, or a file that does not fit them.
    """
    ids = loaded.ids or loaded.classnames
    names, record = _names(loaded, ids, str(wanted or AUTO), facts)
    if names == loaded.classnames:
        return replace(loaded, naming=record)
    return replace(loaded, classnames=names, ids=ids, naming=record)


def _names(
    loaded: Named, ids: Sequence[str], wanted: str, facts: Mapping[str, Any]
) -> tuple[tuple[str, ...], dict[str, Any]]:
    own = loaded.classnames
    if wanted == DATA:
        return own, {"from": DATA}
    if wanted not in WORDS:
        path = Path(wanted).expanduser()
        return read_names(path, [ids, own]), {"from": FILE, "source": path.name}
    if wanted == AUTO:
        chosen = hasattr(loaded, "features") and not identifiers(own)
        order: tuple[str, ...] = () if chosen else (CLIP, CARD)
    else:
        order = (wanted,)
    lists = names_of_card(facts, ids)
    for whose in order:
        if (listed := lists.get(whose)) is not None:
            return unique_names(listed, ids), _record(whose, facts)
        if (found := _by_wordnet(ids, whose)) is not None:
            return found
    if wanted == CARD and facts:
        return own, {"from": CARD}
    if wanted != AUTO:
        raise _no_list(wanted, lists, facts, ids)
    return (own if not order else readable_names(own)), {"from": DATA}


def names_of_card(facts: Mapping[str, Any], ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The lists of class names of a card that fit these classes, by whose they are.

    Parameters
    ----------
    facts : mapping
        ``classnames`` are the names that ``classnames_from`` ("card" where it is silent) uses, a
        list in class order or names by id; ``other_classnames`` has further such lists. Lists are
        in the order of ``ids``, where the card has them, else of the card's own list.
    ids : sequence of C str
        What identifies the classes, in any order, or some of them.
    """
    given = {facts.get("classnames_from", CARD): facts.get("classnames")}
    given |= facts.get("other_classnames", {})
    lists = {whose: names for whose, names in given.items() if names}
    orders = [facts.get("ids"), lists.get(CARD), *lists.values()]
    keys = [list(order) for order in orders if order]
    found = {}
    for whose, names in lists.items():
        named = [names] if isinstance(names, Mapping) else [
            dict(zip(order, names, strict=True)) for order in keys if len(order) == len(names)
        ]  # fmt: skip
        known = ({folded(str(one)): str(name) for one, name in each.items()} for each in named)
        fitting = (each for each in known if all(folded(one) in each for one in ids))
        if (fits := next(fitting, None)) is not None:
            found[whose] = tuple(fits[folded(one)] for one in ids)
    return found


def _record(whose: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    first = whose == facts.get("classnames_from", CARD)
    source = facts.get("classnames_source") if first else None
    return {"from": whose} | ({"source": " ".join(str(source).split())} if source else {})


def _by_wordnet(ids: Sequence[str], whose: str) -> tuple[tuple[str, ...], dict[str, Any]] | None:
    """Names of classes that are all called by WordNet ids, from the card of ImageNet."""
    if not ids or not all(WORDNET_ID.fullmatch(one) for one in ids):
        return None
    facts = card("imagenet")
    listed = names_of_card(facts, facts["ids"])[whose]
    known = dict(zip(facts["ids"], unique_names(listed, facts["ids"]), strict=True))
    found = wordnet_names(ids, known)
    if whose == CLIP and not all(one in known for one in ids):
        return None  # a list by whom it says, or none of it
    names = unique_names([found.get(one, one) for one in ids], ids)
    inside = all(one in known for one in ids)
    return names, _record(whose, facts) if inside else {"from": WORDNET}


def _no_list(
    wanted: str, lists: Mapping[str, Any], facts: Mapping[str, Any], ids: Sequence[str]
) -> FewshotError:
    there = [one for one in (CLIP, CARD) if one in lists or (one == CARD and facts)]
    allowed = ", ".join([AUTO, *there, DATA])
    whose = {CLIP: "CLIP's names", CARD: "names"}[wanted]
    own = facts.get("classnames") and facts.get("classnames_from", CARD)
    if not facts:
        why = "this data set has no card"
    elif wanted in (own, *facts.get("other_classnames", {})):
        why = f"the card {facts['name']!r} has {whose} of other classes than {ids[0]!r}"
    else:
        why = f"the card {facts['name']!r} has no list of {whose}"
    return FewshotError(SETTING, f"expected {allowed} or a file of names, got {wanted!r}; {why}")


def read_names(path: Path, known: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Class names from a file.

    Parameters
    ----------
    path : Path
        JSON or YAML: a list in the order of the classes, or names by identifier; a text file with
        a name per line, in the order of the classes.
    known : sequence of sequences of C str
        What identifies the classes; more than one way may.

    Raises
    ------
    FewshotError
        No such file, another number of names, an identifier that no class has or a class without
        a name, two classes of one name.
    """
    if not is_file(path):
        raise FewshotError(
            SETTING, f"expected {', '.join(WORDS)} or a readable file, got {str(path)!r}: nothing "
            "is there", nearest_word(str(path)),
        )  # fmt: skip
    suffix = path.suffix.lower()
    content: Any = read_lines(path, SETTING) if suffix == ".txt" else read_mapping(path, SETTING)
    if isinstance(content, Mapping):
        content = _in_order(content, path, known)
    ids = known[0]
    if not isinstance(content, Sequence) or isinstance(content, str):
        raise FewshotError(SETTING, f"{path} should be a list of names, or names by identifier")
    for number, name in enumerate(content):
        if not isinstance(name, str) or not name.strip():
            raise FewshotError(SETTING, f"{path}: name {number} should be a text, got {name!r}")
    if len(content) != len(ids):
        raise FewshotError(
            SETTING, f"{path} has {len(content)} names, the data set has {len(ids)} classes, "
            f"from {ids[0]!r} to {ids[-1]!r}", "Give a name per class, in that order.",
        )  # fmt: skip
    names = tuple(" ".join(name.split()) for name in content)
    try:
        expect_distinct(SETTING, names, str(path))
    except FewshotError as error:
        raise FewshotError(SETTING, error.problem, "Say what tells the two apart.") from None
    return names


def _in_order(content: Mapping[str, Any], path: Path, known: Sequence[Sequence[str]]) -> list[Any]:
    """Names by identifier in the order of the classes."""
    place = {folded(one): c for ids in reversed(known) for c, one in enumerate(ids)}
    names: list[Any] = [None] * len(known[0])
    for one, name in content.items():
        c = place.get(folded(str(one)))
        if c is None:
            raise FewshotError(
                SETTING, f"{path} names {one!r}, which is no class of the data set",
                nearest(str(one), known[0]),
            )  # fmt: skip
        if names[c] is not None:
            raise FewshotError(SETTING, f"{path} has two names for the class {known[0][c]!r}")
        names[c] = name
    without = [one for one, name in zip(known[0], names, strict=True) if name is None]
    if without:
        raise FewshotError(
            SETTING, f"{path} has no name for {len(without)} of {len(names)} classes, the first is "
            f"{without[0]!r}",
        )  # fmt: skip
    return names


def nearest_word(given: str) -> str:
    """'Did you mean ...?' for what may be a word of the setting."""
    return nearest(given, WORDS) if Path(given).name == given else ""


def unnamed(dataset: ImageDataset | FeatureBank) -> list[str]:
    """Class names that look like identifiers; none of a list that says whose it is."""
    chosen = dataset.naming.get("from") in (CLIP, CARD)
    return [] if chosen else identifiers(dataset.classnames)
