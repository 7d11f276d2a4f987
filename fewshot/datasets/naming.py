"""Display names of classes in prompts, questions and reports, separate from class identifiers.

The identifier of a class (a folder, a WordNet id, a name in the lists of the data set) decides
splits, taxonomies and the order of classes; it does not change with the display names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fewshot.datasets.cards import unique_names
from fewshot.datasets.classnames import distinct_names, folded, nearest
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
TELL_APART = "Say what tells the two apart, or set dataset.same_names=keep."
AUTO, CLIP, CARD, DATA = "auto", "clip", "card", "data"
WORDS = (AUTO, CLIP, CARD, DATA)
FILE, WORDNET = "file", "wordnet"
Named = TypeVar("Named", bound="ImageDataset | FeatureBank")


def with_names(
    loaded: Named, setting: str | None, facts: Mapping[str, Any], same_names: str = "raise"
) -> Named:
    """A data set with the class names that the setting ``dataset.classnames`` selects.

    Parameters
    ----------
    loaded : ImageDataset or FeatureBank
        As its loader made it.
    setting : {"auto", "clip", "card", "data"} or str, optional
        Names of CLIP, of the card, of the data, or a file; see :func:`read_names`. "auto" (or
        None) takes the first of the three that exists; names of feature banks, which a user
        chose, change only if they look like identifiers.
    facts : mapping
        The data set's card; may be empty.
    same_names : {"raise", "keep"}
        What to do about two names of a file that are the same.

    Returns
    -------
    ImageDataset or FeatureBank
        ``classnames`` are the names, ``ids`` the identifiers of the classes, and ``naming`` gives
        the origin of the names.

    Raises
    ------
    FewshotError
        No such names for these classes, or a file that does not fit them.
    """
    ids = loaded.ids or loaded.classnames
    names, record = _names(loaded, ids, str(setting or AUTO), facts, same_names)
    if names == loaded.classnames:
        return replace(loaded, naming=record)
    return replace(loaded, classnames=names, ids=ids, naming=record)


def _names(
    loaded: Named, ids: Sequence[str], setting: str, facts: Mapping[str, Any], same_names: str
) -> tuple[tuple[str, ...], dict[str, Any]]:
    names = loaded.classnames
    if setting == DATA:
        return names, {"from": DATA}
    if setting not in WORDS:
        path = Path(setting).expanduser()
        return read_names(path, [ids, names], same_names), {"from": FILE, "source": path.name}
    if setting == AUTO:
        chosen = hasattr(loaded, "features") and not identifiers(names)
        order: tuple[str, ...] = () if chosen else (CLIP, CARD)
    else:
        order = (setting,)
    lists = names_of_card(facts, ids)
    for source in order:
        if (listed := lists.get(source)) is not None:
            return unique_names(listed, ids), _record(source, facts)
        if (by_wordnet := _by_wordnet(ids, source)) is not None:
            return by_wordnet
    if setting == CARD and facts:
        return names, {"from": CARD}
    if setting != AUTO:
        raise _no_list(setting, lists, facts, ids)
    return (names if not order else readable_names(names)), {"from": DATA}


def names_of_card(facts: Mapping[str, Any], ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The lists of class names of a card that cover these classes, by origin.

    Parameters
    ----------
    facts : mapping
        ``classnames`` are the names that ``classnames_from`` ("card" where it is silent) uses, a
        list in class order or names by id; ``other_classnames`` has further such lists. Lists are
        in the order of ``ids``, where the card has them, else of the card's own list.
    ids : sequence of C str
        Identifiers of all classes or a part of them, in any order.
    """
    sources = {facts.get("classnames_from", CARD): facts.get("classnames")}
    sources |= facts.get("other_classnames", {})
    lists = {source: names for source, names in sources.items() if names}
    orders = [facts.get("ids"), lists.get(CARD), *lists.values()]
    keys = [list(order) for order in orders if order]
    fitting_lists = {}
    for source, names in lists.items():
        named = [names] if isinstance(names, Mapping) else [
            dict(zip(order, names, strict=True)) for order in keys if len(order) == len(names)
        ]  # fmt: skip
        tables = (
            {folded(str(class_id)): str(name) for class_id, name in table.items()}
            for table in named
        )
        fitting = (table for table in tables if all(folded(class_id) in table for class_id in ids))
        if (fits := next(fitting, None)) is not None:
            fitting_lists[source] = tuple(fits[folded(class_id)] for class_id in ids)
    return fitting_lists


def _record(source: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    first = source == facts.get("classnames_from", CARD)
    reference = facts.get("classnames_source") if first else None
    return {"from": source} | ({"source": " ".join(str(reference).split())} if reference else {})


def _by_wordnet(ids: Sequence[str], source: str) -> tuple[tuple[str, ...], dict[str, Any]] | None:
    """Names from the card of ImageNet, if all identifiers are WordNet ids; else None."""
    if not ids or not all(WORDNET_ID.fullmatch(class_id) for class_id in ids):
        return None
    facts = card("imagenet")
    listed = names_of_card(facts, facts["ids"])[source]
    name_of = dict(zip(facts["ids"], unique_names(listed, facts["ids"]), strict=True))
    wordnet = wordnet_names(ids, name_of)
    if source == CLIP and not all(class_id in name_of for class_id in ids):
        return None  # a list is used only if it covers all classes
    names = unique_names([wordnet.get(class_id, class_id) for class_id in ids], ids)
    inside = all(class_id in name_of for class_id in ids)
    return names, _record(source, facts) if inside else {"from": WORDNET}


def _no_list(
    setting: str, lists: Mapping[str, Any], facts: Mapping[str, Any], ids: Sequence[str]
) -> FewshotError:
    available = [source for source in (CLIP, CARD) if source in lists or (source == CARD and facts)]
    allowed = ", ".join([AUTO, *available, DATA])
    described = {CLIP: "CLIP's names", CARD: "names"}[setting]
    default_source = facts.get("classnames") and facts.get("classnames_from", CARD)
    if not facts:
        why = "this data set has no card"
    elif setting in (default_source, *facts.get("other_classnames", {})):
        why = f"the card {facts['name']!r} has {described} of other classes than {ids[0]!r}"
    else:
        why = f"the card {facts['name']!r} has no list of {described}"
    return FewshotError(SETTING, f"expected {allowed} or a file of names, got {setting!r}; {why}")


def read_names(
    path: Path, orders: Sequence[Sequence[str]], same_names: str = "raise"
) -> tuple[str, ...]:
    """Class names from a file.

    Parameters
    ----------
    path : Path
        JSON or YAML: a list in the order of the classes, or names by identifier; a text file with
        a name per line, in the order of the classes.
    orders : sequence of sequences of C str
        Identifiers of the classes, in one or more vocabularies.
    same_names : {"raise", "keep"}
        With "keep", two equal names are followed by the identifiers.

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
        content = _in_order(content, path, orders)
    ids = orders[0]
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
    return distinct_names(SETTING, names, str(path), same_names, ids, TELL_APART)


def _in_order(content: Mapping[str, Any], path: Path, orders: Sequence[Sequence[str]]) -> list[Any]:
    """Names by identifier in the order of the classes."""
    place = {folded(class_id): c for ids in reversed(orders) for c, class_id in enumerate(ids)}
    names: list[Any] = [None] * len(orders[0])
    for class_id, name in content.items():
        c = place.get(folded(str(class_id)))
        if c is None:
            raise FewshotError(
                SETTING, f"{path} names {class_id!r}, which is no class of the data set",
                nearest(str(class_id), orders[0]),
            )  # fmt: skip
        if names[c] is not None:
            raise FewshotError(SETTING, f"{path} has two names for the class {orders[0][c]!r}")
        names[c] = name
    without = [class_id for class_id, name in zip(orders[0], names, strict=True) if name is None]
    if without:
        raise FewshotError(
            SETTING, f"{path} has no name for {len(without)} of {len(names)} classes, the first is "
            f"{without[0]!r}",
        )  # fmt: skip
    return names


def nearest_word(value: str) -> str:
    """A suggestion "Did you mean ...?" if `value` may be a misspelt value of the setting."""
    return nearest(value, WORDS) if Path(value).name == value else ""


def unnamed(dataset: ImageDataset | FeatureBank) -> list[str]:
    """Class names that look like identifiers; [] if the names are from a published list."""
    chosen = dataset.naming.get("from") in (CLIP, CARD)
    return [] if chosen else identifiers(dataset.classnames)
