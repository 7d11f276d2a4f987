"""How long a large store takes to be read: 1,000 cells, 1,000,000 episodes, 3,000,000 predictions.

    python benchmarks/result_store.py [FOLDER]

Writes two stores of the same cells, 1,000 runs of one cell and 20 runs of 50, reads each whole,
and with the columns that a query over estimators wants, and prints seconds, those of the
processor and peak memory.
"""

from __future__ import annotations

import itertools
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from fewshot.results.folders import find_runs
from fewshot.results.schema import SCHEMA_VERSION
from fewshot.results.store import read_runs, write_tables

EPISODES, CLASSES, WAYS = 1000, 64, 5
ESTIMATORS = ("auto", "loo", "constant")
SHAPES = {"1,000 runs of 1 cell": 1, "20 runs of 50 cells": 50}
WANTED = {
    "episodes": ["dataset", "head", "shots", "actual_error"],
    "predictions": ["dataset", "head", "shots", "estimator", "predicted_error"],
}


def cells() -> list[dict]:
    """2 data sets, 5 backbones, 10 heads, 5 shots, 2 seeds."""
    sets, nets = ["caltech101", "eurosat"], [f"backbone_{i}" for i in range(5)]
    heads = [f"head_{i}" for i in range(10)]
    product = itertools.product(sets, nets, range(2), (1, 2, 5, 10, 20), heads)
    return [
        {"task": "classification", "dataset": dataset, "backbone": net, "feature": "pooled",
         "head": head, "ways": WAYS, "shots": shots, "seed": seed}
        for dataset, net, seed, shots, head in product
    ]  # fmt: skip


def tables(named: list[dict], rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of some cells."""
    names = np.array([f"class {c}" for c in range(CLASSES)], dtype=object)
    drawn = list(names[rng.random((EPISODES, CLASSES)).argsort(1)[:, :WAYS]])
    episodes, predictions = [], []
    for cell in named:
        error = rng.random(EPISODES)
        own = pd.DataFrame({"episode": np.arange(EPISODES), "actual_error": error}).assign(**cell)
        rest = {"queries": 75, "accuracy": 1 - error, "query_error": error}
        episodes.append(own.assign(classes=drawn, **rest))
        for name in ESTIMATORS:
            guess = rng.random(EPISODES)
            bounds = {"predicted_error": guess, "lower": guess / 2, "upper": guess * 2}
            made = {"estimator": name, "calibration": "none", "reason": None}
            predictions.append(own.assign(**bounds, **made))
    return pd.concat(episodes), pd.concat(predictions)


def write_store(folder: Path, together: int) -> None:
    """Write the cells, `together` in a run."""
    rng, all_cells = np.random.default_rng(0), cells()
    for start in range(0, len(all_cells), together):
        own = all_cells[start : start + together]
        listed = [
            cell | {"episodes": EPISODES, "estimators": {name: {} for name in ESTIMATORS}}
            for cell in own
        ]
        run = folder / f"run_{start:04d}"
        run.mkdir(parents=True)
        summary = {"schema_version": SCHEMA_VERSION, "created": f"2026-01-01T{start:06d}"}
        write_tables(run, summary | {"cells": listed}, *tables(own, rng))


def read(folder: Path, few: bool) -> None:
    """Read a store in this process and print what that took."""
    begun, busy = time.perf_counter(), time.process_time()
    wanted = {"columns": WANTED} if few else {}
    _, episodes, predictions = read_runs(find_runs([folder]), **wanted)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = f"{len(episodes):,} + {len(predictions):,} rows"
    cost = f"{seconds:.1f} s (processor {time.process_time() - busy:.1f} s), {peak:,.0f} MiB"
    print(f"  {'few columns' if few else 'all columns'}: {rows}, {cost}")


def main() -> None:
    """Write what is not there yet, then read in processes of their own."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    for words, together in SHAPES.items():
        folder = root / str(together)
        if not folder.exists():
            write_store(folder, together)
        print(words, flush=True)
        for few in ("", "few"):
            subprocess.run([sys.executable, __file__, "--read", str(folder), few], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(Path(sys.argv[2]), sys.argv[3] == "few")
    else:
        main()
