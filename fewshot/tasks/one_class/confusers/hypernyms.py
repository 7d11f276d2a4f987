"""Which of ImageNet's 1000 classes are kinds of what a word names, after WordNet."""

from __future__ import annotations

import json
from functools import lru_cache

from fewshot.paths import resource_dir
from fewshot.tasks.one_class.confusers.spelling import forms, same

FILE = "datasets/hypernyms"


def imagenet_kinds(word: str) -> frozenset[int] | None:
    """Indices of the classes that are kinds of the word or the word itself; None if it is unknown.

    A word is known if its most frequent physical sense in WordNet 3.0 is the synset of a class or
    a hypernym of one, in singular or plural.

    Examples
    --------
    >>> from fewshot.tasks.one_class.confusers.hypernyms import imagenet_kinds
    >>> len(imagenet_kinds("dogs")), imagenet_kinds("zorblax")
    (118, None)
    """
    table = _table()
    for form in forms(word):
        for name in (form, *_singulars(form, table)):
            if name in table:
                return table[name]
    return None


def _singulars(form: str, table: dict[str, frozenset[int]]) -> list[str]:
    """Words of the table that differ from `form` by number alone."""
    return [word for word in table if word[:2] == form[:2] and same(word, form)]


@lru_cache(maxsize=1)
def _table() -> dict[str, frozenset[int]]:
    """Classes by word in the form of :func:`spelled`."""
    path = resource_dir(FILE) / "imagenet.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    synsets = stored["synsets"]  # words and the numbers of the hypernyms, which come before
    members: list[set[int]] = [set() for _ in synsets]
    for c, place in enumerate(stored["classes"]):
        members[place].add(c)
    for place in range(len(synsets) - 1, -1, -1):
        for above in synsets[place][1]:
            members[above] |= members[place]
    table: dict[str, frozenset[int]] = {}
    for (words, _), classes in zip(synsets, members, strict=True):
        for word in words:
            table.setdefault(forms(word)[0], frozenset(classes))
    return table
