"""Confusers: names of objects that could be mistaken for a class, from several sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from fewshot.tasks.one_class.confusers.lists import ConfuserLists

sources = Registry("one_class.sources")
sources.add(
    "llm",
    "fewshot.tasks.one_class.confusers.candidates:by_language_model",
    "what a language model named; lists from a file, the cache or the package",
)
sources.add(
    "wordnet",
    "fewshot.tasks.one_class.confusers.candidates:by_wordnet",
    "co-hyponyms: other kinds of what the class is a kind of; needs a WordNet folder",
)
sources.add(
    "vocabulary",
    "fewshot.tasks.one_class.confusers.candidates:by_vocabulary",
    "names of a vocabulary nearest to the class by text; needs a text encoder",
)
sources.add(
    "random",
    "fewshot.tasks.one_class.confusers.candidates:by_chance",
    "random names of a vocabulary",
)
sources.add(
    "oracle",
    "fewshot.tasks.one_class.confusers.candidates:by_oracle",
    "all other classes of the data set, which nobody knows beforehand",
)


def confusers_of(
    settings: Mapping[str, Any],
    dataset: str,
    classnames: Sequence[str],
    source: str,
    cache: Path,
    llm: Mapping[str, Any] | None = None,
    *,
    encode: Callable[[Sequence[str]], Tensor] | None = None,
    ids: Sequence[str] | None = None,
) -> ConfuserLists:
    """Confusers of the classes of a data set, at most ``settings["k"]`` after cleaning.

    No network access: answers of a language model are read from a file.

    Parameters
    ----------
    settings : mapping
        The settings ``one_class.confusers``; missing ones have their defaults
        (:class:`~fewshot.tasks.one_class.confusers.lists.ConfuserSettings`).
    dataset : str
    classnames : sequence of C str
    source : str
        One of ``sources``.
    cache : Path
        Folder of caches.
    llm : mapping, optional
        The settings ``llm``; only ``model`` is used, to choose among several lists in the cache.
    encode : callable, optional
        Names to text vectors (n, D), with the prompts of the class names. The source vocabulary
        needs it. The others use it to drop near duplicates before the lists are cut to k; without
        it see :func:`~fewshot.tasks.one_class.confusers.cleaning.drop_near`.
    ids : sequence of C str, optional
        Identifiers of the classes, for lists under other names.

    Raises
    ------
    FewshotError
        An unknown source or setting, no lists, no WordNet, or a file that cannot be used.
    """
    from fewshot.tasks.one_class.confusers.candidates import gather

    return gather(settings, dataset, classnames, sources[source], cache, llm or {}, encode, ids)
