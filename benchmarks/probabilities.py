"""Calibration error of probabilities of labels: softmax of scores, and three ways to mend it.

    python benchmarks/probabilities.py                         # digits under EfficientNet-Lite0
    python benchmarks/probabilities.py lite0.npz clip.npz --images DIR
    python benchmarks/probabilities.py photos_clip.npz mnist_lite0.npz \\
        --without photos_clip=probabilities.without_photos.json,general.without_photos.json

Every task has K images of each of 2, 5 or 10 classes, by turns random ones and a class with those
nearest to it; at most 10 other images of each class measure. No base classes, no unlabelled images.

    raw        softmax of the scores of the head
    held out   temperature from held-out shots alone (temperature scaling)
    constant   a temperature per head and K, of the least log loss on the other data sets given here
    fitted     ``fewshot.tasks.score_temperatures``: what a model file has

By data set and K, as means over the heads: expected calibration error (15 bins of equal mass) of
the queries of all tasks together, with the 95 % interval over tasks of the last; its ratio to that
of `raw`, with the interval; the mean error of single tasks (which is far above zero for perfect
probabilities, too: a task has few queries); and log losses. --heads-apart adds rows for every head.

The coefficients and the calibrator of the package were fitted on some data sets; for figures on
these, give others after --without, by the name of the features: coefficients
(general_probabilities.py --without), and after a comma a calibrator (general_calibrator.py
--without). Data sets with the same coefficients are of one group, and left out of `constant`
together.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import features_of, write
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor

import fewshot
from fewshot.estimators import Auto, BaseClasses, held_out_temperature
from fewshot.heads import Query, Support, heads
from fewshot.statistics import calibration_error_draws, expected_calibration_error
from fewshot.tasks import score_temperatures

HEADS = ("ncm", "lda", "ridge", "logistic")
SHOTS = (2, 5, 10)
WAYS = (2, 5, 10)
QUERIES = (3, 10)  # images of a class that measure: at least, at most
METHODS = ("raw", "held out", "constant", "fitted")


class Data(NamedTuple):
    """Features (M, D) at unit length, labels (M,), and files that were fitted without them."""

    name: str
    features: NDArray
    labels: NDArray
    coefficients: Path | None
    calibrator: str | None


class Scored(NamedTuple):
    """Scores (E, R, N) and labels (R,) of tasks, temperatures (E,) by method, shrinkage (E,)."""

    scores: Tensor
    labels: Tensor
    temperatures: dict[str, Tensor]
    shrinkage: Tensor


class Answers(NamedTuple):
    """Confidence, whether right, log loss and task of every query (M,)."""

    confidence: NDArray
    right: NDArray
    loss: NDArray
    task: NDArray


def rows_of_tasks(
    data: Data, ways: int, shots: int, count: int, rng: np.random.Generator
) -> tuple[NDArray, NDArray] | None:
    """Rows of shots (E, N, K) and of queries (E, N, Q); None if classes or images are too few."""
    size = np.bincount(data.labels)
    classes = np.flatnonzero(size >= shots + QUERIES[0])
    if len(classes) < ways:
        return None
    queries = min(QUERIES[1], int(size[classes].min()) - shots)
    means = np.stack([data.features[data.labels == c].mean(0) for c in classes])
    drawn = []
    for task in range(count):
        chosen = rng.choice(classes, ways, replace=False)
        if task % 2:
            apart = np.linalg.norm(means - means[rng.integers(len(classes))], axis=1)
            chosen = classes[np.argsort(apart)[:ways]]
        rows = [np.flatnonzero(data.labels == c) for c in chosen]
        drawn.append([rng.choice(images, shots + queries, replace=False) for images in rows])
    both = np.array(drawn)
    return both[..., :shots], both[..., shots:]


def scored(data: Data, name: str, rows: tuple[NDArray, NDArray]) -> Scored:
    """Scores of new images, and temperatures from the shots."""
    shots, queries = (torch.from_numpy(data.features[part]) for part in rows)
    support = Support.of(shots)
    head = heads.create(name).fit(support)
    auto = Auto("datasets", data.calibrator).fit(BaseClasses())
    error = auto.predict(support, head).error
    fitted, shrinkage = score_temperatures(support, head, error, data.coefficients)
    temperatures = {
        "raw": torch.ones_like(fitted),
        "held out": held_out_temperature(support, head)[0],
        "fitted": fitted,
    }
    labels = torch.arange(shots.shape[1]).repeat_interleave(queries.shape[2])
    scores = head.scores(Query.of(queries.flatten(1, 2))).double()
    return Scored(scores, labels, temperatures, shrinkage)


def answers(cells: list[Scored], method: str, constant: float = 1.0) -> Answers:
    """What a method says of all queries of some cells."""
    parts, first = [], 0
    for cell in cells:
        temperature = cell.temperatures.get(method, torch.full_like(cell.shrinkage, constant))
        below = cell.scores - cell.scores.amax(-1, keepdim=True)
        p = (below / temperature[:, None, None]).softmax(-1)
        if method == "fitted":
            shrinkage = cell.shrinkage[:, None, None]
            p = (1 - shrinkage) * p + shrinkage / p.shape[-1]
        best = p.max(-1)
        right = p.gather(-1, cell.labels.expand(len(p), -1)[..., None])[..., 0]
        task = torch.arange(first, first + len(p))[:, None].expand_as(right)
        first += len(p)
        loss = -right.clamp_min(1e-12).log()
        columns = (best.values, best.indices == cell.labels, loss, task)
        parts.append([column.flatten().numpy() for column in columns])
    return Answers(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def best_constant(cells: list[Scored]) -> float:
    """The temperature of the least log loss of all queries."""
    if not cells:
        return 1.0

    def loss(logarithm: float) -> float:
        return float(answers(cells, "constant", float(np.exp(logarithm))).loss.mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-9, 9), method="bounded").x))


class Figures(NamedTuple):
    """Calibration error, its draws, the mean of single tasks, and log loss."""

    error: float
    draws: NDArray
    of_tasks: float
    loss: float


def figures(said: Answers) -> Figures:
    """Figures of one method on one data set, head and K."""
    of_tasks = [
        expected_calibration_error(said.confidence[said.task == t], said.right[said.task == t])
        for t in np.unique(said.task)
    ]
    return Figures(
        expected_calibration_error(said.confidence, said.right),
        calibration_error_draws(said.confidence, said.right, said.task),
        float(np.mean(of_tasks)),
        float(said.loss.mean()),
    )


def row(name: str, shots: int, head: str, by_method: dict[str, list[Figures]]) -> dict[str, Any]:
    """Means over heads, in points."""
    means = {key: float(np.mean([f.error for f in some])) for key, some in by_method.items()}
    draws = {key: np.mean([f.draws for f in some], 0) for key, some in by_method.items()}
    moved = {key: draws[key] - max(draws[key].mean() - means[key], 0) for key in draws}
    low, high = 100 * np.quantile(moved["fitted"], (0.025, 0.975))
    least, most = np.quantile(moved["fitted"] / moved["raw"], (0.025, 0.975))
    line: dict[str, Any] = {"data": name, "shots": shots, "head": head}
    line |= {key: f"{100 * means[key]:.1f}" for key in METHODS[:-1]}
    line["fitted"] = f"{100 * means['fitted']:.1f} ({max(low, 0):.1f} to {high:.1f})"
    ratio = means["fitted"] / means["raw"]
    line["fitted / raw"] = f"{ratio:.2f} ({max(least, 0):.2f} to {most:.2f})"
    for title, field in (("single tasks", "of_tasks"), ("log loss", "loss")):
        values = [float(np.mean([getattr(f, field) for f in by_method[key]])) for key in METHODS]
        factor = 100 if field == "of_tasks" else 1
        line[title] = " / ".join(f"{factor * value:.{1 if factor > 1 else 2}f}" for value in values)
    return line


def data_sets(given: argparse.Namespace) -> Iterator[Data]:
    """Everything that is given, digits without anything."""
    without = dict(pair.split("=", 1) for pair in given.without)
    named = [(Path(path).stem, *features_of(Path(path))) for path in given.features]
    for folder in given.images or ([] if named else ["digits"]):
        bank = fewshot.extract(folder, given.backbone, split="none")
        name = f"{Path(folder).name}_{given.backbone}"
        named.append((name, np.asarray(bank.features, np.float32), bank.labels))
    for name, features, labels in named:
        coefficients, _, calibrator = without.get(name, "").partition(",")
        rows = features.astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        classes = np.unique(labels, return_inverse=True)[1]
        path = Path(coefficients) if coefficients else None
        yield Data(name, rows, classes, path, calibrator or None)


def main() -> None:
    """Score all tasks of all data sets, then compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", nargs="*", help=".npz files")
    parser.add_argument("--images", nargs="*", default=[], metavar="DIR")
    parser.add_argument("--backbone", default="efficientnet_lite0", help="for --images")
    parser.add_argument("--heads", nargs="+", default=list(HEADS))
    parser.add_argument("--shots", nargs="+", type=int, default=list(SHOTS))
    parser.add_argument("--ways", nargs="+", type=int, default=list(WAYS))
    parser.add_argument("--tasks", type=int, default=120, help="per K (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without", nargs="*", default=[], metavar="DATA=FILE[,FILE]")
    parser.add_argument("--heads-apart", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    every = list(data_sets(given))
    cells: dict[tuple[str, str, int], list[Scored]] = {}
    for data in every:
        for shots in given.shots:
            rng = np.random.default_rng((given.seed, shots))
            count = -(-given.tasks // len(given.ways))
            drawn = [rows_of_tasks(data, ways, shots, count, rng) for ways in given.ways]
            for head in given.heads:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    some = [scored(data, head, rows) for rows in drawn if rows is not None]
                cells[data.name, head, shots] = some
        print(data.name, flush=True)
    write(given.json, list(compared(every, cells, given)))


def compared(
    every: list[Data], cells: dict[tuple[str, str, int], list[Scored]], given: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Rows of the table."""
    for data in every:
        others = [
            other.name
            for other in every
            if other.name != data.name
            and (data.coefficients is None or other.coefficients != data.coefficients)
        ]
        for shots in given.shots:
            of_heads: dict[str, dict[str, Figures]] = {}
            for head in given.heads:
                constant = best_constant(
                    [cell for name in others for cell in cells[name, head, shots]]
                )
                some = cells[data.name, head, shots]
                if some:
                    of_heads[head] = {m: figures(answers(some, m, constant)) for m in METHODS}
            if not of_heads:
                continue
            groups = [list(of_heads)]
            if given.heads_apart:
                groups += [[head] for head in of_heads]
            for names in groups:
                by_method = {m: [of_heads[head][m] for head in names] for m in METHODS}
                label = names[0] if len(names) == 1 else "all"
                yield row(data.name, shots, label, by_method)


if __name__ == "__main__":
    main()
