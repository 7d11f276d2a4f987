"""Do hyper-parameters that are chosen on base classes help on novel ones?

    python benchmarks/tuning.py digits.npz caltech101.npz --splits 5 --output tuning.json

Files as for dataset=features (``fewshot bank export``). Every split makes half of the classes base;
Optuna chooses on episodes of those, and the choice is judged on episodes of the others, beside the
default, on the same episodes. ± is 95 % over splits (Student's t), which novel classes, and which
base classes, being the chance; p is of that, for one row. Needs optuna.

The best of many trials looks better on the episodes of the search than it is, so that the gain is
measured on fresh episodes of the same base classes as well; and what arrives on novel classes is
told over all rows, whatever came out in them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import half_over_splits, table, write
from scipy import stats

import fewshot
from fewshot.datasets import random_parts
from fewshot.heads import heads

# Setting, lowest and highest value, both on a log scale.
SPACES = {
    "logistic": ("C", 1e-3, 1e3),
    "svm": ("C", 1e-3, 1e3),
    "ridge": ("alpha", 1e-3, 1e3),
    "lda": ("shrinkage", 1e-3, 1.0),
}
# The episodes of the search, others of the same classes, those of novel classes.
JUDGED = ("searched", "fresh", "novel")
FRESH = 1000


class Row(NamedTuple):
    """A setting on a data set; `errors` (S, 6) of S splits, as ``judge`` gives them, in %."""

    data: str
    head: str
    shots: int
    errors: np.ndarray
    values: list[float]


def error_of(data: tuple, parts: np.ndarray, part: str, head: Any, shots: int, seed: int) -> float:
    """Mean error of 300 five-way episodes."""
    result = fewshot.evaluate(
        *data, split=parts, head=head, ways=5, shots=shots, episodes=300, seed=seed, part=part,
        estimators=[], normalize="l2", min_images="drop", queries=15,
    )  # fmt: skip
    return float(result.summary["actual_error"]["mean"])


def parts_of(data: tuple, split: int) -> np.ndarray:
    labels = data[1]
    return np.array(random_parts(int(labels.max()) + 1, 0.5, split))[labels]


def search(data: tuple, name: str, shots: int, split: int, trials: int, part: str) -> float:
    """The value that Optuna finds on episodes of `part`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parts = parts_of(data, split)
    key, low, high = SPACES[name]

    def objective(trial: Any) -> float:
        own = heads.create(name, **{key: trial.suggest_float(key, low, high, log=True)})
        return error_of(data, parts, part, own, shots, split)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=trials)
    return float(study.best_params[key])


def judge(data: tuple, name: str, shots: int, split: int, value: float, part: str) -> list[float]:
    """Errors of the default and of `value`, by turns, on each of JUDGED."""
    parts = parts_of(data, split)
    both = heads.create(name), heads.create(name, **{SPACES[name][0]: value})
    judged = ((part, split), (part, split + FRESH), ("novel", split))
    return [error_of(data, parts, own, head, shots, seed) for own, seed in judged for head in both]


def load(path: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        numbers = np.unique(file["labels"], return_inverse=True)[1]
        return file["features"].astype(np.float32), numbers


def row(data: tuple, file: str, name: str, shots: int, given: argparse.Namespace) -> Row:
    """Errors (S, 6) of a setting, in %, and the values chosen (S,), for S splits."""
    splits = range(given.splits)
    values = [search(data, name, shots, one, given.trials, given.part) for one in splits]
    found = [judge(data, name, shots, *one, given.part) for one in zip(splits, values, strict=True)]
    return Row(Path(file).stem, name, shots, 100 * np.array(found), values)


def shown(one: Row) -> dict[str, Any]:
    """Means over splits."""
    gain = one.errors[:, 5] - one.errors[:, 4]
    half, p = half_over_splits(gain), 1.0
    if gain.any():
        p = float(stats.ttest_1samp(gain, 0).pvalue)
    facts: dict[str, Any] = {
        "data": one.data, "setting": f"{one.head}.{SPACES[one.head][0]}", "shots": one.shots,
    }  # fmt: skip
    for place, words in enumerate(JUDGED):
        default, best = one.errors[:, 2 * place : 2 * place + 2].mean(0)
        facts[f"{words}: default, best"] = f"{default:.2f}, {best:.2f}"
    facts["difference on novel"] = f"{gain.mean():+.2f} ± {half:.2f}"
    facts["p"] = f"{p:.4f}"
    facts["values"] = " ".join(f"{value:.3g}" for value in one.values)
    return facts


def carried(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Gain on each of JUDGED, the mean over all rows of a data set: none is picked.

    A split gives one number, as its rows share their classes; ± is over those.
    """
    lines = []
    for name in [*dict.fromkeys(one.data for one in rows), "all"]:
        errors = np.mean([one.errors for one in rows if name in (one.data, "all")], axis=0)
        gains = errors[:, ::2] - errors[:, 1::2]  # (S, 3)
        texts = [f"{own.mean():+.2f} ± {half_over_splits(own):.2f}" for own in gains.T]
        share = gains[:, 2].mean() / gains[:, 0].mean()
        lines.append({"data": name, **dict(zip(JUDGED, texts, strict=True)),
                      "novel / searched": f"{share:.2f}"})  # fmt: skip
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--heads", nargs="+", default=list(SPACES))
    parser.add_argument("--part", default="base", help="novel shows the most that tuning could do")
    parser.add_argument("--output")
    given = parser.parse_args()
    rows = [
        row(load(file), file, name, shots, given)
        for file in given.files
        for name in given.heads
        for shots in given.shots
    ]
    write(given.output, [shown(one) for one in rows])
    print(f"\nGains in points, means over all {len(rows)} rows:\n{table(carried(rows))}")


if __name__ == "__main__":
    main()
