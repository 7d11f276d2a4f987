"""A folder of images, one sub-folder per class."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import load_dataset
from fewshot.datasets.folder import load_folder
from fewshot.datasets.images import UnreadableImageError
from fewshot.exceptions import FewshotError


def tree(root, *files):
    """Empty files, and folders where the name ends in a slash."""
    for file in files:
        path = root / file
        if file.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


def loaded(root, **options):
    return load_folder("x", str(root), **options)


def refusal(root, **options):
    with pytest.raises(FewshotError) as caught:
        loaded(root, **options)
    assert caught.value.argument == "dataset.root"
    return str(caught.value)


def test_classes_and_images_are_sorted_whatever_the_file_system_says(tmp_path):
    root = tree(tmp_path / "r", "dog/2.png", "dog/10.png", "cat/b.jpg", "Ape/x.tif", "cat/a.WEBP")
    dataset = loaded(root)
    assert dataset.classnames == ("Ape", "cat", "dog")
    assert dataset.paths == ("Ape/x.tif", "cat/a.WEBP", "cat/b.jpg", "dog/10.png", "dog/2.png")
    assert dataset.labels.tolist() == [0, 1, 1, 2, 2]
    assert np.bincount(dataset.labels).tolist() == [1, 2, 2]
    assert len(dataset) == 5


def test_other_files_and_hidden_ones_are_passed_over(tmp_path):
    root = tree(
        tmp_path / "r", "cat/a.jpg", "cat/._a.jpg", "cat/Thumbs.db", "cat/note.txt",
        "cat/.cache/b.jpg", ".git/x.jpg", "README.md", "dog/deep/er/c.jpeg",
    )  # fmt: skip
    assert loaded(root).paths == ("cat/a.jpg", "dog/deep/er/c.jpeg")


def test_images_are_read_when_asked_for(photos):
    dataset = loaded(photos)
    expected = np.asarray(Image.open(photos / "class_1" / "2.png"))
    assert np.array_equal(np.asarray(dataset.read(10)), expected)
    (photos / "class_1" / "2.png").write_bytes(b"")
    with pytest.raises(UnreadableImageError):
        dataset.read(10)


def test_where_there_is_nothing(tmp_path):
    assert "got nothing there" in refusal(tmp_path / "nowhere")
    assert "got a file" in refusal(tree(tmp_path, "file.jpg") / "file.jpg")
    assert "no class folders with images" in refusal(tree(tmp_path, "empty/") / "empty")
    assert "has images but no class folders" in refusal(tree(tmp_path / "flat", "a.jpg", "b.jpg"))
    with pytest.raises(FewshotError, match="got nothing"):
        load_folder("x", None)


def test_an_empty_class_folder_is_named_or_skipped(tmp_path):
    root = tree(tmp_path / "r", "cat/a.jpg", "dog/", "eel/notes.txt", "fox/b.jpg")
    assert "dog' has no image" in refusal(root)
    dataset = loaded(root, on_error="skip")
    assert dataset.classnames == ("cat", "fox")
    assert dataset.labels.tolist() == [0, 1]
    shutil.rmtree(root / "cat")
    shutil.rmtree(root / "fox")
    assert "no class folders with images" in refusal(root, on_error="skip")


def test_links_are_followed_and_loops_are_not(tmp_path):
    root = tree(tmp_path / "r", "cat/a.jpg", "dog/b.jpg")
    elsewhere = tree(tmp_path / "elsewhere", "c.jpg")
    (root / "eel").symlink_to(elsewhere)
    (root / "cat" / "more").symlink_to(elsewhere)
    (root / "cat" / "self").symlink_to(root / "cat")
    (root / "cat" / "up").symlink_to(root)  # else the images of dog would be of cat, too
    (root / "dog" / "knot").symlink_to("knot")
    (root / "fox").symlink_to("fox")
    (root / "dog" / "linked.jpg").symlink_to(root / "dog" / "b.jpg")
    assert loaded(root).paths == (
        "cat/a.jpg", "cat/more/c.jpg", "dog/b.jpg", "dog/linked.jpg", "eel/c.jpg",
    )  # fmt: skip


def test_names_in_any_script_and_of_any_length(tmp_path):
    long = "n" * 240
    root = tree(tmp_path / "r", f"žluťoučký 🐎/{long}.jpg", f"{'k' * 200}/画像.png", "a\nb/'\".png")
    dataset = loaded(root)
    assert dataset.classnames == ("a\nb", "k" * 200, "žluťoučký 🐎")
    assert dataset.paths[-1] == f"žluťoučký 🐎/{long}.jpg"
    assert len(dataset.fingerprint()) == 64


def test_names_that_are_not_utf8_become_text(tmp_path):
    root = tmp_path / "r"
    os.makedirs(os.fsencode(root) + b"/caf\xe9")  # noqa: PTH103  a Path cannot be made of it
    Image.new("RGB", (2, 2), "red").save(os.fsencode(root) + b"/caf\xe9/\xff.png", "PNG")
    dataset = loaded(root)
    assert dataset.classnames == (r"caf\xe9",)
    assert dataset.paths == (r"caf\xe9/\xff.png",)
    assert dataset.read(0).getpixel((0, 0)) == (255, 0, 0)
    assert len(dataset.fingerprint()) == 64


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    root = tree(tmp_path / "r", "cat/a.jpg", "cat/closed/b.jpg")
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert "closed': Permission denied" in refusal(root)


def test_the_home_folder_may_be_abbreviated(photos, monkeypatch):
    monkeypatch.setenv("HOME", str(photos.parent))
    assert len(load_folder("x", "~/photos")) == 48


def test_a_folder_named_by_a_number(make_images):
    """The command line turns 2024 into an integer."""
    make_images("2024", classes=2, images=1)
    dataset = load_dataset({"kind": "folder", "root": 2024, "name": 7})
    assert (len(dataset), dataset.name) == (2, "7")


def test_settings_of_a_data_set(photos):
    with pytest.raises(FewshotError, match=r"dataset\.on_error: expected one of 'raise', 'skip'"):
        load_dataset({"kind": "folder", "root": "photos", "on_error": "ignore"})
    with pytest.raises(FewshotError, match=r"no setting 'rot'.*Did you mean 'root'"):
        load_dataset({"kind": "folder", "rot": "photos"})
    with pytest.raises(FewshotError, match=r"dataset\.kind.*Did you mean 'folder'"):
        load_dataset({"kind": "foldr", "root": "photos"})
