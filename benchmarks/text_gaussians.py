"""Class Gaussians from text against shots alone and names alone, on several splits of the classes.

    python text_gaussians.py --features FILE.npz          # features, labels, text (C, D)
    python text_gaussians.py --images DIR                 # DIR/<class>/<image>, under conse_lite0
    python text_gaussians.py --speed                      # random features, 1000 classes x 512

Base classes teach the predictor and its pool; episodes are of the others. "paired" is the
difference to the better of ncm and zero_shot on the same episodes, mean over the splits with the
95 % t interval over the splits, and in brackets the mean half-width of the interval for other
classes and images within a split. Nothing is chosen on novel classes.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from common import best_of, half_over_splits, write
from torch.nn.functional import normalize

import fewshot
from fewshot.backbones import load
from fewshot.datasets import random_parts
from fewshot.episodes import sample_episodes
from fewshot.features import FeatureBank, make_bank
from fewshot.heads import Head, heads
from fewshot.statistics import compare_on_episodes
from fewshot.tasks import actual_errors, fit_text_gaussians

CPU = torch.device("cpu")
VARIANTS: dict[str, dict[str, str]] = {
    "text_gaussian": {},
    "mode=mean": {"mode": "mean"},
    "mode=std": {"mode": "std"},
    "prior=names": {"prior": "names"},
    "prior=regression": {"prior": "regression"},
    "covariance=low_rank": {"covariance": "low_rank"},
    "mixing=posterior": {"mixing": "posterior"},
    "mixing=grid": {"mixing": "grid"},
}


def judges() -> dict[str, Head]:
    """The heads to compare, by what stands in the table."""
    made = {name: heads.create(name) for name in ("ncm", "zero_shot", "gda", "tip_adapter")}
    return made | {name: heads.create("text_gaussian", **own) for name, own in VARIANTS.items()}


def measure(bank: FeatureBank, given: argparse.Namespace) -> list[dict[str, Any]]:
    """A row per number of shots and head."""
    rights: dict[tuple[int, str], list[float]] = {}
    gains: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for seed in range(given.splits):
        parts = random_parts(len(bank.classnames), given.base, seed)
        split = replace(bank, parts=parts)
        novel = split.classes("novel")
        for shots in given.shots:
            episodes = sample_episodes(
                bank.labels, given.ways, shots, given.queries, given.episodes, seed,
                classes=novel, min_images="drop",
            )  # fmt: skip
            right = {
                name: 1 - actual_errors(split, episodes, head, device=CPU)[0]
                for name, head in judges().items()
                if head.least_shots <= shots
            }
            simple = [name for name in ("ncm", "zero_shot") if name in right]
            best = max(simple, key=lambda name: float(np.nanmean(right[name])))
            where = (episodes.classes, episodes.labels, episodes.support, episodes.query)
            for name, own in right.items():
                rights.setdefault((shots, name), []).append(100 * float(np.nanmean(own)))
                found = compare_on_episodes(own, right[best], *where)["intervals"]
                width = found["classes"]["upper"] - found["classes"]["lower"]
                mean = 100 * found["episodes"]["mean"]
                gains.setdefault((shots, name), []).append((mean, 50 * width))
    return [_row(*key, rights[key], gains[key]) for key in rights]


def _row(
    shots: int, name: str, rights: list[float], gains: list[tuple[float, float]]
) -> dict[str, Any]:
    mean, width = np.mean(gains, axis=0)
    half = half_over_splits([one for one, _ in gains])
    return {
        "shots": shots,
        "head": name,
        "accuracy (%)": f"{np.mean(rights):.2f}",
        "paired": f"{mean:+.2f} ± {half:.2f} ({width:.2f})",
    }


def from_images(folder: str) -> FeatureBank:
    """Features of images, and vectors of the names of their folders."""
    bank = fewshot.extract(folder, "conse_lite0", text=False)
    names = (
        load("conse_lite0")
        .load_dual(CPU)
        .encode_text([c.replace("_", " ") for c in bank.classnames])
    )
    return replace(bank, text=normalize(names, dim=-1).numpy())


def speed() -> list[dict[str, Any]]:
    """Seconds to fit the predictor, and episodes per second."""
    rng = np.random.default_rng(0)
    classes, images, dim = 1200, 10, 512
    text = rng.normal(size=(classes, dim)).astype(np.float32)
    means = text @ rng.normal(size=(dim, dim)).astype(np.float32) / dim**0.5
    labels = np.repeat(np.arange(classes), images)
    features = means[labels] + 2 * rng.normal(size=(len(labels), dim)).astype(np.float32)
    parts = tuple("base" if c < 1000 else "novel" for c in range(classes))
    bank = replace(make_bank(features, labels, text=text, normalize="l2"), parts=parts)
    fit, median = best_of(lambda: fit_text_gaussians(bank), 3)
    rows = [{"what": "fit, 1000 base classes x 512", "figure": f"{fit:.2f} s ({median:.2f})"}]
    episodes = sample_episodes(labels, 5, 1, 5, 1000, 0, classes=bank.classes("novel"))
    for name in ("ncm", "zero_shot", "text_gaussian"):
        head = heads.create(name)
        seconds, _ = best_of(lambda head=head: actual_errors(bank, episodes, head, device=CPU), 3)
        rate = f"{len(episodes) / seconds:,.0f} episodes/s"
        rows.append({"what": f"{name}, 5-way 1-shot 5 queries", "figure": rate})
    return rows


def main() -> None:
    """Accuracies, or seconds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--features", metavar="FILE")
    what.add_argument("--images", metavar="DIR")
    what.add_argument("--speed", action="store_true")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--base", type=float, default=0.8, help="share of base classes")
    parser.add_argument("--ways", type=int, default=5)
    parser.add_argument("--shots", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--queries", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    begun = time.perf_counter()
    try:
        if given.speed:
            rows = speed()
        else:
            bank = fewshot.extract(given.features) if given.features else from_images(given.images)
            rows = measure(replace(bank, normalize="l2", parts=None), given)
    except fewshot.FewshotError as error:
        parser.error(str(error))
    write(given.json, rows)
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
