"""Thumbnails and file names on the page, from run folders."""

from __future__ import annotations

import base64
import io
import json
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from fewshot.episodes import sample_episodes
from fewshot.report.payload.packing import NO_FILE
from fewshot.report.payload.payload import payload
from fewshot.report.payload.thumbnails import thumbnail
from fewshot.report.write import read_report
from fewshot.results.folders import find_runs
from fewshot.results.schema import SCHEMA_VERSION
from fewshot.results.store import write_tables
from fewshot.statistics.populations import mean_interval

NAMES = {
    "task": "classification", "dataset": "photos", "part": "novel", "backbone": "net",
    "feature": "pooled", "head": "ncm", "variant": "", "ways": 3, "shots": 2, "seed": 0,
    "unlabelled_images": "",
    "protocol": "",
}  # fmt: skip
EPISODES = 12


def write_run(folder, images, **changes):
    """Write the files of a run on a folder of images."""
    files = sorted(path.relative_to(images).as_posix() for path in Path(images).rglob("*.png"))
    names = sorted({file.split("/")[0] for file in files})
    labels = np.array([names.index(file.split("/")[0]) for file in files])
    drawn = sample_episodes(labels, 3, 2, 3, EPISODES, 0)
    rng = np.random.default_rng(0)
    error = rng.random(EPISODES)
    episodes = pd.DataFrame({"episode": np.arange(EPISODES)}).assign(**NAMES, actual_error=error)
    episodes["classes"] = [[names[c] for c in episode] for episode in drawn.classes]
    episodes = episodes.assign(
        queries=9, unlabelled=0, support=5, accuracy=1 - error, query_error=error
    )
    said = {"predicted_error": error * 0.5, "lower": np.nan, "upper": np.nan, "reason": None}
    guesses = episodes.assign(estimator="loo", calibration="none", sees_unlabelled=False, **said)
    row = {"defined": EPISODES, "mae": float(error.mean() / 2), "sees_queries": False}
    cell = {
        **NAMES, "queries": 3, "episodes": EPISODES, "head_parameters": {}, "base": {},
        "accuracy": mean_interval(1 - error), "actual_error": mean_interval(error),
        "estimators": {"loo": row}, "hashes": {"episodes": drawn.hash()}, "duration_s": 1.0,
    }  # fmt: skip
    summary = {
        "schema_version": SCHEMA_VERSION,
        "created": "2026-01-01T00:00:00+00:00",
        "cells": [cell],
    }
    folder.mkdir(parents=True)
    rows = {"episodes": episodes, "predictions": guesses}
    write_tables(folder, json.loads(json.dumps(summary)), rows)
    drawn.save(folder / "episodes" / "3way_2shot.safetensors")
    rows = np.unique(drawn.support)
    table = {"row": rows, "class": [names[c] for c in labels[rows]], "file": np.array(files)[rows]}
    pd.DataFrame(table).to_parquet(folder / "images.parquet")
    described = {"kind": "folder", "name": "photos", "root": str(images), "split": "auto"}
    settings = {"dataset": described | changes, "paths": {"cache": "cache"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return drawn, files


def data_of(folder, **options):
    return payload(*read_report(find_runs([folder])), **options).data


def support_of(data):
    (episode_set,) = data["sets"]
    rows = np.frombuffer(base64.b64decode(episode_set["support"]), dtype="<u4")
    return rows.reshape(len(episode_set["episodes"]), episode_set["ways"], episode_set["shots"])


def test_files_of_every_shot_are_named(photos, workplace):
    drawn, files = write_run(workplace / "runs" / "a", photos)
    data = data_of("runs")
    named = data["datasets"]["photos"]["files"]
    shown = np.array(named)[support_of(data)]
    assert shown.tolist() == np.array(files)[drawn.support].tolist()


def test_pictures_are_those_of_the_files(photos, workplace):
    write_run(workplace / "runs" / "a", photos)
    dataset = data_of("runs")["datasets"]["photos"]
    assert set(dataset["thumbnails"]) == {str(i) for i in range(len(dataset["files"]))}
    for number, address in dataset["thumbnails"].items():
        assert address.startswith("data:image/webp;base64,")
        shown = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
        original = Image.open(photos / dataset["files"][int(number)])
        assert shown.size == original.size == (16, 16)
        means = (np.asarray(image.convert("RGB")).mean((0, 1)) for image in (shown, original))
        np.testing.assert_allclose(*means, atol=8)


def test_the_budget_goes_to_the_worst_episodes_first(photos, workplace):
    write_run(workplace / "runs" / "a", photos)
    data = data_of("runs", thumbnail_bytes=4000)
    pictures = data["datasets"]["photos"]["thumbnails"]
    assert 1 <= len(pictures) < 30
    assert sum(map(len, pictures.values())) <= 4000
    worst = {entry["episode"] for entry in data["cells"][0]["worst"]}
    assert {int(number) for number in pictures} <= set(support_of(data)[sorted(worst)].flat)
    assert data_of("runs", thumbnail_bytes=0)["datasets"]["photos"]["thumbnails"] == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"root": "moved"},
        {"kind": "features", "path": "f.npz"},
        {"kind": "huggingface", "path": "someone/something"},
        {"kind": "nonsense"},
        {"download": "x", "root": None},
    ],
    ids=["moved", "features", "hub", "unknown", "wrong"],
)
def test_a_data_set_that_is_not_here_has_names_and_no_pictures(
    photos, workplace, monkeypatch, changes
):
    def no_network(*_, **__):
        raise AssertionError("a report must not download anything")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    monkeypatch.setattr("socket.socket.connect", no_network)
    write_run(workplace / "runs" / "a", photos, **changes)
    dataset = data_of("runs")["datasets"]["photos"]
    assert dataset["thumbnails"] == {} and dataset["files"]


def test_a_data_set_that_could_be_downloaded_is_not(photos, workplace, monkeypatch):
    requests = []
    monkeypatch.setattr(
        "fewshot.datasets.load_dataset", lambda settings, _: requests.append(settings)
    )
    write_run(workplace / "runs" / "a", photos, kind="torchvision", download=True)
    assert data_of("runs")["datasets"]["photos"]["thumbnails"] == {}
    assert [settings["download"] for settings in requests] == [False]


def test_two_data_sets_of_one_name_have_no_pictures(photos, workplace):
    for name, where in (("a", photos), ("b", workplace / "elsewhere")):
        run = workplace / "runs" / name
        write_run(run, photos, root=str(where))
        # Another backbone's, so that both count.
        for path in run.glob("*.parquet"):
            if path.stem != "images":
                pd.read_parquet(path).assign(backbone=name).to_parquet(path)
        text = (run / "summary.json").read_text()
        (run / "summary.json").write_text(text.replace('"net"', f'"{name}"'))
    assert len(data_of("runs/a")["datasets"]["photos"]["thumbnails"])
    data = data_of("runs")
    assert len(data["cells"]) == 2 and data["datasets"]["photos"]["thumbnails"] == {}


def test_other_images_under_the_same_root_are_not_shown(photos, workplace):
    write_run(workplace / "runs" / "a", photos)
    for path in list(photos.rglob("*.png")):
        path.rename(path.with_name(f"other_{path.name}"))
    assert data_of("runs")["datasets"]["photos"]["thumbnails"] == {}


@pytest.mark.parametrize(
    "lost", ["images.parquet", "config.yaml", "episodes/3way_2shot.safetensors"]
)
@pytest.mark.parametrize("damaged", [False, True])
def test_lost_or_damaged_files_cost_what_they_told_only(photos, workplace, lost, damaged):
    write_run(workplace / "runs" / "a", photos)
    path = workplace / "runs" / "a" / lost
    path.write_bytes(b"\x00{nonsense: [") if damaged else path.unlink()
    data = data_of("runs")
    dataset = data["datasets"]["photos"]
    assert dataset["thumbnails"] == {}
    assert (data["sets"][0]["support"] is None) == (lost != "config.yaml")
    assert len(dataset["classnames"]) == 6 and data["cells"][0]["points"] == 0


def test_episodes_of_another_seed_are_not_taken(photos, workplace):
    write_run(workplace / "runs" / "a", photos)
    labels = np.repeat(np.arange(6), 8)
    other = sample_episodes(labels, 3, 2, 3, EPISODES, 1)
    other.save(workplace / "runs" / "a" / "episodes" / "3way_2shot.safetensors")
    assert data_of("runs")["sets"][0]["support"] is None


def test_a_large_image_becomes_small():
    noise = np.random.default_rng(0).integers(0, 255, (300, 200, 3), dtype=np.uint8)
    address = thumbnail(Image.fromarray(noise))
    small = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert small.size == (43, 64) and len(address) < 4000


def test_the_page_has_a_command_that_makes_the_run_again(photos, workplace):
    write_run(workplace / "runs" / "a b", photos)
    made = data_of("runs")["cells"][0]["made"]
    words = shlex.split(made["command"])
    assert words[:3] == ["fewshot", "--config-path", str(workplace / "runs" / "a b")]


def test_names_of_files_have_a_budget(photos, workplace, monkeypatch):
    drawn, files = write_run(workplace / "runs" / "a", photos)
    monkeypatch.setattr("fewshot.report.payload.points.NAME_BYTES", 5 * (len(files[0]) + 3))
    data = data_of("runs")
    named, shown = data["datasets"]["photos"]["files"], support_of(data)
    assert len(named) == 5
    for row, number in zip(drawn.support.ravel(), shown.ravel(), strict=True):
        assert number == NO_FILE or named[number] == files[row]
    assert (shown.ravel()[:5] != NO_FILE).all()  # the first episode has its names
