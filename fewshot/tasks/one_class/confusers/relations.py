"""How names are related by WordNet: what a class name means, its sisters, and its relatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from fewshot.tasks.one_class.confusers.spelling import AFTER_THE_HEAD, alternatives
from fewshot.tasks.one_class.confusers.wordnet import Synset, WordNet

# Words of the synsets above all that can be photographed, and above all people. Few data sets have
# classes of people, while many an animal's name is also one for people: boxer, tiger, crane.
PHYSICAL, PEOPLE = "physical entity", "someone"


@dataclass(frozen=True)
class Meaning:
    """What a class name means.

    Attributes
    ----------
    senses : tuple of Synset
        Its physical senses that are no people, most frequent first; where there are none its
        physical ones, and else all.
    exact : bool
        False if WordNet knows only the end of the name: the class is a kind of that.
    """

    senses: tuple[Synset, ...]
    exact: bool


@lru_cache(maxsize=8192)
def meaning(wordnet: WordNet, name: str) -> Meaning | None:
    """What a class name means; None if WordNet does not know it nor its head noun.

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
    """How `name` is related to a class: a reason to drop it, "" for none, None if left open.

    What both mean first decides: a bus is no automobile though "bus" has been said of one. Where
    only other senses are related, or WordNet does not know one of the two, it is left open. Of a
    class of which the head alone is known nothing but hypernyms can be told.
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
    """What `other` is to `target`."""
    if target.offset == other.offset:
        return "synonym"
    if other.offset in wordnet.ancestors(target):
        return "hypernym"
    return "hyponym" if target.offset in wordnet.ancestors(other) else None


def _ends(name: str) -> list[str]:
    """What is left of a name without its first words; nothing of "bishop of Llandaff"."""
    words = name.split()
    if AFTER_THE_HEAD.intersection(words[1:]):
        return []
    return [" ".join(words[first:]) for first in range(1, len(words))]


def _kinds(wordnet: WordNet, name: str) -> list[Synset]:
    return [sense for sense in wordnet.senses(name) if not sense.instance]


def _below(wordnet: WordNet, synset: Synset, word: str) -> bool:
    above = wordnet.ancestors(synset) | {synset.offset}
    return any(word in wordnet.synset(offset).words for offset in above)
