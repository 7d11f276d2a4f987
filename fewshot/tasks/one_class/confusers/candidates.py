"""Candidate confusers from every source, and the lists after cleaning."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fewshot.exceptions import FewshotError, expect
from fewshot.registry import Entry
from fewshot.tasks.one_class.confusers.cleaning import clean, drop_near, nearest_names, shortened
from fewshot.tasks.one_class.confusers.lists import (
    ConfuserLists,
    ConfuserSettings,
    confuser_file,
    confuser_path,
    confuser_settings,
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

# Nearest names of a vocabulary that are cleaned, in multiples of k.
SPARE = 10


@dataclass(frozen=True)
class Request:
    """Input of a source of confusers.

    Attributes
    ----------
    wanted : ConfuserSettings
    dataset : str
    classnames : tuple of C str
    cache : Path
    model : str or None
        The language model of the settings.
    wordnet : WordNet or None
    encode : callable or None
        Names to text vectors (n, D).
    ids : tuple of C str, or None
        Identifiers of the classes, where these are not their names.
    """

    settings: ConfuserSettings
    dataset: str
    classnames: tuple[str, ...]
    cache: Path
    model: str | None
    wordnet: WordNet | None
    encode: Callable[[Sequence[str]], Tensor] | None
    ids: tuple[str, ...] | None = None


class Candidates(NamedTuple):
    """Names before cleaning, and a record of their origin.

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
    """Answers of a language model from a file; empty for classes that the file lacks."""
    lookup = (request.settings.file, request.cache, request.dataset, request.model)
    file = confuser_file(*lookup)
    names = file.of(request.classnames, request.ids)
    origin = ("dataset", "model", "prompt", "created", "sha256")
    record = {"file": str(confuser_path(*lookup))} | {key: getattr(file, key) for key in origin}
    pairs = zip(request.classnames, names, strict=True)
    missing = [name for name, listed in pairs if not listed]
    if missing and request.settings.file:
        lacking = f"{len(missing)} of {len(request.classnames)} classes, first {missing[0]!r}"
        print(f"fewshot: {record['file']} has no confusers of {lacking}", file=sys.stderr)
    return Candidates(list(names), record | {"missing": missing})


def by_wordnet(request: Request) -> Candidates:
    """Co-hyponyms of every class; empty for classes that WordNet lacks."""
    if request.wordnet is None:
        raise FewshotError(
            SETTING, "the source wordnet needs a folder with WordNet, got none", REMEDY
        )
    wordnet = request.wordnet
    meant = {name: meaning(wordnet, name) for name in request.classnames}
    senses = {name: ", ".join(sense.senses[0].words) for name, sense in meant.items() if sense}
    record = {
        "folder": str(wordnet.folder),
        "senses": senses,
        "missing": [name for name, sense in meant.items() if sense is None],
        "by_head_noun": [name for name, sense in meant.items() if sense and not sense.exact],
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
    names = vocabulary_names(request.settings.vocabulary)
    classes, vectors = request.encode(request.classnames), request.encode(names)
    near = nearest_names(classes, vectors, names, SPARE * request.settings.k)
    return Candidates(list(near), _vocabulary_record(request, names))


def by_chance(request: Request) -> Candidates:
    """The vocabulary in a random order, determined by the seed and the class name."""
    names, seed = vocabulary_names(request.settings.vocabulary), request.settings.seed
    orders: list[Iterable[str]] = [shuffled(names, seed, name) for name in request.classnames]
    return Candidates(orders, _vocabulary_record(request, names) | {"seed": seed})


def by_oracle(request: Request) -> Candidates:
    """All other classes of the data set."""
    classes = request.classnames
    several = len(classes) > 1
    expect(several, "one_class.sources", "the source oracle needs two classes or more, got 1")
    return Candidates([[*classes[:n], *classes[n + 1 :]] for n in range(len(classes))], {})


def _vocabulary_record(request: Request, names: Sequence[str]) -> dict[str, Any]:
    chosen = request.settings.vocabulary
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
    """Confusers after cleaning; see :func:`fewshot.tasks.one_class.confusers.confusers_of`."""
    checked = confuser_settings(settings)
    folder = find_wordnet(checked.wordnet) if source.name != "oracle" else None
    wordnet = open_wordnet(folder.resolve()) if folder else None
    request = Request(
        checked, dataset, tuple(classnames), cache, llm.get("model"), wordnet, encode,
        None if ids is None else tuple(ids),
    )  # fmt: skip
    candidates = source.load()(request)
    if source.name == "oracle":
        return _oracle(request, candidates)
    most = checked.k * (SPARE_NAMES if encode else 1)
    lists = _cleaned(request, candidates, most)
    if encode is not None:
        lists = _distinct(lists, encode, checked.cosine)
    lists = shortened(lists, checked.k)
    record = {"source": source.name, "k": checked.k} | lists.record
    record["wordnet"] = wordnet.version if wordnet else None
    return _with_record(lists, record)


def _oracle(request: Request, candidates: Candidates) -> ConfuserLists:
    """Lists of all other classes of the data set, without cleaning."""
    names = tuple(map(tuple, candidates.names))
    lists = ConfuserLists(request.classnames, names, tuple(() for _ in names))
    return _with_record(lists, {"source": "oracle"} | candidates.record)


def _cleaned(request: Request, candidates: Candidates, most: int) -> ConfuserLists:
    related = partial(kinship, request.wordnet) if request.wordnet else None
    pairs = zip(request.classnames, candidates.names, strict=True)
    both = [clean(target, names, related, most) for target, names in pairs]
    kept = tuple(tuple(names) for names, _ in both)
    dropped = tuple(tuple(rejected) for _, rejected in both)
    return ConfuserLists(request.classnames, kept, dropped, candidates.record)


def _distinct(
    lists: ConfuserLists, encode: Callable[[Sequence[str]], Tensor], limit: float | None
) -> ConfuserLists:
    names = list(dict.fromkeys(name for class_names in lists.names for name in class_names))
    if limit is None or not names:
        return lists
    # Encoders of class names do not accept two names that differ only in case.
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(name.casefold(), name)
    by_folded_name = dict(zip(first, encode(list(first.values())), strict=True))
    vectors = {name: by_folded_name[name.casefold()] for name in names}
    return drop_near(lists, encode(lists.classnames), vectors, limit)


def _with_record(lists: ConfuserLists, record: dict[str, Any]) -> ConfuserLists:
    pairs = zip(lists.classnames, lists.names, strict=True)
    record["without_confusers"] = [name for name, used in pairs if not used]
    return ConfuserLists(lists.classnames, lists.names, lists.dropped, record)
