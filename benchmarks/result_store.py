"""How long a large store takes to be read: 1,000 cells, 1,000,000 episodes, 3,000,000 predictions.

    python benchmarks/result_store.py [FOLDER] [--episodes 1000]

Writes two stores of the same cells, 1,000 runs of one cell and 20 runs of 50, reads each whole,
and with the columns that a query over estimators wants, and prints seconds, those of the
processor and peak memory.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from fewshot.results import SCHEMA_VERSION, find_runs, read_runs, write_tables

CLASSES, WAYS = 64, 5
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
         "part": "novel", "head": head, "variant": "", "ways": WAYS, "shots": shots, "seed": seed}
        for dataset, net, seed, shots, head in product
    ]  # fmt: skip


def tables(named: list[dict], count: int, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Rows of some cells."""
    names = np.array([f"class {c}" for c in range(CLASSES)], dtype=object)
    drawn = list(names[rng.random((count, CLASSES)).argsort(1)[:, :WAYS]])
    episodes, predictions = [], []
    for cell in named:
        error = rng.random(count)
        own = pd.DataFrame({"episode": np.arange(count), "actual_error": error}).assign(**cell)
        rest = {"queries": 75, "unlabelled": 0, "accuracy": 1 - error, "query_error": error}
        episodes.append(own.assign(classes=drawn, **rest))
        for name in ESTIMATORS:
            guess = rng.random(count)
            bounds = {"predicted_error": guess, "lower": guess / 2, "upper": guess * 2}
            made = {
                "estimator": name,
                "calibration": "none",
                "reason": None,
                "sees_unlabelled": False,
            }
            predictions.append(own.assign(**bounds, **made))
    return {"episodes": pd.concat(episodes), "predictions": pd.concat(predictions)}


def write_store(folder: Path, together: int, count: int) -> None:
    """Write the cells, `together` in a run, of `count` episodes each."""
    rng, all_cells = np.random.default_rng(0), cells()
    for start in range(0, len(all_cells), together):
        own = all_cells[start : start + together]
        listed = [
            cell | {"episodes": count, "estimators": {name: {} for name in ESTIMATORS}}
            for cell in own
        ]
        run = folder / f"run_{start:04d}"
        run.mkdir(parents=True)
        summary = {"schema_version": SCHEMA_VERSION, "created": f"2026-01-01T{start:06d}"}
        write_tables(run, summary | {"cells": listed}, tables(own, count, rng))


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="default: a temporary one")
    parser.add_argument("--episodes", type=int, default=1000, help="of a cell (%(default)s)")
    parser.add_argument("--read", choices=("all", "few"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        read(given.folder, given.read == "few")
        return
    with tempfile.TemporaryDirectory() as temporary:
        for words, together in SHAPES.items():
            folder = (given.folder or Path(temporary)) / str(together)
            if not folder.exists():
                write_store(folder, together, given.episodes)
            print(words, flush=True)
            for columns in ("all", "few"):
                command = [sys.executable, __file__, str(folder), "--read", columns]
                subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
