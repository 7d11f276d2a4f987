"""Unlabelled images of episodes: loaded, handed to estimators, and looked through for copies."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.estimators.base import ErrorEstimator, OnUnlabelled
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.features.row_keys import row_keys
from fewshot.heads.base import Head, Support
from fewshot.tasks.engine.batches import (
    DEVICE_BYTES,
    QUERY_BYTES,
    chunks,
    gather,
    load_support,
    map_chunks,
)
from fewshot.tasks.engine.equal_ways import joined
from fewshot.tasks.engine.predicted import (
    Predicted,
    concatenated,
    no_prediction,
    timed_prediction,
)

EMPTY = "the episode has no unlabelled image"
COPIES_OF_SHOTS = "unlabelled images that are copies of shots"
COPIES_OF_QUERIES = "unlabelled images that are copies of queries"


def sees_unlabelled(estimator: ErrorEstimator, episodes: EpisodeSet) -> bool:
    """Whether an estimator gets the unlabelled images of these episodes."""
    uses_them = estimator.unlabelled != "ignored" and not estimator.sees_queries
    return uses_them and episodes.has_unlabelled


def load_unlabelled(
    bank: FeatureBank, episodes: EpisodeSet, start: int, stop: int, device: torch.device
) -> Unlabelled:
    """Unlabelled images of episodes start..stop, without labels, in random order."""
    features, mask = gather(bank, episodes.unlabelled_rows(start, stop), device)
    return Unlabelled(features, mask, episodes.queries_unlabelled)


def predictions_with_unlabelled(
    bank: FeatureBank,
    episodes: EpisodeSet,
    support: Support,
    fitted: Head,
    estimators: Mapping[str, ErrorEstimator],
    bounds: tuple[int, int],
    device: torch.device,
) -> dict[str, Predicted]:
    """Predictions of estimators that see unlabelled images for the episodes within `bounds`.

    All estimators share the images and their scores under the head. An episode without any such
    image, or whose images the head cannot score, has no prediction, and the reason.

    Parameters
    ----------
    bank : FeatureBank
    episodes : EpisodeSet
    support : Support
        Of the episodes within `bounds`.
    fitted : Head
        On `support`.
    estimators : mapping of str to ErrorEstimator
    bounds : (int, int)
        First episode, and one past the last one.
    device : torch.device
    """
    start, stop = bounds
    unlabelled = load_unlabelled(bank, episodes, start, stop, device)
    begun = time.perf_counter()
    reason = _why_not(fitted, unlabelled)
    seconds = time.perf_counter() - begun
    if reason is None:
        predicted = {
            name: timed_prediction(estimator.predict_with, support, fitted, unlabelled)
            for name, estimator in estimators.items()
        }
        # None of them could do without the scores.
        return {
            name: replace(guess, seconds=guess.seconds + seconds)
            for name, guess in predicted.items()
        }
    if stop - start == 1:
        return {name: no_prediction(1, reason) for name in estimators}
    single = []  # which episodes it is
    for e in range(start, stop):
        alone = load_support(bank, episodes, e, e + 1, device, fitted.uses)
        refitted = fitted.clone().fit(alone)
        single.append(
            predictions_with_unlabelled(
                bank, episodes, alone, refitted, estimators, (e, e + 1), device
            )
        )
    return {name: concatenated([piece[name] for piece in single]) for name in estimators}


def _why_not(fitted: Head, unlabelled: Unlabelled) -> str | None:
    """Why there is no prediction for some of the episodes; None if there is one for all."""
    if not bool(unlabelled.mask.any(-1).all()):
        return EMPTY
    try:
        unlabelled.scores(fitted)
    except FewshotError as error:
        return str(error)
    return None


def map_unlabelled(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: Head,
    function: OnUnlabelled,
    *,
    device: torch.device,
    threads: int | None = None,
) -> Iterator[Tensor]:
    """``function(support, fitted head, unlabelled)`` of a few episodes at a time, on the CPU."""

    def mapped(part: EpisodeSet) -> Iterator[Tensor]:
        return _mapped(bank, part, head, function, device, threads)

    return joined(episodes, mapped)


def _mapped(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: Head,
    function: OnUnlabelled,
    device: torch.device,
    threads: int | None,
) -> Iterator[Tensor]:
    def work(start: int, stop: int) -> Tensor:
        support = load_support(bank, episodes, start, stop, device, head.uses)
        unlabelled = load_unlabelled(bank, episodes, start, stop, device)
        return function(support, head.clone().fit(support), unlabelled).cpu()

    return map_chunks(work, unlabelled_ranges(bank, episodes, device), device, threads)


def unlabelled_ranges(
    bank: FeatureBank, episodes: EpisodeSet, device: torch.device
) -> list[tuple[int, int]]:
    """Ranges of episodes that fit into memory with their unlabelled images."""
    images = episodes.ways * episodes.shots + episodes.largest_unlabelled
    limit = QUERY_BYTES if device.type == "cpu" else DEVICE_BYTES
    return chunks(len(episodes), images * bank.dim * 4, limit)


def copy_reservations(bank: FeatureBank, episodes: EpisodeSet) -> NDArray:
    """Reservations (E,), str or None, about unlabelled images with the features of labelled ones.

    Those of queries count where the queries are not the unlabelled images themselves.
    """
    reservations = np.full(len(episodes), None, dtype=object)
    group = _groups(bank)
    if group is None:
        return reservations
    for e in range(len(episodes)):
        among = _members(group, episodes.unlabelled_rows(e, e + 1))
        if not len(among):
            continue
        copied = []
        if np.isin(among, _members(group, episodes.support[e])).any():
            copied.append(COPIES_OF_SHOTS)
        if not episodes.queries_unlabelled:
            queries = _members(group, episodes.query_rows(e, e + 1))
            copied += [COPIES_OF_QUERIES] if np.isin(among, queries).any() else []
        reservations[e] = "; ".join(copied) or None
    return reservations


def _members(group: NDArray, rows: NDArray) -> NDArray:
    """Groups of those of the rows that are copies of others."""
    members = group[rows[rows >= 0]]
    copied: NDArray = members[members >= 0]
    return copied


@lru_cache(maxsize=1)  # the same for every head, shot and seed of a run
def _groups(bank: FeatureBank) -> NDArray | None:
    """Number of the group of equal features of each row (M,), -1 without others; None: all -1."""
    copies = bank.info.get("copies") or {}
    if copies.get("by") == "features" and copies.get("images") == 0:
        return None
    _, group, size = np.unique(row_keys(bank.features), return_inverse=True, return_counts=True)
    group = np.where(size[group] > 1, group, -1).reshape(-1)
    return group if (group >= 0).any() else None
