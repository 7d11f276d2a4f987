"""Images per second of a fitted classifier, from JPEG files to labels, against the bare network.

    python benchmarks/classify_speed.py                                   # EfficientNet-Lite0
    python benchmarks/classify_speed.py --backbone resnet18 dinov2_vits14 # random weights

*Bare loop* is a plain loop over the same files: read a batch, transform it as the backbone wants
it, run the network on all cores; no label. *Bare loops* are as many of them as there are cores, a
thread and a core each. *Network alone* runs on images that are decoded and normalised already, all
cores together on a batch, or a batch apart on every core. All are measured by turns, so that
whatever else the machine does falls on all of them; what is stated is the median over the turns and
of the ratios within a turn. The classifier is fitted on five images of each of five classes, and
loaded from its file. Random weights take the time that trained ones take.

It also says how far the features of images in batches of sixteen are from those of the same images
one by one, and whether any label changes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import write
from extraction import RANDOM, Bare, photographs, pixels, random_backbone

import fewshot
from fewshot.backbones import Backbone, load
from fewshot.datasets import Folder, ImageDataset
from fewshot.features import Extraction, at_precision
from fewshot.hardware import device_named, freed_memory_kept, torch_threads

CLASSES, SHOTS = 5, 5


def support(folder: Path) -> None:
    """Photographs in sub-folders of classes; what they show does not matter here."""
    photographs(folder / "all", CLASSES * SHOTS)
    for number, file in enumerate(sorted((folder / "all").rglob("*.jpg"))):
        target = folder / "support" / f"class {number % CLASSES}"
        target.mkdir(parents=True, exist_ok=True)
        file.rename(target / file.name)


class Rates:
    """Three ways to go over the same images, in images per second."""

    def __init__(
        self, backbone: Backbone, how: Extraction, model: fewshot.Classifier, dataset: ImageDataset
    ) -> None:
        self.transform, self.how, self.model, self.dataset = (
            backbone.transform, how, model, dataset,
        )  # fmt: skip
        self.encode = at_precision(backbone.load(how.device), how.precision, how.device)
        ready = self.images(range(how.batch))
        self.network = Bare(self.encode, ready, how.device, max(2, len(dataset) // how.batch))

    def images(self, rows: Sequence[int]) -> torch.Tensor:
        """Images (B, 3, S, S) as the network takes them."""
        raw = pixels(self.dataset, self.transform, rows)
        return self.transform.normalise(raw.to(self.how.device))

    def loop(self) -> float:
        """Of a plain loop, with all cores for every batch."""
        return self._rate(1)

    def loops(self) -> float:
        """Of plain loops, one per core."""
        return self._rate(self.how.cores)

    def _rate(self, workers: int) -> float:
        count, batch = len(self.dataset), self.how.batch

        def work(start: int) -> int:
            rows = range(start, min(start + batch, count))
            return len(self.encode(self.images(rows)).cpu())

        threads = self.how.cores // workers
        with ThreadPoolExecutor(
            workers, initializer=torch.set_num_threads, initargs=(threads,)
        ) as pool:
            list(pool.map(work, [0] * workers))  # warms up
            begun = time.perf_counter()
            done = sum(pool.map(work, range(0, count, batch)))
            return done / (time.perf_counter() - begun)

    def classify(self, folder: Path) -> float:
        """Of the classifier."""
        begun = time.perf_counter()
        labels = self.model.classify(folder)
        return len(labels) / (time.perf_counter() - begun)

    def batches(self) -> str:
        """How far features of a batch are from those of its images one by one."""
        rows = range(self.how.batch)
        with torch_threads(1):
            together = self.encode(self.images(rows)).float()
            alone = torch.cat([self.encode(self.images([row])).float() for row in rows])
        far = ((together - alone).norm(dim=1) / together.norm(dim=1)).max()
        return f"{float(far):.1e}"


def row_of(name: str, folder: Path, repeats: int, weights: Path) -> dict[str, Any]:
    """Rates of one backbone."""
    backbone = random_backbone(name, weights) if name in RANDOM else load(name)
    fitted = fewshot.fit(folder / "support", backbone=name, head="ridge", weights=weights)
    fitted.save(folder / "model.fewshot")
    model = fewshot.load(folder / "model.fewshot", weights=weights)
    assert model.header_.backbone is not None
    how = Extraction(device_named("auto"), precision=model.header_.backbone.precision)
    rates = Rates(backbone, how, model, Folder(str(folder / "new"), "photos"))
    ways = {
        "bare loop": rates.loop,
        "bare loops": rates.loops,
        "network alone, together": rates.network.together,
        "network alone, apart": rates.network.apart,
        "classify": lambda: rates.classify(folder / "new"),
    }
    rates.classify(folder / "new")  # loads the network
    turns: dict[str, list[float]] = {kind: [] for kind in ways}
    for _ in range(repeats):
        for kind, rate in ways.items():
            turns[kind].append(rate())
    middle = {kind: statistics.median(of_kind) for kind, of_kind in turns.items()}
    loop, alone = (
        max((kind for kind in ways if kind.startswith(start)), key=middle.__getitem__)
        for start in ("bare", "network")
    )
    return {
        "backbone": name,
        "precision": how.precision,
        "batch": how.batch,
        **{kind: f"{rate:.1f}/s" for kind, rate in middle.items()},
        "to the better bare": ratio(turns["classify"], turns[loop]),
        "to the network alone": ratio(turns["classify"], turns[alone]),
        "features one by one": rates.batches(),
        "labels one by one": one_by_one(model, folder / "new"),
    }


def ratio(rates: Sequence[float], others: Sequence[float]) -> str:
    """Median, least and most of the ratios within a turn."""
    each = [a / b for a, b in zip(rates, others, strict=True)]
    return f"{statistics.median(each):.3f} ({min(each):.3f} to {max(each):.3f})"


def one_by_one(model: fewshot.Classifier, folder: Path, count: int = 32) -> str:
    """How many labels change, and the largest difference of a probability, image by image."""
    files = sorted(folder.rglob("*.jpg"))[:count]
    together = model.predict_proba(files)
    alone = np.concatenate([model.predict_proba([file]) for file in files])
    changed = int((together.argmax(1) != alone.argmax(1)).sum())
    return f"{changed} of {len(files)} change, {float(np.abs(together - alone).max()):.1e}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", nargs="+", default=["efficientnet_lite0"], metavar="NAME")
    parser.add_argument("--count", type=int, default=256, help="images (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as weights:
        support(Path(made))
        photographs(Path(made) / "new", arguments.count)
        for name in arguments.backbone:
            rows.append(row_of(name, Path(made), arguments.repeats, Path(weights)))
            print(rows[-1], flush=True)
    write(arguments.json, rows)


if __name__ == "__main__":
    with freed_memory_kept():  # for the bare network too, or the comparison would flatter us
        main()
