"""Comments of configurations."""

import yaml

from fewshot.config.comments import file_comments, settings_in, with_comments

FILE = """\
# @package _global_
# About the file.

# Of a.
a:
  # Of b,
  # in two lines.
  b: 1
  c: "# no comment"
  d: 2  # behind d
# Of e.
e: [x, {f: 1}]
"""


def test_comments_of_a_file():
    assert file_comments(FILE, "group") == {
        "a": ["Of a."],
        "a.b": ["Of b,", "in two lines."],
        "a.d": ["behind d"],
        "e": ["Of e."],
    }


def test_the_package_is_part_of_the_keys():
    assert file_comments("# Of a.\na: 1\n", "group") == {"group.a": ["Of a."]}
    assert file_comments("# @package x.y\n# Of a.\na: 1\n", "group") == {"x.y.a": ["Of a."]}


def test_files_without_settings():
    assert file_comments("") == file_comments("# nothing\n") == file_comments("[1, 2]\n") == {}


def test_positions_of_settings():
    keys = [(setting.key, setting.line, setting.column) for setting in settings_in(FILE)]
    assert keys == [("a", 4, 0), ("a.b", 7, 2), ("a.c", 8, 2), ("a.d", 9, 2), ("e", 11, 0)]


def test_comments_do_not_change_a_text():
    """Neither folded strings, literal blocks, lists of mappings nor text that looks like keys."""
    content = {
        "a": {
            "long": "word " * 60,
            "b": "two\nlines: 1\n# three\n",
            "c": [{"d": 1}, {"d": "e: 2"}],
        },
        "d": {"é": "ü", "empty": {}, "none": None, "quoted: key": "'"},
        "last": "x",
    }
    text = yaml.dump(content, sort_keys=False, allow_unicode=True)
    comments = {setting.key: ["One.", "", "Two: 2"] for setting in settings_in(text)}
    commented = with_comments(text, comments)
    assert yaml.safe_load(commented) == content
    assert commented.count("# One.") == len(comments) == 10
    assert "  # One.\n  #\n  # Two: 2\n  é: ü\n" in commented
