"""Senses, co-hyponyms and kinship of names in WordNet."""

from pathlib import Path

import pytest

from fewshot.tasks.one_class.confusers.relations import kinship, meaning, sisters
from fewshot.tasks.one_class.confusers.wordnet import open_wordnet


@pytest.mark.parametrize(
    ("name", "first", "senses"),
    [
        ("crab", "crab", 1),  # not the illness, which is no thing
        ("crane", "crane", 1),  # not the writer, who is an instance
        ("boxer", "boxer", 1),  # the dog, not the person
        ("wrestler", "wrestler", 1),  # a person for want of a thing
        ("zero", "zero", 1),  # nothing physical
        ("dog", "dog", 2),
        ("boxer / dog", "boxer", 1),
    ],
)
def test_meanings(nouns, name, first, senses):
    meant = meaning(nouns, name)
    assert (meant.senses[0].words[0], len(meant.senses), meant.exact) == (first, senses, True)


def test_sisters(nouns):
    assert list(sisters(nouns, "Crabs")) == ["lobster", "shrimp"]
    assert list(sisters(nouns, "boxer")) == ["Great Dane"]
    assert list(sisters(nouns, "zero")) == ["one"]
    assert list(sisters(nouns, "wrestler")) == ["boxer"]
    assert list(sisters(nouns, "nothing like it")) == []
    assert "Crane" not in list(sisters(nouns, "writer"))


def test_a_name_of_which_only_the_head_is_known(nouns):
    meant = meaning(nouns, "spotted old crab")
    assert (meant.senses[0].words[0], meant.exact) == ("crab", False)
    assert list(sisters(nouns, "spotted old crab")) == ["hermit crab"]
    assert kinship(nouns, "spotted crab", "crustacean") == "a hypernym of the class (WordNet)"
    assert kinship(nouns, "spotted crab", "crab") == "a hypernym of the class (WordNet)"
    assert kinship(nouns, "spotted crab", "hermit crab") is None
    assert meaning(nouns, "man of crab") is None


@pytest.mark.parametrize(
    ("target", "name", "relation"),
    [
        ("shrimp", "prawns", "a synonym"), ("crab", "crustacean", "a hypernym"),
        ("crab", "entity", "a hypernym"), ("crab", "hermit crab", "a hyponym"),
        ("animal", "hermit crab", "a hyponym"), ("dog", "boxer", "a hyponym"),
    ],
)  # fmt: skip
def test_relatives(nouns, target, name, relation):
    assert kinship(nouns, target, name) == f"{relation} of the class (WordNet)"


def test_no_relatives(nouns):
    assert kinship(nouns, "crab", "lobster") == ""
    assert kinship(nouns, "horse", "sea horse") == ""
    assert kinship(nouns, "dog", "hot dog") is None  # related in another sense
    assert kinship(nouns, "crab", "spotted lobster") is None
    assert kinship(nouns, "gizmo", "crab") is None


def test_debian_s():
    place = Path("/usr/share/wordnet")
    if not (place / "data.noun").is_file():
        pytest.skip("wordnet-base is not installed")
    nouns = open_wordnet(place)
    assert {"lobster", "shrimp"} <= set(sisters(nouns, "crab"))
    assert "Labrador retriever" in list(sisters(nouns, "golden_retriever"))
    assert {"leopard", "lion"} <= set(sisters(nouns, "tiger"))
    assert "synonym" in kinship(nouns, "airplane", "aeroplane")
    assert "hypernym" in kinship(nouns, "golden retriever", "dog")
    assert "hyponym" in kinship(nouns, "retriever", "golden retriever")
    assert kinship(nouns, "horse", "sea horse") == ""
    assert kinship(nouns, "hedgehog", "Pekinese") == ""
