"""Milliseconds that every estimator takes for an episode.

    python benchmarks/estimator_speed.py

Random Gaussian features, 5-way 5-shot at 640 dimensions unless told otherwise, nearest class mean,
half of the classes base. Wall time for all episodes on all cores, fitting on base classes left out,
per episode; the median of three passes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import torch
from common import random_bank, write

from fewshot.datasets import random_parts
from fewshot.episodes import sample_episodes
from fewshot.estimators import estimators
from fewshot.hardware import available_cores, torch_threads
from fewshot.heads import heads
from fewshot.tasks import draw_base_episodes, evaluate_base_classes, predicted_errors


def main() -> None:
    """Time every registered estimator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--head", default="ncm")
    parser.add_argument("--ways", type=int, default=5)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--dim", type=int, default=640)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    bank = random_bank(dim=given.dim, images=100)
    bank = replace(bank, parts=tuple(random_parts(len(bank.classnames), 0.5, 0)))
    drawn = sample_episodes(
        bank.labels, given.ways, given.shots, 15, given.episodes, classes=bank.classes("novel")
    )
    head, cpu = heads.create(given.head), torch.device("cpu")
    base = draw_base_episodes(bank, given.ways, given.shots, 15, 200, 0)
    rows = []
    with torch_threads(given.threads):
        known = evaluate_base_classes(bank, base, head, device=cpu)
        for name in estimators:
            estimator = estimators.create(name)
            if estimator.sees_queries:
                continue
            estimator.fit(known)
            seconds = []
            for _ in range(4):
                begun = time.perf_counter()
                found = predicted_errors(
                    bank, drawn, head, {name: estimator}, device=cpu, threads=given.threads
                )
                seconds.append(time.perf_counter() - begun)
            each = 1000 * statistics.median(seconds[1:]) / given.episodes
            core = 1000 * found[name].seconds / given.episodes
            rows.append({"estimator": name, "ms": f"{each:.3f}", "ms of one core": f"{core:.3f}"})
    write(given.json, rows)


if __name__ == "__main__":
    main()
