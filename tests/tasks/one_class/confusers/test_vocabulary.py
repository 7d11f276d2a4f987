"""Vocabularies of names, and their order for a class."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fewshot.exceptions import FewshotError
from fewshot.tasks.one_class.confusers.vocabulary import shuffled, vocabulary_names


def test_names_of_imagenet(monkeypatch):
    names = SimpleNamespace(IMAGENET_CLASSNAMES=("goldfish", "Lemon", "sea horse", "lemon"))
    monkeypatch.setitem(sys.modules, "open_clip", SimpleNamespace(zero_shot_metadata=names))
    monkeypatch.setitem(sys.modules, "open_clip.zero_shot_metadata", names)
    assert vocabulary_names() == ("goldfish", "Lemon", "sea horse")


@pytest.mark.slow  # importing open_clip takes seconds
def test_names_of_the_library():
    names = vocabulary_names("imagenet")
    assert len({name.casefold() for name in names}) == len(names) > 990
    assert {"goldfish", "lemon"} <= set(names)


def test_names_of_a_file():
    Path("v.txt").write_text("# things\n\nsea  horse\n tin \nTin\nsea_horse\nSt. Bernard", "utf-8")
    assert vocabulary_names("v.txt") == ("sea horse", "tin", "St. Bernard")


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "expected 1 to 100000 names"), (b"# none\n\n", "expected 1 to 100000 names"),
        (b"tin\na\x07b\n", r"line 2 of v\.txt is no name: it has the character U\+0007"),
        (b"x" * 101, "line 1 .* more than 100 characters"), (b"\xff", "no UTF-8"),
        (b"\n".join(b"%d" % n for n in range(100_001)), "got 100001"),
    ],
)  # fmt: skip
def test_what_is_no_vocabulary(raw, problem):
    Path("v.txt").write_bytes(raw)
    with pytest.raises(FewshotError, match=rf"one_class\.confusers\.vocabulary: .*{problem}"):
        vocabulary_names("v.txt")


def test_no_such_file():
    with pytest.raises(FewshotError, match=r"expected 'imagenet' or a text file .*'imagnet'"):
        vocabulary_names("imagnet")


def test_orders():
    names = [f"w{n}" for n in range(50)]
    crab = shuffled(names, 0, "crab")
    assert sorted(crab) == sorted(names)
    assert crab == shuffled(names, 0, "Crab ")
    assert len({tuple(order) for order in (names, crab, shuffled(names, 1, "crab"))}) == 3
    assert crab != shuffled(names, 0, "ant")
    # The same on every machine and with every version.
    assert shuffled(["a", "b", "c", "d", "e"], 0, "crab") == ["b", "a", "e", "d", "c"]
