"""Does the advice of `fewshot predict` hold? Its error, its interval and the head that it takes.

    python benchmarks/decisions.py                          # digits under EfficientNet-Lite0
    python benchmarks/decisions.py lite0.npz BANK ...       # features
    python benchmarks/decisions.py --images DIR --degrade blur small noise

Every task is one as a user has it: K images of each of N classes, no base classes, no unlabelled
images; all other images of the classes measure the error. By turns the classes are random and a
class with those nearest to it, as random classes of a data set are easier than most tasks of users.
--unequal draws the number of images of every class between 2 and 2 K - 2;
--shots-alike has ridge and logistic regression count shots alike, as scikit-learn's defaults do,
and not classes.

--degrade adds copies of the images of --images, blurred, of 24 pixels or with noise: hard tasks.

Of all tasks with K shots: the mean error of every head and of the one that was taken; coverage and
mean width of the intervals; the slope of true on predicted error; the mean of |predicted - true|;
and by how much the taken head is worse than each head and than the best of each task (regret), with
95 % intervals over tasks. The calibrator of the package was fitted on some data sets; for figures
on those, give one that was fitted without them (general_calibrator.py --without) by the name of the
features: --without caltech101=general.without_caltech101.json
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import features_of, write
from numpy.typing import NDArray
from PIL import Image, ImageFilter

import fewshot
from fewshot.features import make_bank, open_bank
from fewshot.heads import Head, LogisticRegression, Query, Ridge, Support
from fewshot.statistics import mean_interval

HEADS = ("ncm", "lda", "ridge", "logistic")
SHOTS = (2, 3, 5, 10)
WAYS = (2, 3, 5, 8, 10)
QUERIES = 5  # images of a class that are left, at least
DEGRADED = ("blur", "small", "noise")


class Task(NamedTuple):
    """Features of the shots (K_c, D) by class; images that measure (M, D), and their labels."""

    kind: str
    shots: list[NDArray]
    queries: NDArray
    labels: NDArray


class Outcome(NamedTuple):
    """Predicted and true errors of the heads (H,), and the taken one with its interval."""

    kind: str
    true: NDArray
    predicted: NDArray
    taken: int
    error: float
    lower: float
    upper: float


def degraded(folder: Path, kind: str, target: Path) -> Path:
    """A copy of a folder of images, all of them blurred, small or noisy."""
    rng = np.random.default_rng(0)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        image = Image.open(file).convert("RGB")
        if kind == "blur":
            image = image.filter(ImageFilter.GaussianBlur(max(image.size) / 60))
        elif kind == "small":
            image = image.resize((24, 24), Image.Resampling.BILINEAR)
        else:
            dark = np.asarray(image, float) * 0.35 + 60
            noisy = dark + rng.normal(0, 60, dark.shape)
            image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
        copy = target / kind / file.relative_to(folder).with_suffix(".png")
        copy.parent.mkdir(parents=True, exist_ok=True)
        image.save(copy)
    return target / kind


def data_sets(given: argparse.Namespace) -> Iterator[tuple[str, NDArray, NDArray]]:
    """Name, features (M, D) of unit length, and labels (M,) of everything that is given."""
    named: list[tuple[str, NDArray, NDArray]] = []
    for path in map(Path, given.features):
        if path.is_dir():
            bank = open_bank(path)
            named.append((path.name, np.asarray(bank.features, np.float32), bank.labels))
        else:
            named.append((path.stem, *features_of(path)))
    if given.images or not named:
        for backbone in given.backbones:
            source = given.images or "digits"
            named.append((f"{Path(source).name} {backbone}", *extracted(source, backbone)))
            for kind in given.degrade if given.images else ():
                with tempfile.TemporaryDirectory() as folder:
                    copy = degraded(Path(given.images), kind, Path(folder))
                    named.append((f"{kind} {backbone}", *extracted(str(copy), backbone)))
    for name, features, labels in named:
        rows = features.astype(np.float32)
        yield name, rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


def extracted(source: str, backbone: str) -> tuple[NDArray, NDArray]:
    """Features and labels of images."""
    bank = fewshot.extract(source, backbone, split="none")
    return np.asarray(bank.features, np.float32), bank.labels


def tasks(
    features: NDArray, labels: NDArray, shots: int, given: argparse.Namespace
) -> Iterator[Task]:
    """Tasks with so many shots; classes with too few images are left out."""
    names, size = np.unique(labels, return_counts=True)
    most = max(2, 2 * shots - 2) if given.unequal else shots
    classes = names[size >= most + QUERIES]
    rng = np.random.default_rng((given.seed, shots))
    means = np.stack([features[labels == c].mean(0) for c in classes])
    for number in range(given.tasks):
        possible = [ways for ways in WAYS if ways <= len(classes)]
        ways = possible[number // 2 % len(possible)]
        near = number % 2 == 1
        if near:
            apart = np.linalg.norm(means - means[rng.integers(len(classes))], axis=1)
            chosen = classes[np.argsort(apart)[:ways]]
        else:
            chosen = rng.choice(classes, ways, replace=False)
        rows = [rng.permutation(np.flatnonzero(labels == c)) for c in chosen]
        counts = [shots] * ways
        if given.unequal:
            counts = rng.integers(2, most + 1, ways).tolist()
        left = [images[count:] for images, count in zip(rows, counts, strict=True)]
        yield Task(
            "confusable" if near else "random",
            [features[images[:count]] for images, count in zip(rows, counts, strict=True)],
            features[np.concatenate(left)],
            np.repeat(np.arange(ways), [len(images) for images in left]),
        )


def outcome(task: Task, calibrator: str | None, shots_alike: bool) -> Outcome:
    """What is predicted of a task, and what is true."""
    labels = np.repeat(np.arange(len(task.shots)), [len(rows) for rows in task.shots])
    bank = make_bank(np.concatenate(task.shots), labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # copies among images of the data set
        candidates = ["ncm", "lda", Ridge(), LogisticRegression()] if shots_alike else HEADS
        forecasts = fewshot.predict(bank, head=candidates, calibrator=calibrator)
    predicted = {row.head: row.error for row in forecasts.rows}
    taken = forecasts.best
    return Outcome(
        task.kind,
        np.array([true_error(task, forecasts.sources.heads[name]) for name in HEADS]),
        np.array([predicted[name] for name in HEADS]),
        HEADS.index(taken.head),
        taken.error,
        taken.lower,
        taken.upper,
    )


def true_error(task: Task, head: Head) -> float:
    """Share of the other images that a head gets wrong, all classes alike."""
    most = max(map(len, task.shots))
    shots = np.zeros((1, len(task.shots), most, task.queries.shape[-1]), np.float32)
    mask = np.zeros(shots.shape[:-1], bool)
    for c, rows in enumerate(task.shots):
        shots[0, c, : len(rows)] = rows
        mask[0, c, : len(rows)] = True
    head = head.clone().fit(Support.of(torch.from_numpy(shots), torch.from_numpy(mask)))
    labels = head.predict(Query.of(torch.from_numpy(task.queries)[None]))[0].numpy()
    wrong = labels != task.labels
    return float(np.mean([wrong[task.labels == c].mean() for c in range(len(task.shots))]))


def figures(outcomes: list[Outcome]) -> dict[str, str]:
    """The columns of a row of the table, in points."""
    true = np.stack([entry.true for entry in outcomes])
    taken = np.array([entry.true[entry.taken] for entry in outcomes])
    error = np.array([entry.error for entry in outcomes])
    lower, upper = np.array([[entry.lower, entry.upper] for entry in outcomes]).T
    row = {"tasks": str(len(outcomes)), "true, taken": points(taken.mean())}
    row["predicted"] = points(error.mean())
    row["off by"] = points(np.abs(error - taken).mean())
    row["slope"] = f"{np.polyfit(error, taken, 1)[0]:.2f}"
    row["coverage"] = f"{100 * ((taken >= lower) & (taken <= upper)).mean():.0f}"
    row["width"] = points((upper - lower).mean())
    for h, name in enumerate(HEADS):
        row[f"taken - {name}"] = difference(taken - true[:, h])
    row["regret"] = difference(taken - true.min(1))
    return row


def difference(values: NDArray) -> str:
    """Mean and 95 % interval over tasks, in points."""
    interval: dict[str, Any] = mean_interval(values)
    half = interval["upper"] - interval["mean"]
    return f"{100 * interval['mean']:+.2f} ± {100 * half:.2f}"


def points(value: float) -> str:
    """A share in points."""
    return f"{100 * value:.2f}"


def main() -> None:
    """Draw tasks of everything, predict and measure, and print a row per set and shots."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", nargs="*", metavar="FILE", help=".npz of features, or banks")
    parser.add_argument("--images", metavar="DIR", help="a folder with a sub-folder per class")
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0"], metavar="NAME")
    parser.add_argument("--degrade", nargs="*", default=[], choices=DEGRADED)
    parser.add_argument("--shots", nargs="+", type=int, default=SHOTS)
    parser.add_argument("--tasks", type=int, default=40, help="per set and shots (%(default)s)")
    parser.add_argument("--unequal", action="store_true", help="classes of unequal size")
    parser.add_argument(
        "--shots-alike", action="store_true", help="heads that do not weigh classes"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--without",
        nargs="*",
        default=[],
        metavar="NAME=FILE",
        help="calibrators for sets whose names begin with NAME",
    )
    parser.add_argument("--output", metavar="FILE", help="JSON")
    given = parser.parse_args()
    without = dict(entry.split("=", 1) for entry in given.without)
    rows = []
    every: dict[int, list[Outcome]] = {}
    for name, features, labels in data_sets(given):
        calibrator = next((file for key, file in without.items() if name.startswith(key)), None)
        for shots in given.shots:
            drawn = list(tasks(features, labels, shots, given))
            outcomes = [outcome(task, calibrator, given.shots_alike) for task in drawn]
            every.setdefault(shots, []).extend(outcomes)
            rows.append({"data": name, "shots": shots} | figures(outcomes))
    for shots, outcomes in every.items():
        rows.append({"data": "all", "shots": shots} | figures(outcomes))
        for kind in ("random", "confusable"):
            part = [entry for entry in outcomes if entry.kind == kind]
            rows.append({"data": f"all, {kind}", "shots": shots} | figures(part))
    write(given.output, rows)


if __name__ == "__main__":
    main()
