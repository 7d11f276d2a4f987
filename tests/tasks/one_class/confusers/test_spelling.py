"""Comparison of names by spelling."""

import pytest

from fewshot.tasks.one_class.confusers.spelling import (
    forms,
    is_kind_by_words,
    same,
    spelled,
)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Sea_Horse", "seahorse"), ("crab", "Crabs"), ("the crab", "a crab"), ("fox", "foxes"),
        ("strawberry", "strawberries"), ("gas-mask", "gas mask"), ("shoe", "shoes"),
        ("tomato", "tomatoes"), ("crème brûlée", "creme brulee"), ("St. Bernard", "st bernard"),
        ("goose", "geese"), ("snow leopard", "snow leopards"),
        ("black-eyed Susan", "black eyed susan"),
        ("bus", "buses"), ("pheasant's-eye", "pheasants eye"),
    ],
)  # fmt: skip
def test_same_names(first, second):
    assert same(spelled(first), spelled(second))
    assert same(spelled(second), spelled(first))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("red fox", "red ox"), ("mole", "mule"), ("bus", "bu"), ("glass", "glas"),
        ("crab", "crane"), ("wild cat", "wild rat"), ("iris", "iri"), ("octopus", "octopu"),
        ("a", "an"),
    ],
)  # fmt: skip
def test_other_names(first, second):
    assert not same(spelled(first), spelled(second))


@pytest.mark.parametrize(
    ("name", "general", "kind"),
    [
        ("golden retriever", "retriever", True), ("golden retrievers", "retriever", True),
        ("hermit crab", "crab", True), ("Labrador retriever", "golden retriever", False),
        ("sea horse", "horse", False), ("sea horses", "horse", False),
        ("koala bear", "bear", False),
        ("seahorse", "horse", False), ("retriever", "golden retriever", False),
        ("horse trailer", "horse", False), ("statue of a horse", "horse", False),
        ("wild horse of Mongolia", "horse", True), ("horse", "horse", False),
        ("crab", "", False), ("blue-eyed crab", "crab", True), ("rubber boot", "boot", True),
    ],
)  # fmt: skip
def test_kinds(name, general, kind):
    assert is_kind_by_words(spelled(name), spelled(general)) is kind


def test_other_ways_of_saying_it():
    assert forms("tench, Tinca tinca") == ("tench tinca tinca", "tench", "tinca tinca")
    assert forms("military hat (bearskin or shako)")[1:] == ("military hat",)
    assert forms("- / _") == ()
