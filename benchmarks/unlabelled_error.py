"""How much nearer predicted errors come to actual ones with unlabelled images.

    python benchmarks/unlabelled_error.py                        # EfficientNet-Lite0 on digits
    python benchmarks/unlabelled_error.py clip.npz --images DIR  # features; images by Lite0
    python benchmarks/unlabelled_error.py BANK ... --unlabelled 15 queries 15,dirichlet 15,.25

Half of the classes are base, half novel (random, --splits times); all images that are neither shots
nor unlabelled are queries. --unlabelled lists conditions: unlabelled images per class or `queries`
(the measured images themselves, without labels), with Dirichlet shares or a share of images of
classes outside of the episode. `auto` saw them, `auto_support` the shots of the same episodes
alone; both with base classes and without any (`alone`). Classes with fewer than K shots + 15 + 5
images are left out, and counted (--most for another number of unlabelled images than 15).

Every row: mean of |predicted - actual| in points, coverage and width of the 90 % interval, and the
mean binomial noise of the actual error, below which no prediction comes. A second table has means
over data sets, their ratio to `auto_support`, and the 95 % interval of the paired difference over
data sets and splits. --published adds the published label-free scores, calibrated on base classes.
The calibrator of the package was fitted on some data sets; for figures on those give one that was
fitted without them, as for predicted_error.py: --without caltech101=general.without_caltech101.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
from common import Alone, AloneSupport, half_over_splits, table
from predicted_error import Data, arguments, data_of

import fewshot
from fewshot.datasets import random_parts
from fewshot.estimators import Auto, AutoSupport, estimators

PUBLISHED = ("confidence", "doc", "atc", "gde", "cot", "nuclear_norm", "mano")
OURS = ("auto", "auto_support", "alone", "alone_support")
LEFT = 5  # images of a class beside shots and unlabelled ones, at least


def condition(text: str) -> dict[str, Any]:
    """Arguments of `fewshot.evaluate` of ``15``, ``queries``, ``15,dirichlet`` or ``15,.25``."""
    number, *further = text.split(",")
    settings: dict[str, Any] = {"unlabelled": int(number) if number.isdigit() else number}
    for word in further:
        if word == "dirichlet":
            settings["unlabelled_shares"] = word
        else:
            settings["strangers"] = float(word)
    return settings


def large_enough(data: Data, least: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Features and labels of classes with so many images, and how many classes are left out."""
    _, features, labels = data
    size = np.bincount(labels)
    kept = np.isin(labels, np.flatnonzero(size >= least))
    numbered = np.unique(labels[kept], return_inverse=True)[1]
    return features[kept], numbered, int(((size > 0) & (size < least)).sum())


def measure(
    data: Data, head: str, ways: int, shots: int, unlabelled: str, given: argparse.Namespace
) -> list[dict[str, Any]]:
    """A row per split; none if the classes are too few."""
    features, labels, left_out = large_enough(data, shots + given.most + LEFT)
    classes = len(np.unique(labels))
    if classes < 2 * ways:
        return []
    calibrator = given.without.get(data[0])
    known = {
        "auto": Auto(calibrator=calibrator),
        "auto_support": AutoSupport(calibrator=calibrator),
        "alone": Alone("datasets", calibrator),
        "alone_support": AloneSupport("datasets", calibrator),
    }
    if given.published:
        known |= {name: estimators.create(name) for name in PUBLISHED}
    rows = []
    for seed in range(given.splits):
        parts = np.array(random_parts(classes, 0.5, seed))
        try:
            result = fewshot.evaluate(
                features,
                labels,
                parts[labels],
                head,
                ways,
                shots,
                given.episodes,
                estimators={**known, "constant": estimators.create("constant")},
                calibration="base" if given.published else "none",
                seed=seed,
                normalize="l2",
                min_images="drop",
                dataset=data[0],
                **condition(unlabelled),
            )
        except fewshot.FewshotError as error:
            print(f"{data[0]}, {ways} ways, {shots} shots, {unlabelled}: {error}", flush=True)
            return []
        cell = {"data": data[0], "head": head, "ways": ways, "shots": shots}
        cell |= {"unlabelled": unlabelled, "seed": seed, "left out": left_out}
        rows.append(cell | _figures(result.predictions, result.episodes))
    return rows


def _figures(predictions: pd.DataFrame, episodes: pd.DataFrame) -> dict[str, Any]:
    """Means over the episodes of a split."""
    error, queries = episodes["actual_error"], episodes["queries"]
    noise = np.sqrt(2 / np.pi * (error * (1 - error) / queries))
    row: dict[str, Any] = {"actual": float(error.mean()), "noise": float(noise.mean())}
    for name, part in predictions.groupby("estimator"):
        row[f"{name} mae"] = float((part["predicted_error"] - part["actual_error"]).abs().mean())
        row[f"{name} bias"] = float((part["predicted_error"] - part["actual_error"]).mean())
        if part["lower"].notna().any():
            inside = part["actual_error"].between(part["lower"], part["upper"])
            row[f"{name} coverage"] = float(inside.mean())
            row[f"{name} width"] = float((part["upper"] - part["lower"]).mean())
        row[f"{name} reserved"] = float(part["reason"].notna().mean())
    return row


def over_splits(rows: pd.DataFrame) -> list[dict[str, str]]:
    """A line per data set, head, ways, shots and condition, in points."""
    lines = []
    for key, part in rows.groupby(["data", "head", "ways", "shots", "unlabelled"], sort=False):
        names = ("data", "head", "ways", "shots", "unlabelled")
        line = dict(zip(names, map(str, key), strict=True))
        line |= {name: f"{100 * part[name].mean():.1f}" for name in ("actual", "noise")}
        for name in (*OURS, "constant", *PUBLISHED):
            if f"{name} mae" in part:
                line[name] = f"{100 * part[f'{name} mae'].mean():.1f}"
                if f"{name} coverage" in part and name in OURS:
                    covered, width = (
                        part[f"{name} {what}"].mean() for what in ("coverage", "width")
                    )
                    line[name] += f" ({100 * covered:.0f} / {100 * width:.0f})"
        lines.append(line)
    return lines


def over_data(rows: pd.DataFrame) -> list[dict[str, str]]:
    """A line per head, ways, shots and condition: means over data sets, and ratios of them."""
    lines = []
    for key, part in rows.groupby(["head", "ways", "shots", "unlabelled"], sort=False):
        line = dict(zip(("head", "ways", "shots", "unlabelled"), map(str, key), strict=True))
        line["data sets"] = str(part["data"].nunique())
        by_data = part.groupby("data").mean(numeric_only=True)
        for name, support in (("auto", "auto_support"), ("alone", "alone_support")):
            mine, other = by_data[f"{name} mae"].mean(), by_data[f"{support} mae"].mean()
            paired = 100 * (part[f"{name} mae"] - part[f"{support} mae"])
            half = half_over_splits(paired.to_numpy()) if len(paired) > 1 else float("nan")
            line[name] = f"{100 * mine:.2f}"
            line[support] = f"{100 * other:.2f}"
            line[f"{name} ratio"] = f"{mine / other:.2f}"
            line[f"{name} difference"] = f"{paired.mean():+.2f} ± {half:.2f}"
            covered = by_data[f"{name} coverage"]
            line[f"{name} coverage"] = f"{100 * covered.mean():.0f}"
            line[f"{name} least, most"] = f"{100 * covered.min():.0f}, {100 * covered.max():.0f}"
            line[f"{name} width"] = f"{100 * by_data[f'{name} width'].mean():.0f}"
        for name in PUBLISHED:
            if f"{name} mae" in by_data:
                line[name] = f"{100 * by_data[f'{name} mae'].mean():.2f}"
        line["noise"] = f"{100 * by_data['noise'].mean():.2f}"
        lines.append(line)
    return lines


def main() -> None:
    """Measure every cell of every data set."""
    parser = arguments(__doc__)
    parser.add_argument("--unlabelled", nargs="+", default=["15", "queries"])
    parser.add_argument("--most", type=int, default=15)
    parser.add_argument("--published", action="store_true")
    given = parser.parse_args()
    data = data_of(given)
    rows: list[dict[str, Any]] = []
    cells = [
        (one, head, ways, shots, unlabelled)
        for one in data
        for head in given.heads
        for ways in given.ways
        for shots in given.shots
        for unlabelled in given.unlabelled
    ]
    for cell in cells:
        measured = measure(*cell, given)
        rows += measured
        if measured:
            print(json.dumps(over_splits(pd.DataFrame(measured))[0]), flush=True)
            if given.json:
                Path(given.json).write_text(json.dumps(rows, indent=1) + "\n")
    left_out = {row["data"]: row["left out"] for row in rows if row["left out"]}
    print(f"\n{table(over_splits(pd.DataFrame(rows)))}\n\nOver data sets:\n")
    print(table(over_data(pd.DataFrame(rows))))
    print(f"\nclasses left out at the largest number of shots: {left_out or 'none'}")
    print(f"mean actual error: {100 * fmean(row['actual'] for row in rows):.1f} points")


if __name__ == "__main__":
    main()
