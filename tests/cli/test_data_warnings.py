"""What is said of the images before any number: what is left out, labels of -1, copies."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fewshot as api

QUICK = ("episodes.count=5", "episodes.ways=2", "episodes.shots=[1]", "head=[ncm]",
         "estimator=[margin]", "threads=1")  # fmt: skip
NETWORK = ("backbone=callable", "backbone.target=tiny_net:network", "backbone.size=16")
IMAGES = ("dataset=folder", "dataset.root=photos", *NETWORK)


def facts(done):
    (summary,) = (path for path in done.runs if path.name == "summary.json")
    return json.loads(summary.read_text())["data"]


def said(done):
    lines = [line for line in done.err.splitlines() if line.startswith("fewshot: ")]
    return [line.removeprefix("fewshot: ") for line in lines]


@pytest.fixture
def copied(photos, tiny_net):
    """Six classes of 8 images, and two copies: one of an image in its class, one in another."""
    shutil.copy(photos / "class_1/2.png", photos / "class_1/again.png")
    with Image.open(photos / "class_4/0.png") as image:
        image.resize((32, 32)).save(photos / "class_5/larger.png")


def test_copies_of_images_are_said_and_counted(fewshot, copied):
    done = fewshot(*IMAGES, *QUICK)
    assert done.code == 0, done.err
    (line,) = said(done)
    assert line.startswith("dataset: 2 of 50 images look the same as others, first 'class_1/2.png'")
    assert "'class_1/again.png'; 1 such set of images is in several classes" in line
    assert facts(done)["copies"] == {
        "by": "pixels", "images": 2, "sets": 2, "sets_in_several_classes": 1,
        "first": ["class_1/2.png", "class_1/again.png"],
    }  # fmt: skip
    assert "2 of 50 images look the same" in fewshot("extract", *IMAGES).err
    words = " ".join(
        fewshot("predict", "photos", "--backbone", "callable:tiny_net:network", "--size", "16")
        .out.split()
    )  # fmt: skip
    assert "Note: 2 images are copies of others" in words


def test_a_bank_of_before_counts_equal_rows(fewshot, copied):
    fewshot("extract", *IMAGES)
    (note,) = Path("cache/features").glob("*/bank.json")
    content = json.loads(note.read_text())
    assert content.pop("copies")["images"] == 2
    note.write_text(json.dumps(content))
    assert facts(fewshot(*IMAGES, *QUICK))["copies"]["by"] == "features"


def test_features_of_a_file(fewshot, workplace):
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(40, 4)), np.repeat([-1, 0, 1, 2], 10)
    features[31] = features[30]
    np.savez(workplace / "f.npz", features=features, labels=labels)
    done = fewshot("dataset=features", "dataset.path=f.npz", *QUICK)
    labelled, copies = said(done)
    assert labelled.startswith("labels: 10 of 40 are -1, which usually stands for no label")
    assert "1 of 40 rows has the same features as another, first rows 30 and 31" in copies
    assert (facts(done)["labelled_minus_one"], facts(done)["copies"]["images"]) == (10, 1)


def test_what_arrays_of_other_names_were_taken_as(fewshot, workplace):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 10)
    features = rng.normal(size=(6, 8))[labels] + rng.normal(size=(60, 8))
    np.savez("my data (1).npz", X=features[:, :, None, None], y=labels[:, None])
    done = fewshot("dataset=features", "dataset.path=my data (1).npz", "episodes.count=5",
                   "episodes.shots=[2]", "head=[ncm]", "estimator=[margin]")  # fmt: skip
    assert done.code == 0
    lines = [line.removeprefix("fewshot: ") for line in done.err.splitlines()[:3]]
    assert lines == [
        "my data (1).npz: took 'X' as features, 'y' as labels",
        "features: of shape (60, 8, 1, 1), taken as (60, 8)",
        "labels: of shape (60, 1), taken as (60,)",
    ]


def test_folders_that_are_no_classes(fewshot, make_images, tiny_net):
    for folder in ("d/train", "d/test"):
        make_images(folder, classes=3, images=4, seed=len(folder))
    make_images("spare", classes=1, images=3, seed=9)
    shutil.move("spare/class_0", "d/leftover")
    done = fewshot("dataset=folder", "dataset.root=d", *NETWORK, *QUICK)
    assert done.code == 0, done.err
    assert said(done)[0].startswith("dataset: left out 'leftover', which hold images but are no")
    assert (facts(done)["classes"], facts(done)["left_out_folders"]) == (3, ["leftover"])
    support = ("predict", "d", "--backbone", "callable:tiny_net:network", "--size", "16")
    assert "left out 'leftover'" in fewshot(*support).err


def test_images_that_are_not_read(fewshot, photos, tiny_net):
    for name in ("class_1/a.CR2", "class_1/b.CR2", "class_3/logo.svg"):
        (photos / name).write_bytes(b"no matter")
    said_of_them = (
        "dataset: 2 .cr2 and 1 .svg files (first 'class_1/a.CR2') are not read. Convert .cr2 and "
        ".svg files to JPEG or PNG"
    )
    done = fewshot(*IMAGES, *QUICK)
    assert said(done) == [said_of_them]
    assert facts(done)["unread_files"] == [
        {"extension": ".cr2", "files": 2, "first": "class_1/a.CR2", "content": None},
        {"extension": ".svg", "files": 1, "first": "class_3/logo.svg", "content": None},
    ]
    (page,) = (path.read_text() for path in done.runs if path.name == "report.html")
    assert "class_1/a.CR2" in page
    assert said_of_them in fewshot("extract", *IMAGES).err
    support = ("predict", "photos", "--backbone", "callable:tiny_net:network", "--size", "16")
    err = fewshot(*support, "--query", "photos/class_1").err
    assert said_of_them in err and "2 .cr2 files (first 'photos/class_1/a.CR2') are not" in err
    with pytest.warns(UserWarning, match=r"2 \.cr2 and 1 \.svg files"):
        api.extract("photos", "callable:tiny_net:network", size=16)


def test_where_there_is_nothing_to_say(fewshot, photos, tiny_net):
    done = fewshot(*IMAGES, *QUICK)
    assert said(done) == []
    assert facts(done)["copies"]["images"] == facts(done)["labelled_minus_one"] == 0
    assert facts(done)["left_out_folders"] == facts(done)["unread_files"] == []


def test_the_page_of_a_run_has_what_was_counted(fewshot, copied):
    runs = fewshot(*IMAGES, *QUICK).runs
    (page,) = (path.read_text() for path in runs if path.name == "report.html")
    assert re.search(r'"copies": ?\{"by": ?"pixels", ?"images": ?2', page)
