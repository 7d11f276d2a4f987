"""Heads that read class names against names alone, on the same episodes.

    python text_heads.py FEATURES.npz --ways 5 20 --shots 1 3
    python text_heads.py FEATURES.npz --heads ape timo --sampler balanced imbalanced
    python text_heads.py FEATURES.npz --base-to-new 1 4 16

FEATURES has `features`, `labels` and `text` (C, D), maybe `logit_scale`. The interval is that of
the mean difference over episodes. With --base-to-new (Zhou et al., "Conditional Prompt Learning for
Vision-Language Models", CVPR 2022) the first half of the classes is base: accuracy on their images
with K shots of each, all at once; on the images of the other classes by their names alone; and the
harmonic mean H of the two. These heads learn a class from its shots: of a class without any they
know the name, so that on new classes all that read names are `zero_shot`.
"""

from __future__ import annotations

import argparse
from itertools import product
from typing import Any

import numpy as np
from common import write

import fewshot

HEADS = ("ncm", "tip_adapter", "ape", "timo", "gda", "otter")
BASELINE = "zero_shot"


def load(path: str) -> dict[str, Any]:
    """Arguments of `fewshot.evaluate`."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    scale = float(arrays.get("logit_scale", 100.0))
    return {
        "features": arrays["features"], "labels": arrays["labels"], "text": arrays["text"],
        "logit_scale": scale, "estimators": [], "min_images": "drop",
    }  # fmt: skip


def differences(data: dict[str, Any], heads: list[str], **settings: Any) -> list[dict[str, Any]]:
    """A row per head: accuracy, and its difference to names alone."""
    results = fewshot.evaluate(**data, head=[BASELINE, *heads], **settings)
    rows = results.episodes.sort_values("episode")
    shown = {name: settings[name] for name in ("sampler", "ways", "shots")}
    table = []
    for head in (BASELINE, *heads):
        right = [
            100 * rows[rows["head"] == name]["accuracy"].to_numpy() for name in (head, BASELINE)
        ]
        gap = right[0] - right[1]
        half = 1.96 * gap.std(ddof=1) / np.sqrt(len(gap))
        table.append(
            shown | {"head": head, "accuracy (%)": f"{right[0].mean():.1f}",
                     f"against {BASELINE}": f"{gap.mean():+.2f} ± {half:.2f}"}
        )  # fmt: skip
    return table


def base_to_new(
    data: dict[str, Any], heads: list[str], shots: int, draws: int
) -> list[dict[str, Any]]:
    """A row per head: accuracy on base classes, on new classes by names, harmonic mean."""
    classes = np.unique(data["labels"])
    split = np.where(np.isin(data["labels"], classes[: len(classes) // 2]), "base", "novel")
    common = data | {"split": split, "sampler": "all_way", "episodes": draws}
    everyone = [BASELINE, *heads]
    base = fewshot.evaluate(**common, head=everyone, part="base", shots=shots).table
    new = fewshot.evaluate(**common | {"episodes": 1}, head=[BASELINE], shots=0).table
    n = 100 * float(new["accuracy"].iloc[0])
    table = []
    for head in everyone:
        b = 100 * float(base[base["head"] == head]["accuracy"].iloc[0])
        row = {"shots": shots, "head": head, "base (%)": f"{b:.1f}", "new (%)": "-", "H": "-"}
        if "text" in fewshot.heads.heads.create(head).uses:
            row |= {"new (%)": f"{n:.1f}", "H": f"{2 * b * n / (b + n):.1f}"}
        table.append(row)
    return table


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", metavar="FEATURES.npz")
    parser.add_argument("--heads", nargs="+", default=HEADS, metavar="NAME")
    parser.add_argument("--sampler", nargs="+", default=["balanced"])
    parser.add_argument("--ways", nargs="+", type=int, default=[20])
    parser.add_argument("--shots", nargs="+", type=int, default=[1])
    parser.add_argument("--queries", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--base-to-new", nargs="+", type=int, metavar="K", dest="new")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    data, heads = load(given.file), list(given.heads)
    rows = []
    if given.new:
        for shots in given.new:
            rows += base_to_new(data, heads, shots, 3)
    else:
        for sampler, ways, shots in product(given.sampler, given.ways, given.shots):
            rows += differences(
                        data, heads, sampler=sampler, ways=ways, shots=shots,
                        queries=given.queries, episodes=given.episodes, seed=11,
                    )  # fmt: skip
    write(given.json, rows)


if __name__ == "__main__":
    main()
