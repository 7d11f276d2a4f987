"""Images that a published file lists, wherever they lie."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import load_dataset
from fewshot.datasets.listed import load_listed
from fewshot.exceptions import FewshotError
from fewshot.paths import Places

COOP = {
    "train": [["cat/1.png", 1, "tabby cat"], ["ant/1.png", 0, "ant"]],
    "val": [["cat/2.png", 1, "tabby cat"]],
    "test": [["ant/2.png", 0, "ant"]],
}
PATHS = ("ant/1.png", "ant/2.png", "cat/1.png", "cat/2.png")
SHADES = {"ant/1.png": 10, "ant/2.png": 20, "cat/1.png": 30, "cat/2.png": 40}
MINI = {"train": {"1.png": "n02"}, "val": {"2.png": "n01"}, "test": {"3.png": "n03"}}


def image(path, shade=0):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2, 2), (shade,) * 3).save(path)


def coop(root="r", images="", file="split_zhou_pets.json"):
    """A data set in CoOp's form; a shade of grey for each image."""
    for path, shade in SHADES.items():
        image(Path(root, images, path), shade)
    Path(root, file).parent.mkdir(parents=True, exist_ok=True)
    Path(root, file).write_text(json.dumps(COOP))
    return str(root)


def mini(place, root="r"):
    """A data set in the form of miniImageNet; `place` makes the path of an image."""
    for part, files in MINI.items():
        rows = "".join(f"{file},{label}\n" for file, label in files.items())
        Path(root).mkdir(exist_ok=True)
        Path(root, f"{part}.csv").write_text("filename,label\n" + rows)
        for file, label in files.items():
            image(Path(root, place(part, label, file)), int(file[0]))
    return root


def shades(dataset):
    return [dataset.read(row).getpixel((0, 0))[0] for row in range(len(dataset))]


def refusal(*arguments, **options):
    with pytest.raises(FewshotError) as caught:
        load_listed(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("images", ["", "images", "101_ObjectCategories", "jpg"])
def test_coop_images_below_any_sub_folder(workplace, images):
    dataset = load_listed("pets", coop(images=images))
    assert dataset.paths == tuple(f"{images}/{path}".lstrip("/") for path in PATHS)
    assert dataset.classnames == ("ant", "tabby cat")
    assert dataset.labels.tolist() == [0, 0, 1, 1]
    assert dataset.subset.tolist() == ["train", "test", "train", "validation"]
    assert shades(dataset) == [10, 20, 30, 40]
    assert (dataset.name, dataset.parts) == ("pets", None)


def test_a_list_that_lies_elsewhere(workplace):
    root = coop(file="../lists/mine.json")
    assert shades(load_listed("x", root, "lists/mine.json")) == [10, 20, 30, 40]
    beside = coop("other")
    Path("empty").mkdir()
    dataset = load_listed("x", "empty", f"{beside}/split_zhou_pets.json")
    assert shades(dataset) == [10, 20, 30, 40]  # the images lie beside the list
    assert dataset.paths[0] == "other/ant/1.png"
    assert len(load_listed("x", beside, "split_zhou_pets.json")) == 4  # relative to the root


@pytest.mark.parametrize(
    "place",
    [
        lambda part, label, file: f"images/{file}",
        lambda part, label, file: file,
        lambda part, label, file: f"{label}/{file}",
        lambda part, label, file: f"images/{label}/{file}",
        lambda part, label, file: f"{part}/{file}",
        lambda part, label, file: f"{part}/{label}/{file}",
    ],
)
def test_mini_imagenet(workplace, place):
    dataset = load_listed("mini", mini(place))
    assert dataset.classnames == ("n01", "n02", "n03")
    assert dataset.parts == ("validation", "base", "novel")
    assert shades(dataset) == [2, 1, 3]
    assert dataset.subset is None
    only = load_listed("mini", "r", "r/test.csv")
    assert (only.classnames, only.parts, shades(only)) == (("n03",), ("novel",), [3])


def test_missing_images(workplace):
    root = coop(images="images")
    Path("r/images/ant/2.png").unlink()
    text = refusal("x", root)
    assert "1 of 4 images that r/split_zhou_pets.json lists are missing, first 'ant/2.png'" in text
    assert "dataset.on_error=skip" in text
    dataset = load_listed("x", root, on_error="skip")
    assert dataset.subset.tolist() == ["train", "train", "validation"]
    assert shades(dataset) == [10, 30, 40]
    os.rename("r/images", "elsewhere")  # noqa: PTH104
    for on_error in ("raise", "skip"):
        text = refusal("x", root, on_error=on_error)
        assert "4 of 4" in text and "Check dataset.root" in text


def test_through_the_settings(workplace):
    coop("data/pets")
    places = Places(workplace / "cache", workplace / "weights", workplace / "data")
    dataset = load_dataset({"kind": "listed", "name": "pets", "subset": "train"}, places)
    assert dataset.paths == ("ant/1.png", "cat/1.png")
    Path("s.yaml").write_text("base: [ant]\nnovel: [tabby cat]\n")
    settings = {"kind": "listed", "root": "data/pets", "name": None, "split": "s.yaml"}
    dataset = load_dataset(settings)
    assert (dataset.name, dataset.parts) == ("pets", ("base", "novel"))
    with pytest.raises(FewshotError, match=r"no folder: '.*data/pest'"):
        load_dataset({"kind": "listed", "name": "pest"}, places)


def test_which_list_is_meant(workplace):
    root = coop()
    Path(root, "split_other.json").write_text("{}")
    text = refusal("x", root)
    assert "split_other.json, split_zhou_pets.json" in text
    assert len(load_listed("x", root, f"{root}/split_zhou_pets.json")) == 4
    assert "got nothing there: 'none.json'" in refusal("x", root, "none.json")
    Path("bare").mkdir()
    assert "Say dataset.split_file=" in refusal("x", "bare")
    for place in ("nowhere", "n" * 5000):
        assert refusal("x", place).startswith("dataset.root")


def test_names_in_the_other_unicode_form_and_too_long_ones(workplace):
    image("r/caf\u00e9/1.png", 7)
    image("r/cafe\u0301s/1.png", 8)
    rows = [["cafe\u0301/1.png", 0, "a"], ["caf\u00e9s/1.png", 1, "b"], ["n" * 5000, 2, "c"]]
    Path("r/split_x.json").write_text(json.dumps({"train": rows}))
    assert "1 of 3" in refusal("x", "r")
    assert shades(load_listed("x", "r", on_error="skip")) == [7, 8]


def test_the_fingerprint_knows_content_and_labels(workplace):
    root = coop()
    before = load_listed("x", root, cache=workplace / "digests").fingerprint()
    assert load_listed("y", root).fingerprint() == before
    assert list((workplace / "digests").iterdir())
    image("r/ant/1.png", 11)
    changed = load_listed("x", root, cache=workplace / "digests").fingerprint()
    assert changed != before
    image("r/ant/1.png", 10)
    swapped = {key: [[path, 1 - label, name] for path, label, name in rows]
               for key, rows in COOP.items()}  # fmt: skip
    Path("r/split_zhou_pets.json").write_text(json.dumps(swapped))
    assert load_listed("x", root).fingerprint() != before
    chosen = load_listed("x", root).take_rows(np.array([1]))
    assert chosen.subset.tolist() == ["validation"]
