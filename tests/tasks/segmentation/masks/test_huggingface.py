"""Masks in tables of Hugging Face's ``datasets``, from folders, never from the hub."""

import importlib
import io

import numpy as np
import pytest
from PIL import Image

from fewshot.exceptions import FewshotError
from fewshot.paths import option
from fewshot.tasks.segmentation.masks import IGNORED, load_masks

pytest.importorskip("datasets.config", reason="the extra hf is not installed")
hf = importlib.import_module("datasets")


@pytest.fixture(autouse=True)
def _without_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(hf.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hf.disable_progress_bars()


def png(image):
    data = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(data, "PNG")
    return {"bytes": data.getvalue()}


def table(folder, count, seed=0, mask=None, label="label"):
    values = (folder.mask_of([0, 1, 255]) if mask is None else mask).astype(np.uint8)
    content = {
        "image": [png(folder.picture(seed + n)) for n in range(count)],
        label: [png(values)] * count,
    }
    features = hf.Features({"image": hf.Image(), label: hf.Image()})
    return hf.Dataset.from_dict(content, features=features)


def loaded(path, **more):
    return load_masks({**option("dataset", "huggingface"), "path": str(path), **more})


@pytest.mark.parametrize("label", ["label", "mask", "annotation"])
def test_parts_and_classes(folder, label):
    tables = {
        "train": table(folder, 3, label=label),
        "validation": table(folder, 2, 10, label=label),
    }
    hf.DatasetDict(tables).save_to_disk(folder.root)
    data = loaded(folder.root)
    assert data.name == "set"
    assert (data.support.tolist(), data.queries.tolist()) == ([0, 1, 2], [3, 4])
    assert data.classnames == ("0", "1")
    assert data.read_mask(3)[0, :3].tolist() == [0, 1, IGNORED]
    assert data.images.read(0).size == (12, 10)
    assert data.presence().tolist() == [[40, 40]] * 5
    assert loaded(folder.root, hf_split="train").queries is None


def test_settings_of_masks(folder, tmp_path):
    table(folder, 2, mask=folder.mask_of([0, 1, 2])).save_to_disk(folder.root)
    folder.write("names.txt", "wall\nfloor\n")
    names = str(folder.root / "names.txt")
    data = loaded(folder.root, reduce_zero_label=True, classnames=names, group="([0-9])$")
    assert data.classnames == ("wall", "floor")
    assert data.groups == ("0", "1")
    assert data.presence().tolist() == [[40, 40]] * 2


def test_errors_name_rows(folder):
    tables = table(folder, 2, mask=folder.mask_of([0, 255]))
    tables.save_to_disk(folder.root)
    with pytest.raises(FewshotError, match=r"dataset\.binary: .*000000, column label"):
        loaded(folder.root)
    assert loaded(folder.root, binary=True).background == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"label": "kind"}, "dataset.label: expected a column of masks"),
        ({"label": "image", "image": "image"}, "column of images, too"),
        ({"image": "picture"}, "dataset.image"),
        ({"path": None}, "dataset.path"),
    ],
)
def test_wrong_columns(folder, more, message):
    table(folder, 1).save_to_disk(folder.root)
    with pytest.raises(FewshotError) as caught:
        loaded(**{"path": folder.root, **more})
    assert message in str(caught.value)


def test_no_column_of_masks(folder):
    table(folder, 1).remove_columns(["label"]).save_to_disk(folder.root)
    with pytest.raises(FewshotError, match="those are image"):
        loaded(folder.root)


def test_splits_of_other_names(folder):
    tables = {"train": table(folder, 1), "extra": table(folder, 1, 5)}
    hf.DatasetDict(tables).save_to_disk(folder.root)
    with pytest.raises(FewshotError, match=r"dataset\.hf_split: split 'extra'"):
        loaded(folder.root)
