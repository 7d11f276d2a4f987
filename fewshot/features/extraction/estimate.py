"""Estimates of the time of an extraction, from a few of its batches."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from fewshot.backbones.base import Backbone
from fewshot.datasets.base import ImageDataset
from fewshot.features.extraction.extract import Extractor
from fewshot.features.extraction.pipeline import encode_batches
from fewshot.features.extraction.settings import Extraction
from fewshot.features.store import BankLocation
from fewshot.hardware import freed_memory_kept
from fewshot.units import duration, size

WAVES = 3  # batches per thread that are timed, after one that warms up
LONGEST = 60.0  # seconds; a slow network is timed on fewer batches


@dataclass(frozen=True)
class Estimate:
    """Time and disk space of an extraction.

    Attributes
    ----------
    folder : Path
        Where the bank would be.
    images, remaining : int
        All, and those whose features are not on disk.
    rate : float
        Images per second; NaN where nothing remains.
    dim : int
    bytes : int
        Of the bank; twice as much is needed while it is made.
    free : int
        Bytes that the disk has left.
    note : str
        Device, threads, precision and batch; or why there is nothing to compute.
    """

    folder: Path
    images: int
    remaining: int
    rate: float
    dim: int
    bytes: int
    free: int
    note: str

    def __str__(self) -> str:
        if not self.remaining:
            why = self.note or f"all {self.images:,} images are in {self.folder}"
            return f"Nothing to do: {why}"
        room = (
            ""
            if 2 * self.bytes < self.free
            else f" The disk has {size(self.free)} left: TOO LITTLE."
        )
        return (
            f"{self.remaining:,} of {self.images:,} images at {self.rate:,.1f} images/s: about "
            f"{duration(self.remaining / self.rate)}.\n{self.note}\n{self.dim} dimensions, "
            f"{size(self.bytes)}, twice that while it is made.{room}\n{self.folder}"
        )


def estimate(dataset: ImageDataset, backbone: Backbone, cache: Path, how: Extraction) -> Estimate:
    """Time some batches, spread over the remaining images; nothing is stored."""
    requested = BankLocation.of(cache, dataset, backbone, how)
    choice = requested.chosen(remember=False)
    place, images = requested.at(choice.how), len(dataset)
    folder = place.folder
    if place.ready:
        return Estimate(folder, images, 0, float("nan"), 0, 0, 0, "")
    extractor = Extractor(folder, dataset, backbone, choice, rehearsal=True)
    missing = extractor.missing()
    if not missing:
        made = "the features are computed, but the bank is not made of them yet"
        return Estimate(folder, images, 0, float("nan"), 0, 0, 0, made)
    rows = np.concatenate([[*extractor.plan.rows(number)] for number in missing])
    with freed_memory_kept():
        rate, dim = _timed(extractor, rows)
    item = np.dtype(how.dtype).itemsize
    disk = next(parent for parent in (cache, *cache.parents) if parent.exists())
    free = shutil.disk_usage(disk).free
    return Estimate(
        folder, images, len(rows), rate, dim, images * dim * item, free, _note(extractor)
    )


def _note(extractor: Extractor) -> str:
    how, plan = extractor.how, extractor.plan
    words = [
        f"{extractor.backbone.name} on {how.device}, {how.cores} threads",
        f"{plan.precision}, batches of {plan.batch}",
    ]
    if "cosine" in plan.check:
        words.append("{asked} gives a cosine of {cosine} to float32".format(**plan.check))
    return "; ".join(words)


def _timed(extractor: Extractor, rows: np.ndarray) -> tuple[float, int]:
    """Images per second once all threads are at work, and the feature dimensions."""
    threads, batch = extractor.how.cores, extractor.plan.batch
    starts = range(0, len(rows), batch)
    count = min(len(starts), threads * (1 + WAVES))
    spread = [starts[int(i)] for i in np.linspace(0, len(starts) - 1, count)]
    results = encode_batches(
        (rows[start : start + batch].tolist() for start in spread),
        extractor.dataset, extractor.backbone.transform, extractor.encode,
        extractor.how.device, threads,
    )  # fmt: skip
    dim = done = 0
    # A batch that warms up per thread, unless there are no more than these.
    for features, *_ in islice(results, min(threads, count // 2)):
        dim = features.shape[1] or dim
    begun = time.perf_counter()
    for features, failures, _ in results:
        done += len(features) + len(failures)
        dim = features.shape[1] or dim
        if time.perf_counter() - begun > LONGEST:
            break
    return done / (time.perf_counter() - begun), dim
