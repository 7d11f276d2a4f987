"""Do hyper-parameters that are chosen on base classes help on novel ones?

    python benchmarks/tuning.py digits.npz caltech101.npz --splits 5 --output tuning.json

Files as for dataset=features (``fewshot bank export``). Every split makes half of the classes base;
Optuna chooses on episodes of those, and the choice is judged on episodes of the others, beside the
default, on the same episodes. ± is 95 % over splits (Student's t), which novel classes, and which
base classes, being the chance. Needs optuna.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
from common import write
from scipy import stats

import fewshot
from fewshot.datasets.splits import random_parts
from fewshot.heads import heads

# Setting, lowest and highest value, both on a log scale.
SPACES = {
    "logistic": ("C", 1e-3, 1e3),
    "svm": ("C", 1e-3, 1e3),
    "ridge": ("alpha", 1e-3, 1e3),
    "lda": ("shrinkage", 1e-3, 1.0),
}


def error_of(data: tuple, parts: np.ndarray, part: str, head: Any, shots: int, seed: int) -> float:
    """Mean error of 300 five-way episodes."""
    result = fewshot.evaluate(
        *data, split=parts, head=head, ways=5, shots=shots, episodes=300, seed=seed, part=part,
        estimators=[], normalize="l2", min_images="drop", queries=15,
    )  # fmt: skip
    return float(result.summary["actual_error"]["mean"])


def tuned(
    data: tuple, name: str, shots: int, split: int, trials: int, part: str
) -> tuple[float, ...]:
    """Errors on `part` and on novel classes, of the default and of the best value there."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    labels = data[1]
    parts = np.array(random_parts(int(labels.max()) + 1, 0.5, split))[labels]
    key, low, high = SPACES[name]

    def objective(trial: Any) -> float:
        own = heads.create(name, **{key: trial.suggest_float(key, low, high, log=True)})
        return error_of(data, parts, part, own, shots, split)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=trials)
    best = heads.create(name, **study.best_params)
    return (
        error_of(data, parts, part, heads.create(name), shots, split),
        study.best_value,
        error_of(data, parts, "novel", heads.create(name), shots, split),
        error_of(data, parts, "novel", best, shots, split),
        study.best_params[key],
    )


def load(path: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        numbers = np.unique(file["labels"], return_inverse=True)[1]
        return file["features"].astype(np.float32), numbers


def row(data: tuple, file: str, name: str, shots: int, given: argparse.Namespace) -> dict[str, Any]:
    """Means over splits, in %."""
    found = np.array(
        [tuned(data, name, shots, s, given.trials, given.part) for s in range(given.splits)]
    )
    gain = 100 * (found[:, 3] - found[:, 2])
    half = stats.t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / math.sqrt(len(gain))
    base_default, base_best, default, best = (100 * found[:, :4]).mean(0)
    return {
        "data": Path(file).stem, "setting": f"{name}.{SPACES[name][0]}", "shots": shots,
        "base, default": round(base_default, 2), "base, best": round(base_best, 2),
        "novel, default": round(default, 2), "novel, tuned": round(best, 2),
        "difference on novel": f"{gain.mean():+.2f} ± {half:.2f}",
        "values": " ".join(f"{value:.3g}" for value in found[:, 4]),
    }  # fmt: skip


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
    write(given.output, rows)


if __name__ == "__main__":
    main()
