"""What looks like an identifier, what does not, and the names that stand in identifiers."""

import pytest

from fewshot.datasets.cards import card_names
from fewshot.datasets.identifiers import (
    identifiers,
    in_words,
    is_identifier,
    readable_names,
    wordnet_names,
)
from fewshot.paths import card

IDENTIFIERS = (
    "n01532829", "n02085620-Chihuahua", "17", "003", "-1", "3.0", "class_3", "Class 12", "label3",
    "cluster-7", "id_4", "Latin/character01", "001.Black_footed_Albatross", "12.ketch", "0007_rose",
    "00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris",
    "Plantae_Tracheophyta_Magnoliopsida_Rosales_Rosaceae_Rosa_canina", "/a/abbey", "/m/0k4j",
    "123e4567-e89b-12d3-a456-426614174000", "HP:0001250", "img_00031", "Q146123", "#5", "n000002",
)  # fmt: skip
NAMES = (
    "737-200", "A380", "A300B4", "boeing 707", "Boeing 717", "C-130", "F-16A/B", "F/A-18",
    "2012 Tesla Model S", "BMW 3 Series Wagon 2012", "Audi 100 Sedan 1994", "MD-11", "Q400",
    "3.5 mm jack", "ak47", "x-ray", "zero", "baluster / handrail", "kite (bird of prey)", "Type-S",
    "facade", "decade", "speed limit 20 km/h", "colt's foot", "yo-yo", "7 Up", "person", "group",
    "Bentley_Continental_Supersports_Conv._Convertible_2012", "animal", "ö", "12-string guitar",
)  # fmt: skip


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_identifiers(name):
    assert is_identifier(name) and is_identifier(f" {name} ")
    assert identifiers(["robin", name]) == [name]


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    assert not is_identifier(name)
    assert identifiers(["robin", name, "wren"]) == []


def test_together_they_may_be_none():
    assert identifiers(["c0", "c1", "c2"]) == ["c0", "c1", "c2"]
    assert identifiers(["Person-1", "Person-2"]) == ["Person-1", "Person-2"]
    assert identifiers(["A318", "A319", "A320", "A321"]) == []
    assert identifiers(["c0", "c1", "dog"]) == []
    assert identifiers(["0a1b2c", "9f8e7d"]) == ["0a1b2c", "9f8e7d"]
    assert identifiers(["a300b4", "concorde", "spitfire"]) == []
    assert identifiers([]) == []
    assert in_words(["17"], 3) == "1 of 3 class names look like identifiers, for instance '17'"


@pytest.mark.parametrize("name", card_names())
def test_no_list_of_a_card_raises_the_alarm(name):
    facts = card(name)
    lists = [facts.get("classnames"), *facts.get("other_classnames", {}).values()]
    for names in filter(None, lists):
        shown = list(names.values()) if isinstance(names, dict) else names
        alarms = identifiers(shown)
        # CLIP itself calls MNIST's digits so.
        assert alarms == (shown if name == "mnist" and shown[0] == "0" else [])


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (["001.ak47", "251.airplanes-101"], ["ak47", "airplanes-101"]),
        (["0_cat", "1_dog"], ["cat", "dog"]),
        (["00_cat", "07_dog"], ["00_cat", "07_dog"]),  # numbers that do not count the classes
        (["1998 Saturn", "2012 Saturn"], ["1998 Saturn", "2012 Saturn"]),
        (["1.cat", "2.cat"], ["1.cat", "2.cat"]),  # they would be called the same
        (["n02085620-Chihuahua", "n02085782-Japanese_spaniel"], ["Chihuahua", "Japanese_spaniel"]),
        (["/a/abbey", "/t/temple/east_asia"], ["abbey", "temple east_asia"]),
        (["AnnualCrop", "SeaLake", "River"], ["Annual Crop", "Sea Lake", "River"]),
        (["McLaren", "BMW", "Land_Rover"], ["McLaren", "BMW", "Land_Rover"]),
        (["001.ak47", "dog"], ["001.ak47", "dog"]),  # not all of one form
        (
            ["00001_Plantae_Tracheophyta_Liliopsida_Asparagales_Orchidaceae_Ophrys_apifera"],
            ["Ophrys apifera"],
        ),
        (["17", "18"], ["17", "18"]),
    ],
)
def test_names_that_stand_in_identifiers(ids, names):
    assert readable_names(ids) == tuple(names)


def test_wordnet_ids_beyond_imagenets_thousand():
    """By their first lemma, from a list that comes with timm."""
    names = wordnet_names(["n02084071", "n99999999", "dog", "n01443537"], {"n01443537": "goldfish"})
    assert names == {"n02084071": "dog", "n01443537": "goldfish"}
