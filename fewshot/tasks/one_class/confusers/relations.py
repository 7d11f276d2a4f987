"""Relations of names in WordNet: senses of a class name, co-hyponyms, and kinship of names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from fewshot.tasks.one_class.confusers.spelling import AFTER_THE_HEAD, alternatives
from fewshot.tasks.one_class.confusers.wordnet import Synset, WordNet

# Words of the root synsets of physical objects and of people. Few data sets have classes of people,
# while many names of animals are also names of people: boxer, tiger, crane.
PHYSICAL, PEOPLE = "physical entity", "someone"


@dataclass(frozen=True)
class Meaning:
    """Senses of a class name in WordNet.

    Attributes
    ----------
    senses : tuple of Synset
        Physical senses that are not people, most frequent first; without any, all physical
        senses, or else all senses.
    exact : bool
        False if only the end of the name is in WordNet, which the class is a kind of.
    """

    senses: tuple[Synset, ...]
    exact: bool


@lru_cache(maxsize=8192)
def meaning(wordnet: WordNet, name: str) -> Meaning | None:
    """Senses of a class name; None if neither the name nor its head noun is in WordNet.

    In Princeton WordNet 3.0 "crane" is first of all a writer, an instance, and means the machine,
    then the bird; "pink primrose" is not in it and is taken for a kind of primrose.
    """
    whole = alternatives(name)
    ends = (end for alternative in whole for end in _ends(alternative))
    for word in (*whole, *ends):
        senses = _kinds(wordnet, word)
        if senses:
            physical = [sense for sense in senses if _below(wordnet, sense, PHYSICAL)]
            things = [sense for sense in physical if not _below(wordnet, sense, PEOPLE)]
            return Meaning(tuple(things or physical or senses), word in whole)
    return None


def sisters(wordnet: WordNet, target: str) -> Iterator[str]:
    """Co-hyponyms of a class in its first sense, in the order of WordNet.

    Other direct hyponyms of its direct hypernyms, each by its usual word. Where only the head of
    the name is known these are the other kinds of that head.
    """
    meant = meaning(wordnet, target)
    if meant is None:
        return
    synset = meant.senses[0]
    parents = [wordnet.synset(offset) for offset in synset.up] if meant.exact else [synset]
    for parent in parents:
        for offset in parent.down:
            if offset != synset.offset:
                yield wordnet.synset(offset).words[0]


def kinship(wordnet: WordNet, target: str, name: str) -> str | None:
    """Relation of `name` to a class: a reason to drop it, "" for none, None if undecided.

    The first senses decide: a bus is no automobile, although a secondary sense of "bus" is one.
    The relation is undecided if only other senses are related, or one of the names is not in
    WordNet. For a class with only its head noun in WordNet only hypernyms are recognised.
    """
    meant, other = meaning(wordnet, target), meaning(wordnet, name)
    if meant is None or other is None or not other.exact:
        return None
    first = _relation(wordnet, meant.senses[0], other.senses[0])
    if not meant.exact:
        return "a hypernym of the class (WordNet)" if first in ("synonym", "hypernym") else None
    if first is not None:
        return f"a {first} of the class (WordNet)"
    pairs = ((mine, yours) for mine in meant.senses for yours in other.senses)
    return None if any(_relation(wordnet, *pair) for pair in pairs) else ""


def _relation(wordnet: WordNet, target: Synset, other: Synset) -> str | None:
    """Relation of the synset `other` to `target`: synonym, hypernym, hyponym or None."""
    if target.offset == other.offset:
        return "synonym"
    if other.offset in wordnet.ancestors(target):
        return "hypernym"
    return "hyponym" if target.offset in wordnet.ancestors(other) else None


def _ends(name: str) -> list[str]:
    """A name without its first words, in turn; empty for "bishop of Llandaff"."""
    words = name.split()
    if AFTER_THE_HEAD.intersection(words[1:]):
        return []
    return [" ".join(words[first:]) for first in range(1, len(words))]


def _kinds(wordnet: WordNet, name: str) -> list[Synset]:
    return [sense for sense in wordnet.senses(name) if not sense.instance]


def _below(wordnet: WordNet, synset: Synset, word: str) -> bool:
    above = wordnet.ancestors(synset) | {synset.offset}
    return any(word in wordnet.synset(offset).words for offset in above)
