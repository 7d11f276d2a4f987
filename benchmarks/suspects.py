"""How often a wrong label is first on the list of doubts, and how often there is a false alarm.

    python benchmarks/suspects.py                               # EfficientNet-Lite0 on digits
    python benchmarks/suspects.py clip.npz --images DIR         # features; images by Lite0

Of the shots of a task, --flips labels are changed at random. Tasks are of random classes, or of one
class and the classes with the nearest means ("near"). Columns, in percent with 95 % intervals:

    first     the flipped image has the greatest doubt (the --flips greatest are all flipped)
    list      it is on the list, at the level of 10 %
    clean     tasks without any flip that have an image on the list: the false alarms
    own       first, by the distance to the mean of the other images of the class
    ncm       first, by the leave-one-out margin of nearest class mean
    knn       first, by the share of its 3 nearest neighbours with other labels, ties by distance
    ridge     first, by the leave-one-out margin of the head `ridge`
    errors    first, one of the leave-one-out errors of `ridge` at random
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import features_of, share, write
from numpy.typing import NDArray
from torch import Tensor

import fewshot
from fewshot.heads import Ridge, Support
from fewshot.statistics import label_doubts

LEVEL = 0.1
NEIGHBOURS = 3
BATCH = 50
BACKBONE = "efficientnet_lite0"


class Tasks(NamedTuple):
    """Features (E, N, K', D), mask and which labels are wrong (E, N, K')."""

    features: Tensor
    mask: Tensor
    wrong: Tensor


def unit(features: NDArray) -> NDArray:
    """Rows of unit length."""
    return features / np.linalg.norm(features, axis=1, keepdims=True).clip(1e-12)


def drawn_classes(means: NDArray, ways: int, near: bool, rng: np.random.Generator) -> NDArray:
    """Numbers of random classes, or of a random one and those with the nearest means."""
    if not near:
        return rng.choice(len(means), ways, replace=False)
    distance = np.square(means - means[rng.integers(len(means))]).sum(1)
    return rng.permutation(np.argsort(distance)[:ways])


def draw(
    features: NDArray,
    labels: NDArray,
    size: tuple[int, int, int],
    flips: int,
    near: bool,
    seed: int,
) -> Tasks:
    """Tasks of `size` (tasks, ways, shots); `flips` random shots got a random other label."""
    tasks, ways, shots = size
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    rows = [members for members in rows if len(members) >= shots]
    means = np.stack([features[members].mean(0) for members in rows])
    shape = (tasks, ways, shots + flips)
    chosen, wrong = np.full(shape, -1), np.zeros(shape, bool)
    for task in range(tasks):
        classes = drawn_classes(means, ways, near, rng)
        shown = np.repeat(np.arange(ways), shots)
        images = np.concatenate([rng.choice(rows[c], shots, replace=False) for c in classes])
        given = shown.copy()
        for flipped in rng.choice(len(shown), flips, replace=False):
            given[flipped] = (given[flipped] + rng.integers(1, ways)) % ways
        for c in range(ways):
            members = np.flatnonzero(given == c)
            chosen[task, c, : len(members)] = images[members]
            wrong[task, c, : len(members)] = shown[members] != c
    mask = chosen >= 0
    wide = torch.from_numpy(features[chosen.clip(0)]).float()
    return Tasks(wide, torch.from_numpy(mask), torch.from_numpy(wrong))


def ranks_of(scores: Tensor) -> Tensor:
    """Positions in ascending order of scores (E, N, K), NaN last."""
    flat = scores.flatten(1).nan_to_num(torch.inf)
    return flat.argsort(dim=1, stable=True).argsort(dim=1).view(scores.shape)


def margin(scores: Tensor) -> Tensor:
    """Score of the label less the best other one (E, N, K), from scores (E, N, K, N)."""
    label = torch.eye(scores.shape[1], dtype=torch.bool)[None, :, None]
    best = scores.masked_fill(label, -torch.inf).amax(-1)
    return scores.masked_fill(~label, -torch.inf).amax(-1) - best


def baselines(tasks: Tasks) -> dict[str, Tensor]:
    """Scores (E, N, K) that are low for suspicious shots."""
    support = Support.of(tasks.features, tasks.mask)
    counts, means = support.counts[..., None, None], support.means()
    flat = support.features.flatten(1, 2)
    to_means = torch.cdist(flat, means).square().view(*tasks.mask.shape, -1)
    label = torch.eye(means.shape[1], dtype=torch.bool)[None, :, None]
    alone = (counts == 1) & label
    without = to_means * torch.where(label, counts / (counts - 1).clamp_min(1), 1.0).square()
    scores = (-without).masked_fill(alone, torch.nan)
    apart = torch.cdist(flat, flat)
    apart.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    present = tasks.mask.flatten(1)
    apart = apart.masked_fill(~present[:, None], torch.inf)
    which = torch.arange(means.shape[1]).repeat_interleave(tasks.mask.shape[2])
    same = which[:, None] == which
    nearest = apart.topk(NEIGHBOURS, largest=False).indices
    agree = same[torch.arange(len(which))[:, None], nearest].float().mean(-1)
    closest = apart.masked_fill(~same, torch.inf).amin(-1)
    tie = -closest.clamp_max(1e3) / 1e4
    ridge = Ridge().leave_one_out(support)
    assert ridge is not None
    lone = support.counts[..., None] == 1
    scored = {
        "own": scores.masked_fill(~label, -torch.inf).amax(-1),
        "ncm": margin(scores),
        "knn": (agree + tie).view(tasks.mask.shape).masked_fill(lone, torch.nan),
        "ridge": margin(ridge).masked_fill(lone, torch.nan),
    }
    return {name: score.masked_fill(~tasks.mask, torch.nan) for name, score in scored.items()}


def hits(ranks: Tensor, wrong: Tensor, flips: int) -> Tensor:
    """Which tasks (E,) have all their wrong labels first."""
    return ((ranks < flips) & wrong).flatten(1).sum(1) == flips


def measured(tasks: Tasks, clean: Tasks, flips: int) -> dict[str, Tensor]:
    """What happened in each of the tasks (E,), as numbers in [0, 1]."""
    doubts = label_doubts(tasks.features, tasks.mask)
    listed = doubts.chances < LEVEL
    scores = baselines(tasks)
    seen = {
        "first": hits(doubts.ranks, tasks.wrong, flips),
        "list": (listed & tasks.wrong).flatten(1).sum(1) / flips,
        "others": (listed & ~tasks.wrong).flatten(1).any(1),
        "clean": (label_doubts(clean.features, clean.mask).chances < LEVEL).flatten(1).any(1),
    } | {name: hits(ranks_of(score), tasks.wrong, flips) for name, score in scores.items()}
    if flips == 1:
        missed = scores["ridge"] < 0
        seen["errors"] = (missed & tasks.wrong).flatten(1).sum(1) / missed.flatten(1).sum(
            1
        ).clamp_min(1)
    return {name: values.double() for name, values in seen.items()}


def cells(
    name: str, features: NDArray, labels: NDArray, given: argparse.Namespace
) -> Iterator[Any]:
    """A row per ways, shots, flips, and random or near classes."""
    enough = np.bincount(labels)
    for near in (False, True):
        for ways in given.ways:
            for shots in given.shots:
                if (enough >= shots).sum() < ways or (near and (enough >= shots).sum() == ways):
                    continue
                for flips in given.flips:
                    if flips > 1 and shots < 5:
                        continue
                    seen = defaultdict(list)
                    for part in range(math.ceil(given.tasks / BATCH)):
                        size = (min(BATCH, given.tasks - part * BATCH), ways, shots)
                        seed = 1000 * given.seed + 2 * part
                        tasks = draw(features, labels, size, flips, near, seed)
                        clean = draw(features, labels, size, 0, near, seed + 1)
                        for key, values in measured(tasks, clean, flips).items():
                            seen[key].append(values.numpy())
                    row = {"data": name, "classes": "near" if near else "random", "ways": ways}
                    row |= {"shots": shots, "flips": flips}
                    columns = {key: np.concatenate(values) for key, values in seen.items()}
                    yield row | {
                        key: share(values)
                        if key in ("first", "list", "clean")
                        else f"{100 * values.mean():.1f}"
                        for key, values in columns.items()
                    }


def main() -> None:
    """Measure every cell of every data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", help=".npz files; digits without any")
    parser.add_argument("--images", nargs="*", default=[], metavar="DIR")
    parser.add_argument("--ways", nargs="+", type=int, default=[5])
    parser.add_argument("--shots", nargs="+", type=int, default=[2, 3, 5, 10])
    parser.add_argument("--flips", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    data = [(Path(path).stem, *features_of(Path(path))) for path in given.files]
    for folder in given.images or ([] if given.files else [None]):
        name = "digits" if folder is None else Path(folder).name
        bank = fewshot.extract(folder or name, BACKBONE, split="none")
        data.append((f"{name}_lite0", np.asarray(bank.features, np.float32), bank.labels))
    rows = []
    for name, features, labels in data:
        numbers = np.unique(labels, return_inverse=True)[1]
        for row in cells(name, unit(features), numbers, given):
            rows.append(row)
            print(json.dumps(row), flush=True)
    write(given.json, [{**dict.fromkeys(rows[0], "-"), **row} for row in rows])


if __name__ == "__main__":
    main()
