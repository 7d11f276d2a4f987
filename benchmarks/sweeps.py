"""Sweeps that are killed, share features, or run in parallel.

    python benchmarks/sweeps.py killed      # 96 cells, SIGKILL at 20 random moments
    python benchmarks/sweeps.py together    # four processes, one extraction
    python benchmarks/sweeps.py parallel    # joblib with two processes against one by one

Everything is offline: images of digits and discs, EfficientNet-Lite0 and -Lite1 (extra ``lite``).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

# The command line, and the same with notes of every cell begun and every image extracted.
PLAIN = [sys.executable, "-m", "fewshot"]
NOTING = [sys.executable, str(Path(__file__).with_name("noting.py").resolve())]
HEADS = "head=[ncm,lda,ridge,knn,qda,matching]"
COLUMNS = ["dataset", "backbone", "head", "ways", "shots", "seed", "episode"]


def images_of(folder: Path, images: int) -> None:
    """Two data sets of ten classes: digits, and discs of some sizes and greys."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits, rng = load_digits(), np.random.default_rng(0)
    y, x = np.mgrid[:32, :32] - 15.5
    for c in range(10):
        shown = digits.images[digits.target == c][:images] * 15.9
        for name, pictures in (
            ("digits", np.kron(shown, np.ones((4, 4)))),
            (
                "discs",
                [200.0 * (np.hypot(y, x) < c + 4) + 15 * rng.random((32, 32)) for _ in shown],
            ),
        ):
            place = folder / name / str(c)
            place.mkdir(parents=True, exist_ok=True)
            for i, picture in enumerate(pictures):
                Image.fromarray(np.asarray(picture).astype(np.uint8)).save(place / f"{i}.png")


def start(
    arguments: Sequence[str], folder: Path, command: Sequence[str] = NOTING
) -> subprocess.Popen:
    """A process of fewshot in `folder`."""
    variables = os.environ | {"FEWSHOT_CACHE": "cache"}
    with (folder / "log.txt").open("a") as log:
        return subprocess.Popen(
            [*command, *arguments], cwd=folder, env=variables, stdout=log, stderr=log
        )


def finish(arguments: Sequence[str], folder: Path, command: Sequence[str] = NOTING) -> float:
    """Seconds of a command, which has to succeed."""
    begun = time.perf_counter()
    code = start(arguments, folder, command).wait()
    if code:
        raise SystemExit(
            f"{arguments} ended with {code}: {(folder / 'log.txt').read_text()[-2000:]}"
        )
    return time.perf_counter() - begun


def rows(runs: Path) -> pd.DataFrame:
    """All rows under a folder of runs, predictions too."""
    tables = []
    for path in sorted(runs.rglob("summary.json")):
        if path.parent.parent.name != ".cells":
            episodes = pd.read_parquet(path.parent / "episodes.parquet")
            predictions = pd.read_parquet(path.parent / "predictions.parquet")
            tables.append(episodes.merge(predictions, on=COLUMNS, suffixes=("", "_of_estimator")))
    joined = pd.concat(tables).drop(columns="classes")
    return joined.sort_values([*COLUMNS, "estimator"]).reset_index(drop=True)


def lines(path: Path) -> list[str]:
    """Lines that were noted."""
    return path.read_text().splitlines() if path.exists() else []


def killed(kills: int, seed: int) -> dict[str, Any]:
    """A sweep that is killed and continued, against one that is not."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        images_of(top, 24)
        sweep = [
            "-m", "backbone=efficientnet_lite0,efficientnet_lite1", "dataset=folder",
            f"dataset.root={top}/digits,{top}/discs", "episodes.shots=1,2,4,8", HEADS,
            "episodes.count=100", "estimator=[margin,loo,constant]",
        ]  # fmt: skip
        calm = top / "calm"
        calm.mkdir()
        duration = finish(sweep, calm)
        expected = rows(calm / "runs")
        cells = len(expected[COLUMNS[:-1]].drop_duplicates())
        moments, again, done = [], [], 0
        while done < kills:
            folder = top / f"disturbed{len(again)}"
            folder.mkdir()
            here = 0
            while done < kills:
                one, moment = start(sweep, folder), rng.uniform(0, duration / 2)
                try:
                    code = one.wait(moment)
                    if code:
                        raise SystemExit((folder / "log.txt").read_text()[-2000:])
                    break  # complete before it was to be killed
                except subprocess.TimeoutExpired:
                    one.kill()
                    one.wait()
                    moments.append(round(moment, 1))
                    done, here = done + 1, here + 1
            finish(sweep, folder)
            last = max((folder / "runs").glob("*_sweep"), key=lambda path: path.name)
            pd.testing.assert_frame_equal(rows(last), expected, check_exact=True)
            again.append((here, len(lines(folder / "begun.txt")) - cells))
    assert all(lost <= here for here, lost in again), again
    return {
        "cells": cells,
        "undisturbed_s": round(duration, 1),
        "kills": done,
        "moments_s": sorted(moments),
        "kills and cells begun again, per sweep": again,
        "rows": "exactly those of the undisturbed sweep",
    }


def together(processes: int = 4) -> dict[str, Any]:
    """Processes that want one bank at the same moment, and partly the same cells.

    In float32, as "auto" has some images pass the network for a comparison.
    """
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        images_of(top, 40)
        count = sum(1 for _ in (top / "digits").rglob("*.png"))
        wish = ["dataset=folder", f"dataset.root={top}/digits", HEADS, "episodes.count=100",
                "estimator=[margin,constant]", "features.precision=float32"]  # fmt: skip
        alone, many = top / "alone", top / "many"
        for folder in (alone, many):
            folder.mkdir()
        seeds = [number // 2 for number in range(processes)]  # two of each
        for one in [start([*wish, f"seed={seed}"], many) for seed in seeds]:
            assert one.wait() == 0, (many / "log.txt").read_text()[-2000:]
        for seed in sorted(set(seeds)):
            finish([*wish, f"seed={seed}"], alone)
        found = rows(many / "runs")
        twice = found.duplicated([*COLUMNS, "estimator"])
        pd.testing.assert_frame_equal(
            found[~twice].reset_index(drop=True), rows(alone / "runs"), check_exact=True
        )
        hashes = {
            cell["hashes"]["features"]
            for path in (many / "runs").rglob("summary.json")
            for cell in json.loads(path.read_text())["cells"]
        }
        extracted = sum(map(int, lines(many / "extracted.txt")))
        begun = len(lines(many / "begun.txt"))
    assert extracted == count, (extracted, count)
    assert len(hashes) == 1
    return {
        "processes": processes,
        "images": count,
        "images extracted by all": extracted,
        "cells wanted": 12 * processes,
        "different cells": len(found[COLUMNS[:-1]].drop_duplicates()),
        "cells computed": begun,
        "rows": "exactly those of one process after the other",
    }


def parallel(repeats: int, jobs: int) -> list[dict[str, Any]]:
    """Wall time of a sweep one by one and with two processes of joblib."""
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        rng = np.random.default_rng(0)
        labels = np.repeat(np.arange(20), 100)
        features = rng.normal(size=(20, 512))[labels] + 4 * rng.normal(size=(2000, 512))
        np.savez(top / "f.npz", features=features.astype(np.float32), labels=labels)
        sweep = [
            "-m", "dataset=features", f"dataset.path={top}/f.npz", HEADS, "episodes.count=600",
            f"seed={','.join(map(str, range(jobs)))}", "estimator=[margin,loo,constant]",
        ]  # fmt: skip
        two = ["launcher=joblib", "hydra.launcher.n_jobs=2"]
        ways = {"default threads": ([], two), "threads=1": (["threads=1"], ["threads=1", *two])}
        table = []
        for name, pair in ways.items():
            seconds: list[list[float]] = [[], []]
            for i in range(repeats):
                for k, more in enumerate(pair):
                    runs = f"paths.runs=runs_{len(name)}_{i}_{k}"
                    seconds[k].append(finish([*sweep, *more, runs], top, PLAIN))
            ratios = [a / b for a, b in zip(*seconds, strict=True)]
            table.append({
                "baseline": name,
                "jobs": jobs,
                "cells": jobs * 12,
                "one_by_one_s": round(statistics.median(seconds[0]), 1),
                "joblib_2_s": round(statistics.median(seconds[1]), 1),
                "ratio": round(statistics.median(ratios), 2),
                "ratios": [round(ratio, 2) for ratio in ratios],
            })  # fmt: skip
    return table


def main() -> None:
    """Print what one part came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["killed", "together", "parallel"])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=12)
    given = parser.parse_args()
    if given.part == "killed":
        found: Any = killed(given.kills, given.seed)
    elif given.part == "together":
        found = together()
    else:
        found = parallel(given.repeats, given.jobs)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
