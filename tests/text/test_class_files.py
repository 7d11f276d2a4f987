"""Texts by class name in the files that people have: whatever their form, the same texts."""

import json
import os
from pathlib import Path

import pytest

from fewshot.exceptions import FewshotError
from fewshot.tasks.one_class.confusers.lists import ConfuserFile, load_any
from fewshot.text.class_files import names_in, texts_in
from fewshot.text.descriptions import Descriptions, load_answers, load_descriptions

TEXTS = {"crab": ["Red, with claws.", "Ten legs."], "sea horse": ["Upright; a curled tail."]}
FORMS = {
    "cupl.json": json.dumps(TEXTS),
    "bom.json": "\ufeff" + json.dumps(TEXTS),
    "wrapped.json": json.dumps({"classes": TEXTS}),
    "aspects.json": json.dumps(
        TEXTS | {"crab": {"colour": "Red, with claws.", "legs": ["Ten legs."]}}
    ),
    "records.json": json.dumps([{"class": name, "descriptions": TEXTS[name]} for name in TEXTS]),
    "lines.jsonl": "\n".join(
        json.dumps({"Name": name, "text": text}) for name in TEXTS for text in TEXTS[name]
    ),
    "gaps.json": json.dumps(TEXTS | {"crab": ["", *TEXTS["crab"], None], "ant": [], "bee": None}),
    "invisible.json": json.dumps(
        TEXTS | {"crab": ["\u202eRed, \u200bwith cl\u00adaws.", "Ten legs."]}
    ),
    "table.csv": 'class,description\ncrab,"Red, with claws."\ncrab,Ten legs.\n'
    "sea horse,Upright; a curled tail.\n",
    "table.tsv": "crab\tRed, with claws.\tTen legs.\nsea horse\tUpright; a curled tail.\t\n",
    "excel.csv": '\ufefflabel;text;text2\ncrab;Red, with claws.;x\ncrab;Ten legs.;y\n'
    'sea horse;"Upright; a curled tail.";z\n',
    "lines.txt": "crab: Red, with claws.\ncrab: Ten legs.\nsea horse: Upright; a curled tail.\n",
    "map.yaml": "crab:\n- Red, with claws.\n- Ten legs.\nsea horse: Upright; a curled tail.\n",
}  # fmt: skip


def written(name, text):
    Path(name).write_text(text, encoding="utf-8")
    return Path(name)


@pytest.mark.parametrize("name", FORMS)
def test_descriptions_of_others(name):
    file = load_descriptions(written(name, FORMS[name]))
    assert file.classes == TEXTS
    assert len(file.sha256) == 64


def test_one_text_of_a_class():
    file = load_descriptions(written("t.json", '{"Sea_Horse": "Upright.", "crab": "Red."}'))
    assert file.of(["sea-horse", "Crab"]) == [["Upright."], ["Red."]]


def test_classes_are_matched_as_everywhere():
    file = Descriptions({"polka-dotted": ["A."], "missile": ["B."], "n01532829": ["C."]})
    names, ids = ["Polka_Dotted", "missile (n03773504)", "house finch"], ["x", "y", "n01532829"]
    assert file.of(names, ids) == [["A."], ["B."], ["C."]]
    assert file.foreign(names, ids) == []
    assert file.foreign(names[1:]) == ["polka-dotted", "n01532829"]


LISTS = {
    "lines.txt": "cat\n\n# birds\nSt. Bernard\n  fox \n",
    "bullets.md": "- cat\n- St. Bernard\n- fox\n",
    "numbers.txt": "1. cat\n2. St. Bernard\n3. fox\n",
    "one_line": "cat, St. Bernard, fox",
    "semicolons.txt": "cat; St. Bernard; fox\n",
    "python.txt": "['cat', 'St. Bernard', 'fox']\n",
    "list.json": '["cat", "St. Bernard", "fox"]',
    "column.csv": "name\ncat\nSt. Bernard\nfox\n",
    "row.csv": "cat,St. Bernard,fox\n",
    "list.yaml": "- cat\n- St. Bernard\n- fox\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_names_is_of_every_class(name):
    path = written(name, LISTS[name])
    for file in (load_answers(path, ConfuserFile), load_any(path, "x")):
        assert file.of(["dog", "car"]) == [["cat", "St. Bernard", "fox"]] * 2
    with pytest.raises(FewshotError, match=r'without classes|"class name"'):
        load_descriptions(path)


def test_a_list_in_utf_16():
    Path("notepad.txt").write_text("cat\nfox\n", encoding="utf-16")
    assert load_answers(Path("notepad.txt"), ConfuserFile).common == ["cat", "fox"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"dog": ["cat", "fox"], "car": "bus, van"}'),
        ("a.txt", "dog: cat, fox\ncar: bus, van\n"),
        ("a.csv", "dog,cat,fox\ncar,bus,van\n"),
        ("b.csv", "class;confusers\ndog;cat, fox\ncar;bus, van\n"),
    ],
)
def test_names_by_class(name, text):
    file = load_answers(written(name, text), ConfuserFile)
    assert file.of(["Dog", "car", "ant"]) == [["cat", "fox"], ["bus", "van"], []]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.json", "{}", "it has no texts"),
        ("a.json", "7", "holds neither texts by class name nor a list"),
        ("a.json", '{"crab": 7}', "class 'crab': expected a text or a list of texts, got 7"),
        ("a.json", '{"crab": [7]}', "class 'crab': expected a text or a list of texts, got 7"),
        ("a.json", '{"a": {"b": {"c": {"d": ["x"]}}}}', "class 'b': expected a text or a list"),
        ("a.json", '[{"image": "1.jpg"}]', "expected 'class' and 'text' in every entry"),
        ("a.json", '{"crab": ["a\\u001b[31mb"]}', "the character U+001B"),
        ("a.json", '{"crab": ["a\\ud800b"]}', "the character U+D800"),
        ("a.json", '{"Crab": ["a"], "crab": ["b"]}', "have the same name"),
        ("a.json", '{"crab": ["a"], "crab": ["b"]}', "'crab' comes twice"),
        ("a.json", '{"crab": [' + '"x",' * 1000 + '"x"]}', "a list of 1 to 1000 texts, got 1001"),
        ("a.csv", "crab,Red, with claws.\nant,Six legs.\n", "row 2 has 2 cells, the first 3"),
        ("a.csv", '"', "no CSV file"),
        ("a.json", "<html><body>Sign in</body></html>", "is an HTML page"),
        ("a.txt", "<!doctype html><body>Sign in</body>", "is an HTML page"),
        ("a.json", "", "is an empty file"),
        ("a.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("a.json", "[" * 100_000, "no JSON file"),
        ("a.yaml", "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n", "expected a"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(name, text, problem):
    with pytest.raises(FewshotError) as caught:
        load_descriptions(written(name, text))
    message = str(caught.value)
    assert message.startswith(f"text.descriptions: {name}") and "\n" not in message
    assert problem in message and len(message) < 400


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes in folders there")
def test_a_pipe_is_not_waited_for():
    os.mkfifo("pipe.json")
    with pytest.raises(FewshotError, match="expected a file, got a pipe"):
        load_descriptions(Path("pipe.json"))


def test_sentences_are_no_names():
    for name in ("It is a red thing", "word " * 11, "x" * 101, "..."):
        with pytest.raises(FewshotError, match="cannot be used"):
            load_answers(written("c.json", json.dumps([name])), ConfuserFile)


def test_a_class_may_be_called_as_a_field_of_ours_is():
    assert load_descriptions(written("k.json", '{"kind": ["A sort."]}')).of(["kind"]) == [
        ["A sort."]
    ]


def test_a_list_alone_is_no_texts_by_class():
    assert texts_in([], names_in) == ({}, [])
    assert names_in(" 1) 'cat' ,,\tfox;") == ["cat", "fox"]
