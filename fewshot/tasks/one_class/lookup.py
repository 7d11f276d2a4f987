"""Confusers of arbitrary words, from the first list that contains the word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fewshot.datasets.classnames import nearest
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.paths import resource_dir
from fewshot.tasks.one_class.confusers import confusers_of
from fewshot.tasks.one_class.confusers.lists import ConfuserFile, ConfuserLists, Dropped
from fewshot.tasks.one_class.confusers.relations import meaning
from fewshot.tasks.one_class.confusers.spelling import (
    alike,
    forms,
    same,
    spelled,
)
from fewshot.tasks.one_class.confusers.wordnet import find_wordnet, open_wordnet
from fewshot.text.descriptions import load_answers
from fewshot.text.prompts import readable

if TYPE_CHECKING:
    from torch import Tensor

# auto: the first of llm, wordnet and vocabulary that contains the word.
SOURCES = ("auto", "llm", "wordnet", "vocabulary", "random", "none")
SOURCE, LISTS = "source", "confusers"
Encode = Callable[[Sequence[str]], "Tensor"]


class Origin(NamedTuple):
    """Origin of the confusers of a word.

    Attributes
    ----------
    source : str
        Of ``fewshot.tasks.one_class.confusers``, or "none".
    name : str
        The word as the source spells it.
    file : str, optional
        With source "llm".
    """

    source: str
    name: str
    file: str | None = None


def list_files(cache: Path) -> list[Path]:
    """Paths of lists from language models: those in the cache, then those in the package."""
    folders = (cache / "confusers", resource_dir("datasets/confusers"))
    return [path for folder in folders for path in sorted(folder.glob("*.json"))]


def names_in(files: Sequence[Path]) -> dict[str, list[str]]:
    """Class names in lists, by file; files that cannot be read are skipped."""
    names: dict[str, list[str]] = {}
    for path in files:
        with suppress(FewshotError):
            names[str(path)] = list(load_answers(path, ConfuserFile, LISTS).classes)
    return names


def listed_in(word: str, names: Mapping[str, Sequence[str]]) -> Origin | None:
    """Origin of the first list with the word, or else with the word up to case and number.

    Examples
    --------
    >>> from fewshot.tasks.one_class.lookup import listed_in
    >>> listed_in("Sea horse", {"a.json": ["crab"], "b.json": ["sea_horses"]})
    Origin(source='llm', name='sea_horses', file='b.json')
    """
    for fits in (_equal, _related):
        for file, classnames in names.items():
            for name in classnames:
                if fits(word, name):
                    return Origin("llm", name, file)
    return None


def confusers_for(
    words: Sequence[str],
    source: str,
    settings: Mapping[str, Any],
    cache: Path,
    encode: Encode,
    *,
    missing: str = "raise",
) -> ConfuserLists:
    """Confusers of every word.

    Parameters
    ----------
    words : sequence of C str
    source : str
        One of `SOURCES`. With "auto" each word takes the first source that contains it.
    settings : mapping
        The settings ``one_class.confusers``; with ``file``, no other list is used.
    cache : Path
    encode : callable
        Names to text vectors (n, D).
    missing : {"raise", "none"}
        What to do with a word that is in none of the lists.

    Raises
    ------
    FewshotError
        An unknown source, a list that cannot be read or does not have a word, no WordNet.
    """
    expect_choice(SOURCE, source, SOURCES)
    origins = _origins(words, source, settings, cache, missing)
    by_origin: dict[Origin, ConfuserLists] = {}
    for source_and_file in dict.fromkeys((origin.source, origin.file) for origin in origins):
        group = list(
            dict.fromkeys(
                origin for origin in origins if (origin.source, origin.file) == source_and_file
            )
        )
        by_origin |= zip(group, _confusers_of_source(group, settings, cache, encode), strict=True)
    lists = [by_origin[origin] for origin in origins]
    return ConfuserLists(
        tuple(words),
        tuple(entry.names[0] for entry in lists),
        tuple(entry.dropped[0] for entry in lists),
        lists[0].record if len(lists) == 1 else {"source": source},
    )


def with_own(lists: ConfuserLists, names: Sequence[str]) -> ConfuserLists:
    """The confusers of one word with additional `names` in front.

    More general and more specific names are kept; only forms of the word itself are dropped.
    """
    word, taken, dropped = lists.classnames[0], dict[str, str](), list(lists.dropped[0])
    for name in names:
        if not spelled(name):
            dropped.append(Dropped(name, "no word in it"))
        elif alike(word, name):
            dropped.append(Dropped(name, "the class's own name in another form"))
        else:
            taken.setdefault(spelled(name), readable(name))
    rest = [
        listed for listed in lists.names[0] if not any(same(spelled(listed), key) for key in taken)
    ]
    return replace(lists, names=((*taken.values(), *rest),), dropped=(tuple(dropped),))


def _origins(
    words: Sequence[str], source: str, settings: Mapping[str, Any], cache: Path, missing: str
) -> list[Origin]:
    if source not in ("auto", "llm"):
        return [Origin(source, word) for word in words]
    if not (file := settings.get("file")):
        names = names_in(list_files(cache))
        return [_origin(word, source, settings, names, missing) for word in words]
    lists = load_answers(Path(str(file)), ConfuserFile, LISTS)
    names = {str(file): list(lists.classes)}
    if lists.common:  # a plain list is of every word
        return [listed_in(word, names) or Origin("llm", word, str(file)) for word in words]
    return [_origin(word, source, settings, names, missing) for word in words]


def _origin(
    word: str, source: str, settings: Mapping[str, Any], names: Mapping[str, Any], missing: str
) -> Origin:
    origin = listed_in(word, names)
    if origin is not None:
        return origin
    if source == "auto" and not settings.get("file"):
        return Origin("wordnet" if _in_wordnet(word, settings) else "vocabulary", word)
    if missing == "none":
        return Origin("none", word)
    where = settings.get("file") or "the lists of the cache and of the package"
    remedy = "Ask a language model (fewshot oneclass --ask llm.model=...), or take another source."
    near = nearest(word, [name for listed in names.values() for name in listed])
    remedy = f"{near} {remedy}" if near.startswith("Did you mean") else remedy
    raise FewshotError(LISTS, f"there is no {word!r} in {where}", remedy)


def _confusers_of_source(
    origins: Sequence[Origin], settings: Mapping[str, Any], cache: Path, encode: Encode
) -> list[ConfuserLists]:
    """Confusers from the common source of `origins`, a list of one class for each."""
    source, _, file = origins[0]
    if source == "none":
        return [
            ConfuserLists((origin.name,), ((),), ((),), {"source": "none"}) for origin in origins
        ]
    file_settings, names = {**settings, "file": file}, [origin.name for origin in origins]
    lists = confusers_of(file_settings, "", names, source, cache=cache, encode=encode)
    rows = zip(lists.classnames, lists.names, lists.dropped, strict=True)
    return [
        ConfuserLists((name,), (used,), (dropped,), lists.record) for name, used, dropped in rows
    ]


def _equal(word: str, name: str) -> bool:
    return spelled(word) == spelled(name)


def _related(word: str, name: str) -> bool:
    return any(same(spelled(word), form) for form in forms(name))


def _in_wordnet(word: str, settings: Mapping[str, Any]) -> bool:
    folder = find_wordnet(settings.get("wordnet"))
    return folder is not None and meaning(open_wordnet(folder.resolve()), word) is not None
