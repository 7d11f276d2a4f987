"""How often a criterion picks the better of two backbones or heads, and what a wrong pick costs.

    python benchmarks/choosing.py                  # digits under a network, at two sizes of images
    python benchmarks/choosing.py lite0.npz,mobilenet.npz BANK,BANK  # features
    python benchmarks/choosing.py --images DIR --backbones efficientnet_lite0 mobilenet_v2

Files or banks with commas between them hold the same images in the same order under several
backbones. Half of the classes are base, half novel (random, --splits times). Tasks are of novel
classes; every second one is of a class and those nearest to it, by distances of class means over
all backbones, as classes at random are easy. All images but the shots are queries.

A pair is two backbones with the same head, or two heads on the same backbone, on the same task. A
criterion picks the lower predicted error or the higher score:

    coin         half of the time right
    hindsight    always the one with the lower mean error over the tasks of its data set and split
    constant     the lower mean error of base-class episodes: the same for all tasks
    loo          leave-one-out of the support
    alone        auto from the support, calibrated on other data sets, no base classes at all
    base         auto from the support, calibrated on base classes of the same data set
    unlabelled   the same two with --unlabelled images per class, which are not measured
    logme, h_score, transrate, gbc    scores of the backbone, which cannot choose a head

`right` is the share of picks of the lower actual error, without pairs of equal errors; `regret` the
mean excess of the picked error over the lower one, in points, all pairs. A criterion that is
undefined or equal for both tosses a coin. Intervals (95 %) are of means over tasks: the pairs of a
task are one observation. Give a calibrator that was fitted without the data (--calibrator).
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import Alone, AloneSupport, write
from numpy.typing import NDArray

import fewshot
from fewshot.datasets import random_parts
from fewshot.episodes import EpisodeSet
from fewshot.estimators import Auto, AutoSupport, Constant, LeaveOneOut
from fewshot.features import open_bank
from fewshot.statistics import TRANSFER_SCORES, mean_interval

BACKBONES = ("efficientnet_lite0", "efficientnet_lite0@64")
HEADS = ("ncm", "lda", "ridge", "logistic")
CANDIDATES = ("backbones", "heads")


def estimators(calibrator: str | None) -> dict[str, Any]:
    """Criteria that predict an error of every head: the lower is picked. Add others here."""
    return {
        "constant": Constant(),
        "loo": LeaveOneOut(),
        "alone": AloneSupport("datasets", calibrator),
        "base": AutoSupport("base", calibrator),
        "alone, unlabelled": Alone("datasets", calibrator),
        "base, unlabelled": Auto("base", calibrator),
    }


CRITERIA = ("coin", "hindsight", *estimators(None), *TRANSFER_SCORES)


class Data(NamedTuple):
    """Features (M, D) of the same images by backbone, and their labels (M,)."""

    name: str
    features: dict[str, NDArray]
    labels: NDArray


class Outcomes(NamedTuple):
    """Actual errors (T, B, H) of T tasks, and criteria of that shape, the lower the better."""

    actual: NDArray
    criteria: dict[str, NDArray]


def of_images(images: str, backbones: list[str]) -> Data:
    """Features of a folder, or of a data set by name, under backbones NAME or NAME@PIXELS."""
    banks = {}
    for backbone in backbones:
        name, _, pixels = backbone.partition("@")
        size = int(pixels) if pixels else None
        banks[backbone] = fewshot.extract(images, name, split="none", size=size)
    features = {name: np.asarray(bank.features) for name, bank in banks.items()}
    return Data(Path(images).name, features, next(iter(banks.values())).labels)


def of_files(paths: str) -> Data:
    """What ``.npz`` files or banks hold, by the name of the file or of the backbone."""
    features, labels = {}, []
    for path in map(Path, paths.split(",")):
        if path.is_dir():
            bank = open_bank(path)
            features[str(bank.info["backbone"])] = np.asarray(bank.features)
            labels.append(bank.labels)
        else:
            with np.load(path, allow_pickle=False) as archive:
                features[path.stem] = archive["features"]
                labels.append(np.unique(archive["labels"], return_inverse=True)[1])
    if len(features) < 2 or any(not np.array_equal(labels[0], other) for other in labels):
        raise SystemExit(f"{paths}: expected two files or more of the same images in one order")
    return Data(" / ".join(features), features, labels[0])


def nearness(data: Data, classes: NDArray) -> NDArray:
    """Distances (C, C) of class means, in units of their mean, averaged over the backbones."""
    total = np.zeros((len(classes), len(classes)))
    for features in data.features.values():
        rows = features / np.linalg.norm(features, axis=1, keepdims=True)
        means = np.stack([rows[data.labels == c].mean(0) for c in classes])
        distances = np.linalg.norm(means[:, None] - means[None], axis=-1)
        total += distances / distances.mean()
    return total / len(data.features)


def tasks(
    data: Data, novel: NDArray, ways: int, shots: int, unlabelled: int, count: int, seed: int
) -> EpisodeSet:
    """Tasks of novel classes: random ones, and by turns a class and those nearest to it."""
    rng = np.random.default_rng(seed)
    distances = nearness(data, novel)
    chosen = []
    for task in range(count):
        if task % 2:
            chosen.append(novel[np.argsort(distances[rng.integers(len(novel))])[:ways]])
        else:
            chosen.append(rng.choice(novel, ways, replace=False))
    number = shots + unlabelled
    drawn = np.array(
        [
            [rng.choice(np.flatnonzero(data.labels == c), number, replace=False) for c in classes]
            for classes in chosen
        ]
    )
    images = rng.permuted(drawn[..., shots:].reshape(count, -1), axis=1)
    without_labels = images if unlabelled else None
    return EpisodeSet(
        np.array(chosen), drawn[..., :shots], None, data.labels, unlabelled=without_labels
    )


def outcomes(data: Data, shots: int, split: int, given: argparse.Namespace) -> Outcomes | None:
    """Actual errors and criteria of the tasks of one split; None of too few classes."""
    size = np.bincount(data.labels)
    kept = np.isin(data.labels, np.flatnonzero(size >= shots + given.unlabelled + given.queries))
    labels = np.unique(data.labels[kept], return_inverse=True)[1]
    data = Data(data.name, {b: rows[kept] for b, rows in data.features.items()}, labels)
    classes = len(np.unique(labels))
    if classes < 2 * given.ways:
        return None
    parts = np.array(random_parts(classes, 0.5, split))
    novel = np.flatnonzero(parts == "novel")
    drawn = tasks(data, novel, given.ways, shots, given.unlabelled, given.tasks, split)
    predicted: dict[str, list[NDArray]] = {}
    actual = []
    for features in data.features.values():
        rows = fewshot.evaluate(
            features,
            labels,
            parts[labels],
            given.heads,
            episodes=drawn,
            estimators=estimators(given.calibrator),
            seed=split,
            normalize="l2",
            dataset=data.name,
        )
        actual.append(_by_head(rows.episodes, "actual_error", given.heads))
        for name, of_name in rows.predictions.groupby("estimator"):
            by_head = _by_head(of_name, "predicted_error", given.heads)
            predicted.setdefault(str(name), []).append(by_head)
        for name, scores in scores_of(features, drawn).items():
            by_head = np.repeat(-scores[:, None], len(given.heads), 1)
            predicted.setdefault(name, []).append(by_head)
    errors = np.stack(actual, 1)
    criteria = {name: np.stack(values, 1) for name, values in predicted.items()}
    criteria["coin"] = np.zeros_like(errors)
    criteria["hindsight"] = np.broadcast_to(errors.mean(0), errors.shape)
    return Outcomes(errors, criteria)


def _by_head(rows: Any, column: str, heads: list[str]) -> NDArray:
    """Values (T, H) of a column of the rows."""
    return rows.pivot(index="episode", columns="head", values=column)[heads].to_numpy(float)


def scores_of(features: NDArray, drawn: EpisodeSet) -> dict[str, NDArray]:
    """Transferability scores (T,) of the supports of tasks, by name; features at unit length."""
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    supports = torch.from_numpy(rows[drawn.support])
    mask = torch.ones(supports.shape[:3], dtype=torch.bool)
    return {name: score.function(supports, mask).numpy() for name, score in TRANSFER_SCORES.items()}


def pairs(values: NDArray, candidates: str) -> NDArray:
    """Values (T, P, 2) of all pairs of backbones, or of heads, from (T, B, H)."""
    axis = 1 + CANDIDATES.index(candidates)
    both = [
        values.take(pair, axis) for pair in itertools.combinations(range(values.shape[axis]), 2)
    ]
    moved = [np.moveaxis(pair, axis, -1).reshape(len(values), -1, 2) for pair in both]
    return np.concatenate(moved, 1)


def judged(actual: NDArray, criterion: NDArray) -> tuple[NDArray, NDArray]:
    """Share of right picks (T,), NaN without a pair of unequal errors, and mean regret (T,)."""
    excess = actual - actual.min(-1, keepdims=True)
    lead = np.nan_to_num(criterion[..., 0] - criterion[..., 1])
    second = np.where(lead == 0, 0.5, lead > 0)  # share of picks of the second
    regret = (1 - second) * excess[..., 0] + second * excess[..., 1]
    right = np.where(excess[..., 0] > 0, second, 1 - second)
    unequal = excess.max(-1) > 0
    with np.errstate(invalid="ignore"):
        return (right * unequal).sum(1) / unequal.sum(1), regret.mean(1)


def table_of(found: list[Outcomes], data: str, shots: int) -> Iterator[dict[str, Any]]:
    """A row per kind of candidates and criterion, over data sets and splits."""
    for axis, candidates in enumerate(CANDIDATES, 1):
        if found[0].actual.shape[axis] < 2:
            continue
        actual = [pairs(each.actual, candidates) for each in found]
        for name in CRITERIA:
            if candidates == "heads" and name in TRANSFER_SCORES:
                continue
            picks = [
                judged(errors, pairs(each.criteria[name], candidates))
                for errors, each in zip(actual, found, strict=True)
            ]
            right, regret = (np.concatenate(values) for values in zip(*picks, strict=True))
            right = right[np.isfinite(right)]
            yield {
                "data": data,
                "candidates": candidates,
                "shots": shots,
                "criterion": name,
                "right": mean_interval(right),
                "regret": mean_interval(regret),
                "tasks": len(regret),
                "pairs": sum(errors[..., 0].size for errors in actual),
            }


def shown(row: dict[str, Any]) -> dict[str, str]:
    """The row in percent and points, with half the width of the interval."""
    text = {key: str(row[key]) for key in ("data", "candidates", "shots", "criterion")}
    for key, digits in (("right", 0), ("regret", 2)):
        mean, upper = (100 * row[key][bound] for bound in ("mean", "upper"))
        text[key] = f"{mean:.{digits}f} ± {upper - mean:.{digits or 1}f}"
    return text | {key: str(row[key]) for key in ("tasks", "pairs")}


def main() -> None:
    """Measure every data set, and print how well each criterion chooses."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="FILE,FILE", help=".npz files or banks")
    parser.add_argument("--images", nargs="*", default=[], metavar="DIR", help="or names")
    parser.add_argument("--backbones", nargs="+", default=[*BACKBONES], metavar="NAME[@PIXELS]")
    parser.add_argument("--heads", nargs="+", default=[*HEADS])
    parser.add_argument("--ways", type=int, default=5)
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 2, 5])
    parser.add_argument("--tasks", type=int, default=100, help="of a data set and split")
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("--unlabelled", type=int, default=15, help="images per class")
    parser.add_argument("--queries", type=int, default=5, help="per class, at least")
    parser.add_argument("--calibrator", metavar="FILE")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    images = given.images or ([] if given.files else ["digits"])
    data = [of_files(paths) for paths in given.files]
    data += [of_images(folder, given.backbones) for folder in images]
    rows: list[dict[str, Any]] = []
    for shots in given.shots:
        found = {}
        for each in data:
            splits = [outcomes(each, shots, split, given) for split in range(given.splits)]
            found[each.name] = [split for split in splits if split]
            if found[each.name]:
                rows += table_of(found[each.name], each.name, shots)
        if any(found.values()):
            rows += table_of(list(itertools.chain(*found.values())), "all", shots)
    if not rows:
        raise SystemExit(f"expected data with {2 * given.ways} classes or more of enough images")
    write(None, [shown(row) for row in rows])
    if given.json:
        Path(given.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
