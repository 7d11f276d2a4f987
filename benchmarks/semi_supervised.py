"""Errors of transductive heads that learn from unlabelled images apart from the queries.

    python benchmarks/semi_supervised.py FEATURES.npz ... --unlabelled 0 5 20 --heads tim pt_map

Five-way episodes with the same shots and queries whatever the number of unlabelled images, of which
fewer are the first of more: with none, a head classifies every query from the shots alone; with
``queries`` it learns from the queries themselves, as in transductive episodes. ``--strangers`` is
the share of images of none of the classes among the unlabelled ones. A cell is the error of the
head minus that of `ncm` on the same episodes, in points, with its 95 % interval over episodes.
Features get unit length.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import features_of, write
from numpy.typing import NDArray

from fewshot.episodes import EpisodeSet, UnlabelledSampling, sample_episodes
from fewshot.features import FeatureBank, make_bank
from fewshot.heads import heads
from fewshot.statistics import mean_interval
from fewshot.tasks import actual_errors

CPU = torch.device("cpu")
WAYS, QUERIES = 5, 5
HEADS = ("soft_kmeans", "bd_cspn", "tim", "pt_map", "paddle", "proto_lp", "label_propagation")


def bank_of(path: Path) -> FeatureBank:
    """Rows of unit length."""
    features, labels = features_of(path)
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    return make_bank(features.astype(np.float32), labels)


def draw(bank: FeatureBank, shots: int, most: int, strangers: float, count: int) -> EpisodeSet:
    """Episodes with `most` unlabelled images per class; classes with too few images drop out."""
    sampling = UnlabelledSampling(most, "equal", strangers)
    return sample_episodes(
        bank.labels, WAYS, shots, QUERIES, count, unlabelled=sampling, min_images="drop"
    )


def with_fewer(episodes: EpisodeSet, number: int, most: int) -> EpisodeSet:
    """The same episodes with the first `number` of the unlabelled images of every class."""
    assert episodes.unlabelled is not None
    rows = np.full_like(episodes.unlabelled, -1)
    for e, images in enumerate(episodes.unlabelled):
        labels = np.where(images >= 0, episodes.labels[images], -1)
        inside = np.isin(labels, episodes.classes[e])
        kept = [images[labels == c][:number] for c in episodes.classes[e]]
        outside = images[~inside & (images >= 0)]
        kept.append(outside[: round(len(outside) * number / most)])
        joined = np.concatenate(kept)
        rows[e, : len(joined)] = joined
    return replace(episodes, unlabelled=rows)


def errors(bank: FeatureBank, episodes: EpisodeSet, name: str) -> NDArray:
    """Errors (E,) of a head."""
    return actual_errors(bank, episodes, heads.create(name), device=CPU)[0].mean(-1)


def rows_of(path: Path, given: argparse.Namespace) -> list[dict[str, Any]]:
    """A row per number of shots, share of strangers and head."""
    bank, rows = bank_of(path), []
    most = max(given.unlabelled)
    for shots in given.shots:
        for strangers in given.strangers:
            episodes = draw(bank, shots, most, strangers, given.episodes)
            base = errors(bank, episodes, "ncm")
            sets = {str(n): with_fewer(episodes, n, most) for n in given.unlabelled}
            sets["queries"] = replace(episodes, unlabelled=None, unlabelled_sampling=None)
            for name in given.heads:
                row = {"data": path.stem, "shots": shots, "strangers (%)": 100 * strangers}
                row |= {"ncm": f"{100 * base.mean():.1f}", "head": name}
                for label, members in sets.items():
                    gain = mean_interval(errors(bank, members, name) - base)
                    half = gain["upper"] - gain["mean"]
                    row[label] = f"{100 * gain['mean']:+.1f} ± {100 * half:.1f}"
                rows.append(row)
                print(row, flush=True)
    return rows


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", nargs="+", type=Path, metavar="FEATURES.npz")
    parser.add_argument("--heads", nargs="+", choices=heads, default=list(HEADS), metavar="NAME")
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--unlabelled", nargs="+", type=int, default=[0, 5, 20])
    parser.add_argument("--strangers", nargs="+", type=float, default=[0.0, 0.25])
    parser.add_argument("--episodes", type=int, default=400)
    parser.add_argument("--json", metavar="FILE", help="keep the rows")
    given = parser.parse_args()
    write(given.json, [row for path in given.features for row in rows_of(path, given)])


if __name__ == "__main__":
    main()
