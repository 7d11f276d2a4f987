"""Confuser lists that the package ships, and the taxonomy of Caltech-101."""

import os
from pathlib import Path

import pytest

from fewshot.datasets.cards import card_names
from fewshot.datasets.classnames import folded
from fewshot.paths import card, resource_dir
from fewshot.tasks.one_class.confusers import confusers_of
from fewshot.tasks.one_class.confusers.lists import ConfuserFile
from fewshot.tasks.one_class.confusers.llm import (
    COUNT,
    PROMPT,
    SYSTEM,
    Confusers,
)
from fewshot.tasks.one_class.confusers.spelling import spelled
from fewshot.tasks.one_class.taxonomy import ancestors_of, distances
from fewshot.text.descriptions import load_answers

FILES = sorted(resource_dir("datasets/confusers").glob("*.json"))
NUMBER = {
    "caltech101": 105, "cifar10": 10, "digits": 10, "fashion_mnist": 10, "flowers102": 102,
    "food101": 101, "oxford_pets": 37,
}  # fmt: skip
# Four classes of Caltech-101 have names of their own in CoOp's lists.
COOP = {"airplane": "airplanes", "face": "Faces", "leopard": "Leopards", "motorbike": "Motorbikes"}


def lists_of(name):
    path = resource_dir("datasets/confusers") / f"{name}.json"
    return load_answers(path, ConfuserFile)


def own_names(name):
    """What identifies classes, where torchvision or the card has it without the data."""
    from torchvision import datasets

    if name in ("flowers102", "fashion_mnist"):
        return getattr(datasets, card(name)["torchvision"]["class"]).classes
    facts = card(name)
    if name == "cifar10":  # torchvision's, as CLIP's
        return facts["classnames"]
    return facts.get("other_classnames", facts).get("card", facts.get("classnames"))


def test_they_are_all_there():
    assert {path.stem: len(lists_of(path.stem).classes) for path in FILES} == NUMBER
    assert set(NUMBER) <= set(card_names())


@pytest.mark.parametrize("name", NUMBER)
def test_a_list_says_what_was_asked_and_of_whom(name):
    lists = lists_of(name)
    assert (lists.dataset, lists.model, lists.prompt) == (name, "claude", PROMPT)
    assert lists.question == {
        "system": SYSTEM, "images": card(name)["summary"], "number": COUNT,
        "schema": Confusers.schema_sent(),
    }  # fmt: skip
    assert "Claude" in lists.provenance and lists.created


@pytest.mark.parametrize("name", NUMBER)
def test_every_class_has_enough_names_after_hygiene(name, tmp_path, monkeypatch):
    monkeypatch.setattr("fewshot.tasks.one_class.confusers.wordnet.USUAL", ())
    classes = lists_of(name).classes
    for names in classes.values():
        assert len(names) == len({spelled(name) for name in names}) == COUNT
        assert all(name == " ".join(name.split()) and len(name.split()) <= 4 for name in names)
    lists = confusers_of({"k": 10}, name, tuple(classes), "llm", tmp_path)
    assert all(len(names) == 10 for names in lists.names)


@pytest.mark.parametrize("name", NUMBER)
def test_names_are_those_of_the_data_set(name):
    classes = lists_of(name).classes
    others = len(COOP) if name == "caltech101" else 0
    assert len(classes) - others == card(name).get("classes", 10)
    if names := own_names(name):
        assert {folded(name) for name in classes if not others or name not in COOP} == set(
            map(folded, names)
        )


@pytest.mark.parametrize("name", NUMBER)
def test_lists_serve_under_whatever_names_the_classes_have(name, tmp_path):
    facts = card(name)
    ids, names = own_names(name), facts.get("classnames")
    if names is None:
        return
    lists = confusers_of({}, name, names, "llm", tmp_path, ids=ids)
    assert not lists.record["missing"]
    assert lists.classnames == tuple(names)


def test_folder_spellings_are_found(tmp_path):
    folders = ("Faces_easy", "water_lilly", "Sea Horse", "car_side", "BRAIN")
    assert not confusers_of({}, "caltech101", folders, "llm", tmp_path).record["missing"]
    assert not confusers_of({}, "food101", ("apple_pie",), "llm", tmp_path).record["missing"]
    lists = lists_of("caltech101").classes
    assert all(lists[new] == lists[old] for new, old in COOP.items())


def test_the_taxonomy_of_caltech101_has_every_class_at_one_depth():
    taxonomy = card("caltech101")["taxonomy"]
    names = tuple(lists_of("caltech101").classes)
    assert set(taxonomy) == set(names)
    assert all(taxonomy[new] == taxonomy[old] for new, old in COOP.items())
    ancestors = ancestors_of(names, taxonomy)
    assert {len(name) for name in ancestors} == {3}
    # A group has one parent, and no class is alone in its own.
    parents = {}
    for root, kind, group in ancestors:
        assert parents.setdefault(kind, root) == root
        assert parents.setdefault(group, kind) == kind
    apart = distances(ancestors)
    assert {1, 2, 3, 4} == set(apart[apart > 0].tolist())
    assert (apart == 1).any(1).all()
    place = {name: i for i, name in enumerate(names)}
    assert apart[place["ketch"], place["schooner"]] == 1
    assert apart[place["panda"], place["lobster"]] == 2
    assert apart[place["panda"], place["lotus"]] == 3
    assert apart[place["panda"], place["anchor"]] == 4


@pytest.mark.skipif("FEWSHOT_SHARED_DATA" not in os.environ, reason="needs shared data")
def test_folders_of_caltech101_have_lists_and_ancestors(tmp_path):
    root = Path(os.environ["FEWSHOT_SHARED_DATA"], "caltech101")
    folders = sorted(path.name for path in root.iterdir())
    assert not confusers_of({}, "caltech101", folders, "llm", tmp_path).record["missing"]
    assert len(ancestors_of(folders, card("caltech101")["taxonomy"])) == len(folders)
