"""What is said of copies, near-copies, blurred, tiny and unreadable images among labelled ones.

    python benchmarks/suspect_images.py DIR           # a folder of images per class

Tasks of 5 classes with 5 images: --tasks as they are, and as many for every kind of planted image.
The first table has the share of tasks in which the planted image is said, with 95 % intervals, the
second how many images are said to be of a kind in tasks as they are.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import share, table
from PIL import Image, ImageFilter

import fewshot
from fewshot.datasets import Folder
from fewshot.features import FeatureBank
from fewshot.tasks import Suspect, suspects

SEEN = 224  # pixels of the shorter side in which blur is measured
BACKBONE = "efficientnet_lite0"


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
    for task in range((1 + len(kinds)) * given.tasks):
        kind = "" if task < given.tasks else kinds[task % len(kinds)]
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
    features = np.asarray(bank.features, np.float32)
    task_of = np.array([int(path.split(" ")[0]) for path in images.paths])
    for task in np.unique(task_of):
        mine = np.flatnonzero(task_of[rows] == task)
        part: FeatureBank = replace(
            bank,
            features=features[mine],
            labels=bank.labels[mine],
            paths=[images.paths[row] for row in rows[mine]],
            info={},
            normalize="l2",
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
            if task < given.tasks:
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
            "share said": share(np.array(right[what], float)),
        }
        for what, (kind, _) in PLANTED.items()
    ]
    print(table(rows) + "\n")
    return [
        {"kind": kind, "images said per 100 of clean tasks": f"{100 * np.mean(counts) / 25:.2f}"}
        for kind, counts in sorted(false.items())
    ]


def main() -> None:
    """Plant, extract, ask, and count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(table(planted_rows(given.folder, given)))


if __name__ == "__main__":
    main()
