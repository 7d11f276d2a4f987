"""Time, memory and difference of the estimators' methods for many ways.

    python benchmarks/many_ways.py                          # random features
    python benchmarks/many_ways.py --features bank.npz      # features and labels of real images

One episode of 5 shots, nearest class mean, one core. Up to 200 ways the probability that each class
wins is computed by both methods: Genz's, an integral in N - 1 dimensions for every class, and
along lines, which estimators use beyond 32 ways. Differences are of the predicted error of an
episode, over several episodes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from common import features_of, random_bank, write
from memory import Peak

from fewshot.episodes import sample_episodes
from fewshot.estimators import estimators, winning_probability
from fewshot.features import make_bank
from fewshot.hardware import torch_threads
from fewshot.heads import heads
from fewshot.tasks import predicted_errors

COMPARED = ("s before", "MiB before", "predicted", "mean difference", "largest")
CPU = torch.device("cpu")


def main() -> None:
    """Measure `--estimators` at `--ways`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", default="50,100,200,1000")
    parser.add_argument("--estimators", default="margin,gaussian,auto")
    parser.add_argument("--episodes", type=int, default=5, help="of the differences")
    parser.add_argument("--features", type=Path, metavar="FILE")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    ways = [int(n) for n in given.ways.split(",")]
    if given.features:
        bank = make_bank(*features_of(given.features))
    else:
        bank = random_bank(classes=max(ways), images=8, dim=512, spread=3.0)
    rows = []
    for n in [n for n in ways if n <= len(bank.classnames)]:
        for name in given.estimators.split(","):
            row = {"ways": n, "estimator": name} | measured(bank, n, name, 1)
            both = name == "margin" and n <= 200
            row |= compared(bank, n, given.episodes) if both else dict.fromkeys(COMPARED, "")
            rows.append(row)
    write(given.json, rows)


def measured(bank, ways: int, name: str, episodes: int) -> dict[str, str]:
    """Seconds of one core and MiB for an episode."""
    drawn = sample_episodes(bank.labels, ways, 5, 1, episodes)
    with torch_threads(1), Peak() as peak:
        begun = time.perf_counter()
        predict(bank, drawn, name)
        seconds = time.perf_counter() - begun
    return {"s": f"{seconds:.2f}", "MiB": f"{peak.beyond_start / 2**20:.0f}"}


def compared(bank, ways: int, episodes: int) -> dict[str, str]:
    """Seconds and MiB of one integral per class, and the differences of the errors."""
    drawn = sample_episodes(bank.labels, ways, 5, 1, episodes)
    figures, differences, errors = [], [], []
    for e in range(episodes):
        margins, scatter = normal_scores(bank, drawn.support[e])
        with torch_threads(1), Peak() as peak:
            begun = time.perf_counter()
            integrals = winning_probability(margins, scatter, exact_ways=ways).mean()
            figures.append((time.perf_counter() - begun, peak))
        lines = winning_probability(margins, scatter).mean()
        differences.append(abs(float(lines - integrals)))
        errors.append(1 - float(integrals))
    seconds, peak = figures[0]
    means = statistics.mean(errors), statistics.mean(differences), max(differences)
    values = f"{seconds:.2f}", f"{peak.beyond_start / 2**20:.0f}", *(f"{v:.4f}" for v in means)
    return dict(zip(COMPARED, values, strict=True))


def normal_scores(bank, rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Expected margins (1, N, N) and covariance of the scores (1, N, N) of nearest class mean."""
    shots = torch.from_numpy(bank.features[rows].astype("float64"))
    means = shots.mean(1)
    deviations = (shots - means[:, None]).flatten(0, 1)
    trace = deviations.square().sum() / (len(deviations) - len(means))
    scores = means @ means.T - means.square().sum(1) / 2
    projected = deviations @ means.T
    scatter = projected.T @ projected / (len(deviations) - len(means))
    margins = scores.diagonal()[:, None] - scores - trace / shots.shape[1]
    return margins[None], scatter[None]


def predict(bank, drawn, name: str) -> list[float]:
    """Predicted errors of nearest class mean."""
    predicted = predicted_errors(
        bank, drawn, heads.create("ncm"), {name: estimators.create(name)}, device=CPU, threads=1
    )
    return predicted[name].error.tolist()


if __name__ == "__main__":
    main()
