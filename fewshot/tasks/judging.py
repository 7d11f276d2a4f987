"""What a head does in every episode, and what the estimators said it would do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.errors.base import ErrorEstimator
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head, LinearHead
from fewshot.tasks.batches import (
    DEVICE_BYTES,
    QUERY_BYTES,
    SUPPORT_BYTES,
    chunks,
    load_query,
    load_support,
    map_chunks,
)
from fewshot.tasks.linear_all import linear_errors_on_all

Progress = Callable[[int], object]


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predicted errors (E,), why some are missing, and the seconds that one core spent."""

    error: NDArray
    reason: str | None
    seconds: float


def actual_errors(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: Head,
    *,
    device: torch.device,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[NDArray, NDArray]:
    """Errors (E, N) of every class and the number of queries (E, N) they are shares of.

    The error of an episode is the mean over its classes, whatever their numbers of queries: the
    quantity that every estimator predicts.
    """
    if episodes.query is None and isinstance(head, LinearHead):
        wrong, queries = linear_errors_on_all(
            bank, episodes, head, device=device, threads=threads, progress=progress
        )
    else:
        wrong, queries = _gathered(
            bank, episodes, head, device=device, threads=threads, progress=progress
        )
    return wrong / queries, queries


def _gathered(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: Head,
    *,
    device: torch.device,
    threads: int | None,
    progress: Progress | None,
) -> tuple[NDArray, NDArray]:
    """Misclassified queries (E, N) and queries (E, N), a few episodes at a time."""

    def work(start: int, stop: int) -> tuple[Tensor, Tensor]:
        support = load_support(bank, episodes, start, stop, device)
        query = load_query(bank, episodes, start, stop, device)
        answers = head.clone().fit(support).predict(query).view(stop - start, ways, -1)
        mask = query.mask.view(answers.shape)
        wrong = (answers != truth) & mask
        return wrong.sum(-1).cpu(), mask.sum(-1).cpu()

    ways = episodes.ways
    truth = torch.arange(ways, device=device)[:, None]
    images = ways * (episodes.shots + episodes.largest_query)
    limit = QUERY_BYTES if device.type == "cpu" else DEVICE_BYTES
    ranges = chunks(len(episodes), images * bank.dim * 4, limit)
    wrong, count = [], []
    for chunk in map_chunks(work, ranges, device, threads):
        wrong.append(chunk[0])
        count.append(chunk[1])
        if progress:
            progress(len(chunk[0]))
    return torch.cat(wrong).numpy(), torch.cat(count).numpy()


def predicted_errors(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: Head,
    estimators: Mapping[str, ErrorEstimator],
    *,
    device: torch.device,
    threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Predicted]:
    """What every estimator makes of every support. No query is loaded."""

    def work(start: int, stop: int) -> dict[str, tuple[NDArray, str | None, float]]:
        support = load_support(bank, episodes, start, stop, device)
        fitted = head.clone().fit(support)
        rows = {}
        for name, estimator in estimators.items():
            begun = time.perf_counter()
            prediction = estimator.predict(support, fitted)
            error = prediction.error.double().cpu().numpy()
            rows[name] = (error, prediction.reason, time.perf_counter() - begun)
        if progress:
            progress(stop - start)
        return rows

    images = episodes.ways * episodes.shots
    limit = SUPPORT_BYTES if device.type == "cpu" else DEVICE_BYTES
    ranges = chunks(len(episodes), images * bank.dim * 4, limit)
    pieces = list(map_chunks(work, ranges, device, threads))
    return {name: _join([piece[name] for piece in pieces]) for name in estimators}


def _join(pieces: list[tuple[NDArray, str | None, float]]) -> Predicted:
    reasons = [reason for _, reason, _ in pieces if reason is not None]
    return Predicted(
        np.concatenate([error for error, _, _ in pieces]),
        reasons[0] if reasons else None,
        sum(seconds for _, _, seconds in pieces),
    )
