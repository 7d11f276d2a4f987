"""One's own features from a file."""

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fewshot.datasets import load_dataset
from fewshot.exceptions import FewshotError
from fewshot.features.given import load_features

NAMES = ["kočka", "pes", "ryba"]
LABELS = np.repeat(np.arange(3), 4)
SPLIT = np.repeat(["base", "validation", "novel"], 4)


def arrays(**changes):
    features = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    made = {"features": features, "labels": LABELS} | changes
    return {name: value for name, value in made.items() if value is not None}


def npz(path="f.npz", **changes):
    np.savez(path, **arrays(**changes))
    return load_features("features", path)


def refusal(call, *arguments, **options):
    with pytest.raises(FewshotError) as caught:
        call(*arguments, **options)
    text = str(caught.value)
    assert text.startswith("dataset.path")
    assert "\n" not in text
    return text


def test_only_features_and_labels(workplace):
    bank = npz()
    assert np.array_equal(bank.features, arrays()["features"])
    assert bank.labels.tolist() == LABELS.tolist()
    assert bank.classnames == ("0", "1", "2")
    assert (bank.paths, bank.parts, bank.normalize) == (None, None, "none")
    assert (bank.info["dataset"], bank.info["backbone"]) == ("f", "unknown")


def test_all_there_can_be(workplace):
    paths = [f"{name}/{i}.jpg" for name in NAMES for i in range(4)]
    bank = npz(classnames=np.array(NAMES), paths=np.array(paths), split=SPLIT, backbone="my net")
    assert bank.classnames == tuple(NAMES)
    assert bank.paths == tuple(paths)
    assert bank.parts == ("base", "validation", "novel")
    assert bank.info["backbone"] == "my net"
    as_bytes = npz(
        classnames=np.array([name.encode() for name in NAMES]),
        paths=np.array([path.encode() for path in paths]),
        split=SPLIT.astype("S"),
    )
    assert (as_bytes.classnames, as_bytes.paths) == (bank.classnames, bank.paths)
    assert as_bytes.parts == bank.parts


@pytest.mark.parametrize("encode", [str, str.encode])
def test_labels_may_be_names(workplace, encode):
    labels = np.array([encode(name) for name in ["pes", "kočka", "ryba"] * 4])
    bank = npz(labels=labels)
    assert bank.classnames == ("kočka", "pes", "ryba")
    assert bank.labels[:3].tolist() == [1, 0, 2]
    ordered = npz(labels=labels, classnames=np.array(["pes", "kočka", "ryba", "myš"]))
    assert ordered.classnames[3] == "myš"
    assert ordered.labels[:3].tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16, ">f4"])
def test_numbers_of_any_width(workplace, dtype):
    features = (arrays()["features"] * 10).astype(dtype)
    bank = npz(features=features)
    assert bank.features.dtype == (np.float32 if dtype in (np.int16, ">f4") else dtype)
    assert np.array_equal(bank.features, features)
    assert bank.take(torch.tensor([1])).shape == (1, 5)


def test_labels_that_are_not_consecutive(workplace):
    bank = npz(labels=LABELS * 10 - 5)
    assert bank.classnames == ("-5", "5", "15")
    assert bank.labels.tolist() == LABELS.tolist()


def tensors(path="f.safetensors", note=None, **changes):
    made = {key: torch.as_tensor(value) for key, value in arrays(**changes).items()}
    save_file(made, path, None if note is None else {k: json.dumps(v) for k, v in note.items()})
    return load_features("features", path)


def test_safetensors(workplace):
    bank = tensors()
    assert np.array_equal(bank.features, arrays()["features"])
    assert (bank.classnames, bank.parts) == (("0", "1", "2"), None)
    paths = [f"{i}.jpg" for i in range(12)]
    bank = tensors(note={"classnames": NAMES, "paths": paths, "split": SPLIT.tolist()})
    assert (bank.classnames, bank.paths) == (tuple(NAMES), tuple(paths))
    assert bank.parts == ("base", "validation", "novel")
    halves = torch.as_tensor(arrays()["features"]).bfloat16()
    assert np.array_equal(tensors(features=halves).features, halves.float().numpy())


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float32])
def test_the_split_as_a_tensor(workplace, dtype):
    split = torch.repeat_interleave(torch.tensor([2, 0, 1], dtype=dtype), 4)
    assert tensors(split=split).parts == ("novel", "base", "validation")
    assert "0, 1, 2" in refusal(tensors, split=split + 1)


def test_pickled_objects_are_refused_and_not_run(workplace):
    class Bomb:
        def __reduce__(self):
            return open, ("exploded", "w")

    for changes in ({"labels": np.array([Bomb()] * 12, dtype=object)},
                    {"classnames": np.array([Bomb()], dtype=object)}):  # fmt: skip
        assert "pickled objects" in refusal(npz, **changes)
    (workplace / "p.npz").write_bytes(pickle.dumps({"features": Bomb()}))
    assert "pickled objects" in refusal(load_features, "x", "p.npz")
    assert not (workplace / "exploded").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": None}, "no array 'features'; it has labels"),
        ({"labels": None}, "no array 'labels'; it has features"),
        ({"labels": LABELS[:-1]}, r"labels: expected 12 labels.*got shape \(11,\)"),
        ({"labels": np.stack([LABELS, LABELS], 1)}, r"got shape \(12, 2\)"),
        ({"labels": LABELS + 0.5}, "expected integers or names, got float64"),
        ({"labels": np.array([b"\xff"] * 12)}, "labels: expected text or bytes in UTF-8"),
        ({"features": np.zeros((12, 5), complex)}, "got complex128"),
        ({"features": np.zeros(12)}, r"expected shape \(M, D\), got \(12,\)"),
        ({"features": np.zeros((12, 2, 2))}, r"got \(12, 2, 2\)"),
        ({"features": np.zeros((12, 0))}, "empty"),
        ({"features": np.full((12, 5), np.nan)}, "features: expected finite.*row 0"),
        ({"features": np.where(np.arange(60) == 33, np.inf, 1).reshape(12, 5)}, "row 6"),
        ({"classnames": np.array(NAMES[:2])}, r"0\.\.1 for 2 class names, got 0\.\.2"),
        ({"labels": LABELS - 1, "classnames": np.array(NAMES)}, r"got -1\.\.1"),
        ({"labels": np.array(["pes"] * 12), "classnames": np.array(["kos"])}, "'pes' is not among"),
        ({"classnames": np.array([b"\xff"] * 3)}, "classnames: expected text"),
        ({"paths": np.array(["a.jpg"])}, "paths: expected 12 file names, got 1"),
        ({"split": SPLIT[:5]}, r"split: expected 12 entries.*\(5,\)"),
        ({"split": np.array(["tran"] * 12)}, "expected base, validation or novel, got 'tran'"),
        ({"split": np.roll(SPLIT, 1)}, "class '0' is in base and in novel"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit(workplace, changes, message):
    with pytest.raises(FewshotError, match=message) as caught:
        npz(**changes)
    assert str(caught.value).startswith("dataset.path")


def test_files_that_are_no_such_file(workplace):
    for path in (None, ""):
        assert "got nothing" in refusal(load_features, "x", path)
    assert "got nothing there: 'no.npz'" in refusal(load_features, "x", "no.npz")
    (workplace / "folder.npz").mkdir()
    assert "got a folder" in refusal(load_features, "x", "folder.npz")
    (workplace / "f.xyz").write_text("1,2")
    assert ".npz or .safetensors file, got 'f.xyz'" in refusal(load_features, "x", "f.xyz")
    np.save("array.npy", LABELS)
    (workplace / "array.npy").rename("array.npz")
    assert "cannot read array.npz" in refusal(load_features, "x", "array.npz")


@pytest.mark.parametrize("save", [npz, tensors])
def test_damaged_files(workplace, save):
    path = workplace / ("f.npz" if save is npz else "f.safetensors")
    save(path=str(path))
    whole = path.read_bytes()
    for damaged in (b"", whole[:20], whole[:-100], b"x" * 500):
        path.write_bytes(damaged)
        assert "f." in refusal(load_features, "x", str(path))


def test_a_compressed_file_with_a_changed_byte(workplace):
    np.savez_compressed("f.npz", **arrays())
    content = bytearray((workplace / "f.npz").read_bytes())
    content[120] ^= 255
    (workplace / "f.npz").write_bytes(content)
    assert "cannot read f.npz" in refusal(load_features, "x", "f.npz")


def test_metadata_that_is_no_json(workplace):
    made = {key: torch.as_tensor(value) for key, value in arrays().items()}
    save_file(made, "f.safetensors", {"classnames": "cat, dog"})
    assert "cannot read f.safetensors" in refusal(load_features, "x", "f.safetensors")


def test_the_key_is_the_content(workplace):
    key = npz("a.npz").info["key"]
    assert npz("b.npz").info["key"] == key
    assert npz("a.npz", labels=LABELS[::-1]).info["key"] != key


def test_a_split_can_be_set_for_a_file_without_one(workplace):
    npz("f.npz", classnames=np.array(NAMES))
    (workplace / "s.json").write_text('{"base": ["pes"], "novel": ["ryba", "kočka"]}')
    bank = load_dataset({"kind": "features", "path": "f.npz", "split": "s.json", "name": "mine"})
    assert bank.parts == ("novel", "base", "novel")
    assert bank.info["dataset"] == "mine"
    assert bank.classes("base").tolist() == [1]
