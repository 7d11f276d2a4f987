"""Files of confusers: round trip, validation, and the choice of the file of a run."""

import json
from pathlib import Path

import pytest

from fewshot.exceptions import FewshotError
from fewshot.paths import resource_dir
from fewshot.tasks.one_class.confusers import lists as module
from fewshot.tasks.one_class.confusers.lists import (
    ConfuserFile,
    confuser_file,
    confuser_path,
    load_any,
    name_fault,
    shipped_datasets,
)
from fewshot.text.descriptions import Descriptions, load_answers

FINE = {"format": 1, "kind": "confusers", "classes": {"crab": ["lobster", "king  prawn"]}}
CACHE = Path("cache")


def written(note, path="c.json"):
    Path(path).write_text(json.dumps(note), encoding="utf-8")
    return Path(path)


def made(dataset="sea", model="tiny"):
    return ConfuserFile({"crab": ["lobster"]}, dataset, model, "confusers@1")


def test_there_and_back():
    file = made()
    file.provenance = "By hand."
    file.save(Path("a/c.json"))
    loaded = load_answers(Path("a/c.json"), ConfuserFile)
    assert vars(loaded) | {"sha256": ""} == vars(file)
    assert isinstance(load_any(Path("a/c.json"), "x"), ConfuserFile)
    Descriptions({"crab": ['Says "kind": "confusers".']}).save(Path("d.json"))
    assert type(load_any(Path("d.json"), "x")) is Descriptions
    with pytest.raises(FewshotError, match=r"x: cannot read no\.json"):
        load_any(Path("no.json"), "x")


def test_a_file_by_hand():
    file = load_answers(written(FINE), ConfuserFile)
    assert file.of(["Crab", "ant"]) == [["lobster", "king prawn"], []]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kind": "descriptions"}, "expected a file of kind 'confusers'"),
        ({"classes": {"crab": []}}, "expected a list of 1 to"),
        ({"classes": {"crab": "lobster"}}, "expected a list of 1 to"),
        ({"classes": {"crab": ["<b>lobster</b>"]}}, "other characters than letters"),
        ({"classes": {"crab": [3]}}, "it is no text"),
        ({"classes": {"Crab": ["a"], "crab": ["b"]}}, "have the same name"),
        ({"provenance": 3}, "expected 'provenance' to be a str"),
    ],
)
def test_what_is_wrong_with_a_file(change, problem):
    with pytest.raises(FewshotError, match=rf"one_class\.confusers\.file: .*{problem}"):
        load_answers(written(FINE | change), ConfuserFile)


@pytest.mark.parametrize(
    "name",
    ["lobster", "jack-in-the-box", "pheasant's-eye", "7-segment display", "bird of paradise",
     "crème brûlée", "watering can", "ヒトデ", "sea lion\u2019s head"],
)  # fmt: skip
def test_what_is_a_name(name):
    assert name_fault(name) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"), (" ", "empty"), (None, "no text"), ("x" * 61, "61 characters"),
        ("a b c d e f g", "7 words"), ("A red animal.", "other characters"),
        ("lobster, crayfish", "other characters"), ("lobster (food)", "other characters"),
        ("<b>crab</b>", "other characters"), ("**crab**", "other characters"), ("1. crab", "other"),
        ("http://x", "other characters"), ("- crab", "other characters"), ("cr\u200bab", "U+200B"),
        ("crab\x1b", "U+001B"), ("it looks like this; yes", "other"), ("{{7*7}}", "other"),
        ("you are now free", "sentence"), ("Sorry I cannot", "sentence"), ("-", "other characters"),
        ("crabs are red", "sentence"),
    ],
)  # fmt: skip
def test_what_is_no_name(text, why):
    assert why in name_fault(text)


def test_which_file(workplace, monkeypatch):
    shipped = workplace / "shipped"
    shipped.mkdir()
    monkeypatch.setattr(module, "resource_dir", lambda name: shipped)
    with pytest.raises(FewshotError) as caught:
        confuser_file(None, CACHE, "sea")
    assert "there are no confusers of 'sea' in cache/confusers" in str(caught.value)
    assert "fewshot text confusers dataset=sea" in str(caught.value)

    made(model="shipped").save(shipped / "sea.json")
    assert shipped_datasets() == ["sea"]
    assert confuser_file(None, CACHE, "sea").model == "shipped"
    assert confuser_file(None, CACHE, "sea", "tiny").model == "shipped"  # the cache has none of it
    made().save(CACHE / "confusers" / "sea-tiny.json")
    made("sea-side").save(CACHE / "confusers" / "sea-side-tiny.json")
    assert confuser_file(None, CACHE, "sea").model == "tiny"
    made(model="b").save(CACHE / "confusers" / "sea-b.json")
    with pytest.raises(
        FewshotError, match=r"several confusers of 'sea'.*one_class\.confusers\.file="
    ):
        confuser_file(None, CACHE, "sea")
    assert confuser_path(None, CACHE, "sea", "b").name == "sea-b.json"
    assert confuser_file(written(FINE), CACHE, "sea").classes["crab"][0] == "lobster"
    with pytest.raises(FewshotError, match=r"one_class\.confusers\.file: cannot read no\.json"):
        confuser_file("no.json", CACHE, "sea")


def test_the_lists_of_the_package_can_be_read():
    for name in shipped_datasets():
        file = load_answers(resource_dir("datasets/confusers") / f"{name}.json", ConfuserFile)
        assert file.dataset == name
        assert file.classes
