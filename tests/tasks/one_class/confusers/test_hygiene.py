"""Cleaning of names: dropped names and their reasons."""

from functools import partial

import pytest

from fewshot.tasks.one_class.confusers.cleaning import clean
from fewshot.tasks.one_class.confusers.relations import kinship

OWN, KIND, HEAD = "own name in another form", "a kind of", "the head noun"


@pytest.mark.parametrize(
    ("target", "name", "why"),
    [
        ("crab", "Crabs", OWN), ("sea_horse", "Seahorse", OWN), ("T-shirt/top", "t shirts", OWN),
        ("kite (bird of prey)", "kite", OWN), ("tench, Tinca tinca", "tinca tinca", OWN),
        ("retriever", "golden retriever", KIND), ("golden retriever", "retriever", HEAD),
        ("bishop of Llandaff", "bishop", HEAD), ("crab", " ' ", "no word"),
    ],
)  # fmt: skip
def test_what_is_dropped(target, name, why):
    kept, (dropped,) = clean(target, [name])
    assert kept == []
    assert why in dropped.reason


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("horse", "sea horse"), ("sea horse", "horse"), ("horse", "horse trailer"),
        ("golden retriever", "Labrador retriever"), ("apple pie", "apple"), ("dog", "hot dog"),
        ("horse", "statue of a horse"), ("fox", "ox"),
    ],
)  # fmt: skip
def test_what_is_kept(target, name):
    assert clean(target, [name]) == ([name], [])


def test_order_duplicates_and_the_limit():
    names = ["lobster", "Crab", "Lobsters", "hermit crab", "king_prawn", "spider", "rock"]
    kept, dropped = clean("crab", iter(names), most=3)
    assert kept == ["lobster", "king prawn", "spider"]
    assert [entry.name for entry in dropped] == ["Crab", "Lobsters", "hermit crab"]
    assert dropped[1].reason == "the same as 'lobster'"
    assert clean("crab", names)[0] == [*kept, "rock"]


def test_with_wordnet(nouns):
    related = partial(kinship, nouns)
    assert clean("shrimp", ["prawn"])[0] == ["prawn"]
    names = ["Equus caballus", "animals", "sea horse", "zebra", "wooden horse"]
    kept, dropped = clean("horse", names, related)
    assert kept == ["sea horse", "zebra"]
    reasons = [entry.reason for entry in dropped]
    assert ["synonym" in reasons[0], "hypernym" in reasons[1]] == [True, True]
    assert "by its head noun" in reasons[2]  # WordNet does not know it: words decide
