"""Files of descriptions: what is written is read, and nothing else is."""

import hashlib
import json
from pathlib import Path

import pytest

from fewshot.exceptions import FewshotError
from fewshot.text.descriptions import (
    Descriptions,
    load_descriptions,
    place_of,
    usual_file,
)

FINE = {"format": 1, "kind": "descriptions", "classes": {"crab": ["Red,\n with claws."]}}


def written(note, path="d.json"):
    text = note if isinstance(note, str) else json.dumps(note)
    Path(path).write_text(text, encoding="utf-8")
    return Path(path)


def refusal(note):
    with pytest.raises(FewshotError) as caught:
        load_descriptions(written(note))
    message = str(caught.value)
    assert message.startswith("text.descriptions: ")
    assert "\n" not in message
    return message


def test_there_and_back():
    made = Descriptions({"crab": ["Rouge, à pinces."]}, "sea", "tiny", "visual@1", "today")
    made.refused = {"ant": ["it is empty"]}
    made.save(Path("a/d.json"))
    descriptions = load_descriptions(Path("a/d.json"))
    assert descriptions.sha256 == hashlib.sha256(Path("a/d.json").read_bytes()).hexdigest()
    assert vars(descriptions) | {"sha256": ""} == vars(made)
    assert "à" in Path("a/d.json").read_text(encoding="utf-8")
    assert [path.name for path in Path("a").iterdir()] == ["d.json"]


def test_a_file_by_hand():
    descriptions = load_descriptions(written(FINE))
    assert descriptions.classes == {"crab": ["Red, with claws."]}
    assert descriptions.model == "unknown"
    assert descriptions.of(["ant", "Crab "]) == [[], ["Red, with claws."]]
    assert descriptions.foreign(["ant"]) == ["crab"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kind": "confusers"}, "expected a file of kind 'descriptions'"),
        ({"format": 2}, "expected format 1, got 2"),
        ({"classes": ["crab"]}, "expected 'classes' to be a dict"),
        ({"model": 3}, "expected 'model' to be a str"),
        (
            {"refused": {"ant": "empty"}},
            "class 'ant': expected 'refused' to be a list, got 'empty'",
        ),
        (
            {"refused": {"ant": [None]}},
            "class 'ant': a text cannot be used: it is no text, got None",
        ),
        ({"settings": [1]}, "expected 'settings' to be a dict, got [1]"),
        ({"question": "What is it?\n\x1b" * 99}, "expected 'question' to be a dict, got 'What"),
        ({"model": "a\ud800b"}, "expected 'model' to have no control characters"),
        ({"created": "\x1b[2J"}, r"'created' to have no control characters, got '\x1b[2J'"),
        (
            {"refused": {"ant": ["a\x07"]}},
            "expected 'refused' to have no control characters, got 'a\\x07'",
        ),
        ({"classes": {"a\ud800b": ["Red."]}}, "is no class name"),
        (
            {"classes": {"crab": {"a": "Red."}}},
            "expected a list of 1 to 100 texts, got {'a': 'Red.'}",
        ),
        ({"classes": {"crab": "Red."}}, "class 'crab': expected a list of 1 to"),
        ({"classes": {"crab": []}}, "expected a list of 1 to"),
        ({"classes": {"crab": ["Red."] * 101}}, "expected a list of 1 to 100"),
        ({"classes": {"crab": [" \n"]}}, "class 'crab': a text cannot be used: it is empty"),
        ({"classes": {"crab": [3]}}, "it is no text"),
        ({"classes": {"crab": ["x" * 20_001]}}, "20001 characters, more than 20000"),
        ({"classes": {"crab": ["a\x00b"]}}, r"the character U+0000"),
        ({"classes": {"crab": ["a\u202eb"]}}, r"the character U+202E"),
        ({"classes": {"crab": ["a\ud800b"]}}, r"the character U+D800"),
        ({"classes": {"_": ["Red."]}}, "'_' is no class name"),
        ({"classes": {"a\x1bb": ["Red."]}}, "is no class name"),
        ({"classes": {"Sea_horse": ["A."], "sea horse": ["B."]}}, "have the same name"),
    ],
)
def test_what_is_wrong_with_a_file(change, problem):
    assert problem in refusal(FINE | change)


def test_what_is_no_such_file():
    assert "no JSON file" in refusal('{"format": 1,')
    assert "no JSON file" in refusal("[" * 100_000)
    assert "the name 'crab' comes twice" in refusal('{"classes": {"crab": [], "crab": []}}')
    assert "expected a file of kind" in refusal("[]")
    assert "expected 'classes'" in refusal({"format": 1, "kind": "descriptions"})
    Path("latin.json").write_bytes('{"é": 1}'.encode("latin-1"))
    for path in ("latin.json", "nothing.json", "."):
        with pytest.raises(FewshotError, match=r"text\.descriptions: "):
            load_descriptions(Path(path))


def test_the_usual_file():
    folder = Path("cache/descriptions")
    with pytest.raises(FewshotError, match=r"no descriptions of 'sea'.*fewshot text describe"):
        usual_file(folder, "sea")
    for dataset, model in (("sea", "a/b"), ("sea-horses", "a/b")):
        made = Descriptions({"crab": ["Red."]}, dataset, model, "visual@1")
        made.save(place_of(folder, dataset, model, "visual@1"))
    descriptions = usual_file(folder, "sea")
    assert descriptions.name == "sea-a_b-visual_1.json"
    assert place_of(folder, "../sea", "../../x", "visual@1").parent == folder
    Descriptions({"crab": ["Red."]}, "sea", "c", "visual@1").save(folder / "sea-c.json")
    with pytest.raises(FewshotError, match=r"several .*: sea-a_b-visual_1\.json, sea-c\.json"):
        usual_file(folder, "sea")
    assert usual_file(folder, "sea", "c").name == "sea-c.json"
