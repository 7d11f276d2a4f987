"""How often the classes that `fewshot predict` expects to be confused are those that are.

    python benchmarks/confusions.py                        # EfficientNet-Lite0 on digits
    python benchmarks/confusions.py clip.npz --images DIR  # features; images by Lite0

Tasks of --ways classes, random ones or a random class and its nearest (of all its images' means),
with K shots; up to 40 further images of every class are classified by the head, and the true
confusions counted. Classes with fewer than K + 10 images are left out. Of all pairs of classes are
reported, as means over tasks with 95 % intervals over them:

    first      the pair expected to be confused most is the one that is
    of three   that one is among the first three
    share      of the true errors, classes alike, that the first pair holds (`most`: the greatest)
    rank       correlation of the ranks of all pairs

for the forecast (`shots`), with --seen for that with half of the further images as unlabelled ones
(`seen`; the other half is counted, for all), for the distances between class means alone
(`means`), for the confusions of shots that are held out, one of every class at a time (`held`), and
for chance. The last columns are the mean of |expected - true| error of a class in points, beside
the same for the mean error of all classes (`alike`), and the correlation over all classes and
tasks. The calibrator of the package was fitted on some data sets: --without as for
predicted_error.py.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from common import table
from numpy.typing import NDArray
from predicted_error import Data, arguments, data_of
from scipy import stats

import fewshot
from fewshot.features import make_bank
from fewshot.heads import Query, Support, heads

LEFT, MOST = 10, 40
HEADS = ["ncm", "lda", "ridge", "logistic"]


class Task(NamedTuple):
    """Shots and further images of the classes of a task, with labels 0..N - 1."""

    shots: NDArray
    labels: NDArray
    images: NDArray
    classes: NDArray


def draw(data: Data, ways: int, shots: int, near: bool, rng: np.random.Generator) -> Task | None:
    """A task of random classes, or of a random one and its nearest; None if they are too few."""
    _, features, labels = data
    features = features / np.linalg.norm(features, axis=1, keepdims=True).clip(1e-12)
    classes = [c for c in np.unique(labels) if (labels == c).sum() >= shots + LEFT]
    if len(classes) < ways:
        return None
    if near:
        means = np.stack([features[labels == c].mean(0) for c in classes])
        first = rng.integers(len(classes))
        nearest = np.linalg.norm(means - means[first], axis=1).argsort()[:ways]
        chosen = [classes[n] for n in rng.permutation(nearest)]
    else:
        chosen = list(rng.choice(classes, ways, replace=False))
    rows = [rng.permutation(np.flatnonzero(labels == c)) for c in chosen]
    first_rows = np.concatenate([some[:shots] for some in rows])
    others = [some[shots : shots + MOST] for some in rows]
    return Task(
        features[first_rows],
        np.repeat(np.arange(ways), shots),
        features[np.concatenate(others)],
        np.repeat(np.arange(ways), [len(some) for some in others]),
    )


def answers(head: str, shots: NDArray, labels: NDArray, images: NDArray) -> NDArray:
    """What a head that is fitted to the shots, as many of every class, decides on images."""
    ways = int(labels.max()) + 1
    support = Support.of(torch.from_numpy(shots).view(1, ways, -1, shots.shape[1]))
    fitted = heads.create(head).fit(support)
    decided: NDArray = fitted.predict(Query.of(torch.from_numpy(images)[None]))[0].numpy()
    return decided


def confusions(decided: NDArray, classes: NDArray, ways: int) -> NDArray:
    """Shares (N, N) of images of each class that get each label."""
    counts = np.zeros((ways, ways))
    np.add.at(counts, (classes, decided), 1)
    shares: NDArray = counts / counts.sum(1, keepdims=True)
    return shares


def pairs_of(shares: NDArray) -> NDArray:
    """What is confused of each pair of classes, either way: (N (N - 1) / 2,)."""
    both: NDArray = (shares + shares.T)[np.triu_indices(len(shares), 1)]
    return both


def by_held_out(head: str, task: Task, ways: int) -> NDArray | None:
    """Confusions of shots by heads that are fitted without one of every class."""
    shots = len(task.labels) // ways
    if shots < 2:
        return None
    turn = np.tile(np.arange(shots), ways)
    decided = np.empty(len(task.labels), int)
    for k in range(shots):
        held, labels = turn == k, task.labels
        decided[held] = answers(head, task.shots[~held], labels[~held], task.shots[held])
    return confusions(decided, task.labels, ways)


def by_distance(task: Task, ways: int) -> NDArray:
    """Closeness of the class means of the shots."""
    means = task.shots.reshape(ways, -1, task.shots.shape[1]).mean(1)
    return -np.asarray(np.linalg.norm(means[:, None] - means, axis=-1))


def measure(
    task: Task, head: str, ways: int, given: argparse.Namespace, calibrator: str | None, seed: int
) -> list[dict[str, Any]]:
    """A row per method."""
    rng = np.random.default_rng(seed)
    counted = np.ones(len(task.classes), dtype=bool)
    if given.seen:
        counted = rng.random(len(counted)) < 0.5
    true = confusions(
        answers(head, task.shots, task.labels, task.images[counted]), task.classes[counted], ways
    )
    bank = make_bank(task.shots, task.labels)

    def expected(unlabelled: NDArray | None) -> Any:
        forecast = fewshot.predict(bank, head=head, unlabelled=unlabelled, calibrator=calibrator)
        return forecast.best.confusion

    forecasts = {"shots": expected(None)}
    if given.seen:
        forecasts["seen"] = expected(task.images[~counted])
    shares = {name: confusion.shares for name, confusion in forecasts.items()}
    shares |= {"means": by_distance(task, ways), "held": by_held_out(head, task, ways)}
    shares["chance"] = rng.random((ways, ways))
    rows = []
    errors = 1 - true.diagonal()
    for name, guess in shares.items():
        if guess is None:
            continue
        # Pairs of equal standing, as many are of few held-out shots, are in random order.
        row = {"method": name} | _hits(pairs_of(guess), pairs_of(true), rng)
        if name in forecasts:
            row |= {"errors": 1 - guess.diagonal(), "true errors": errors}
        rows.append(row)
    return rows


def _hits(guess: NDArray, true: NDArray, rng: np.random.Generator) -> dict[str, Any]:
    """Whether the pair confused most is among the first; empty if there is no error."""
    if not true.any():
        return {}
    order = np.lexsort((rng.random(len(guess)), -guess))
    most = true == true.max()
    return {
        "first": float(most[order[0]]),
        "of three": float(most[order[:3]].any()),
        "share": true[order[0]] / true.sum(),
        "most": true.max() / true.sum(),
        "rank": float(stats.spearmanr(guess, true).statistic) if np.ptp(guess) else 0.0,
    }


def summary(rows: pd.DataFrame, by: list[str]) -> list[dict[str, str]]:
    """A line per cell and method."""
    lines = []
    for key, part in rows.groupby([*by, "method"], sort=False):
        line = dict(zip([*by, "method"], map(str, key), strict=True))
        hits = part.dropna(subset=["first"])
        line["tasks"] = str(len(hits))
        for name in ("first", "of three", "share", "most", "rank"):
            line[name] = _with_interval(hits[name], 1.0 if name == "rank" else 100.0)
        if part["errors"].notna().all():
            guess, true = (np.stack(part[name].tolist()) for name in ("errors", "true errors"))
            line["class error"] = f"{100 * np.abs(guess - true).mean():.1f}"
            alike = guess.mean(1, keepdims=True)
            line["alike"] = f"{100 * np.abs(alike - true).mean():.1f}"
            # At one shot all classes of a task have the same expected error.
            varied = np.ptp(guess) > 0
            both = np.corrcoef(guess.ravel(), true.ravel())[0, 1] if varied else np.nan
            line["correlation"] = f"{both:.2f}" if varied else "-"
        else:
            line |= dict.fromkeys(("class error", "alike", "correlation"), "-")
        lines.append(line)
    return lines


def _with_interval(values: pd.Series, unit: float) -> str:
    half = stats.sem(values) * stats.t.ppf(0.975, max(len(values) - 1, 1))
    digits = 2 if unit == 1 else 0
    return f"{unit * values.mean():.{digits}f} ± {unit * half:.{digits}f}"


def main() -> None:
    """Measure every cell of every data set."""
    parser = arguments(__doc__)
    parser.add_argument("--seen", action="store_true", help="half of the images as unlabelled ones")
    parser.set_defaults(heads=HEADS, shots=[1, 2, 3, 5, 10], episodes=20)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for data in data_of(given):
        for ways, shots, near in product(given.ways, given.shots, (False, True)):
            for episode in range(given.episodes):
                seed = (ways, shots, near, episode)
                task = draw(data, ways, shots, near, np.random.default_rng(seed))
                if task is None:
                    break
                cell = {"data": data[0], "ways": ways, "K": shots}
                cell["classes"] = "near" if near else "random"
                for head in given.heads:
                    measured = measure(task, head, ways, given, given.without.get(data[0]), episode)
                    rows += [cell | {"head": head} | row for row in measured]
        print(f"{data[0]} done", flush=True)
        frame = pd.DataFrame(rows)
        if given.json:
            Path(given.json).write_text(frame.to_json(orient="records") + "\n")
    for by in (["K"], ["classes"], ["head"], ["data"]):
        print(f"\n{table(summary(frame, by))}")


if __name__ == "__main__":
    main()
