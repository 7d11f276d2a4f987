"""Measures of every episode: known queries classified, and told from unknown ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head, Query, check_scores
from fewshot.heads.verifier import Verifier
from fewshot.statistics.ranking import open_set_rate, ranking
from fewshot.tasks.engine.batches import (
    DEVICE_BYTES,
    QUERY_BYTES,
    chunks,
    load_rows,
    load_support,
    map_chunks,
    query_images,
    support_images,
)
from fewshot.tasks.engine.equal_ways import groups_of
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.open_set.known import SCORE, known_score


class OpenSetMeasures(NamedTuple):
    """Measures of every episode, each (E,), float64; NaN where an episode has no known query.

    Attributes
    ----------
    auroc, average_precision, fpr95 : ndarray
        Of the ranking of known queries, the positives, and unknown ones by the score.
    closed_accuracy : ndarray
        Mean over the classes of the share of known queries whose class has the largest score.
    oscr : ndarray
        Area under the rate of known queries that are accepted and right, against that of unknown
        ones that are accepted.
    """

    auroc: NDArray
    closed_accuracy: NDArray
    oscr: NDArray
    average_precision: NDArray
    fpr95: NDArray


def open_set_measures(
    bank: FeatureBank,
    episodes: EpisodeSet,
    unknown: NDArray,
    head: Head,
    score: str,
    settings: Settings,
) -> OpenSetMeasures:
    """Measures of a head that gets known and unknown queries, mixed if it sees them together.

    Parameters
    ----------
    bank : FeatureBank
    episodes : EpisodeSet
        E episodes, also of varying ways.
    unknown : ndarray of shape (E, U), int
        Row numbers of unknown queries.
    head : Head
        Unfitted; a clone is fitted on the supports of a few episodes at a time.
    score : {"probability", "entropy", "score"}
    settings : Settings
        Device, threads and progress.

    Raises
    ------
    FewshotError
        Scores that are NaN.
    """
    values = np.empty((len(episodes), len(OpenSetMeasures._fields)))
    for chosen, part in groups_of(episodes):
        values[chosen] = _of_equal_ways(bank, part, unknown[chosen], head, score, settings)
    return OpenSetMeasures(*values.T)


def _of_equal_ways(
    bank: FeatureBank,
    episodes: EpisodeSet,
    unknown: NDArray,
    head: Head,
    score: str,
    settings: Settings,
) -> NDArray:
    """Measures (E, 5) in the order of `OpenSetMeasures`."""
    device, ways = settings.device, episodes.ways

    def work(start: int, stop: int) -> Tensor:
        support = load_support(bank, episodes, start, stop, device, head.uses)
        fitted = head.clone().fit(support)
        known = episodes.query_rows(start, stop)
        rows = np.concatenate([known.reshape(stop - start, -1), unknown[start:stop]], axis=1)
        query, by_class = load_rows(
            bank, rows, episodes.seed or 0, episodes.numbers_of(start, stop), device, head.uses
        )
        scores = fitted.scores(query)
        check_scores(fitted, scores.amax(-1), query.mask)
        level = by_class(_level(fitted, query, scores, score))
        right = by_class(scores.argmax(-1)) == _truth(known, unknown.shape[1], device)
        return _measured(level, right, by_class(query.mask), known.shape)

    images = (
        support_images(episodes, head.uses) + query_images(episodes, frozenset()) + unknown.shape[1]
    )
    limit = QUERY_BYTES if device.type == "cpu" else DEVICE_BYTES
    ranges = chunks(len(episodes), images * (bank.dim + ways) * 4, limit)
    pieces = []
    for piece in map_chunks(work, ranges, device, settings.threads):
        pieces.append(piece.cpu())
        if settings.progress:
            settings.progress(len(piece))
    return torch.cat(pieces).numpy()


def _level(fitted: Head, query: Query, scores: Tensor, score: str) -> Tensor:
    """How much each query looks known (E, T); what all scores share may be missing in them."""
    together = fitted.uses & {"queries", "query_prior"}
    if score == SCORE and isinstance(fitted, Verifier) and not together:
        scores = fitted.verify(query)
    return known_score(scores, score)


def _truth(known: NDArray, unknown: int, device: torch.device) -> Tensor:
    """Way of every query (E, N * Q + U) of rows (E, N, Q) and `unknown` others, which have none."""
    E, N, Q = known.shape
    ways = torch.arange(N, device=device).repeat_interleave(Q).expand(E, -1)
    return torch.cat([ways, ways.new_full((E, unknown), -1)], 1)


def _measured(level: Tensor, right: Tensor, mask: Tensor, known: tuple[int, ...]) -> Tensor:
    """Measures (E, 5) in the order of `OpenSetMeasures`; the first N * Q queries are known."""
    images = known[1] * known[2]
    is_known = (torch.arange(mask.shape[1], device=mask.device) < images).expand(mask.shape)
    ranked = ranking(level, is_known, mask)
    oscr = open_set_rate(level, right, is_known, mask)
    counted = mask[:, :images].view(known)
    shares = (right[:, :images].view(known) & counted).sum(-1).double() / counted.sum(-1)
    accuracy = shares.nanmean(-1)  # of the classes that have queries
    return torch.stack([ranked.auroc, accuracy, oscr, ranked.average_precision, ranked.fpr95], -1)
