"""Where names that could be taken for a class come from; what of them is used is said elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fewshot.exceptions import FewshotError, expect
from fewshot.text.confusers.files import confuser_file, place_of_lists
from fewshot.text.confusers.kinship import meaning, sisters
from fewshot.text.confusers.near import nearest
from fewshot.text.confusers.settings import Wanted
from fewshot.text.confusers.vocabulary import digest, shuffled, vocabulary_names
from fewshot.text.confusers.wordnet import REMEDY, SETTING, WordNet

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
