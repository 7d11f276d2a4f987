"""Suspects: every kind on small generated pictures, their order, and silence on clean ones."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from fewshot.datasets import Folder
from fewshot.features import make_bank
from fewshot.features.extraction.pixels import as_seen, sharpness
from fewshot.tasks import suspects
from fewshot.tasks.classification.forecast.suspects import KINDS, doubts_of_bank, examined


def picture(seed, size=(160, 120)):
    """A random scene: patches of colour with sharp edges and some texture."""
    rng = np.random.default_rng(seed)
    pixels = np.full((size[1], size[0], 3), rng.integers(40, 216, 3), float)
    for _ in range(25):
        x, y = rng.integers(0, size[0]), rng.integers(0, size[1])
        w, h = rng.integers(8, 60, 2)
        pixels[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    pixels += rng.normal(0, 6, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


class Task:
    """A folder of pictures, with Gaussian features of the classes."""

    def __init__(self, root, classes=3, images=5, dim=16):
        self.root, self.rng = root, np.random.default_rng(0)
        self.means = 4 * self.rng.normal(size=(classes + 5, dim))
        self.names = [f"class {c}" for c in range(classes)]
        self.true = {}
        for c in range(classes):
            for k in range(images):
                self.add(c, f"{k}.png", picture(100 * c + k))

    def add(self, c, name, image, true=None):
        """Save a picture in class c; its features are those of class `true`."""
        path = self.root / f"class {c}" / name
        path.parent.mkdir(exist_ok=True)
        image.save(path)
        self.true[f"class {c}/{name}"] = c if true is None else true

    def features(self, name, file):
        """Equal pictures have equal features."""
        rng = np.random.default_rng(list(file.read_bytes()[-40:]))
        return self.means[self.true[name]] + rng.normal(size=self.means.shape[1])

    def bank(self, images, skipped=()):
        """Features of the images, in the order of the data set."""
        kept = [row for row in range(len(images)) if images.paths[row] not in skipped]
        names = [images.paths[row] for row in kept]
        rows = [self.features(name, self.root / name) for name in names]
        info = {"skipped": [{"row": r, "path": images.paths[r], "reason": "cut off"}
                            for r in range(len(images)) if r not in kept]}  # fmt: skip
        labels = images.labels[kept]
        return make_bank(np.array(rows, np.float32), labels, images.classnames, names, info=info)

    def suspects(self, skipped=()):
        images = Folder(self.root, split="none")
        bank = self.bank(images, skipped)
        return suspects(bank, images, bank.info["skipped"])


def kinds(entries):
    return {entry.file: entry.kind for entry in entries}


@pytest.fixture
def task(tmp_path):
    return Task(tmp_path)


def test_nothing_is_said_of_clean_pictures(task):
    assert task.suspects() == []


def test_unreadable_files_come_with_their_reason_and_class(task):
    (entry,) = task.suspects(skipped=["class 1/2.png"])
    assert (entry.file, entry.label, entry.kind, entry.reason) == (
        "class 1/2.png", "class 1", "unreadable", "cut off",
    )  # fmt: skip
    assert entry.chance is None


def test_a_file_that_has_become_unreadable_is_said_once(task):
    images = Folder(task.root, split="none")
    bank = task.bank(images)
    (task.root / "class 0/1.png").write_bytes(b"\x89PNG\r\n nothing")
    assert kinds(suspects(bank, images)) == {"class 0/1.png": "unreadable"}
    twice = [{"path": "class 2/9.png", "reason": "empty"}] * 2
    assert len(suspects(bank, images, twice)) == 2


def test_a_copy_in_its_class_is_said_once_and_does_not_vouch_for_a_wrong_label(task):
    flipped = picture(7000)
    task.add(0, "8.png", flipped, true=1)
    task.add(0, "9.png", flipped, true=1)
    entries = task.suspects()
    assert [(entry.file, entry.kind, entry.other) for entry in entries] == [
        ("class 0/8.png", "mislabelled", "class 1"),
        ("class 0/9.png", "copy", "class 0/8.png"),
    ]


def test_a_copy_across_classes_comes_first_and_says_which_label_is_wrong(task):
    task.add(2, "8.png", picture(101), true=1)  # class 1/1.png
    task.add(0, "9.png", picture(9000), true=2)
    first, second = task.suspects()
    assert (first.kind, first.file, first.other) == ("copy", "class 2/8.png", "class 1/1.png")
    assert "one of the two labels is wrong" in first.reason and "speak for class 1" in first.reason
    assert (second.kind, second.file) == ("mislabelled", "class 0/9.png")


def test_of_a_picture_between_two_classes_the_others_say_nothing():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 6)
    features = np.eye(16)[labels] + 0.6 * rng.normal(size=(12, 16))
    features[5] = features[11] = 0.5 * (np.eye(16)[0] + np.eye(16)[1])
    bank = make_bank(features.astype("float32"), labels)
    (entry,) = [entry for entry in suspects(bank, None) if entry.kind == "copy"]
    assert "one of the two labels is wrong" in entry.reason and "speak for" not in entry.reason


def test_doubts_and_suspects_say_the_same_of_an_image(task):
    """Also where copies, which features alone do not show, are taken together."""
    flipped = picture(7000)
    task.add(0, "8.png", flipped, true=1)
    flipped.resize((320, 240)).save(task.root / "class 0/9.png")
    task.true["class 0/9.png"] = 1
    images = Folder(task.root)
    found, doubts = examined(task.bank(images), images)
    (wrong,) = [entry for entry in found if entry.kind == "mislabelled"]
    assert (doubts[0].file, doubts[0].chance) == (wrong.file, wrong.chance)
    assert (doubts[0].label, doubts[0].other) == (wrong.label, wrong.other)
    assert len(doubts) == len(images) - 1  # of two copies one is judged


def test_a_near_copy_across_classes_is_no_proof(task):
    task.add(2, "8.png", picture(101).resize((80, 60)), true=1)
    task.add(0, "9.png", picture(205), true=2)  # class 2/5.png is not there
    task.add(2, "9.png", picture(205))
    said = [entry for entry in task.suspects() if entry.kind in ("copy", "near-copy")]
    assert [(entry.kind, entry.other) for entry in said] == [
        ("copy", "class 2/9.png"), ("near-copy", "class 1/1.png"),
    ]  # fmt: skip
    assert "is wrong" in said[0].reason and "probably wrong" in said[1].reason


@pytest.mark.parametrize("change", ["half", "jpeg", "crop", "sharpened", "brighter"])
def test_near_copies_are_said_once(task, change):
    image = picture(3)  # class 0/3.png
    made = {
        "half": lambda: image.resize((80, 60)),
        "jpeg": lambda: image.quantize(24).convert("RGB"),
        "crop": lambda: image.crop((2, 1, 158, 119)),
        "sharpened": lambda: image.filter(ImageFilter.SHARPEN),
        "brighter": lambda: image.point(lambda value: min(255, value + 8)),
    }[change]()
    task.add(0, "9.png", made)
    (entry,) = [entry for entry in task.suspects() if entry.kind in ("copy", "near-copy")]
    assert entry.kind == "near-copy"
    assert {entry.file, entry.other} == {"class 0/3.png", "class 0/9.png"}


def test_a_set_of_copies_has_one_entry_less_than_images(task):
    for name in ("7.png", "8.png", "9.png"):
        task.add(1, name, picture(100))
    entries = task.suspects()
    assert [entry.kind for entry in entries] == ["copy"] * 3
    assert {entry.other for entry in entries} == {"class 1/0.png"}


def test_the_most_doubtful_label_is_the_first(task):
    task.add(0, "8.png", picture(7000), true=1)
    task.add(1, "9.png", picture(7001), true=2)
    entries = [entry for entry in task.suspects() if entry.kind == "mislabelled"]
    assert {(entry.file, entry.other) for entry in entries} == {
        ("class 0/8.png", "class 1"), ("class 1/9.png", "class 2"),
    }  # fmt: skip
    chances = [entry.chance for entry in entries]
    assert chances == sorted(chances) and max(chances) < 0.05


def test_an_outlier_is_no_wrong_label(task):
    task.means[5] = 12 * task.means[5]
    task.add(2, "9.png", picture(8000), true=5)
    (entry,) = task.suspects()
    assert (entry.file, entry.kind) == ("class 2/9.png", "outlier")
    assert entry.other is None and entry.chance < 0.05


def test_tiny_and_empty_images_are_said_and_do_not_count_as_their_class(task):
    task.add(0, "8.png", picture(40).resize((24, 18)))
    task.add(1, "9.png", Image.new("RGB", (160, 120), (10, 90, 70)), true=5)
    said = kinds(task.suspects())
    assert said == {"class 0/8.png": "tiny", "class 1/9.png": "tiny"}


def test_pictures_of_one_colour_are_no_copies(task):
    for c in range(2):
        task.add(c, "9.png", Image.new("RGB", (160, 120), (10, 90, 70)))
    assert {entry.kind for entry in task.suspects()} == {"tiny"}


def test_small_pictures_among_small_ones_are_fine(tmp_path):
    small = Task(tmp_path)
    for path in sorted(tmp_path.rglob("*.png")):
        Image.open(path).resize((28, 28)).save(path)
    assert not [entry for entry in small.suspects() if entry.kind in ("tiny", "blurred")]


@pytest.mark.parametrize("radius", [1.5, 3, 6])
def test_blurred_images_are_said(task, radius):
    task.add(0, "9.png", picture(50).filter(ImageFilter.GaussianBlur(radius)))
    (entry,) = [entry for entry in task.suspects() if entry.kind == "blurred"]
    assert entry.file == "class 0/9.png" and 0 <= entry.chance < 0.05


def test_smooth_classes_are_not_blurred(task):
    """What all images of a class share is its nature; a few lines on white are sharp."""
    for k in range(4):
        task.add(3, f"{k}.png", picture(500 + k).filter(ImageFilter.GaussianBlur(3)))
        drawing = np.full((120, 160), 255, np.uint8)
        drawing[30 + k : 33 + k, 20:140] = 0
        task.add(4, f"{k}.png", Image.fromarray(np.roll(drawing, 17 * k, 0)).convert("RGB"))
    assert "blurred" not in kinds(task.suspects()).values()


def test_sharpness_falls_with_blur_and_not_with_contrast():
    image = picture(1, (300, 240))
    values = [
        sharpness(as_seen(image.filter(ImageFilter.GaussianBlur(radius))))
        for radius in (0, 0.7, 1.5)
    ]
    assert values[0] > values[1] > values[2]
    faint = image.point(lambda value: 100 + value // 3)
    assert abs(sharpness(as_seen(faint)) - values[0]) < 0.5
    assert np.isnan(sharpness(np.zeros((20, 400), np.float32)))
    assert sharpness(np.zeros((64, 64), np.float32)) == np.inf


def test_other_modes_and_names_that_are_no_text_are_read(tmp_path):
    task = Task(tmp_path)
    base = picture(600)
    deep = Image.fromarray(np.asarray(base.convert("L"), np.uint16) * 257)
    for k, image in enumerate([
        base.convert("P"), picture(601).convert("LA"), picture(602).convert("RGBA"), deep,
    ]):  # fmt: skip
        task.add(0, f"m{k}.png", image)
    raw = Path(os.fsdecode(os.fsencode(tmp_path / "class 1") + b"/caf\xe9.png"))
    picture(603).save(tmp_path / "x.png")
    try:
        (tmp_path / "x.png").rename(raw)
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    images = Folder(tmp_path, split="none")
    rng = np.random.default_rng(0)
    features = task.means[images.labels] + rng.normal(size=(len(images), 16))
    bank = make_bank(features.astype(np.float32), images.labels, images.classnames,
                     list(images.paths))  # fmt: skip
    names = {entry.file for entry in suspects(bank, images)}
    assert names <= set(images.paths)
    for name in names:
        name.encode()


def test_features_without_images():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [4, 6, 9])
    means = 4 * rng.normal(size=(3, 12))
    features = (means[labels] + rng.normal(size=(19, 12))).astype(np.float32)
    assert suspects(make_bank(features, labels), None) == []
    features[1] = features[0]
    features[18] = means[1]
    entries = suspects(make_bank(features, labels), None)
    assert [(entry.file, entry.kind, entry.other) for entry in entries] == [
        ("18", "mislabelled", "1"), ("1", "copy", "0"),
    ]  # fmt: skip


def test_one_class_or_one_image_per_class_says_nothing():
    features = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    assert suspects(make_bank(features, [0, 0, 0, 0]), None) == []
    assert suspects(make_bank(features, [0, 1, 2, 3]), None) == []


def test_doubts_cover_all_images_and_copies_come_last():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 6)
    features = (3 * labels[:, None] + rng.normal(size=(12, 10))).astype(np.float32)
    features[5] = features[4]
    doubts = doubts_of_bank(make_bank(features, labels))
    assert sorted(doubts.ranks.tolist()) == list(range(12)) and doubts.ranks[5] == 11
    assert np.isnan(doubts.margins).tolist() == [row == 5 for row in range(12)]
    assert set(doubts.rivals[labels == 0].tolist()) <= {1, -1}


def test_thousands_of_images_of_classes_of_unequal_size():
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(30), rng.integers(2, 200, 30))
    features = (4 * rng.normal(size=(30, 24)))[labels] + rng.normal(size=(len(labels), 24))
    wrong = rng.choice(len(labels), 20, replace=False)
    given = labels.copy()
    given[wrong] = (given[wrong] + 1) % 30
    entries = suspects(make_bank(features.astype(np.float32), given), None)
    listed = {int(entry.file) for entry in entries if entry.kind == "mislabelled"}
    assert len(listed & set(wrong.tolist())) >= 15
    assert len(listed - set(wrong.tolist())) <= 1
    assert all(entry.kind in KINDS for entry in entries)


def test_the_global_random_state_is_left_alone(task):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    task.suspects()
    assert torch.equal(torch.random.get_rng_state(), before)
