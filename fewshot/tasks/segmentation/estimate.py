"""What a run of segmentation would do, and how long its features would take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fewshot.features.extraction.pipeline import ordered
from fewshot.hardware import available_cores, torch_threads
from fewshot.paths import places_of
from fewshot.tasks.segmentation.dense.bank import DenseBank
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures, Tokens
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.settings import SegmentationSettings
from fewshot.units import counted, duration, size

if TYPE_CHECKING:
    from fewshot.tasks.segmentation.task import SegmentationEvaluation

TIMED = 4  # images per thread that are timed, after one that warms up
BYTES = 2  # of a stored feature, float16


def segmentation_estimate(evaluation: SegmentationEvaluation) -> str:
    """Numbers of images, draws and cells, the bank's size, and the time of the features.

    Some images are run through the network; nothing is stored.
    """
    settings = SegmentationSettings.of(evaluation.options)
    dataset, features = evaluation.source.load(), evaluation.source.features(settings)
    sets = [d for seed in evaluation.seeds for d in evaluation.sampling.draw(dataset, seed)]
    support = np.unique(np.concatenate([d.support.ravel() for d in sets]))
    queries = np.unique(np.concatenate([d.queries.ravel() for d in sets]))
    support, queries = support[support >= 0], queries[queries >= 0]
    bank = DenseBank(places_of(evaluation.source.settings["paths"]).banks, features, dataset.images)
    missing = bank.missing(support.tolist())
    threads = evaluation.settings.threads or available_cores()
    threads = threads if evaluation.settings.device.type == "cpu" else 1
    rows = [*missing, *queries.tolist()]
    rate, tokens = _timed(features, dataset, rows, threads)
    stored = size(len(support) * tokens * features.dim * BYTES)
    cells = counted(len(evaluation.heads) * len(sets), "cell")
    return (
        f"{cells} of {counted(len(sets[0]), 'draw')}: {counted(len(evaluation.heads), 'head')}, "
        f"{counted(len(evaluation.shots), 'number')} of shots, "
        f"{counted(len(evaluation.seeds), 'seed')}.\n"
        f"{counted(len(support), 'annotated image')}, {len(missing):,} of them without features "
        f"yet; {len(queries):,} queries; {len(dataset.classnames)} classes.\n"
        f"{features.backbone.name}, {settings.size}, stride {features.stride}: {tokens:,.0f} "
        f"tokens of {features.dim} dimensions per image, {stored} on disk for annotated ones.\n"
        f"Features of {len(rows):,} images at {rate:,.1f} images/s on "
        f"{evaluation.settings.device}, {counted(threads, 'thread')}: about "
        f"{duration(len(rows) / rate)}. Heads come on top: little where they are linear, "
        "more for linear_probe, dense_knn and repri."
    )


def _timed(
    features: DenseFeatures, dataset: MaskDataset, rows: Sequence[int], threads: int
) -> tuple[float, float]:
    """Images per second with all threads at work, and the mean number of tokens."""
    spread = np.linspace(0, len(rows) - 1, min(len(rows), TIMED * threads)).astype(int)
    chosen = [rows[i] for i in spread]

    def tokens(row: int) -> Tokens:
        return features.tokens(dataset.images.read(row))

    tokens(chosen[0])
    begun = time.perf_counter()
    with torch_threads(1):
        counts = [len(made.features) for made in ordered(tokens, chosen, threads, ahead=1)]
    return len(chosen) / (time.perf_counter() - begun), float(np.mean(counts))
