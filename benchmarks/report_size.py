"""How long a page over 1,000 cells and 1,000,000 episodes takes, and how large it is.

    python benchmarks/report_size.py [FOLDER] [--runs 20|1000] [--episodes 1000]

Writes a store into FOLDER (by default a temporary one, removed afterwards; one that is there is
read as it is): 2 data sets, 5 backbones, 10 heads, 5 numbers of shots, 2 seeds, 3 estimators, as
run folders with episodes and image names. Then builds the page in a process of its own and prints
seconds, megabytes and peak memory. Aims: below 60 s with reading, below 20 MB.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.episodes import EpisodeSet, sample_episodes
from fewshot.report import read_report, render_report
from fewshot.results import SCHEMA_VERSION, find_runs, write_tables
from fewshot.statistics import (
    compare_estimators,
    coverage_curve,
    interval_metrics,
    mean_interval,
    prediction_metrics,
)
from fewshot.tasks import table_columns

CLASSES, IMAGES, WAYS, QUERIES = 64, 600, 5, 15
SHOTS = (1, 2, 5, 10, 20)
DATASETS, BACKBONES = ("miniimagenet", "eurosat"), tuple(f"backbone_{i}" for i in range(5))
HEADS, SEEDS = tuple(f"head_{i}" for i in range(10)), (0, 1)
SPREAD = {"auto": 0.03, "loo": 0.08, "constant": 0.0}


def predictions_of(
    names: dict[str, Any], rows: pd.DataFrame, true: NDArray, rng: np.random.Generator
) -> Any:
    """What estimators said, by name: numbers, rows and metrics."""
    actual = rows["actual_error"].to_numpy()
    predicted, tables, metrics = {}, [], {}
    for name, spread in SPREAD.items():
        guess = np.clip(true + rng.normal(0, spread, len(true)), 0, 1)
        predicted[name] = guess = guess if spread else np.full(len(true), true.mean())
        lower, upper = np.clip(guess - 0.1, 0, 1), np.clip(guess + 0.1, 0, 1)
        said = rows[["episode", "actual_error"]].assign(**names, estimator=name, calibration="none")
        tables.append(
            said.assign(
                predicted_error=guess, lower=lower, upper=upper, reason=None, sees_unlabelled=False
            )
        )
        steps = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.95]) / 9
        bands = np.stack([guess[:, None] - steps, guess[:, None] + steps], 1)
        metrics[name] = {
            "calibration": "none", "sees_queries": False, "reason": None, "fallbacks": 0,
            "fallback_reason": None, "level": 0.9,
            **prediction_metrics(guess, actual, np.full(len(true), true.mean())),
            **interval_metrics(lower, upper, actual),
            "coverage_curve": coverage_curve(bands, actual), "seconds_per_episode": 1e-4,
        }  # fmt: skip
    return predicted, tables, metrics


def one_cell(names: dict[str, Any], drawn: EpisodeSet, rng: np.random.Generator) -> Any:
    """Rows and summary of a cell that no one computed."""
    episodes = len(drawn)
    true = rng.beta(6, 10, episodes) / (1 + np.log(names["shots"]))
    actual = rng.binomial(WAYS * QUERIES, true) / (WAYS * QUERIES)
    classnames = np.array([f"class number {c}" for c in range(CLASSES)], dtype=object)
    rows = pd.DataFrame({"episode": np.arange(episodes)}).assign(**names)
    rows["classes"] = list(classnames[drawn.classes].tolist())
    rows = rows.assign(
        queries=WAYS * QUERIES,
        unlabelled=0,
        actual_error=actual,
        accuracy=1 - actual,
        query_error=actual,
    )
    predicted, tables, metrics = predictions_of(names, rows, true, rng)
    interval = mean_interval(1 - actual)
    summary = {
        **names, "queries": QUERIES, "episodes": episodes, "head_parameters": {"shrinkage": "auto"},
        "head_uses": [], "accuracy": interval,
        "accuracy_intervals": {
            one: interval | {"population": one, "reason": None}
            for one in ("episodes", "images", "classes")
        },
        "actual_error": mean_interval(actual),
        "base": {"classes": 32, "episodes": 300, "actual_error": float(true.mean())},
        "estimators": metrics, "comparisons": compare_estimators(predicted, actual),
        "hashes": {"features": names["backbone"] * 8, "episodes": drawn.hash()},
        "key": rng.bytes(32).hex(), "reused_from": None,
        "duration_s": 0.3, "episodes_per_second": 3000.0,
    }  # fmt: skip
    predictions = pd.concat(tables)[list(table_columns("predictions"))]
    return rows[list(table_columns("episodes"))], predictions, summary


def write_run(
    folder: Path, cells: list[dict[str, Any]], sets: dict[Any, EpisodeSet], rng: Any
) -> None:
    """A run folder with `cells`, which share data set, backbone and seed."""
    (folder / "episodes").mkdir(parents=True)
    made = [one_cell(cell, sets[cell["seed"], cell["shots"]], rng) for cell in cells]
    environment = {"fewshot": "0.1.0", "device": "cpu", "threads": 2, "peak_memory_mib": 900}
    extraction = {"images_per_second": 120.0, "seconds": 320.0, "parameters": "25.6M"}
    summary = {
        "schema_version": SCHEMA_VERSION, "created": "2026-01-01T00:00:00+00:00", "duration_s": 9.0,
        "environment": environment, "left_out": [], "failed": [],
        "data": {"images": CLASSES * IMAGES, "feature_dim": 640, "extraction": extraction},
        "cells": [cell[2] for cell in made],
    }  # fmt: skip
    summary = json.loads(json.dumps(summary))
    names = ("episodes", "predictions")
    rows = {name: pd.concat([cell[i] for cell in made]) for i, name in enumerate(names)}
    write_tables(folder, summary, rows)
    drawn = {cell["shots"]: sets[cell["seed"], cell["shots"]] for cell in cells}
    for shots, one in drawn.items():
        one.save(folder / "episodes" / f"{WAYS}way_{shots}shot.safetensors")
    rows = np.unique(np.concatenate([one.support.reshape(-1) for one in drawn.values()]))
    files = [f"class number {row // IMAGES}/image_{row:06d}.jpg" for row in rows]
    names = [file.partition("/")[0] for file in files]
    table = pd.DataFrame({"row": rows, "class": names, "file": files})
    table.to_parquet(folder / "images.parquet")


def write_store(folder: Path, runs: int, episodes: int) -> None:
    """All runs; either one per data set, backbone and seed, or one per cell."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), IMAGES)
    sets = {
        (seed, shots): sample_episodes(labels, WAYS, shots, QUERIES, episodes, seed)
        for seed in SEEDS
        for shots in SHOTS
    }
    for dataset, backbone, seed in itertools.product(DATASETS, BACKBONES, SEEDS):
        cells = [
            {"task": "classification", "dataset": dataset, "backbone": backbone,
             "feature": "pooled", "part": "novel", "head": head, "variant": "", "ways": WAYS,
             "shots": shots, "seed": seed}
            for shots in SHOTS for head in HEADS
        ]  # fmt: skip
        each = len(cells) if runs <= 20 else 1
        for first in range(0, len(cells), each):
            name = f"{dataset}_{backbone}_{seed}_{first}"
            write_run(folder / name, cells[first : first + each], sets, rng)


def build(folder: Path) -> None:
    """Read, build, write; a line of numbers."""
    begun = time.perf_counter()
    summary, rows = read_report(find_runs([folder]))
    read = time.perf_counter()
    page = render_report(summary, rows)
    built = time.perf_counter()
    size = (folder / "report.html").write_text(page, encoding="utf-8")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    episodes, predictions = len(rows["episodes"]), len(rows["predictions"])
    print(
        f"{len(summary['runs'])} runs, {len(summary['cells'])} cells, {episodes} episodes, "
        f"{predictions} predictions: read {read - begun:.1f} s, built {built - read:.1f} s, "
        f"{size / 1e6:.1f} MB, peak {peak:.0f} MiB"
    )


def main() -> None:
    """Write the store unless it is there, and build its page in another process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, choices=(20, 1000), default=20)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--build", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.build:
        build(given.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        if not list(folder.rglob("summary.json")):
            write_store(folder, given.runs, given.episodes)
        subprocess.run([sys.executable, __file__, str(folder), "--build"], check=True)


if __name__ == "__main__":
    main()
