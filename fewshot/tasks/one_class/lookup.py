"""Confusers of any word, from the first list that has it, whatever data set it was made for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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

# auto: the first of llm, wordnet and vocabulary that has the word.
SOURCES = ("auto", "llm", "wordnet", "vocabulary", "random", "none")
SOURCE, LISTS = "--source", "--confusers"
Encode = Callable[[Sequence[str]], "Tensor"]


class Origin(NamedTuple):
    """Where a word's confusers come from.

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
    """Lists of language models: those of the cache, then those that the package ships."""
    folders = (cache / "confusers", resource_dir("datasets/confusers"))
    return [path for folder in folders for path in sorted(folder.glob("*.json"))]


def names_in(files: Sequence[Path]) -> dict[str, list[str]]:
    """The classes that lists have, by file; a file that cannot be read has none."""
    names: dict[str, list[str]] = {}
    for path in files:
        with suppress(FewshotError):
            names[str(path)] = list(load_answers(path, ConfuserFile, LISTS).classes)
    return names


def listed_in(word: str, names: Mapping[str, Sequence[str]]) -> Origin | None:
    """The first list that has the word; else the first that has it but for case or number.

    Examples
    --------
    >>> from fewshot.tasks.one_class.lookup import listed_in
    >>> listed_in("Sea horse", {"a.json": ["crab"], "b.json": ["sea_horses"]})
    Origin(source='llm', name='sea_horses', file='b.json')
    """
    for fits in (_equal, _related):
        for file, own in names.items():
            for name in own:
                if fits(word, name):
                    return Origin("llm", name, file)
    return None


def confusers_for(
    words: Sequence[str],
    source: str,
    wanted: Mapping[str, Any],
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
        One of `SOURCES`. With "auto" every word has the first source that knows it.
    wanted : mapping
        The settings ``one_class.confusers``; with ``file``, no other list counts.
    cache : Path
    encode : callable
        Names to text vectors (n, D).
    missing : {"raise", "none"}
        What becomes of a word that the lists which are asked for do not have.

    Raises
    ------
    FewshotError
        An unknown source, a list that cannot be read or does not have a word, no WordNet.
    """
    expect_choice(SOURCE, source, SOURCES)
    origins = _origins(words, source, wanted, cache, missing)
    known: dict[Origin, ConfuserLists] = {}
    for place in dict.fromkeys((one.source, one.file) for one in origins):
        own = list(dict.fromkeys(one for one in origins if (one.source, one.file) == place))
        known |= zip(own, _from_one(own, wanted, cache, encode), strict=True)
    lists = [known[one] for one in origins]
    return ConfuserLists(
        tuple(words),
        tuple(one.names[0] for one in lists),
        tuple(one.dropped[0] for one in lists),
        lists[0].record if len(lists) == 1 else {"source": source},
    )


def with_own(lists: ConfuserLists, own: Sequence[str]) -> ConfuserLists:
    """The confusers of one word with names of one's own before the others.

    Wider and narrower names are taken as they are; only the word itself, in any form, is dropped.
    """
    word, taken, out = lists.classnames[0], dict[str, str](), list(lists.dropped[0])
    for name in own:
        if not spelled(name):
            out.append(Dropped(name, "no word in it"))
        elif alike(word, name):
            out.append(Dropped(name, "the class's own name in another form"))
        else:
            taken.setdefault(spelled(name), readable(name))
    rest = [one for one in lists.names[0] if not any(same(spelled(one), key) for key in taken)]
    return replace(lists, names=((*taken.values(), *rest),), dropped=(tuple(out),))


def _origins(
    words: Sequence[str], source: str, wanted: Mapping[str, Any], cache: Path, missing: str
) -> list[Origin]:
    if source not in ("auto", "llm"):
        return [Origin(source, word) for word in words]
    given = wanted.get("file")
    if given:
        load_answers(Path(str(given)), ConfuserFile, LISTS)  # it says what is wrong with it
    names = names_in([Path(str(given))] if given else list_files(cache))
    return [_origin(word, source, wanted, names, missing) for word in words]


def _origin(
    word: str, source: str, wanted: Mapping[str, Any], names: Mapping[str, Any], missing: str
) -> Origin:
    found = listed_in(word, names)
    if found is not None:
        return found
    if source == "auto" and not wanted.get("file"):
        return Origin("wordnet" if _in_wordnet(word, wanted) else "vocabulary", word)
    if missing == "none":
        return Origin("none", word)
    where = wanted.get("file") or "the lists of the cache and of the package"
    remedy = "Ask a language model (--ask llm.model=...), or take another --source."
    raise FewshotError(LISTS, f"there is no {word!r} in {where}", remedy)


def _from_one(
    origins: Sequence[Origin], wanted: Mapping[str, Any], cache: Path, encode: Encode
) -> list[ConfuserLists]:
    """Confusers from one source, a list of one class for each."""
    source, _, file = origins[0]
    if source == "none":
        return [ConfuserLists((one.name,), ((),), ((),), {"source": "none"}) for one in origins]
    settings, names = {**wanted, "file": file}, [one.name for one in origins]
    found = confusers_of(settings, "", names, source, cache=cache, encode=encode)
    rows = zip(found.classnames, found.names, found.dropped, strict=True)
    return [ConfuserLists((name,), (own,), (out,), found.record) for name, own, out in rows]


def _equal(word: str, name: str) -> bool:
    return spelled(word) == spelled(name)


def _related(word: str, name: str) -> bool:
    return any(same(spelled(word), form) for form in forms(name))


def _in_wordnet(word: str, wanted: Mapping[str, Any]) -> bool:
    folder = find_wordnet(wanted.get("wordnet"))
    return folder is not None and meaning(open_wordnet(folder.resolve()), word) is not None
