"""Sets of classes, images of none of the classes, and the budget of errors: whether they hold.

    python benchmarks/prediction_sets.py                         # EfficientNet-Lite0 on digits
    python benchmarks/prediction_sets.py clip.npz --images DIR   # features; images by Lite0
    python benchmarks/prediction_sets.py BANK ... --shots 1 5    # folders of `fewshot extract`

A classifier is fitted on the shots of each of --tasks tasks, of random classes and of one class and
those with the nearest means ("near"). It is asked about images of its classes that it has not seen
(--queries of each), about images of other classes of the data set ("hard" strangers) and of the
other data sets of the same width that are given ("easy").

Sets, at --levels: how often the true class is in them and how many classes they hold, in percent
and in classes, with 95 % intervals over tasks;

    sets      as they ship
    own       split conformal prediction from the shots left out alone: all classes where they are
              too few for the level
    sum       the most probable classes until their probabilities add up to the level

Strangers, at --alarms: share of images of the classes that are taken for strangers, share of
strangers that are recognised, and AUROC of the distance. Budget, at --budgets: share of wrong
labels among those that nobody looks at (all tasks together), mean of that share over tasks, share
of tasks where it is within the budget, and share of labels that nobody looks at.

--fit prints the tables of `fewshot/tasks/classification/labelling/reference_quantiles.py` instead.
A calibrator that was fitted without a data set, and after a comma coefficients of probabilities:
--without caltech101=general.without_caltech101.json,probabilities.without_caltech101.json
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import half_over_splits, table, write
from numpy.typing import NDArray
from predicted_error import Data, from_bank, from_file, from_images
from scipy.special import ndtri
from sklearn.metrics import roc_auc_score

import fewshot
from fewshot.heads import Support, heads
from fewshot.statistics import conformal_quantile
from fewshot.tasks import fit_prediction_sets, fit_probabilities, to_review

STRANGERS = 60
QUANTILES = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 1.0)
ERRORS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
UNSURE, OVERLAP, TYPICAL_ERROR = 0.5, 0.15, 0.3  # as where the tables are
WIDTH = 0.3  # of the errors that are taken together, in standard deviations of the normal quantile


class Task(NamedTuple):
    """Shots and their labels, images of the same classes and theirs, hard and easy strangers."""

    shots: NDArray
    labels: NDArray
    queries: NDArray
    truth: NDArray
    hard: NDArray
    easy: NDArray


def draw(
    data: Data, others: Sequence[NDArray], size: tuple[int, int, int], near: bool, seed: int
) -> Task | None:
    """A task of `size` (ways, shots, queries); None if too few classes have enough images."""
    (_, features, labels), (ways, shots, queries) = data, size
    rng = np.random.default_rng((seed, ways, shots, near))
    rows = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    rows = [members for members in rows if len(members) >= shots + min(queries, 5)]
    if len(rows) < ways:
        return None
    chosen = rng.choice(len(rows), ways, replace=False)
    if near:
        means = np.stack([features[members].mean(0) for members in rows])
        chosen = np.argsort(np.square(means - means[chosen[0]]).sum(1))[:ways]
    images = [rng.permutation(rows[c]) for c in chosen.tolist()]
    asked = [members[shots : shots + queries] for members in images]
    rest = [rows[c] for c in sorted(set(range(len(rows))) - set(chosen.tolist()))]
    classes = rng.choice(len(rest), STRANGERS).tolist() if rest else []
    hard = np.array([rng.choice(rest[c]) for c in classes], int)
    other = others[int(rng.integers(len(others)))] if others else features[:0]
    easy = rng.choice(len(other), min(STRANGERS, len(other)), replace=False)
    return Task(
        features[np.concatenate([members[:shots] for members in images])],
        np.repeat(np.arange(ways), shots),
        features[np.concatenate(asked)],
        np.repeat(np.arange(ways), [len(members) for members in asked]),
        features[hard],
        other[easy],
    )


def sets_of(fitted: Any, probabilities: torch.Tensor, level: float) -> dict[str, torch.Tensor]:
    """Which classes are in the sets (M, N), as they ship and by the two baselines."""
    scores = torch.tensor(fitted.sets.nonconformity, dtype=torch.float64)
    order = probabilities.argsort(descending=True, stable=True)
    sorted_ = probabilities.gather(-1, order)
    before = sorted_.cumsum(-1) - sorted_
    added = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before < level)
    own = 1 - probabilities <= conformal_quantile(scores, level)
    own.scatter_(-1, order[:, :1], True)
    return {"sets": fitted.sets.members(probabilities, level), "own": own, "sum": added}


def fitted_on(task: Task, head: str, calibrator: str, coefficients: str) -> tuple[Any, float]:
    """A classifier of features and the error that is predicted for it; "": files that ship."""
    model = fewshot.Classifier(backbone=None, head=head, calibrator=calibrator or None)
    fitted, note = model.fit(task.shots, task.labels).fitted_, model.header_.error
    assert note is not None
    if not coefficients:
        return fitted, note.error
    shots = torch.from_numpy(task.shots).view(1, len(model.classes_), -1, task.shots.shape[1])
    support = Support.of(shots)
    refitted = heads.create(head).fit(support)
    proba = fit_probabilities(support, refitted, note.error, Path(coefficients))
    sets = fit_prediction_sets(support, refitted, proba, note.error)
    return replace(fitted, probabilities=proba, sets=sets), note.error


def of_task(
    task: Task, given: argparse.Namespace, calibrator: str = "", coefficients: str = ""
) -> dict[str, Any]:
    """What happened in one task, by the names of the columns."""
    fitted, error = fitted_on(task, given.head, calibrator, coefficients)
    queries, truth = torch.from_numpy(task.queries), torch.from_numpy(task.truth)
    probabilities = fitted.predict_proba(queries)
    sure, answers = probabilities.max(-1)
    wrong = answers != truth
    seen: dict[str, Any] = {"error": float(wrong.double().mean())}
    for level in given.levels:
        for name, members in sets_of(fitted, probabilities, level).items():
            covered = members.gather(-1, truth[:, None]).double().mean()
            seen[f"{name} {level} cover"] = float(covered)
            seen[f"{name} {level} size"] = float(members.sum(-1).double().mean())
    strangers, chances = fitted.strangers, fitted.strangers.chances(queries)
    near = fitted.strangers.distances(queries)
    kinds = {"hard": torch.from_numpy(task.hard), "easy": torch.from_numpy(task.easy)}
    for alarm in given.alarms:
        seen[f"false {alarm}"] = float((chances < alarm).double().mean())
    for kind, images in kinds.items():
        if len(images):
            far, which = strangers.distances(images), strangers.chances(images)
            for alarm in given.alarms:
                seen[f"{kind} {alarm}"] = float((which < alarm).double().mean())
            both = torch.cat([near, far])
            seen[f"{kind} auroc"] = roc_auc_score(np.arange(len(both)) >= len(near), both)
    for budget in given.budgets:
        accepted = ~to_review(sure, budget)
        missed = int((accepted & wrong).sum())
        seen[f"missed {budget}"], seen[f"accepted {budget}"] = missed, int(accepted.sum())
        seen[f"share {budget}"] = missed / max(1, int(accepted.sum()))
    right = probabilities.gather(-1, truth[:, None])[:, 0]
    moved = 0.0
    if len(task.shots) > len(fitted.classnames):
        above = float(np.diff(ndtri([TYPICAL_ERROR, np.clip(error, 0.05, 0.7)]))[0])
        moved = UNSURE / len(task.shots) + OVERLAP * above
    raw = {"left": 1 - right, "far": 2 * near.log() - moved}
    return seen | {"images": len(truth), "predicted": error, "raw": raw}


def tasks_of(
    data: Data, others: Sequence[NDArray], given: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Every task of a data set, with what it is a task of."""
    files = given.without.get(data[0], "").split(",")
    for ways in given.ways:
        for shots in given.shots:
            for near in (False, True):
                for number in range(given.tasks):
                    seed = 1000 * given.seed + number
                    task = draw(data, others, (ways, shots, given.queries), near, seed)
                    if task is None or (near and ways == len(np.unique(data[2]))):
                        break
                    key = {"data": data[0], "ways": ways, "shots": shots}
                    key |= {"classes": "near" if near else "random"}
                    yield key | of_task(task, given, *files)


def percent(values: Sequence[float]) -> str:
    """Mean in percent with half the width of its 95 % interval over tasks."""
    half = f" ± {100 * half_over_splits(values):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{half}"


def set_rows(cells: dict[tuple, list[dict]], levels: Sequence[float]) -> list[dict[str, str]]:
    """A row per cell and level: coverage and size of the three kinds of sets."""
    rows = []
    for key, tasks in cells.items():
        for level in levels:
            row = _named(key, tasks) | {"level": f"{100 * level:g}"}
            for name in ("sets", "own", "sum"):
                size = np.mean([task[f"{name} {level} size"] for task in tasks])
                row[name] = percent([task[f"{name} {level} cover"] for task in tasks])
                row[f"{name} size"] = f"{size:.2f}"
            rows.append(row)
    return rows


def stranger_rows(cells: dict[tuple, list[dict]], alarms: Sequence[float]) -> list[dict[str, str]]:
    """A row per cell and rate of alarms: false alarms, strangers recognised, AUROC."""
    rows = []
    for key, tasks in cells.items():
        for alarm in alarms:
            row = _named(key, tasks) | {"alarm": f"{100 * alarm:g}"}
            row["false alarms"] = percent([task[f"false {alarm}"] for task in tasks])
            for kind in ("hard", "easy"):
                some = [task for task in tasks if f"{kind} auroc" in task]
                row[kind] = percent([task[f"{kind} {alarm}"] for task in some]) if some else "-"
                auroc = np.mean([task[f"{kind} auroc"] for task in some]) if some else None
                row[f"{kind} AUROC"] = "-" if auroc is None else f"{100 * auroc:.1f}"
            rows.append(row)
    return rows


def budget_rows(cells: dict[tuple, list[dict]], budgets: Sequence[float]) -> list[dict[str, str]]:
    """A row per cell and budget: wrong and accepted labels."""
    rows = []
    for key, tasks in cells.items():
        for budget in budgets:
            missed, accepted = (
                np.array([task[f"{name} {budget}"] for task in tasks])
                for name in ("missed", "accepted")
            )
            shares = [task[f"share {budget}"] for task in tasks]
            row = _named(key, tasks) | {"budget": f"{100 * budget:g}"}
            row["wrong"] = f"{100 * missed.sum() / max(1, accepted.sum()):.1f}"
            row["mean share"] = percent(shares)
            row["within"] = f"{100 * np.mean([share <= budget for share in shares]):.0f}"
            images = np.array([task["images"] for task in tasks])
            row["accepted"] = percent(accepted / images)
            rows.append(row)
    return rows


def _named(key: tuple, tasks: list[dict]) -> dict[str, str]:
    names = ("data", "classes", "ways", "shots")
    row = dict(zip(names, map(str, key), strict=True))
    return row | {"error": f"{100 * np.mean([task['error'] for task in tasks]):.1f}"}


def grouped(tasks: Sequence[dict], *, over_data: bool) -> dict[tuple, list[dict]]:
    """Tasks by data set, kind of classes, ways and shots; or over all data sets."""
    cells = defaultdict(list)
    for task in tasks:
        name = "all" if over_data else task["data"]
        kind = "both" if over_data else task["classes"]
        cells[name, kind, task["ways"], task["shots"]].append(task)
    return dict(cells)


def fitted_tables(tasks: Sequence[dict]) -> dict[str, Any]:
    """The tables that ship: quantiles over images of all tasks, data sets alike."""
    counts: dict[str, int] = defaultdict(int)
    for task in tasks:
        counts[task["data"]] += 1
    shares = np.array([1 / counts[task["data"]] for task in tasks])
    errors = ndtri(np.clip([task["predicted"] for task in tasks], 0.01, 0.9))
    lone = np.array([task["shots"] == 1 for task in tasks])
    ways = np.array([task["ways"] for task in tasks])
    single = [shares * (lone & (ways == number)) for number in sorted(set(ways[lone].tolist()))]
    several = shares * ~lone
    near = [np.exp(-0.5 * np.square((errors - ndtri(error)) / WIDTH)) for error in ERRORS]
    return {
        "SINGLE_SHOT_DISTANCES": [_quantiles(tasks, some, "far") for some in single],
        "SEVERAL_SHOTS_DISTANCES": _quantiles(tasks, several, "far"),
        "SINGLE_SHOT_NONCONFORMITY": [_quantiles(tasks, some, "left") for some in single],
        "SEVERAL_SHOTS_NONCONFORMITY": [
            _quantiles(tasks, several * weight, "left") for weight in near
        ],
    }


def _quantiles(tasks: Sequence[dict], weights: NDArray, name: str) -> list[float]:
    values = np.concatenate([task["raw"][name].numpy() for task in tasks])
    each = [weight / task["images"] for weight, task in zip(weights, tasks, strict=True)]
    spread = np.repeat(each, [task["images"] for task in tasks])
    order = np.argsort(values)
    reached = np.cumsum(spread[order])
    found = np.interp(QUANTILES, reached / reached[-1], values[order])
    if name == "left":
        found[-1] = 1.0  # what no image got may yet be got
    return [round(float(value), 4) for value in found]


def main() -> None:
    """Measure, or fit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="*", help=".npz files and folders of `fewshot extract`")
    parser.add_argument("--images", nargs="*", default=[], metavar="DIR")
    parser.add_argument("--head", default="ridge")
    parser.add_argument("--ways", nargs="+", type=int, default=[5])
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 2, 5, 10])
    parser.add_argument("--tasks", type=int, default=30)
    parser.add_argument("--queries", type=int, default=15, help="of every class")
    parser.add_argument("--levels", nargs="+", type=float, default=[0.8, 0.9, 0.95])
    parser.add_argument("--alarms", nargs="+", type=float, default=[0.05])
    parser.add_argument("--budgets", nargs="+", type=float, default=[0.02, 0.05, 0.1])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without", nargs="*", default=[], metavar="DATA=JSON[,JSON]")
    parser.add_argument("--fit", action="store_true", help="print the tables that ship")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    given.without = dict(pair.split("=", 1) for pair in given.without)
    sets = [from_bank(path) if Path(path).is_dir() else from_file(path) for path in given.data]
    sets += [from_images(folder) for folder in given.images or ([] if sets else [None])]
    sets = [(name, _unit(features), labels) for name, features, labels in sets]
    tasks: list[dict[str, Any]] = []
    for data in sets:
        others = [
            features
            for name, features, _ in sets
            if name != data[0] and features.shape[1] == data[1].shape[1]
        ]
        tasks += tasks_of(data, others, given)
        print(f"{data[0]}: {len(tasks)} tasks", flush=True)
    if given.fit:
        print(json.dumps(fitted_tables(tasks)))
        return
    rows = []
    for over_data in (False, True):
        cells = grouped(tasks, over_data=over_data)
        for rows_of, asked in (
            (set_rows, given.levels),
            (stranger_rows, given.alarms),
            (budget_rows, given.budgets),
        ):
            rows += (part := rows_of(cells, asked))
            print(table(part) + "\n")
    names = list(dict.fromkeys(name for row in rows for name in row))
    if given.json:
        write(given.json, [{name: row.get(name, "-") for name in names} for row in rows])


def _unit(features: NDArray) -> NDArray:
    features = np.asarray(features, np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True).clip(1e-12)


if __name__ == "__main__":
    main()
