"""Which classes are base, validation and novel."""

import pytest

from fewshot.datasets import load_dataset
from fewshot.datasets.splits import assign_parts, random_parts
from fewshot.exceptions import FewshotError

NAMES = ("cat", "dog", "eel", "no", "007")
OWN = ("base", "base", "novel", "novel", "novel")


def test_what_the_data_set_says_or_not():
    assert assign_parts("auto", NAMES, OWN) == OWN
    assert assign_parts("auto", NAMES, None) is None
    assert assign_parts("none", NAMES, OWN) is None
    assert assign_parts(None, NAMES, OWN) is None


def test_random_parts():
    parts = random_parts(40, 0.25, 3)
    assert (parts.count("base"), parts.count("novel")) == (10, 30)
    assert parts == random_parts(40, 0.25, 3)
    assert parts != random_parts(40, 0.25, 4)
    assert assign_parts("random", NAMES, OWN, 0.4, 1) == random_parts(5, 0.4, 1)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, "half", None])
def test_a_fraction_is_between_0_and_1(fraction):
    with pytest.raises(FewshotError, match=r"dataset\.base_fraction: expected a number between"):
        assign_parts("random", NAMES, None, fraction)


@pytest.mark.parametrize("seed", [-1, 1.5, "x", None])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(FewshotError, match=r"dataset\.split_seed: expected an integer >= 0"):
        assign_parts("random", NAMES, None, 0.5, seed)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("s.yaml", "base: [cat, no]\nnovel:\n- 007\n- eel\n"),
        ("s.txt", "base: [cat, no]\nnovel: [007, eel]\n"),
        ("s.json", '{"base": ["cat", "no"], "novel": ["007", "eel"]}'),
    ],
)
def test_a_file_of_class_names(workplace, file, text):
    """Class names are text: not the number 7, not the truth value False."""
    (workplace / file).write_text(text)
    parts = assign_parts(file, NAMES, OWN)
    assert parts == ("base", "validation", "novel", "base", "novel")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: [cat, dgo]", "'dgo', which the data set does not have. Did you mean 'dog'"),
        ("base: [cat]\nnovel: [cat]", "class 'cat' is in base and in novel"),
        ("bass: [cat]", "expected one of base, validation, novel.*got 'bass'. Did you mean 'base'"),
        ("base: cat", "base should list class names, got 'cat'"),
        ("base: [cat]\ntrain: [dog]", "'train' is the second list of the part base"),
        ("base: [cat]\nbase: [dog]", "key 'base' comes twice"),
        ("base: [{a: b}]", r"base\[0\]: expected a class name"),
        ("base: [cat, dgo, eeel]", "nor 1 more that it names"),
        ("base: [CAT]", "Did you mean 'cat'"),
        ("- cat", "should list"),
        ("", "should list"),
        ("base: [cat", "cannot parse"),
        ("base: !!python/object/apply:os.mkdir [boom]", "names class 'boom'"),
    ],
)
def test_files_that_do_not_say_it(workplace, text, message):
    (workplace / "s.yaml").write_text(text)
    with pytest.raises(FewshotError, match=message) as caught:
        assign_parts("s.yaml", NAMES, OWN)
    assert caught.value.argument == "dataset.split"
    assert "\n" not in str(caught.value)
    assert not (workplace / "boom").exists()


def test_a_file_that_is_not_there(workplace):
    expected = r"dataset\.split: expected auto, none, random or a readable file, got 'rnadom'"
    with pytest.raises(FewshotError, match=expected):
        assign_parts("rnadom", NAMES, OWN)
    with pytest.raises(FewshotError, match=r"has no train\.csv"):
        assign_parts(str(workplace), NAMES, OWN)
    (workplace / "s.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(FewshotError, match="cannot parse"):
        assign_parts("s.json", NAMES, OWN)


def test_a_file_of_another_computer(workplace):
    """A Mac may write "é" as two characters, Windows begins files with a mark and ends lines so."""
    text = "base:\r\n- cafe\u0301\r\nnovel:\r\n- cat\r\n"
    (workplace / "s.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert assign_parts("s.yaml", ["caf\u00e9", "cat"], None) == ("base", "novel")
    assert assign_parts("s.yaml", ["cafe\u0301", "cat"], None) == ("base", "novel")


def test_a_published_split_of_a_folder(workplace, photos):
    (workplace / "lists").mkdir()
    (workplace / "lists" / "train.csv").write_text("filename,label\nx.jpg,class_0\ny.jpg,class_0\n")
    (workplace / "lists" / "test.csv").write_text("filename,label\nz.jpg,class_5\n")
    dataset = load_dataset({"kind": "folder", "root": "photos", "split": "lists"})
    assert dataset.parts == ("base", *["validation"] * 4, "novel")


def test_the_digits_have_a_split_of_their_own():
    digits = load_dataset({"kind": "digits"})
    assert digits.parts == ("base",) * 5 + ("novel",) * 5
    assert digits.classnames[:2] == ("zero", "one")
    assert len(digits) == 1797
    assert digits.read(0).size == (8, 8)
    assert load_dataset({"kind": "digits", "split": "none"}).parts is None
    assert digits.fingerprint() == load_dataset({"kind": "digits"}).fingerprint()
