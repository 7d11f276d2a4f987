"""Where names that could be taken for a class come from; what of them is used is said elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fewshot.exceptions import FewshotError, expect
from fewshot.registry import Entry
from fewshot.tasks.one_class.confusers.cleaning import clean, drop_near, nearest, shortened
from fewshot.tasks.one_class.confusers.lists import (
    ConfuserLists,
    Wanted,
    confuser_file,
    place_of_lists,
    wanted_of,
)
from fewshot.tasks.one_class.confusers.relations import kinship, meaning, sisters
from fewshot.tasks.one_class.confusers.vocabulary import digest, shuffled, vocabulary_names
from fewshot.tasks.one_class.confusers.wordnet import (
    REMEDY,
    SETTING,
    WordNet,
    find_wordnet,
    open_wordnet,
)

if TYPE_CHECKING:
    from torch import Tensor

if TYPE_CHECKING:
    from torch import Tensor

# Of a vocabulary so many times k nearest names go through hygiene.
SPARE = 10


@dataclass(frozen=True)
class Request:
    """Everything that a source may look at.

    Attributes
    ----------
    wanted : Wanted
    dataset : str
    classnames : tuple of C str
    cache : Path
    model : str or None
        The language model of the settings.
    wordnet : WordNet or None
    encode : callable or None
        Names to text vectors (n, D).
    ids : tuple of C str, or None
        What identifies the classes, where it is not their names.
    """

    wanted: Wanted
    dataset: str
    classnames: tuple[str, ...]
    cache: Path
    model: str | None
    wordnet: WordNet | None
    encode: Callable[[Sequence[str]], Tensor] | None
    ids: tuple[str, ...] | None = None


class Candidates(NamedTuple):
    """Names before hygiene, and where they come from.

    Attributes
    ----------
    names : list of C iterables of str
        The most confusing first.
    record : dict
        JSON types only.
    """

    names: list[Iterable[str]]
    record: dict[str, Any]


def by_language_model(request: Request) -> Candidates:
    """What a language model named, from a file; classes that it lacks have none."""
    given = (request.wanted.file, request.cache, request.dataset, request.model)
    found = confuser_file(*given)
    names = found.of(request.classnames, request.ids)
    origin = ("dataset", "model", "prompt", "created", "sha256")
    record = {"file": str(place_of_lists(*given))} | {key: getattr(found, key) for key in origin}
    pairs = zip(request.classnames, names, strict=True)
    missing = [name for name, own in pairs if not own]
    return Candidates(list(names), record | {"missing": missing})


def by_wordnet(request: Request) -> Candidates:
    """Co-hyponyms of every class; none of a class that WordNet does not know."""
    if request.wordnet is None:
        raise FewshotError(
            SETTING, "the source wordnet needs a folder with WordNet, got none", REMEDY
        )
    wordnet = request.wordnet
    meant = {name: meaning(wordnet, name) for name in request.classnames}
    senses = {name: ", ".join(one.senses[0].words) for name, one in meant.items() if one}
    record = {
        "folder": str(wordnet.folder),
        "senses": senses,
        "missing": [name for name, one in meant.items() if one is None],
        "by_head_noun": [name for name, one in meant.items() if one and not one.exact],
    }
    return Candidates([sisters(wordnet, name) for name in request.classnames], record)


def by_vocabulary(request: Request) -> Candidates:
    """Names of the vocabulary nearest to every class by the cosine of text vectors."""
    if request.encode is None:
        raise FewshotError(
            "one_class.sources",
            "the source vocabulary needs a text encoder, got none",
            "Take a backbone with one, or another source.",
        )
    names = vocabulary_names(request.wanted.vocabulary)
    classes, vectors = request.encode(request.classnames), request.encode(names)
    near = nearest(classes, vectors, names, SPARE * request.wanted.k)
    return Candidates(list(near), _vocabulary_record(request, names))


def by_chance(request: Request) -> Candidates:
    """The vocabulary in a random order that the seed and the class name decide."""
    names, seed = vocabulary_names(request.wanted.vocabulary), request.wanted.seed
    orders: list[Iterable[str]] = [shuffled(names, seed, name) for name in request.classnames]
    return Candidates(orders, _vocabulary_record(request, names) | {"seed": seed})


def by_oracle(request: Request) -> Candidates:
    """All other classes of the data set."""
    classes = request.classnames
    several = len(classes) > 1
    expect(several, "one_class.sources", "the source oracle needs two classes or more, got 1")
    return Candidates([[*classes[:n], *classes[n + 1 :]] for n in range(len(classes))], {})


def _vocabulary_record(request: Request, names: Sequence[str]) -> dict[str, Any]:
    chosen = request.wanted.vocabulary
    return {
        "vocabulary": chosen if isinstance(chosen, str) else "base classes",
        "vocabulary_names": len(names),
        "vocabulary_sha256": digest(names),
    }


# Names per class that are encoded to find near duplicates, in multiples of k.
SPARE_NAMES = 2


def gather(
    settings: Mapping[str, Any],
    dataset: str,
    classnames: Sequence[str],
    source: Entry,
    cache: Path,
    llm: Mapping[str, Any],
    encode: Callable[[Sequence[str]], Tensor] | None = None,
    ids: Sequence[str] | None = None,
) -> ConfuserLists:
    """The confusers that :func:`fewshot.tasks.one_class.confusers.confusers_of` promises."""
    wanted = wanted_of(settings)
    folder = find_wordnet(wanted.wordnet) if source.name != "oracle" else None
    wordnet = open_wordnet(folder.resolve()) if folder else None
    request = Request(
        wanted, dataset, tuple(classnames), cache, llm.get("model"), wordnet, encode,
        None if ids is None else tuple(ids),
    )  # fmt: skip
    found = source.load()(request)
    if source.name == "oracle":
        return _oracle(request, found)
    most = wanted.k * (SPARE_NAMES if encode else 1)
    lists = _cleaned(request, found, most)
    if encode is not None:
        lists = _distinct(lists, encode, wanted.cosine)
    lists = shortened(lists, wanted.k)
    record = {"source": source.name, "k": wanted.k} | lists.record
    record["wordnet"] = wordnet.version if wordnet else None
    return _with_record(lists, record)


def _oracle(request: Request, found: Candidates) -> ConfuserLists:
    """Real names of the data set's other classes: all of them, as they are."""
    names = tuple(map(tuple, found.names))
    lists = ConfuserLists(request.classnames, names, tuple(() for _ in names))
    return _with_record(lists, {"source": "oracle"} | found.record)


def _cleaned(request: Request, found: Candidates, most: int) -> ConfuserLists:
    related = partial(kinship, request.wordnet) if request.wordnet else None
    pairs = zip(request.classnames, found.names, strict=True)
    both = [clean(target, names, related, most) for target, names in pairs]
    kept = tuple(tuple(names) for names, _ in both)
    dropped = tuple(tuple(out) for _, out in both)
    return ConfuserLists(request.classnames, kept, dropped, found.record)


def _distinct(
    lists: ConfuserLists, encode: Callable[[Sequence[str]], Tensor], limit: float | None
) -> ConfuserLists:
    names = list(dict.fromkeys(name for own in lists.names for name in own))
    if limit is None or not names:
        return lists
    # Encoders of class names refuse two that differ by case only.
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(name.casefold(), name)
    known = dict(zip(first, encode(list(first.values())), strict=True))
    vectors = {name: known[name.casefold()] for name in names}
    return drop_near(lists, encode(lists.classnames), vectors, limit)


def _with_record(lists: ConfuserLists, record: dict[str, Any]) -> ConfuserLists:
    pairs = zip(lists.classnames, lists.names, strict=True)
    record["without_confusers"] = [name for name, own in pairs if not own]
    return ConfuserLists(lists.classnames, lists.names, lists.dropped, record)
