"""Errors of heads minus that of nearest class mean, on the same episodes of features.

    python benchmarks/heads_beside_ncm.py FEATURES.npz ... --heads proto_lp proto_lp:prior=none bpa

Five-way episodes, with 10 queries of every class, or 50 whose shares of the classes are drawn from
a Dirichlet distribution (alpha 2). A cell is a difference in points with its 95 % interval over
episodes; errors are means over the classes that have queries. Features get unit length.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from common import features_of, write
from numpy.typing import NDArray

from fewshot.episodes import EpisodeSet, sample_episodes, sample_imbalanced_episodes
from fewshot.features import FeatureBank, make_bank
from fewshot.heads import Head, heads
from fewshot.statistics import mean_interval
from fewshot.tasks import actual_errors

WAYS, QUERIES = 5, 10


def bank_of(path: Path) -> FeatureBank:
    """Rows of unit length."""
    features, labels = features_of(path)
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    return make_bank(features.astype(np.float32), labels)


def head_of(text: str) -> Head:
    """A head with settings: ``proto_lp:prior=none,steps=20``."""
    name, _, settings = text.partition(":")
    pairs = [entry.split("=", 1) for entry in settings.split(",") if entry]
    head: Head = heads.create(name, **{key: yaml.safe_load(value) for key, value in pairs})
    return head


def draw(bank: FeatureBank, shots: int, shares: str, count: int) -> EpisodeSet:
    """Episodes; classes with too few images drop out."""
    if shares == "equal":
        return sample_episodes(bank.labels, WAYS, shots, QUERIES, count, min_images="drop")
    total = WAYS * QUERIES
    return sample_imbalanced_episodes(bank.labels, WAYS, shots, total, count, min_images="drop")


def errors(bank: FeatureBank, episodes: EpisodeSet, head: Head) -> NDArray:
    """Errors (E,) of a head."""
    by_class, _ = actual_errors(bank, episodes, head, device=torch.device("cpu"))
    return np.nanmean(by_class, -1)  # a class may have no query


def row_of(bank: FeatureBank, episodes: EpisodeSet, names: list[str]) -> dict[str, Any]:
    """The error of nearest class mean, and differences to it."""
    base = errors(bank, episodes, heads.create("ncm"))
    row: dict[str, Any] = {"ncm": f"{100 * base.mean():.1f}"}
    for name in names:
        gain = mean_interval(errors(bank, episodes, head_of(name)) - base)
        half = gain["upper"] - gain["mean"]
        row[name] = f"{100 * gain['mean']:+.1f} ± {100 * half:.1f}"
    return row


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", nargs="+", type=Path, metavar="FEATURES.npz")
    parser.add_argument("--heads", nargs="+", required=True, metavar="NAME[:SETTING=VALUE,...]")
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--json", metavar="FILE", help="keep the rows")
    given = parser.parse_args()
    rows = []
    for path in given.features:
        bank = bank_of(path)
        for shots in given.shots:
            for shares in ("equal", "dirichlet"):
                row = {"data": path.stem, "shots": shots, "queries": shares}
                row |= row_of(bank, draw(bank, shots, shares, given.episodes), given.heads)
                print(row, flush=True)
                rows.append(row)
    write(given.json, rows)


if __name__ == "__main__":
    main()
