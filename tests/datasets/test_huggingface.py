"""Sets in the formats of Hugging Face's ``datasets``, all from folders, never from the hub."""

import importlib
import io
import sys

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import load_dataset
from fewshot.datasets.images import UnreadableImageError
from fewshot.exceptions import FewshotError
from fewshot.paths import option

pytest.importorskip("datasets.config", reason="the extra hf is not installed")
hf = importlib.import_module("datasets")
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Tables are kept below the test's folder, and no hub is asked."""
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(hf.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hf.disable_progress_bars()


def png(value):
    data = io.BytesIO()
    Image.new("RGB", (4, 3), (value, 20, 30)).save(data, "PNG")
    return data.getvalue()


def table(values, labels, kind=None, **more):
    features = {"picture": hf.Image(), "kind": kind or hf.ClassLabel(names=["cat", "dog"])}
    features |= {key: hf.Value("int64") for key in more}
    cells = [{"bytes": png(value)} if isinstance(value, int) else value for value in values]
    content = {"picture": cells, "kind": labels, **more}
    return hf.Dataset.from_dict(content, features=hf.Features(features))


def loaded(path, **more):
    return load_dataset({**option("dataset", "huggingface"), "path": str(path), **more})


@pytest.fixture
def saved(tmp_path):
    tables = {"train": table([10, 20, 30], [1, 0, 1]), "test": table([40], [0])}
    hf.DatasetDict(tables).save_to_disk(tmp_path / "pets")
    return tmp_path / "pets"


def test_a_column_of_text_that_is_called_as_in_lists(tmp_path):
    other = table([10, 20], ["cat", "ant"], hf.Value("string"), width=[3, 4])
    other.rename_column("kind", "Breed").save_to_disk(tmp_path / "breeds")
    assert loaded(tmp_path / "breeds").classnames == ("ant", "cat")


@pytest.mark.parametrize("names", [("train", "test"), ("base", "novel")])
def test_splits_with_other_classes_each_are_parts(tmp_path, names):
    tables = {names[0]: table([10, 20], [0, 0]), names[1]: table([30], [1])}
    hf.DatasetDict(tables).save_to_disk(tmp_path / "parts")
    dataset = loaded(tmp_path / "parts")
    assert (dataset.parts, dataset.subset) == (("base", "novel"), None)


def test_classes_of_one_name(tmp_path):
    kind = hf.ClassLabel(names=["Crane", "crane"])
    table([10, 20], [0, 1], kind).save_to_disk(tmp_path / "cranes")
    with pytest.raises(FewshotError, match=r"differ in spelling only.*dataset\.same_names=keep"):
        loaded(tmp_path / "cranes")
    assert loaded(tmp_path / "cranes", same_names="keep").classnames == ("Crane", "crane")


def test_splits_are_joined_and_found_by_type(saved, monkeypatch):
    with monkeypatch.context() as context:
        context.setattr(Image, "open", lambda *a, **k: pytest.fail("decoded while listing"))
        dataset = loaded(saved)
    assert dataset.name == "pets"
    assert dataset.labels.tolist() == [1, 0, 1, 0]
    assert dataset.classnames == ("cat", "dog")
    assert dataset.paths == ("train/000000", "train/000001", "train/000002", "test/000000")
    assert dataset.subset.tolist() == ["train"] * 3 + ["test"]
    tables = hf.load_from_disk(str(saved))
    reference = [row["picture"] for split in tables.values() for row in split]
    assert [dataset.read(i).tobytes() for i in range(4)] == [
        image.convert("RGB").tobytes() for image in reference
    ]
    assert [dataset.read(i).getpixel((0, 0))[0] for i in range(4)] == [10, 20, 30, 40]


def test_splits_can_be_chosen(saved):
    assert len(loaded(saved, subset="test")) == 1
    dataset = loaded(saved, hf_split="test + train")
    assert dataset.labels.tolist() == [0, 1, 0, 1]
    assert dataset.read(0).getpixel((0, 0))[0] == 40
    assert loaded(saved, hf_split="train").subset is None
    with pytest.raises(
        FewshotError, match=r"dataset.hf_split: expected train, test or several .*'train.val'"
    ):
        loaded(saved, hf_split="train+val")


def test_a_table_of_its_own_with_rows_in_another_order(tmp_path):
    table([10, 20, 30], [1, 0, 1]).select([2, 0]).save_to_disk(tmp_path / "one")
    dataset = loaded(tmp_path / "one")
    assert dataset.labels.tolist() == [1, 1]
    assert [dataset.read(i).getpixel((0, 0))[0] for i in range(2)] == [30, 10]
    assert dataset.subset is None


def test_parquet_files(tmp_path):
    folder = tmp_path / "set/data"
    folder.mkdir(parents=True)
    table([10, 20], [1, 0]).to_parquet(folder / "train-00000-of-00001.parquet")
    table([30], [1]).to_parquet(folder / "validation-00000-of-00001.parquet")
    dataset = loaded(tmp_path / "set", name="mine")
    assert dataset.name == "mine"
    assert dataset.labels.tolist() == [1, 0, 1]
    assert dataset.classnames == ("cat", "dog")
    assert dataset.subset.tolist() == ["train", "train", "validation"]
    assert dataset.read(2).getpixel((0, 0))[0] == 30


def test_a_folder_of_images(make_images, tmp_path):
    root = make_images(tmp_path / "photos/train", classes=3, images=2)
    dataset = loaded(root.parent)
    assert dataset.classnames == ("class_0", "class_1", "class_2")
    first = Image.open(root / "class_0/0.png").convert("RGB")
    assert first.tobytes() in [dataset.read(i).tobytes() for i in range(6)]
    assert np.bincount(dataset.labels).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("kind", "labels", "names", "numbers"),
    [
        ("string", ["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        ("int64", [10, 9, 10], ("9", "10"), [1, 0, 1]),
    ],
)
def test_labels_without_class_names(tmp_path, kind, labels, names, numbers):
    plain = table([10, 20, 30], labels, hf.Value(kind)).rename_column("kind", "label")
    plain.save_to_disk(tmp_path / "plain")
    dataset = loaded(tmp_path / "plain")
    assert dataset.classnames == names
    assert dataset.labels.tolist() == numbers


def test_columns_that_cannot_be_told(tmp_path):
    table([10], [0], hf.Value("string"), age=[3]).save_to_disk(tmp_path / "a")
    with pytest.raises(FewshotError, match=r"dataset.label: no column .*ClassLabel: .*kind, age"):
        loaded(tmp_path / "a")
    assert loaded(tmp_path / "a", label="age").classnames == ("3",)
    with pytest.raises(FewshotError, match=r"dataset.label: .*'ages'.*Did you mean 'age'"):
        loaded(tmp_path / "a", label="ages")
    with pytest.raises(FewshotError, match=r"dataset.image: expected a column"):
        loaded(tmp_path / "a", image="img")
    two = table([10], [1])
    two = two.add_column("breed", [0]).cast_column("breed", hf.ClassLabel(names=["x", "y"]))
    two.save_to_disk(tmp_path / "two")
    with pytest.raises(FewshotError, match=r"dataset.label: several columns .*: kind, breed"):
        loaded(tmp_path / "two")
    assert loaded(tmp_path / "two", label="breed").classnames == ("x", "y")


def test_hidden_labels_are_an_error_that_says_which_split(tmp_path):
    tables = {"train": table([10], [0]), "test": table([20], [-1])}
    hf.DatasetDict(tables).save_to_disk(tmp_path / "hidden")
    with pytest.raises(FewshotError, match=r"dataset.hf_split: split 'test' .*without a label"):
        loaded(tmp_path / "hidden")
    assert len(loaded(tmp_path / "hidden", hf_split="train")) == 1


def test_splits_with_different_classes_are_refused(tmp_path):
    other = table([20], [0], hf.ClassLabel(names=["bird"]))
    hf.DatasetDict({"train": table([10], [0]), "test": other}).save_to_disk(tmp_path / "mixed")
    with pytest.raises(FewshotError, match=r"'kind' has different classes"):
        loaded(tmp_path / "mixed")


def test_damaged_images_are_unreadable_like_any_other(tmp_path):
    cells = [{"bytes": png(10)[:40]}, {"bytes": b"no image"}, {"bytes": b""}, None]
    table(cells, [0, 1, 0, 1]).save_to_disk(tmp_path / "bad")
    dataset = loaded(tmp_path / "bad")
    for row in range(4):
        with pytest.raises(UnreadableImageError):
            dataset.read(row)


def test_the_fingerprint_follows_rows_and_labels(saved, tmp_path):
    first = loaded(saved).fingerprint()
    assert loaded(saved).fingerprint() == first
    assert loaded(saved, hf_split="train").fingerprint() != first
    other = {"train": table([10, 20, 30], [1, 1, 1]), "test": table([40], [0])}
    hf.DatasetDict(other).save_to_disk(tmp_path / "other")
    assert loaded(tmp_path / "other", name="pets").fingerprint() != first


def test_what_cannot_be_loaded_is_told_in_one_line(tmp_path):
    with pytest.raises(FewshotError, match=r"dataset.path: expected a name on the"):
        load_dataset(option("dataset", "huggingface"))
    (tmp_path / "empty").mkdir()
    for path, remedy in ((tmp_path / "empty", "Expected: a folder"), ("someone/pets", "hub")):
        with pytest.raises(FewshotError) as caught:
            loaded(path)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(f"dataset.path: cannot load {str(path)!r}")
        assert remedy in str(caught.value)


def test_without_the_package_the_error_says_how_to_get_it(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets.config", None)
    with pytest.raises(FewshotError, match=r"pip install '\.\[hf\]'"):
        loaded(saved)


def test_images_that_stay_in_files(photos, monkeypatch):
    """The table of a folder of images may hold their paths only."""
    file = photos / "class_0/0.png"
    kind = hf.Features({"image": hf.Image(), "label": hf.ClassLabel(names=["a"])})
    stay = hf.Dataset.from_dict({"image": [str(file), "gone.png"], "label": [0, 0]}, features=kind)
    monkeypatch.setattr("fewshot.datasets.huggingface.load_tables", lambda *a: {"train": stay})
    dataset = loaded("anything")
    assert dataset.read(0).tobytes() == Image.open(file).convert("RGB").tobytes()
    with pytest.raises(UnreadableImageError, match=r"No such file"):
        dataset.read(1)
