"""One's own features from a file."""

import json
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from fewshot.datasets import load_dataset
from fewshot.exceptions import FewshotError
from fewshot.features.export import export
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
    np.save("dict.npy", {"features": np.ones((2, 2)), "labels": [0, 1]})
    assert "pickled objects" in refusal(load_features, "x", "dict.npy")
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


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (("image_features", "targets"), True),
        (("X", "y"), True),
        (("embeddings", "gt"), True),
        (("clipFeatures", "class-id"), True),
        (("train_embeddings", "train_labels"), True),
        (("arr_0", "arr_1"), True),  # np.savez(path, features, labels)
        (("resnet", "species"), True),  # the only matrix and the only column that repeats
        (("features", "labels"), False),
    ],
)
@pytest.mark.parametrize("kind", ["npz", "safetensors", "pt"])
def test_arrays_of_other_names(workplace, names, taken, kind):
    features, labels = arrays()["features"], LABELS
    made = dict(zip(names, (features, labels), strict=True))
    if kind == "npz":
        np.savez("f.npz", **made, index=np.arange(12))
    elif kind == "pt":
        torch.save({name: torch.as_tensor(value) for name, value in made.items()}, "f.pt")
    else:
        save_file({name: torch.as_tensor(value) for name, value in made.items()}, "f.safetensors")
    bank = load_features("features", f"f.{kind}")
    assert np.array_equal(bank.features, features)
    assert bank.labels.tolist() == LABELS.tolist()
    notice = f"f.{kind}: took {names[0]!r} as features, {names[1]!r} as labels"
    assert bank.info.get("notices", []) == [notice] * taken


def test_names_paths_and_texts_of_other_names(workplace):
    names, paths = np.array(NAMES), np.array([f"{i}.jpg" for i in range(12)])
    np.savez("f.npz", feats=arrays()["features"], label=LABELS, class_names=names, filenames=paths,
             text_features=np.eye(3, 5))  # fmt: skip
    bank = load_features("features", "f.npz")
    assert (bank.classnames, bank.paths) == (tuple(NAMES), tuple(paths))
    assert bank.text.shape == (3, 5)
    other = npz(classnames=names[LABELS])  # a name per row, not per class
    assert other.classnames == tuple(NAMES)
    order = {"1": "b", "0": "a", "2": "c"}
    assert tensors(note={"class_names": order}).classnames == ("a", "b", "c")


def test_the_key_says_which_arrays_were_taken(workplace):
    key = npz(x=arrays()["features"]).info["key"]
    assert key == npz(x=arrays()["features"]).info["key"]
    assert key != npz(x=arrays()["features"], classes=np.array(NAMES)).info["key"]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"dino": (12, 5), "clip": (12, 7), "labels": (12,)},
         ["'dino' and 'clip' may be it", "dino (12, 5) float64", 'features=a["dino"]']),
        ({"train_features": (8, 5), "train_labels": (8,), "test_features": (4, 5),
          "test_labels": (4,)},
         ['np.concatenate([a["train_features"], a["test_features"]])',
          'np.concatenate([a["train_labels"], a["test_labels"]])']),
        ({"x": (12, 5)}, ["no array 'labels'; it has x (12, 5) float64", 'features=a["x"]']),
        ({"a.weight": (3, 3), "b.weight": (3, 3), "b.bias": (3,)}, ["weights of a network"]),
        ({}, ["cannot read f.npz: it is an empty zip archive"]),
    ],
)  # fmt: skip
def test_arrays_that_may_be_several_are_listed(workplace, made, words):
    np.savez("f.npz", **{name: np.arange(np.prod(size)).reshape(size) / 2
                         for name, size in made.items()})  # fmt: skip
    message = refusal(load_features, "x", "f.npz")
    assert [word for word in words if word not in message] == []


def test_transposed_features_of_another_name(workplace):
    np.savez("f.npz", X=arrays()["features"].T, y=LABELS)
    assert "It is transposed: give features.T" in refusal(load_features, "x", "f.npz")


def test_other_members_of_an_archive_are_passed_over(workplace):
    npz()
    with zipfile.ZipFile("f.npz", "a") as archive:
        archive.writestr("README.txt", "features of the twelve images")
    assert len(load_features("x", "f.npz")) == 12


def test_words_and_numbers_of_a_split(workplace):
    expected = ("base", "validation", "novel")
    for split in (np.repeat(["train", "val", "test"], 4), np.repeat([0, 1, 2], 4),
                  np.repeat([0.0, 1.0, 2.0], 4)):  # fmt: skip
        assert npz(split=split).parts == expected
    within = np.tile(["train", "test"], 6)
    assert "`subset`" in refusal(npz, split=within)
    assert npz(subset=within).subset.tolist() == within.tolist()


def test_two_classes_of_one_name(workplace):
    crane = np.array(["crane", "kite", "crane"])
    assert "dataset.same_names=keep" in refusal(npz, classnames=crane)
    assert load_features("x", "f.npz", "keep").classnames == ("crane (0)", "kite", "crane (2)")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float16])
def test_narrow_floating_point_anywhere(workplace, dtype):
    features = torch.as_tensor(arrays()["features"])
    split = torch.repeat_interleave(torch.tensor([2, 0, 1]), 4)
    bank = tensors(features=features.to(dtype), labels=torch.as_tensor(LABELS).to(dtype),
                   split=split.to(dtype), text=torch.eye(3, 5).to(dtype))  # fmt: skip
    assert np.array_equal(bank.features, features.to(dtype).float().numpy())
    assert bank.labels.tolist() == LABELS.tolist()
    assert bank.parts == ("novel", "base", "validation")
    assert "Save them as int64" in refusal(tensors, labels=(torch.as_tensor(LABELS) + 3000).half())


def frame(**columns):
    features = arrays()["features"]
    return pd.DataFrame({f"f{i}": features[:, i] for i in range(5)} | columns)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "feather"])
@pytest.mark.parametrize("column", ["label", "target", "species"])
def test_tables(workplace, suffix, column):
    names = np.array(NAMES)[LABELS]
    table = frame(**{column: names, "path": [f"{i}.jpg" for i in range(12)]})
    write(table, f"f.{suffix}")
    bank = load_features("features", f"f.{suffix}")
    assert np.allclose(bank.features, arrays()["features"])
    assert [bank.classnames[label] for label in bank.labels] == names.tolist()
    assert bank.paths[3] == "3.jpg"


def write(table, path):
    if path.endswith("csv"):
        table.to_csv(path)  # with a column of row numbers
    elif path.endswith("tsv"):
        table.to_csv(path, sep="\t", index=False)
    else:
        getattr(table, f"to_{path.rpartition('.')[2]}")(path)


def test_a_table_with_lists_and_what_export_writes(workplace):
    table = pd.DataFrame({"embedding": list(arrays()["features"]), "label": LABELS, "name": "x"})
    table.to_parquet("f.parquet")
    bank = load_features("features", "f.parquet")
    assert np.array_equal(bank.features, arrays()["features"])
    table["embedding"] = [row[: 3 + i % 2] for i, row in enumerate(table["embedding"])]
    table.to_parquet("f.parquet")
    assert "lists are missing or differ in length" in refusal(load_features, "x", "f.parquet")
    whole = npz(classnames=np.array(NAMES), split=SPLIT, normalize="l2", backbone="net",
                paths=np.array([f"{i}.jpg" for i in range(12)]))  # fmt: skip
    export(whole, workplace / "e.parquet")
    again = load_features("f", "e.parquet")
    for name in ("classnames", "parts", "paths", "normalize"):
        assert getattr(again, name) == getattr(whole, name)
    assert np.array_equal(again.features, whole.features)
    assert again.info["backbone"] == "net"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "no column of labels; it has f0, f1, f2, f3, f4"),
        ({"label": 1}, "column 'label' has a single value"),
        ({"label": [None, *LABELS[1:]]}, "labels: 1 of 12 is missing"),
    ],
)
def test_tables_that_are_not_clear(workplace, columns, message):
    frame(**columns).to_csv("f.csv", index=False)
    assert message in refusal(load_features, "x", "f.csv")
    np.savetxt("f.csv", arrays()["features"], delimiter=",")
    assert "no line with the names of its columns" in refusal(load_features, "x", "f.csv")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("f.npz", b"<!DOCTYPE html><html>", ["cannot read f.npz: it is an HTML page"]),
        ("f.npz", b"version https://git-lfs.github.com/spec/v1\n", ["a Git LFS pointer"]),
        ("f.npz", b"", ["an empty file"]),
        ("f.safetensors", b"\x1f\x8b\x08", ["a gzip archive"]),
        ("f.pt", b"PK", ["cannot read f.pt", "torch.load", "np.savez"]),
        ("f.mat", b"MATLAB 5.0 MAT-file", ["scipy.io.loadmat", "np.savez"]),
        ("f.h5", b"\x89HDF\r\n\x1a\n", ["h5py.File", "np.savez"]),
        ("f.pkl", b"\x80\x04\x95", ["pickle.load", "np.savez", "only if you trust the file"]),
        ("f.json", b"{}", ["json.load", "np.savez"]),
        ("f.xyz", b"abc", ["got 'f.xyz', a text file", "np.savez"]),
    ],
)
def test_other_kinds_of_files_get_the_line_that_mends_it(workplace, name, content, words):
    (workplace / name).write_bytes(content)
    message = refusal(load_features, "x", name)
    assert [word for word in words if word not in message] == []


def test_features_alone_get_a_line_with_the_labels_beside_them(workplace):
    np.save("x.npy", arrays()["features"])
    assert "labels=labels)" in refusal(load_features, "x", "x.npy")
    np.save("y.npy", LABELS)
    message = refusal(load_features, "x", "x.npy")
    assert 'np.savez("bank.npz", features=np.load("x.npy"), labels=np.load("y.npy"))' in message


def test_torch_files_run_no_code(workplace):
    class Bomb:
        def __reduce__(self):
            return open, ("exploded", "w")

    torch.save({"features": torch.zeros(2, 2), "labels": Bomb()}, "f.pt")
    assert "pickled objects" in refusal(load_features, "x", "f.pt")
    assert not (workplace / "exploded").exists()
