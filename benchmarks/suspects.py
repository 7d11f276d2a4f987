"""How often a wrong label is first on the list, and what is said of copies, blur and the like.

    python benchmarks/suspects.py                               # EfficientNet-Lite0 on digits
    python benchmarks/suspects.py clip.npz --images DIR         # features; images by Lite0
    python benchmarks/suspects.py --images DIR --planted 40     # copies, blur, ... as well

Of the shots of a task, --flips labels are changed at random. Tasks are of random classes, or of one
class and the classes with the nearest means ("near"). Columns, in percent with 95 % intervals:

    first     the flipped image has the greatest doubt (the --flips greatest are all flipped)
    list      it is on the list, at the level of 5 %
    clean     tasks without any flip that have an image on the list: the false alarms
    own       first, by the distance to the mean of the other images of the class
    ncm       first, by the leave-one-out margin of nearest class mean
    knn       first, by the share of its 3 nearest neighbours with other labels, ties by distance
    ridge     first, by the leave-one-out margin of the head `ridge`
    errors    first, one of the leave-one-out errors of `ridge` at random

A second table has, of --planted tasks with one image of each kind, how often it is said, and of as
many tasks without, how many images are said to be of the kind.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import features_of, table, write
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

import fewshot
from fewshot.datasets import Folder
from fewshot.features import FeatureBank
from fewshot.heads import Ridge, Support
from fewshot.statistics import label_doubts
from fewshot.tasks import Suspect, suspects

LEVEL = 0.05
NEIGHBOURS = 3
BATCH = 50
SEEN = 224  # pixels of the shorter side in which blur is measured
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


def interval(values: NDArray) -> str:
    """A share in percent with its 95 % interval (Wilson 1927)."""
    count, share, z = len(values), float(values.mean()), 1.96
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = (
        z
        / (1 + z * z / count)
        * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    )
    return f"{100 * share:.1f} ({100 * (centre - half):.1f} to {100 * (centre + half):.1f})"


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
                        key: interval(values)
                        if key in ("first", "list", "clean")
                        else f"{100 * values.mean():.1f}"
                        for key, values in columns.items()
                    }


def blurred(image: Image.Image, radius: float) -> Image.Image:
    """Gaussian blur, its radius in pixels of an image whose shorter side is 224."""
    return image.filter(ImageFilter.GaussianBlur(radius * max(1.0, min(image.size) / SEEN)))


def cropped(image: Image.Image, pixels: int) -> Image.Image:
    """The image without so many pixels on the left and at the top, and half of them elsewhere."""
    width, height = image.size
    return image.crop((pixels, pixels, width - pixels // 2, height - pixels // 2))


def resized(image: Image.Image, shorter: int) -> Image.Image:
    """The image with a shorter side of so many pixels."""
    scale = shorter / min(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height))


def saved(image: Image.Image, path: Path, quality: int = 95) -> None:
    """Write a JPEG."""
    image.save(path.with_suffix(".jpg"), quality=quality)


def half(image: Image.Image) -> Image.Image:
    """The image at half its size."""
    return resized(image, max(1, min(image.size) // 2))


def spoilt(_: Image.Image, path: Path) -> None:
    """Write a file that begins as a JPEG does."""
    path.with_suffix(".jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")


# Kind that is to be said, and how the image is made; those that are copies lie beside the original.
ELSEWHERE = "copy in another class"
PLANTED: dict[str, tuple[str, Callable[[Image.Image, Path], None]]] = {
    "copy": ("copy", lambda image, path: image.save(path.with_suffix(".png"))),
    ELSEWHERE: ("copy", lambda image, path: image.save(path.with_suffix(".png"))),
    "JPEG quality 30": ("near-copy", lambda image, path: saved(image, path, 30)),
    "half size": ("near-copy", lambda image, path: saved(half(image), path)),
    "cropped by 3 pixels": ("near-copy", lambda image, path: saved(cropped(image, 3), path)),
    "cropped by 8 pixels": ("near-copy", lambda image, path: saved(cropped(image, 8), path)),
    "blurred, radius 1": ("blurred", lambda image, path: saved(blurred(image, 1), path)),
    "blurred, radius 1.5": ("blurred", lambda image, path: saved(blurred(image, 1.5), path)),
    "blurred, radius 2": ("blurred", lambda image, path: saved(blurred(image, 2), path)),
    "blurred, radius 4": ("blurred", lambda image, path: saved(blurred(image, 4), path)),
    "blurred, radius 8": ("blurred", lambda image, path: saved(blurred(image, 8), path)),
    "30 pixels": ("tiny", lambda image, path: saved(resized(image, 30), path)),
    "one colour": ("tiny", lambda image, path: saved(Image.new("RGB", image.size, "teal"), path)),
    "no picture": ("unreadable", spoilt),
}


def plant(folder: Path, root: Path, given: argparse.Namespace) -> None:
    """Write tasks of 5 classes with 5 images each, a class folder per task and class.

    The first are as they are; in each of the others an image of every kind is added, or takes the
    place of one where it is not a copy.
    """
    dataset = Folder(root, split="none")
    rng = np.random.default_rng(given.seed)
    kinds = list(PLANTED)
    for task in range((1 + len(kinds)) * given.planted):
        kind = "" if task < given.planted else kinds[task % len(kinds)]
        classes = rng.choice(len(dataset.classnames), 5, replace=False)
        places = [folder / f"{task:05d} {way}" for way in range(5)]
        for place, c in zip(places, classes, strict=True):
            place.mkdir(exist_ok=True)
            members = np.flatnonzero(dataset.labels == c)
            chosen = rng.choice(members, 5, replace=False)
            for k, row in enumerate(chosen):
                image = dataset.read(int(row))
                if kind and place == places[0] and not k:
                    said_to_be, make = PLANTED[kind]
                    places[4].mkdir(exist_ok=True)
                    make(image, places[4 if kind == ELSEWHERE else 0] / "planted.png")
                    if "copy" not in said_to_be:
                        continue
                image.save(place / f"{k}.png")


def said(folder: Path) -> Iterator[tuple[int, list[Suspect]]]:
    """Number of each task of a folder, and what is said of its images."""
    images = Folder(folder, split="none")
    bank = fewshot.extract(str(folder), BACKBONE, split="none", on_error="skip")
    unread = {image["row"]: image for image in bank.info["skipped"]}
    rows = np.array([row for row in range(len(images)) if row not in unread])
    features = unit(np.asarray(bank.features, np.float32))
    task_of = np.array([int(path.split(" ")[0]) for path in images.paths])
    for task in np.unique(task_of):
        mine = np.flatnonzero(task_of[rows] == task)
        part: FeatureBank = replace(
            bank,
            features=features[mine],
            labels=bank.labels[mine],
            paths=[images.paths[row] for row in rows[mine]],
            info={},
        )
        skipped = [image for row, image in unread.items() if task_of[row] == task]
        yield int(task), suspects(part, images.take_rows(rows[mine]), skipped)


def planted_rows(root: Path, given: argparse.Namespace) -> list[dict[str, str]]:
    """How often each kind of planted image is said, and how often without."""
    kinds = list(PLANTED)
    right, false = defaultdict(list), defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        plant(Path(name), root, given)
        for task, entries in said(Path(name)):
            if task < given.planted:
                for kind in {kind for kind, _ in PLANTED.values()} | {"mislabelled", "outlier"}:
                    false[kind].append(sum(entry.kind == kind for entry in entries))
                continue
            wanted = kinds[task % len(kinds)]
            right[wanted].append(any(
                entry.kind == PLANTED[wanted][0] and "planted" in f"{entry.file} {entry.other}"
                for entry in entries
            ))  # fmt: skip
    rows = [
        {
            "planted": what,
            "said to be": kind,
            "share said": interval(np.array(right[what], float)),
        }
        for what, (kind, _) in PLANTED.items()
    ]
    print(table(rows) + "\n")
    return [
        {"kind": kind, "images said per 100 of clean tasks": f"{100 * np.mean(counts) / 25:.2f}"}
        for kind, counts in sorted(false.items())
    ]


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
    parser.add_argument("--planted", type=int, default=0, metavar="TASKS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    data = [(Path(path).stem, *features_of(Path(path))) for path in given.files]
    for folder in given.images or ([] if given.files else [None]):
        name = "digits" if folder is None else Path(folder).name
        bank = fewshot.extract(folder or name, BACKBONE, split="none")
        data.append((f"{name}_lite0", np.asarray(bank.features, np.float32), bank.labels))
    rows = []
    for name, features, labels in data if given.tasks else []:
        numbers = np.unique(labels, return_inverse=True)[1]
        for row in cells(name, unit(features), numbers, given):
            rows.append(row)
            print(json.dumps(row), flush=True)
    if rows:
        write(given.json, [{**dict.fromkeys(rows[0], "-"), **row} for row in rows])
    for folder in given.images if given.planted else []:
        print(f"\n{folder}\n")
        print(table(planted_rows(Path(folder), given)))


if __name__ == "__main__":
    main()
