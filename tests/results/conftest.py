"""Run folders of generated rows, of any schema version."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fewshot.episodes import sample_episodes
from fewshot.results.schema import SCHEMA_VERSION
from fewshot.results.store import write_tables

LABELS = np.repeat(np.arange(8), 30)
CELL = {
    "task": "classification", "dataset": "digits", "part": "novel", "backbone": "net",
    "feature": "pooled", "head": "ncm", "variant": "", "ways": 3, "shots": 1, "seed": 0,
    "unlabelled_images": "",
    "protocol": "",
}  # fmt: skip


def interval(values, population="episodes"):
    mean, half = float(np.mean(values)), 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5
    bounds = {"mean": mean, "lower": mean - half, "upper": mean + half}
    return {**bounds, "level": 0.95, "population": population, "reason": None}


def make_cell(episodes=20, estimators=("auto", "loo"), worse=0.0, **changes):
    """Summary, episodes and predictions; errors are `worse` than those of the same episodes."""
    named = CELL | changes
    drawn = sample_episodes(
        LABELS, named["ways"], named["shots"], 5, episodes=episodes, seed=named["seed"]
    )
    rng = np.random.default_rng([named["seed"], named["shots"], *named["dataset"].encode()])
    head_rng = np.random.default_rng([len(named["head"]), *named["head"].encode()])
    error = np.clip(rng.random(episodes) / 2 + head_rng.normal(0, 0.01, episodes) + worse, 0, 1)
    rows = pd.DataFrame({"episode": np.arange(episodes), "actual_error": error}).assign(**named)
    names = [[f"class {c}" for c in classes] for classes in drawn.classes]
    rows = rows.assign(
        classes=names, queries=15, unlabelled=0, support=5, accuracy=1 - error, query_error=error
    )
    guesses, metrics = [], {}
    for name in estimators:
        guess = np.clip(error + head_rng.normal(0, 0.05, episodes), 0, 1)
        guesses.append(rows.assign(estimator=name, calibration="none", sees_unlabelled=False,
                                   predicted_error=guess, lower=guess / 2, upper=1.0,
                                   reason=None))  # fmt: skip
        miss = np.abs(guess - error)
        metrics[name] = {"calibration": "none", "predicted_error": float(guess.mean()),
                       "mae": float(miss.mean()), "mae_interval": interval(miss),
                       "coverage": 0.9, "spearman": 0.5, "defined": episodes}  # fmt: skip
    right = interval(1 - error)
    wide = {**right, "lower": right["mean"] - 0.1, "upper": right["mean"] + 0.1}
    summary = {
        **named, "queries": 5, "episodes": episodes, "head_parameters": {}, "head_uses": [],
        "accuracy": right, "actual_error": interval(error), "estimators": metrics,
        "accuracy_intervals": {"episodes": right, "images": {**wide, "population": "images"},
                               "classes": {**wide, "population": "classes"}},
        "comparisons": [], "hashes": {"features": "f" * 64, "episodes": drawn.hash()},
        "key": None, "reused_from": None, "duration_s": 1.5,
    }  # fmt: skip
    return summary, rows, pd.concat(guesses) if guesses else rows.head(0).assign(
        estimator="", calibration="", sees_unlabelled=False, predicted_error=0.0, lower=0.0,
        upper=0.0, reason=""
    ), drawn  # fmt: skip


def write_run(folder, *cells, created="2026-01-01T00:00:00+00:00", **changes):
    """A run folder with its episodes; `cells` are of `make_cell`."""
    folder = Path(folder)
    (folder / "episodes").mkdir(parents=True)
    cells = cells or (make_cell(),)
    summary = {"schema_version": SCHEMA_VERSION, "created": created, "duration_s": 2.0,
               "environment": {}, "data": {}, "left_out": [], "failed": [],
               "cells": [cell[0] for cell in cells]} | changes  # fmt: skip
    episodes, predictions = (pd.concat([cell[i] for cell in cells]) for i in (1, 2))
    write_tables(folder, summary, {"episodes": episodes, "predictions": predictions})
    for named, _, _, drawn in cells:
        drawn.save(folder / "episodes" / f"{named['ways']}way_{named['shots']}shot.safetensors")
    return folder


def edit_summary(folder, change):
    """Apply `change` to a summary on disk."""
    path = Path(folder) / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    change(summary)
    path.write_text(json.dumps(summary), encoding="utf-8")


def spoil_pages(path):
    """Zeros where the rows are; the footer of a Parquet file stays."""
    data = bytearray(Path(path).read_bytes())
    footer = int.from_bytes(data[-8:-4], "little") + 8
    data[4:-footer] = bytes(len(data) - footer - 4)
    Path(path).write_bytes(data)


@pytest.fixture
def hole():
    """Function that spoils the rows of a table; see ``spoil_pages``."""
    return spoil_pages


@pytest.fixture
def made():
    """Function that makes a cell; see ``make_cell``."""
    return make_cell


@pytest.fixture
def run_of():
    """Function that writes a run folder; see ``write_run``."""
    return write_run


@pytest.fixture
def edited():
    """Function that changes a summary; see ``edit_summary``."""
    return edit_summary
