"""A folder of images, one sub-folder per class."""

import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import Folder, load_dataset
from fewshot.datasets.classnames import composed_names, folded, nearest
from fewshot.datasets.files import load_files
from fewshot.datasets.folder import load_folder
from fewshot.datasets.images import UnreadableImageError
from fewshot.exceptions import FewshotError
from fewshot.paths import Places


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


def test_the_usual_place_of_a_data_set(make_images, workplace):
    make_images("data/birds", classes=2, images=1)
    places = Places(workplace / "cache", workplace / "weights", workplace / "data")
    assert len(load_dataset({"kind": "folder", "name": "birds", "root": None}, places)) == 2
    with pytest.raises(FewshotError, match=r"got nothing.*or put the data set at .*data/fish\."):
        load_dataset({"kind": "folder", "name": "fish"}, places)


def test_settings_of_a_data_set(photos):
    with pytest.raises(FewshotError, match=r"dataset\.on_error: expected one of 'raise', 'skip'"):
        load_dataset({"kind": "folder", "root": "photos", "on_error": "ignore"})
    with pytest.raises(FewshotError, match=r"no setting 'rot'.*Did you mean 'root'"):
        load_dataset({"kind": "folder", "rot": "photos"})
    with pytest.raises(FewshotError, match=r"dataset\.kind.*Did you mean 'folder'"):
        load_dataset({"kind": "foldr", "root": "photos"})


CAFE = ("caf\u00e9", "cafe\u0301")  # as Linux and as a Mac write it


def test_folders_of_subsets_with_the_same_classes(tmp_path):
    root = tree(
        tmp_path / "r", "train/cat/a.jpg", "train/cat/b.jpg", "train/dog/a.jpg", "Val/dog/a.jpg",
        "test/cat/c.jpg", "test/eel/a.jpg", "notes/readme.txt",
    )  # fmt: skip
    dataset = loaded(root)
    assert dataset.classnames == ("cat", "dog", "eel")
    assert dataset.parts is None
    rows = list(zip(dataset.paths, dataset.labels.tolist(), dataset.subset.tolist(), strict=True))
    assert rows == [
        ("train/cat/a.jpg", 0, "train"), ("train/cat/b.jpg", 0, "train"),
        ("test/cat/c.jpg", 0, "test"), ("train/dog/a.jpg", 1, "train"),
        ("Val/dog/a.jpg", 1, "validation"), ("test/eel/a.jpg", 2, "test"),
    ]  # fmt: skip
    only = load_dataset({"kind": "folder", "root": str(root), "subset": "train"})
    assert only.paths == ("train/cat/a.jpg", "train/cat/b.jpg", "train/dog/a.jpg")
    assert loaded(tree(tmp_path / "one", "train/a/1.jpg", "train/b/1.jpg")).classnames == ("a", "b")


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "VALID"])
def test_folders_of_subsets_without_common_classes(tmp_path, name):
    root = tree(
        tmp_path / "r", "train/dog/a.jpg", "train/cat/a.jpg", f"{name}/ape/a.jpg",
        f"{name}/yak/a.jpg", "test/eel/a.jpg", "test/fox/a.jpg",
    )  # fmt: skip
    dataset = loaded(root)
    assert dataset.classnames == ("ape", "cat", "dog", "eel", "fox", "yak")
    assert dataset.parts == ("validation", "base", "base", "novel", "novel", "validation")
    assert dataset.subset is None
    assert load_dataset({"kind": "folder", "root": str(root)}).parts == dataset.parts


def test_classes_may_be_called_like_subsets(tmp_path):
    root = tree(tmp_path / "r", "train/1.jpg", "bus/1.jpg", "test/1.jpg")
    assert loaded(root).classnames == ("bus", "test", "train")
    root = tree(tmp_path / "s", "train/deep/1.jpg", "bus/1.jpg")
    assert loaded(root).classnames == ("bus", "train")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("train/a/1.jpg", "train/b/1.jpg", "test/1.jpg"), "test' has images but no class folders"),
        (("train/1.jpg", "test/1.jpg"), "test' has images but no class folders"),
        (("train/a/1.jpg", "val/a/1.jpg", "valid/a/1.jpg"), "'val' and 'valid'.*the same subset"),
        (("train/a/images/1.jpg", "train/b/images/1.jpg", "val/images/1.jpg", "test/images/1.jpg"),
         "val' has images but no class folders .'images' is the only"),
        (("train/x/a/1.jpg", "train/x/b/1.jpg", "test/x/a/1.jpg"), "dataset.root=.*r/train/x"),
        (("train/Sea_Horse/1.jpg", "test/sea horse/1.jpg"), "'Sea_Horse' and 'sea horse'"),
    ],
)  # fmt: skip
def test_folders_of_subsets_that_are_not_right(tmp_path, files, message):
    with pytest.raises(FewshotError, match=message):
        loaded(tree(tmp_path / "r", *files))


SPLIT = ("{0}/ash/1.jpg", "{0}/elm/1.jpg", "{1}/ash/2.jpg", "{1}/elm/2.jpg")


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("Training", "VAL"), ("training_set", "test_set"), ("TrainImages", "dev"),
     ("train2017", "val2017")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("more", "left_out"),
    [
        (("unlabeled/1.jpg",), ["unlabeled"]),
        (("Unlabelled_Images/1.jpg", "train/unlabeled/1.jpg"), ["Unlabelled_Images", "unlabeled"]),
        (("raw/1.jpg", "masks/ash/1.png", "docs/page.html", "__pycache__/a.pyc"), ["masks", "raw"]),
        (("extra/ash/1.jpg", "extra/elm/1.jpg", "preview.jpg"), ["extra"]),
    ],
)
def test_a_split_beside_other_folders(tmp_path, train, test, more, left_out):
    files = [file.format(train, test) for file in SPLIT]
    files += [file.replace("train/", f"{train}/") for file in more]
    dataset = loaded(tree(tmp_path / "r", *files))
    assert dataset.classnames == ("ash", "elm")
    assert len(dataset) == 4
    assert set(dataset.subset.tolist()) == {"train", "validation" if "l" in test.lower()
                                            or test == "dev" else "test"}  # fmt: skip
    assert sorted(name.rpartition("/")[2] for name in dataset.left_out) == left_out


@pytest.mark.parametrize(
    ("files", "message"),
    [
        # One subset only: the other folder may be anything, also a class.
        (("train/ash/1.jpg", "train/elm/1.jpg", "more/1.jpg"), r"'more' beside.*root=.*r/train\?"),
        (("train/ash/1.jpg", "train/elm/1.jpg", "raw/elm/1.jpg"), r"'raw' beside.*r/train\?"),
        # Images right in one of the folders for subsets.
        (("train/ash/1.jpg", "train/elm/1.jpg", "test/1.jpg", "raw/1.jpg"),
         "test' has images but no class folders"),
        (("train/ash/1.jpg", "train/elm/1.jpg", "train/1.jpg", "test/ash/1.jpg", "test/elm/1.jpg",
          "test/1.jpg", "raw/1.jpg"), "has images but no class folders"),
        # A split below a folder that would pass for a class beside one with images.
        (("data/train/ash/1.jpg", "data/train/elm/1.jpg", "masks/1.png"), r"root=.*r/data\?"),
        (("a/b/Test_Set/ash/1.jpg", "a/b/Test_Set/elm/1.jpg", "masks/1.png"), r"root=.*r/a/b\?"),
        (("images/train/ash/1.jpg", "images/train/elm/1.jpg", "masks/train/ash/1.png",
          "masks/train/elm/1.png"), r"root=.*r/images\?"),
        # Splits that are not read as such.
        (("query/ash/1.jpg", "query/elm/1.jpg", "gallery/ash/1.jpg", "gallery/elm/1.jpg",
          "distractors/1.jpg"), r"'gallery', which seems to be a split.*root=.*r/gallery\?"),
        (("support_set/ash/1.jpg", "support_set/elm/1.jpg", "raw/1.jpg"), "support_set"),
    ],
)  # fmt: skip
def test_what_may_be_a_split_is_never_a_class(tmp_path, files, message):
    with pytest.raises(FewshotError, match=message):
        loaded(tree(tmp_path / "r", *files))


@pytest.mark.parametrize(
    "files",
    [
        ("bus/1.jpg", "car/1.jpg", "train/1.jpg"),
        ("bus/1.jpg", "car/old/1.jpg", "train/1.jpg", "train/steam/1.jpg", "train/diesel/1.jpg"),
        ("bus/1.jpg", "car/1.jpg", "train/steam/1.jpg"),
        ("bus/train/1.jpg", "car/train/1.jpg", "train/train/1.jpg"),
        ("bus/1.jpg", "car/day/1.jpg", "car/night/1.jpg", "train/1.jpg"),
    ],
)
def test_a_train_is_a_vehicle_too(tmp_path, files):
    dataset = loaded(tree(tmp_path / "r", *files))
    assert dataset.classnames == ("bus", "car", "train")
    assert (len(dataset), dataset.subset, dataset.left_out) == (len(files), None, ())


def test_folders_that_say_that_they_are_unlabelled_are_no_classes(tmp_path):
    root = tree(tmp_path / "r", "ash/1.jpg", "elm/1.jpg", "Unlabeled/1.jpg", "unlabelled/")
    dataset = loaded(root)
    assert (dataset.classnames, dataset.left_out) == (("ash", "elm"), ("Unlabeled",))


@pytest.mark.parametrize(
    "folder",
    ["@eaDir", "__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found", "#recycle",
     ".thumbnails", ".ipynb_checkpoints", ".Trash-1000", ".AppleDouble", "LOST.DIR", "@Recycle",
     "$Recycle.Bin", "FOUND.001", "found.017", "RECYCLER", "@Recently-Snapshot", "node_modules",
     "_vti_cnf", "$WinREAgent", "iPod Photo Cache", ".Spotlight-V100", "__pycache__", "venv"],
)  # fmt: skip
def test_what_systems_and_devices_leave_behind_is_no_class_and_in_none(tmp_path, folder):
    root = tree(
        tmp_path / "r", "ash/1.jpg", f"ash/{folder}/1.jpg/small.jpg", "elm/deep/1.jpg",
        f"elm/deep/{folder}/1.jpg", f"{folder}/ash/1.jpg", f"{folder}/1.jpg",
    )  # fmt: skip
    dataset = loaded(root)
    assert dataset.paths == ("ash/1.jpg", "elm/deep/1.jpg")
    assert (dataset.classnames, dataset.left_out) == (("ash", "elm"), ())
    assert load_files([str(root)]).paths == tuple(str(root / path) for path in dataset.paths)
    assert len(load_files([str(root / folder)])) == 2  # whoever names it means it


@pytest.mark.parametrize("name", ["$5", "found", "FOUND.A", "vti", "thumbs", "recycled", "env"])
def test_names_that_people_give_to_classes(tmp_path, name):
    assert loaded(tree(tmp_path / "r", "ash/1.jpg", f"{name}/1.jpg")).classnames == tuple(
        sorted(("ash", name))
    )


@pytest.mark.parametrize(
    "files",
    [
        ("runs/2026-01-01_a/summary.json", "runs/2026-01-01_a/figures/shots.png"),
        ("outputs/2026-01-01/12-00-00/.hydra/config.yaml",),
        ("wandb/latest-run/files/output.log", "mlruns/0/meta.yaml", "multirun/", "Runs/"),
    ],
)
def test_what_programs_write_beside_classes_is_none(tmp_path, files):
    root = tree(tmp_path / "r", "ash/1.jpg", "elm/1.jpg", *files)
    dataset = loaded(root)
    assert (dataset.classnames, dataset.left_out) == (("ash", "elm"), ())
    assert loaded(tree(tmp_path / "s", "ash/1.jpg", "runs/1.jpg")).classnames == ("ash", "runs")


@pytest.mark.parametrize(
    ("files", "root", "meant"),
    [
        (("images/cat/1.jpg", "images/dog/1.jpg", "lists/a.txt"), ".", "images"),
        (("data/images/cat/1.jpg", "data/images/dog/1.jpg"), ".", "data/images"),
        (("data/train/cat/1.jpg", "data/test/cat/1.jpg"), ".", "data"),
        (("images/cat/1.jpg",), ".", "images"),
        (("cat/1.jpg", "dog/1.jpg"), "cat", "."),
        (("photo/cat/1.jpg", "photo/dog/1.jpg", "sketch/cat/1.jpg"), ".", "photo"),
    ],
)
def test_a_folder_that_is_one_level_off(tmp_path, files, root, meant):
    top = tree(tmp_path / "top", *files)
    text = refusal(top / root, on_error="skip")
    assert "id you mean" in text and f"dataset.root={top / meant}?" in text
    assert loaded(top / meant, on_error="skip").classnames


def test_the_suggested_folder_is_relative_as_the_given_one(tmp_path, monkeypatch):
    top = tree(tmp_path / "top", "images/cat/1.jpg", "images/dog/1.jpg")
    monkeypatch.chdir(top)
    assert "dataset.root=images?" in refusal(".")
    assert "dataset.root=images?" in refusal("images/cat")
    monkeypatch.chdir(top / "images" / "cat")
    assert f"dataset.root={top / 'images'}?" in refusal(".")


def test_one_sub_folder_of_the_same_name_in_every_class(tmp_path):
    root = tree(tmp_path / "r", "cat/images/1.jpg", "dog/images/1.jpg", "dog/boxes/1.txt")
    assert loaded(root).classnames == ("cat", "dog")
    root = tree(tmp_path / "s", "cat/1.jpg", "cat/a/1.jpg", "dog/b/1.jpg", "dog/c/1.jpg")
    assert np.bincount(loaded(root).labels).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("first", "second"), [("Sea_Horse", "sea horse"), ("a-b", "a_b"), ("STRASSE", "straße"), CAFE]
)
def test_names_that_differ_in_spelling_only(tmp_path, first, second):
    root = tree(tmp_path / "r", f"{first}/1.jpg", f"{second}/1.jpg")
    if len(os.listdir(root)) == 1:  # noqa: PTH208
        pytest.skip("to this file system they are one")
    text = refusal(root)
    show = ascii if (first, second) == CAFE else repr
    assert show(first) in text and show(second) in text and "dataset.same_names=keep" in text
    kept = loaded(root, same_names="keep")
    assert sorted(kept.classnames) == sorted((first, second))
    assert kept.labels.tolist() == [0, 1]
    with pytest.raises(FewshotError, match=r"dataset\.same_names: expected one of"):
        loaded(root, same_names="ignore")


def test_class_names_are_composed(tmp_path):
    root = tree(tmp_path / "r", f"{CAFE[1]}/1.jpg", "cafz/1.jpg")
    assert loaded(root).classnames == ("cafz", CAFE[0])
    root = tree(tmp_path / "s", f"train/{CAFE[0]}/1.jpg", f"test/{CAFE[1]}/1.jpg")
    dataset = loaded(root)  # one name, whatever the computers that made the two folders
    assert dataset.classnames == (CAFE[0],)
    assert dataset.subset.tolist() == ["train", "test"]


def test_folding():
    assert folded("-1") != folded("1")
    assert folded("Ångström") == folded(unicodedata.normalize("NFD", "ångström"))
    assert composed_names(CAFE) == CAFE
    assert nearest("SEA-HORSE", ["sea horse", "sea house"]) == "Did you mean 'sea horse'?"


def test_pipes_are_passed_over_and_dangling_links_are_not(tmp_path):
    root = tree(tmp_path / "r", "cat/a.jpg")
    os.mkfifo(root / "cat" / "pipe.jpg")
    (root / "cat" / "gone.jpg").symlink_to("nowhere.jpg")
    (root / "cat" / "self.jpg").symlink_to("self.jpg")
    dataset = loaded(root)
    assert dataset.paths == ("cat/a.jpg", "cat/gone.jpg", "cat/self.jpg")
    for row, reason in ((1, "No such file"), (2, "Too many levels of symbolic links")):
        with pytest.raises(UnreadableImageError, match=reason):
            dataset.read(row)


def test_roots_that_no_folder_can_have():
    for root in ("n" * 5000, "a\0b"):
        assert "got nothing there" in refusal(Path(root))


def test_rows_of_a_folder_object(tmp_path):
    """An object of a class with a constructor of its own gives some of its images as others do."""
    for value, name in enumerate(("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4), (50 * value, 0, 0)).save(tmp_path / name)
    whole = Folder(tmp_path, split="random")
    chosen = whole.take_rows(np.array([3, 0]))
    assert chosen.paths == ("dog/1.png", "cat/0.png")
    assert [np.asarray(chosen.read(row))[0, 0, 0] for row in (0, 1)] == [150, 0]
    assert (chosen.name, chosen.classnames, chosen.parts) == (
        whole.name, ("cat", "dog"), whole.parts,
    )  # fmt: skip
    assert chosen.fingerprint() not in (whole.fingerprint(), whole.take_rows([0, 3]).fingerprint())
