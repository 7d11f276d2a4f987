"""Heads that know more than others, beside those others: names alone, or class means alone.

    python floors.py FEATURES.npz --ways 5 20 --shots 1 2 3
    python floors.py FEATURES.npz --base 0.5 --samplers balanced imbalanced
    python floors.py FEATURES.npz --samplers all_way --heads gda tip_adapter

Every head of the registry that reads class names is compared with `zero_shot`, every head that
knows base classes with `ncm`, on the same episodes: the difference in points with the widest of the
95 % intervals over episodes, images and classes. Heads whose interval is below zero are marked.
FEATURES.npz has `features` (M, D), `labels` (M,) and, for heads with names, `text` (C, D); `--base`
is the share of classes, drawn by `--seed`, that are base classes.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from common import write
from numpy.typing import NDArray

import fewshot
from fewshot.heads import Head, heads

SIDES = ("", "images_", "classes_")
FLOOR_OF_NAMES, FLOOR_OF_BASE = "zero_shot", "ncm"


def judged(names: Sequence[str], text: bool, base: bool) -> Iterator[tuple[str, Head]]:
    """Heads that can be used, with the floor that they must not fall below."""
    for name in names or heads:
        head = heads.create(name)
        if head.uses & {"text", "text_gaussians"}:
            if text and name != FLOOR_OF_NAMES and (base or "text_gaussians" not in head.uses):
                yield FLOOR_OF_NAMES, head
        elif base and head.uses & {"base", "base_episodes"}:
            yield FLOOR_OF_BASE, head
        elif base and "center" in head.get_params():
            centred = type(head)(**head.get_params() | {"center": "base"})
            if "base" in centred.uses:
                yield FLOOR_OF_BASE, centred


def measure(
    data: dict[str, NDArray], entry: tuple[str, Head], settings: dict[str, Any], scale: float
) -> Iterator[dict[str, Any]]:
    """Differences of one head to its floor, a row per number of shots."""
    floor, head = entry
    text = data.get("text") if head.uses & {"text", "text_gaussians"} else None
    results = fewshot.evaluate(
        data["features"],
        data["labels"],
        split=data.get("split"),
        subset=data.get("subset"),
        text=text,
        logit_scale=scale,
        head=[floor, head],
        estimators=[],
        min_images="drop",
        **settings,
    )
    mean = results.summary.groupby("shots")["accuracy"].first()
    other = [*dict.fromkeys(results.summary["head"] + results.summary["variant"].fillna(""))][-1]
    name = results.summary["head"].iloc[-1]
    variant = results.summary["variant"].iloc[-1]
    other = f"{name} ({variant})" if variant else name
    for row in results.compare(other, floor).to_dict("records"):
        lower, upper = widest(row)
        yield {
            "sampler": settings["sampler"],
            "ways": settings["ways"],
            "shots": row["shots"],
            "head": other,
            "floor": floor,
            "floor (%)": f"{100 * mean[row['shots']]:.1f}",
            "difference": f"{100 * row['difference']:+.2f}",
            "interval": f"{100 * lower:+.2f} to {100 * upper:+.2f}",
            "": "below" if upper < 0 else "",
        }


def widest(row: dict[str, Any]) -> tuple[float, float]:
    """The widest interval that there is: one draw has none over episodes."""
    bounds = [[row[f"{side}{end}"] for end in ("lower", "upper")] for side in SIDES]
    known = [(low, high) for low, high in bounds if not pd.isna([low, high]).any()]
    return max(known, key=lambda pair: pair[1] - pair[0], default=(math.nan, math.nan))


def prepared(path: str, base: float, largest: int, seed: int) -> dict[str, NDArray]:
    """Arrays of a file, with base classes and a training part where they are wanted."""
    with np.load(path, allow_pickle=False) as archive:
        data = {key: archive[key] for key in ("features", "labels", "text") if key in archive}
    rng = np.random.default_rng(seed)
    labels = np.unique(data["labels"], return_inverse=True)[1]
    order = rng.permutation(len(labels))
    sorted_rows = order[np.argsort(labels[order], kind="stable")]
    place = np.empty(len(labels), dtype=int)  # within its class, in random order
    size = np.bincount(labels)
    place[sorted_rows] = np.arange(len(labels)) - np.repeat(np.cumsum(size) - size, size)
    data["subset"] = np.where(place < largest, "train", "test")
    if base > 0:
        chosen = rng.permutation(len(size))[: round(base * len(size))]
        data["split"] = np.where(np.isin(labels, chosen), "base", "novel")
    return data


def main() -> None:
    """A row per head, number of ways and number of shots."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", metavar="FEATURES.npz")
    parser.add_argument("--heads", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--base", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--samplers", nargs="+", default=["balanced"])
    parser.add_argument("--ways", nargs="+", type=int, default=[5])
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--queries", type=int, default=4)
    parser.add_argument("--logit-scale", type=float, default=100.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    data = prepared(given.features, given.base, max(given.shots), given.seed)
    rows = []
    for sampler in given.samplers:
        whole = sampler == "all_way"
        for ways in given.ways[:1] if whole else given.ways:
            settings = {
                "sampler": sampler,
                "ways": ways,
                "shots": given.shots,
                "episodes": 3 if whole else given.episodes,
                "queries": given.queries,
                "seed": given.seed,
            }
            if not whole:
                data = {key: value for key, value in data.items() if key != "subset"}
            for entry in judged(given.heads, "text" in data, "split" in data):
                rows += measure(data, entry, settings, given.logit_scale)
    write(given.json, rows)


if __name__ == "__main__":
    main()
