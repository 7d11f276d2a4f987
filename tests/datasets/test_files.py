"""Images without labels, as a user names them on the command line."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import Folder
from fewshot.datasets.files import load_files
from fewshot.exceptions import FewshotError


def red(path, colour="red"):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2, 2), colour).save(path)


def test_the_order_is_that_of_the_user(workplace):
    for name in ("b.png", "d/2.png", "d/10.png", "d/deep/1.PNG", "a.png", "d/.x/3.png"):
        red(name)
    dataset = load_files(["b.png", "d", "a.png"])
    assert dataset.paths == ("b.png", "d/10.png", "d/2.png", "d/deep/1.PNG", "a.png")
    assert dataset.labels.tolist() == [0] * 5
    assert np.asarray(dataset.read(4)).tolist() == [[[255, 0, 0]] * 2] * 2


def test_a_file_given_twice_is_one_image(workplace):
    for name in ("d/1.png", "d/2.png", "other.png"):
        red(name)
    Path("link.png").symlink_to("d/1.png")
    Path("folder").symlink_to("d")
    dataset = load_files(["d/2.png", "d", "./d/../d/1.png", str(workplace / "d"), "link.png",
                        "folder", "other.png"])  # fmt: skip
    assert dataset.paths == ("d/2.png", "d/1.png", "other.png")
    assert load_files(["link.png"]).paths == ("link.png",)
    shutil.copy("other.png", "copy.png")  # the same content is not the same file
    assert len(load_files(["other.png", "copy.png"])) == 2


def test_names_that_are_not_utf8(workplace):
    red("a.png")
    Path("a.png").rename(os.fsdecode(b"caf\xe9.png"))
    dataset = load_files(["."])
    assert dataset.paths == (r"caf\xe9.png",)
    assert dataset.read(0).size == (2, 2)
    assert len(dataset.fingerprint()) == 64


def test_the_fingerprint_follows_the_content(workplace):
    red("a.png")
    before = load_files(["a.png"]).fingerprint()
    red("a.png", "blue")
    assert load_files(["a.png"]).fingerprint() != before


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nowhere.png", "got nothing at nowhere.png"),
        ("gone.png", "got nothing at gone.png"),
        ("n" * 5000, "got nothing at"),
        ("note.txt", "no image in note.txt"),
        ("empty", "no image in empty"),
        ("loop", "got nothing at loop"),
    ],
)
def test_places_without_images(workplace, place, message):
    Path("gone.png").symlink_to("elsewhere.png")
    Path("note.txt").touch()
    Path("empty/.hidden").mkdir(parents=True)
    Path("loop").symlink_to("loop")
    with pytest.raises(FewshotError, match=message) as caught:
        load_files([place], "query")
    assert caught.value.argument == "query"


def test_digests_are_of_the_content_and_follow_the_rows(tmp_path):
    """Whatever the names, equal files have equal digests, of a folder with classes as well."""
    for name, colour in (("a", 10), ("b", 200), ("copy", 10)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4), (colour, 0, 0)).save(tmp_path / name / f"{name}.png")
    listed = load_files([str(tmp_path)])
    first, second, copy = listed.digests()
    assert first == copy != second
    assert listed.take_rows([1, 2]).digests() == [second, copy]
    assert list(Folder(str(tmp_path)).digests()) == [first, second, copy]
