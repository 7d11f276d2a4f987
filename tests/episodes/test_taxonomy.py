"""Taxonomies: groups of classes, files, and what is wrong with either."""

import json

import pytest

from fewshot.episodes import Taxonomy
from fewshot.episodes.taxonomy import Group
from fewshot.exceptions import FewshotError

EDGES = [("animal", "dog"), ("animal", "fish"), ("dog", "pug"), ("dog", "poodle"), ("pet", "pug"),
         ("pet", "fish")]  # fmt: skip
CLASSES = ["fish", "poodle", "pug"]
GROUPS = [Group("animal", (0, 1, 2)), Group("dog", (1, 2)), Group("pet", (0, 2))]


def test_groups_of_a_graph():
    assert Taxonomy(EDGES).groups(CLASSES) == GROUPS
    # Of other classes there is nothing, and a group of one child stands for the child.
    assert Taxonomy(EDGES).groups(["pug", "poodle"]) == [Group("dog", (0, 1))]


def test_a_chain_of_only_children_is_one_group():
    edges = [("all", "a"), ("a", "b"), ("b", "x"), ("b", "y"), ("a", "unused")]
    assert Taxonomy(edges).groups(["x", "y"]) == [Group("b", (0, 1))]


def test_a_class_may_be_a_group():
    edges = [("dog", "pug"), ("dog", "poodle"), ("animal", "dog")]
    assert Taxonomy(edges).groups(["dog", "pug"]) == [Group("dog", (0, 1))]


def test_names_are_found_by_spelling_or_identifier():
    taxonomy = Taxonomy([("n1", "n2"), ("n1", "Sea_Horse")])
    assert taxonomy.groups(["crab", "sea horse"], ["n2", "n3"]) == [Group("n1", (0, 1))]


def test_a_class_that_the_taxonomy_lacks():
    with pytest.raises(FewshotError, match=r"class 'cat' is not in the taxonomy$|'cat' is not in"):
        Taxonomy(EDGES).groups(["pug", "cat"])
    with pytest.raises(FewshotError, match=r"\(and 1 more classes\)"):
        Taxonomy(EDGES).groups(["cat", "pug", "bird"])


def test_two_classes_in_one_place():
    with pytest.raises(FewshotError, match="are one place"):
        Taxonomy(EDGES).groups(["pug", "Pug"])


@pytest.mark.parametrize(
    ("edges", "cycle"),
    [
        ([("a", "a")], "a > a"),
        ([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")], "a > b > c > a"),
        ([("top", "a"), ("a", "b"), ("b", "a")], "a > b > a"),
    ],
)
def test_cycles(edges, cycle):
    with pytest.raises(FewshotError, match=cycle):
        Taxonomy(edges)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", json.dumps(EDGES)),
        ("t.json", json.dumps({"animal": {"dog": ["pug", "poodle"], "fish": {}},
                               "pet": ["fish", "pug"]})),
        ("t.json", json.dumps({"animal": ["dog", "fish"], "dog": ["pug", "poodle"],
                               "pet": ["pug", "fish"]})),
        ("t.csv", "parent,child\n" + "".join(f"{a},{b}\n" for a, b in EDGES)),
        ("t.tsv", "Class\tSuperclass\n" + "".join(f"{b}\t{a}\n" for a, b in EDGES)),
        ("t.txt", "".join(f"{a} {b}\n\n" for a, b in EDGES)),
    ],
)  # fmt: skip
def test_files(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert Taxonomy.load(tmp_path / name).groups(CLASSES) == GROUPS


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.json", "[1, 2", "not JSON"),
        ("t.json", '[["a", "b", "c"]]', "pairs"),
        ("t.json", '"a"', "pairs"),
        ("t.json", '{"a": 3}', "names below 'a'"),
        ("t.json", "{}", "got none"),
        ("t.csv", "x,y\na,b\n", "columns parent and child"),
        ("t.csv", "", "columns parent and child"),
        ("t.csv", "parent,child\na\n", "line 2"),
        ("t.csv", "parent,child\na,\n", "line 2"),
        ("t.csv", 'parent,child\na,b\nc,"d\n', "cannot parse .*line"),
        ("t.csv", "parent,child\na," + "b" * 200_000, "cannot parse .*line 2"),
        ("t.csv", "parent,child\na,b\0", "NUL"),
        ("t.json", '{"a": ["b"], "a": ["c"]}', "'a' comes twice"),
        ("t.txt", "a b c\n", "line 1"),
        ("t.txt", "", "got none"),
    ],
)
def test_files_of_another_form(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(FewshotError, match=message):
        Taxonomy.load(tmp_path / name)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_as_spreadsheets_save_them(tmp_path, encoding, delimiter):
    rows = [("parent", "child"), *EDGES]
    text = "\r\n".join(delimiter.join(row) for row in rows)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    assert Taxonomy.load(tmp_path / "t.csv").groups(CLASSES) == GROUPS


def test_another_encoding_is_named_with_what_to_do(tmp_path):
    (tmp_path / "t.csv").write_bytes("parent,child\ncaf\u00e9,tea\n".encode("cp1252"))
    with pytest.raises(FewshotError, match=r"episodes\.taxonomy: .* line 2: .*UTF-8"):
        Taxonomy.load(tmp_path / "t.csv")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FewshotError, match=r"episodes\.taxonomy"):
        Taxonomy.load(tmp_path / "t.json")
    with pytest.raises(FewshotError, match=r"episodes\.taxonomy"):
        Taxonomy.load(tmp_path)


def test_groups_in_the_names_of_classes():
    names = ["Greek/a", "Greek/b", "Latin/old/a", "Latin/old/b", "Latin/c"]
    groups = Taxonomy.of_names(names).groups(names)
    assert [(group.name, group.classes) for group in groups] == [
        ("Greek", (0, 1)), ("Latin", (2, 3, 4)), ("Latin/old", (2, 3)),
    ]  # fmt: skip
    with pytest.raises(FewshotError, match="'crab'"):
        Taxonomy.of_names(["Greek/a", "crab"])
