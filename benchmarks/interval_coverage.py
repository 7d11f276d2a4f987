"""How often the intervals of the mean accuracy hold what they claim to hold.

    python benchmarks/interval_coverage.py                         # the table, 2 minutes of a core
    python benchmarks/interval_coverage.py --shots 1 --ways 2 --repetitions 100
    python benchmarks/interval_coverage.py --sampler disjoint --redrawn images

Gaussian classes, each with its own mean and covariance; nearest class mean. Two things are drawn
anew: images of the same classes (several sets of classes, many draws of images each), or classes
and images. The truth is the mean over all draws. Every row gives the half width that would have
been right (1.96 standard deviations of the measured mean), and of every interval its mean half
width and the share of draws in which it held the truth, which for the interval that names what
was drawn should be 95 %.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from common import write

from fewshot.episodes import EpisodeSet, sample_disjoint_episodes, sample_episodes
from fewshot.features import make_bank
from fewshot.heads import NCM
from fewshot.statistics import population_intervals
from fewshot.tasks import actual_errors


@dataclass(frozen=True)
class Classes:
    """Means (C, D) and roots of covariances (C, D, D)."""

    means: np.ndarray
    roots: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, many: int, dim: int, spread: float) -> Classes:
        """Means from a standard normal, covariances of differing size and shape."""
        size = spread * np.exp(0.1 * rng.normal(size=(many, 1, 1)))
        scales = size * np.exp(0.3 * rng.normal(size=(many, 1, dim)))
        turned = np.linalg.qr(rng.normal(size=(many, dim, dim)))[0]
        return cls(rng.normal(size=(many, dim)), turned * scales)

    def images(self, rng: np.random.Generator, each: int) -> tuple[np.ndarray, np.ndarray]:
        """Features (C * each, D) and labels."""
        many, dim = self.means.shape
        noise = rng.normal(size=(many, each, dim)) @ self.roots.transpose(0, 2, 1)
        features = (self.means[:, None] + noise).reshape(-1, dim)
        return features.astype(np.float32), np.repeat(np.arange(many), each)


def drawn(
    labels: np.ndarray, queries: int | str, seed: int, options: argparse.Namespace
) -> EpisodeSet:
    """Episodes of one draw of images: disjoint ones are as many as there are, or fewer."""
    if options.sampler == "disjoint":
        count = options.disjoint or "all"
        return sample_disjoint_episodes(labels, options.ways, options.shots, queries, count, seed)
    return sample_episodes(labels, options.ways, options.shots, queries, options.episodes, seed)


def intervals(
    classes: Classes, each: int, seed: int, options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Intervals of one draw of images and of episodes."""
    features, labels = classes.images(np.random.default_rng((seed, 1)), each)
    bank = make_bank(features, labels)
    queries = options.queries if options.queries == "all" else int(options.queries)
    episodes = drawn(labels, queries, seed, options)
    error, _ = actual_errors(
        bank, episodes, NCM(), device=torch.device("cpu"), threads=options.threads
    )
    return population_intervals(
        1 - error, episodes.classes, labels, episodes.support, episodes.query
    )


def simulate(
    redrawn: str, each: int, options: argparse.Namespace
) -> list[list[dict[str, dict[str, Any]]]]:
    """Intervals by set of classes (one set when all are drawn anew) and repetition."""
    groups = options.groups if redrawn == "images" else options.repetitions
    repeats = []
    for group in range(groups):
        rng = np.random.default_rng((options.seed, group))
        classes = Classes.draw(rng, options.classes, options.dim, options.spread)
        count = options.repetitions // groups
        seeds = range(group * count, (group + 1) * count)
        repeats.append([intervals(classes, each, options.seed + s, options) for s in seeds])
    return repeats if redrawn == "images" else [[one for group in repeats for one in group]]


def row(redrawn: str, each: int, options: argparse.Namespace) -> dict[str, Any]:
    """A line of the table, in percentage points and percent."""
    drawn = simulate(redrawn, each, options)
    means = [np.array([one["episodes"]["mean"] for one in group]) for group in drawn]
    actual = np.sqrt(np.mean([mean.var(ddof=1) for mean in means]))
    line = {
        "redrawn": redrawn,
        "images": each,
        "ways": options.ways,
        "shots": options.shots,
        "accuracy": f"{100 * np.mean(means):.1f}",
        "actual ±": f"{196 * actual:.2f}",
    }
    for population in ("episodes", "images", "classes"):
        held, half = [], []
        for group, mean in zip(drawn, means, strict=True):
            for one in (each_draw[population] for each_draw in group):
                if one["lower"] is not None:
                    held.append(one["lower"] <= mean.mean() <= one["upper"])
                    half.append((one["upper"] - one["lower"]) / 2)
        line[f"{population} ±"] = f"{100 * np.mean(half):.2f}" if half else "-"
        line[f"{population} %"] = f"{100 * np.mean(held):.0f}" if held else "-"
    return line


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, value in {"classes": 20, "ways": 5, "shots": 5, "episodes": 2000, "dim": 32}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--sampler", default="balanced", choices=["balanced", "disjoint"])
    parser.add_argument("--disjoint", type=int, help="number of disjoint episodes; all by default")
    parser.add_argument("--queries", default="15", help='images per class, or "all"')
    parser.add_argument("--images", type=int, nargs="+", default=[600, 100], help="per class")
    parser.add_argument("--spread", type=float, default=1.6, help="of a class, its means' being 1")
    parser.add_argument("--repetitions", type=int, default=300)
    parser.add_argument("--groups", type=int, default=6, help="sets of classes")
    parser.add_argument("--redrawn", nargs="+", default=["images", "classes"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", help="keep the rows")
    options = parser.parse_args()
    lines = [row(kind, each, options) for kind in options.redrawn for each in options.images]
    write(options.json, lines)


if __name__ == "__main__":
    main()
