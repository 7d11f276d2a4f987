"""Lists of images in JSON as projects write them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets.listed import load_listed
from fewshot.datasets.split_files import read_image_list
from fewshot.exceptions import FewshotError


def written(file, content):
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(json.dumps(content))
    return Path(file)


def refusal(content, file="s.json"):
    with pytest.raises(FewshotError) as caught:
        read_image_list(written(file, content))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def entry(path, label, name):
    return {"impath": f"./data/d/{path}", "label": label, "classname": name}


TRAIN = [entry("a/1.jpg", 0, "zebra"), entry("b/1.jpg", 1, "ant")]
VAL = [entry("a/2.jpg", 0, "zebra")]
# Positions in the whole training set, as the files of cross_modal_adaptation have them.
SAMPLED = {"train": {"data": TRAIN, "indices": [8, 2773]}, "val": {"data": VAL, "indices": [3]}}


@pytest.mark.parametrize(
    "content",
    [
        SAMPLED,
        {"train": TRAIN, "val": VAL},
        {"training": TRAIN, "dev": VAL, "test": []},
        [{"image": e["impath"], "label": e["label"], "class": e["classname"], "split": split}
         for split, entries in (("train", TRAIN), ("val", VAL)) for e in entries],
    ],
)  # fmt: skip
def test_entries_that_are_objects(workplace, content):
    listed = read_image_list(written("s.json", content))
    assert listed.paths == ("data/d/a/1.jpg", "data/d/a/2.jpg", "data/d/b/1.jpg")
    assert listed.classnames == ("zebra", "ant")
    assert listed.subset.tolist() == ["train", "validation", "train"]


@pytest.mark.parametrize(
    ("indices", "message"),
    [([8], "s.json: train.indices: expected 2, one per image of data, got 1"),
     ([8, -1], "s.json: train.indices[1]: expected a whole number from 0, got -1"),
     ([8, "9"], "train.indices[1]: expected a whole number from 0, got '9'"),
     (4, "train.indices: expected 2, one per image of data, got 4")],
)  # fmt: skip
def test_indices_that_do_not_fit(workplace, indices, message):
    assert message in refusal({"train": {"data": TRAIN, "indices": indices}})


def test_objects_and_triples_a_line(workplace):
    lines = [json.dumps(e) for e in TRAIN]
    Path("l.jsonl").write_text(lines[0] + "\n\n" + lines[1])
    assert read_image_list(Path("l.jsonl")).classnames == ("zebra", "ant")
    Path("l.jsonl").write_text('["a.jpg", 1, "x"]\n["b.jpg", 0, "y"]\n')
    assert read_image_list(Path("l.jsonl")).classnames == ("y", "x")
    for second, message in (
        ('{"impath"', "l.jsonl, line 3: "), ("5", "l.jsonl, line 3: expected an object, got 5"),
        ('{"impath": "c.jpg"}', "l.jsonl, line 3: the class has no name"),
        ('{"impath": "c.jpg", "classname": ["a", "b"]}', "line 3: expected text or a number for"),
        ('{"a": 1, "a": 2}', "line 3: key 'a' comes twice"),
    ):  # fmt: skip
        Path("l.jsonl").write_text(f"{lines[0]}\n\n{second}\n")
        with pytest.raises(FewshotError) as caught:
            read_image_list(Path("l.jsonl"))
        assert message in str(caught.value)


def test_files_by_class(workplace):
    classes = {"bee": ["b/1.jpg", "b/2.jpg"], "ant": ["a/1.jpg"]}
    listed = read_image_list(written("s.json", classes))
    assert (listed.classnames, listed.labels.tolist()) == (("ant", "bee"), [0, 1, 1])
    split = {"train": {"bee": ["b/1.jpg"]}, "test": {"bee": ["b/2.jpg"], "ant": ["a/1.jpg"]}}
    assert read_image_list(written("s.json", split)).subset.tolist() == ["test", "train", "test"]
    assert "To split by class" not in refusal({"train": {}})
    assert "train[0]: expected [path, label, classname]" in refusal({"train": ["b/1.jpg"]})


def closer_look(labels, names=("ant", "bee", "cow")):
    images = [f"/home/me/d/{names[label]}/{i}.jpg" for i, label in enumerate(labels)]
    return {"label_names": list(names), "image_names": images, "image_labels": list(labels)}


def test_the_files_of_a_closer_look(workplace):
    for part, labels in (("base", [1, 1]), ("val", [0]), ("novel", [2])):
        written(f"lists/{part}.json", closer_look(labels))
    listed = read_image_list(Path("lists"), absolute=True)
    assert listed.classnames == ("ant", "bee", "cow")
    assert listed.parts == ("validation", "base", "novel")
    only = read_image_list(Path("lists/novel.json"), absolute=True)
    assert (only.classnames, only.parts) == (("cow",), ("novel",))
    wrong = closer_look([0, 1])
    wrong["image_labels"] = [0, 3]
    assert "image_labels[1]: expected a position in the 3 label_names, got 3" in refusal(wrong)
    wrong["image_labels"] = [0]
    assert "expected 2 image_labels, one per image, got 1" in refusal(wrong)
    assert "image_names should be a list" in refusal({"image_names": 3, "image_labels": [0]})


def test_folders_of_classes(workplace):
    for shade, path in enumerate(("ant/1.png", "ant/2.png", "bee/1.png")):
        Path("d", path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), (shade,) * 3).save(Path("d", path))
    specs = {"class_names": ["the bee", "an ant"], "class_roots": ["data/d/bee", "data/d/ant"]}
    written("cub.json", specs)
    dataset = load_listed("x", "d", "cub.json")
    assert dataset.paths == ("bee/1.png", "ant/1.png", "ant/2.png")
    assert dataset.classnames == ("the bee", "an ant")
    assert np.bincount(dataset.labels).tolist() == [1, 2]
    Path("d/empty").mkdir()
    for roots, message in (
        (["d/bee", "d/fly"], "1 of 2 folders that cub.json lists are missing, first 'd/fly'"),
        (["d/bee", "d/empty"], "'d/empty', which cub.json lists, has no image"),
        (["d/bee"], "2 class_names and 1 class_roots"),
        (["d/bee", "../d/ant"], "class_roots[1]: expected a path below the data set's folder"),
    ):
        written("cub.json", specs | {"class_roots": roots})
        with pytest.raises(FewshotError) as caught:
            load_listed("x", "d", "cub.json")
        assert message in str(caught.value)


def test_two_classes_of_one_name(workplace):
    rows = [["a.jpg", 0, "crane"], ["b.jpg", 1, "crane"]]
    message = refusal({"train": rows})
    assert "train[1]: class 'crane' has label 1, but 0 in s.json: train[0]" in message
    assert "dataset.same_names=keep" in message
    listed = read_image_list(Path("s.json"), same_names="keep")
    assert listed.classnames == ("crane (0)", "crane (1)")


def test_base_and_novel_lists(workplace):
    rows = [["a.jpg", 0, "ant"], ["b.jpg", 1, "bee"]]
    listed = read_image_list(written("s.json", {"base": rows[:1], "novel": rows[1:]}))
    assert (listed.parts, listed.subset) == (("base", "novel"), None)
    both = {"base": rows, "novel": [["c.jpg", 1, "bee"]]}
    assert "class 'bee' is in base and in novel" in refusal(both)


def test_columns_of_a_file_that_has_none(workplace):
    file = written("s.json", {"train": [["a.jpg", 0, "ant"]]})
    with pytest.raises(
        FewshotError, match=r"dataset\.columns\.label: expected nothing, as s\.json"
    ):
        read_image_list(file, columns={"path": None, "label": "species"})
    assert len(read_image_list(file, columns={"path": None, "label": None}).paths) == 1
