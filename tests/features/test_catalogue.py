"""Banks as a whole: what there is, whether it is sound, what may go."""

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Folders
from fewshot.datasets.folder import load_folder
from fewshot.exceptions import FewshotError
from fewshot.features import catalogue as shelf
from fewshot.features.export import export
from fewshot.features.extraction.chunks import Chunks, Plan
from fewshot.features.extraction.settings import Extraction
from fewshot.features.given import load_features
from fewshot.features.store import FORMAT, open_bank, open_or_extract

CACHE = Path("banks")


@pytest.fixture
def bank(photos, tiny_net):
    """Function that makes a bank and returns its folder."""

    def made(version=1, precision="float32", **settings):
        dataset = load_folder("photos", str(photos))
        backbone = load_backbone(
            {"kind": "callable", "target": "tiny_net:network", "size": 16, "version": version},
            Folders(Path("w")),
        )
        before = set(CACHE.glob("*/bank.json"))
        open_or_extract(dataset, backbone, CACHE, Extraction(precision=precision, **settings))
        (new,) = set(CACHE.glob("*/bank.json")) - before
        return new.parent

    return made


def abandon(name="photos-net-abc.partial"):
    """An extraction that was given up."""
    chunks = Chunks(CACHE / name)
    chunks.begin(Plan(100, 16, 256, "float32", {}))
    return chunks


def age(folder, days):
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (time.time() - days * 86400,) * 2)


def test_what_there_is(bank):
    ready = bank()
    abandon()
    (CACHE / "broken").mkdir()
    states = {entry.name: entry.state for entry in shelf.entries(CACHE)}
    expected = {ready.name: "ready", "photos-net-abc.partial": "unfinished", "broken": "damaged"}
    assert states == expected
    facts = shelf.Entry.read(ready).facts()
    assert (facts["dataset"], facts["images"], facts["dim"]) == ("photos", 48, 12)
    assert (facts["dtype"], facts["precision"]) == ("float32", "float32")
    assert facts["bytes"] == sum(path.stat().st_size for path in ready.iterdir())
    assert shelf.entries(Path("nowhere")) == []


def test_the_note_on_its_precision_goes_with_a_bank(bank):
    ready = bank(precision="bfloat16")
    (record,) = CACHE.glob("*.precision.json")
    assert record.name == f"{ready.name}.precision.json"
    shelf.remove(shelf.Entry.read(ready))
    assert list(CACHE.iterdir()) == []


def test_a_bank_is_found_by_what_one_knows_of_it(bank):
    first, second = bank(), bank(version=2)
    key = json.loads((first / "bank.json").read_text())["key"]
    for name in (first.name, str(first), key, key[:10]):
        assert shelf.find(CACHE, name).folder.name == first.name
    with pytest.raises(FewshotError, match=rf"may be any of .*{second.name}"):
        shelf.find(CACHE, "photos")
    with pytest.raises(FewshotError, match="got 'phatos"):
        shelf.find(CACHE, "phatos")


def flip(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("file", "damage", "words"),
    [
        ("features.npy", flip, "features.npy is not what was written"),
        ("labels.npy", flip, "labels.npy is not what was written"),
        ("paths.arrow", lambda path: path.write_bytes(b"ARROW1"), "file names"),
        ("features.npy", lambda path: path.unlink(), "cannot be read"),
        ("bank.json", lambda path: path.write_text("{"), "damaged"),
    ],
)
def test_damage_is_found(bank, file, damage, words):
    folder = bank()
    assert shelf.faults(shelf.Entry.read(folder)) == []
    damage(folder / file)
    problems = shelf.faults(shelf.Entry.read(folder))
    assert words in " ".join(problems)


def test_only_what_nobody_needs_is_left_over(bank):
    ready, working, old, fresh = (
        bank(),
        abandon("w.partial"),
        abandon("o.partial"),
        abandon("f.partial"),
    )
    (CACHE / "broken").mkdir()
    for folder in (ready, working.folder, old.folder):
        age(folder, 10)

    def names(*days):
        return sorted(entry.name for entry in shelf.leftovers(CACHE, *days))

    with working.claim(0):
        age(working.folder, 10)
        assert names(7, None) == ["broken", "o.partial"]
    assert names(7, None) == ["broken", "o.partial", "w.partial"]
    assert names(0, None) == ["broken", "f.partial", "o.partial", "w.partial"]
    assert names(30, 9) == ["broken", ready.name]
    assert names(30, 11) == ["broken"]
    shelf.remove(shelf.Entry.read(ready))
    assert not list(CACHE.glob(f"{ready.name}*"))
    assert fresh.folder.exists()


def test_banks_of_an_earlier_version_are_outdated_and_go_when_unused(bank, monkeypatch):
    """A new computation of pixels raises the format: old features are not found under its keys."""
    old = bank()
    monkeypatch.setattr("fewshot.features.store.FORMAT", FORMAT + 1)
    monkeypatch.setattr("fewshot.features.catalogue.FORMAT", FORMAT + 1)
    new = bank()
    assert new != old
    states = {entry.folder: entry.state for entry in shelf.entries(CACHE)}
    assert states == {old: "outdated", new: "ready"}
    age(old, 10)
    assert list(shelf.leftovers(CACHE, 7, None)) == []
    assert [entry.folder for entry in shelf.leftovers(CACHE, 7, 9)] == [old]


def test_what_was_half_written_when_a_process_was_killed_can_go(bank):
    hidden = CACHE / ".photos-net-abc.12.beef.partial"
    hidden.mkdir(parents=True)
    (hidden / "features.npy").write_bytes(b"half")
    assert [(bank.name, bank.state) for bank in shelf.entries(CACHE)] == [
        (hidden.name, "unfinished")
    ]
    with FileLock(CACHE / "photos-net-abc.lock"):
        assert list(shelf.leftovers(CACHE, 0, None)) == []
    assert [bank.folder for bank in shelf.leftovers(CACHE, 0, None)] == [hidden]
    ready = bank()
    again = CACHE / f".{ready.name}.12.beef.partial"
    shutil.copytree(ready, again)
    (ready / "bank.json").unlink()
    bank()
    assert hidden.exists()
    assert not again.exists()


def test_chunks_stay_while_a_bank_is_made_of_them():
    abandon("photos-net-abc.partial")
    with FileLock(CACHE / "photos-net-abc.lock"):
        assert list(shelf.leftovers(CACHE, 0, None)) == []
    assert len(list(shelf.leftovers(CACHE, 0, None))) == 1


def test_folders_of_something_else_are_never_deleted_unasked():
    (CACHE / "holidays").mkdir(parents=True)
    (CACHE / "holidays" / "beach.jpg").touch()
    assert list(shelf.leftovers(CACHE, 0, 0)) == []


def test_notes_that_lack_something_are_damage(bank):
    folder = bank()
    (folder / "bank.json").write_text('{"sha256": {}}')
    (entry,) = shelf.entries(CACHE)
    assert str(entry).startswith(f"{folder.name}: damaged, ")


def test_a_bank_without_its_features_can_go(bank):
    folder = bank()
    (folder / "features.npy").unlink()
    assert [bank.folder for bank in shelf.leftovers(CACHE, 0, 0)] == [folder]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_an_exported_bank_is_the_same_features(bank, suffix):
    stored = open_bank(bank())
    target = Path(f"out{suffix}")
    export(stored, target)
    again = load_features("features", str(target))
    assert np.array_equal(again.features, stored.features)
    assert np.array_equal(again.labels, stored.labels)
    assert (again.classnames, list(again.paths)) == (stored.classnames, list(stored.paths))
    assert again.info["backbone"] == stored.info["backbone"]
    assert again.normalize == "none"
    export(replace(stored, normalize="l2"), target)
    assert load_features("features", str(target)).normalize == "l2"


def test_an_exported_split_comes_back(bank):
    stored = replace(open_bank(bank()), parts=("base",) * 2 + ("validation",) + ("novel",) * 3)
    for suffix in (".npz", ".safetensors"):
        export(stored, Path(f"out{suffix}"))
        assert load_features("features", f"out{suffix}").parts == stored.parts
    export(stored, Path("out.parquet"))
    assert pd.read_parquet("out.parquet")["part"].tolist()[:17:8] == ["base", "base", "validation"]


def test_a_table_of_a_row_per_image(bank):
    stored = open_bank(bank(dtype="float16"))
    export(stored, Path("out.parquet"))
    table = pd.read_parquet("out.parquet")
    assert table["path"].tolist() == list(stored.paths)
    assert table["class"].tolist() == [stored.classnames[label] for label in stored.labels]
    assert np.array_equal(np.stack(table["feature"].to_numpy()), stored.features)


def test_an_export_that_cannot_be(bank):
    stored = open_bank(bank())
    with pytest.raises(FewshotError, match=r"--output: expected a name that ends in \.npz"):
        export(stored, Path("out.csv"))
    Path("file").touch()
    with pytest.raises(FewshotError, match=r"--output: cannot write to file/out\.npz"):
        export(stored, Path("file/out.npz"))


def test_a_bank_serves_as_a_data_set_of_features(bank):
    folder = bank()
    opened = load_features("features", str(folder))
    assert isinstance(opened.features, np.memmap)
    assert opened.info["dataset"] == "photos"
    assert load_features("mine", str(folder)).info["dataset"] == "mine"
    with pytest.raises(FewshotError, match="a folder that is no feature bank"):
        load_features("features", str(CACHE))
    # as a run on the images takes them
    unit = opened.features[3:4] / np.linalg.norm(opened.features[3])
    np.testing.assert_allclose(opened.take(torch.tensor([3])), unit, rtol=1e-6)
