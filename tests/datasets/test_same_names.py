"""dataset.same_names: one rule for every kind of data set."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import load_dataset, settings_of
from fewshot.exceptions import FewshotError


def features():
    labels = np.repeat(np.arange(3), 4)
    rows = np.random.default_rng(0).normal(size=(12, 5))
    np.savez("a.npz", features=rows, labels=labels, classnames=["crane", "kite", "crane"])
    return {"kind": "features", "path": "a.npz"}


def listed():
    rows = [[f"{c}.png", c, name] for c, name in enumerate(("crane", "kite", "crane"))]
    Path("d").mkdir()
    for file, *_ in rows:
        Image.new("RGB", (2, 2)).save(Path("d", file))
    Path("s.json").write_text(json.dumps({"train": rows}))
    return {"kind": "listed", "root": "d", "split_file": "s.json"}


def torchvision():
    for name in ("Crane", "crane", "kite"):
        Path("d", name).mkdir(parents=True)
        Image.new("RGB", (2, 2)).save(Path("d", name, "1.png"))
    return {"kind": "torchvision", "source": "ImageFolder", "root": "d"}


def names_file():
    np.savez("a.npz", features=np.eye(12)[:, :5] + 1, labels=np.repeat(["a", "b", "c"], 4))
    Path("names.txt").write_text("crane\nkite\ncrane\n")
    return {"kind": "features", "path": "a.npz", "classnames": "names.txt"}


@pytest.mark.parametrize(
    ("make", "kept"),
    [
        (features, ("crane (0)", "kite", "crane (2)")),
        (listed, ("crane (0)", "kite", "crane (2)")),
        (torchvision, ("Crane", "crane", "kite")),
        (names_file, ("crane (a)", "kite", "crane (c)")),
    ],
)
def test_two_classes_of_one_name(workplace, make, kept):
    settings = make()
    with pytest.raises(FewshotError) as caught:
        load_dataset(settings)
    message = str(caught.value)
    assert "crane" in message and "dataset.same_names=keep" in message and "\n" not in message
    assert load_dataset(settings | {"same_names": "keep"}).classnames == kept
    with pytest.raises(FewshotError, match=r"dataset\.same_names: expected one of"):
        load_dataset(settings | {"same_names": "merge"})


@pytest.mark.parametrize(
    "name", ["folder", "listed", "features", "huggingface", "torchvision", "ucf101"]
)
def test_it_is_a_setting(name):
    assert settings_of(name)["same_names"] == "raise"
