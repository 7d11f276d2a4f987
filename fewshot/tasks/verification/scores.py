"""Verification scores of all queries and classes of an episode, and their ranking measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.exceptions import expect
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head, Query
from fewshot.heads.verifier import Verifier, verifier
from fewshot.statistics.ranking import Ranking, ranking
from fewshot.tasks.engine.batches import (
    DEVICE_BYTES,
    QUERY_BYTES,
    chunks,
    gather,
    load_support,
    map_chunks,
)
from fewshot.tasks.engine.equal_ways import padded

# Bytes that sorting needs per score, about ten integers.
ORDER_BYTES = 80


class VerificationMeasures(NamedTuple):
    """Ranking measures of every class of every episode, each (E, N).

    Attributes
    ----------
    auroc, average_precision, fpr95 : ndarray, float64
        NaN where the class, or the rest of the episode, has no query.
    positives, negatives : ndarray, int64
        Queries of the class, and of the other classes.
    """

    auroc: NDArray
    average_precision: NDArray
    fpr95: NDArray
    positives: NDArray
    negatives: NDArray


def verification_measures(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: tuple[str, Head],
    *,
    device: torch.device,
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> VerificationMeasures:
    """Ranking measures with each class as target: its queries against those of the others.

    A few episodes at a time, and no more queries of one than `QUERY_BYTES` hold. Padding of classes
    has no measure.

    Raises
    ------
    FewshotError
        The head cannot verify, or its scores are not finite.
    """
    verifier(*head)

    def measure(part: EpisodeSet) -> VerificationMeasures:
        return _measured(bank, part, head, device, threads, progress)

    return VerificationMeasures(*padded(episodes, measure))


def _measured(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: tuple[str, Head],
    device: torch.device,
    threads: int | None,
    progress: Callable[[int], object] | None,
) -> VerificationMeasures:
    """Ranking measures of episodes of equal ways."""
    name, classifier = head
    limit = QUERY_BYTES if device.type == "cpu" else DEVICE_BYTES

    def work(start: int, stop: int) -> tuple[Tensor, ...]:
        support = load_support(bank, episodes, start, stop, device, classifier.uses)
        fitted = verifier(name, classifier.clone().fit(support))
        rows = episodes.query_rows(start, stop)
        scores = _scores(bank, fitted, rows.reshape(stop - start, -1), device, limit)
        mask = torch.from_numpy(rows >= 0).to(device)
        finite = bool(scores.mT[mask.flatten(1)[:, None].expand(scores.mT.shape)].isfinite().all())
        expect(finite, f"head={name}", "expected finite scores, got others")
        count = mask.sum(-1)
        measured = _each_target(scores, mask, limit)
        others = count.sum(-1, keepdim=True) - count
        return tuple(tensor.cpu() for tensor in (*measured, count, others))

    images = episodes.ways * (episodes.shots + episodes.largest_query)
    bytes_each = images * max(bank.dim * 4, episodes.ways * ORDER_BYTES)
    pieces = []
    for chunk in map_chunks(work, chunks(len(episodes), bytes_each, limit), device, threads):
        pieces.append(chunk)
        if progress:
            progress(len(chunk[0]))
    return VerificationMeasures(*(torch.cat(parts).numpy() for parts in zip(*pieces, strict=True)))


def _scores(
    bank: FeatureBank, fitted: Verifier, rows: NDArray, device: torch.device, limit: int
) -> Tensor:
    """Scores (E, T, N) of the queries with row numbers (E, T)."""
    pieces = []
    for first, last in chunks(rows.shape[1], len(rows) * bank.dim * 4, limit):
        query = Query(*gather(bank, rows[:, first:last], device))
        pieces.append(fitted.verify(query))
    return torch.cat(pieces, 1)


def _each_target(scores: Tensor, mask: Tensor, limit: int) -> Ranking:
    """Ranking measures (E, N) of scores (E, N * Q, N), queries grouped by class; mask (E, N, Q)."""
    E, N, Q = mask.shape
    valid = mask.flatten(1)[:, None]
    way = torch.arange(N, device=scores.device)
    pieces = []
    for first, last in chunks(N, E * N * Q * ORDER_BYTES, limit):
        is_target = (way[first:last, None] == way.repeat_interleave(Q)).expand(E, -1, -1)
        pieces.append(ranking(scores[..., first:last].mT, is_target, valid.expand(is_target.shape)))
    return Ranking(*(torch.cat(parts, -1) for parts in zip(*pieces, strict=True)))
