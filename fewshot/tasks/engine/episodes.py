"""Actual errors of a head and the errors that estimators predict, for every episode."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.estimators.base import ErrorEstimator
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head, Support
from fewshot.tasks.engine.batches import (
    DEVICE_BYTES,
    QUERY_BYTES,
    SUPPORT_BYTES,
    chunks,
    gather,
    load_queries,
    load_support,
    map_chunks,
    query_images,
    support_images,
)
from fewshot.tasks.engine.confusion import ConfusionCounts
from fewshot.tasks.engine.equal_ways import by_group, padded
from fewshot.tasks.engine.linear_heads import linear_answers, linear_errors_on_all
from fewshot.tasks.engine.predicted import (
    Predicted,
    concatenated,
    no_prediction,
    timed_prediction,
)
from fewshot.tasks.engine.unlabelled import (
    copy_reservations,
    predictions_with_unlabelled,
    sees_unlabelled,
    unlabelled_ranges,
)

Progress = Callable[[int], object]
NO_SHOTS = "no shots to judge by"
FEW_SHOTS = "fewer shots than it needs"
NO_UNLABELLED = "no unlabelled images (set episodes.unlabelled)"


def actual_errors(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: Head,
    *,
    device: torch.device,
    threads: int | None = None,
    progress: Progress | None = None,
    confused: ConfusionCounts | None = None,
) -> tuple[NDArray, NDArray]:
    """Errors of a head on episodes: the share of misclassified queries of every class.

    The error of an episode is the mean over its classes, whatever their numbers of queries: the
    quantity that every estimator predicts.

    Parameters
    ----------
    bank : FeatureBank
    episodes : EpisodeSet
        E episodes of N classes, or fewer.
    head : Head
        Unfitted; a clone is fitted on the supports of a few episodes at a time.
    device : torch.device
    threads : int, optional
        Cores to use; all by default.
    progress : callable, optional
        Called with the number of episodes finished since the last call.
    confused : ConfusionCounts, optional
        Gets the misclassified queries.

    Returns
    -------
    errors : ndarray of shape (E, N)
        In [0, 1]; NaN for a class without queries, and in the padding of classes.
    queries : ndarray of shape (E, N)
        Numbers of queries that the errors are shares of.
    """

    def count(part: EpisodeSet) -> tuple[NDArray, NDArray]:
        on_all = part.query is None and head.is_linear
        errors = linear_errors_on_all if on_all else _gathered
        return errors(
            bank, part, head, device=device, threads=threads, progress=progress, confused=confused
        )

    wrong, queries = padded(episodes, count)
    with np.errstate(invalid="ignore"):  # NaN where a class has no query
        return wrong / queries, queries


def _gathered(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: Head,
    *,
    device: torch.device,
    threads: int | None,
    progress: Progress | None,
    confused: ConfusionCounts | None = None,
) -> tuple[NDArray, NDArray]:
    """Misclassified queries (E, N) and queries (E, N), a few episodes at a time."""

    def work(start: int, stop: int) -> tuple[Tensor, Tensor]:
        support = load_support(bank, episodes, start, stop, device, head.uses)
        fitted = head.clone().fit(support)
        form = fitted.linear() if by_blocks else None
        if form is not None:
            rows = episodes.query_rows(start, stop).reshape(stop - start, -1)
            answers, mask = linear_answers(bank, rows, fitted, form, device)
        else:
            query, by_class = load_queries(bank, episodes, start, stop, device, head.uses)
            answers, mask = by_class(fitted.predict(query)), by_class(query.mask)
        mask = mask.view(stop - start, ways, -1)
        answers = answers.view(mask.shape)
        wrong = (answers != truth) & mask
        counts = wrong.sum(-1).cpu(), mask.sum(-1).cpu()
        if confused is not None:  # last: on an accelerator a chunk may be taken again, in halves
            confused.add(episodes.classes[start:stop], answers, wrong)
        return counts

    ways = episodes.ways
    truth = torch.arange(ways, device=device)[:, None]
    by_blocks = head.is_linear and device.type == "cpu"
    shots, queries = support_images(episodes, head.uses), query_images(episodes, head.uses)
    if by_blocks:  # queries are read a few at a time, their scores are kept
        limit = QUERY_BYTES if head.means_alone else SUPPORT_BYTES
        ranges = chunks(len(episodes), 4 * (shots * bank.dim + queries * ways), limit)
    else:
        limit = QUERY_BYTES if device.type == "cpu" else DEVICE_BYTES
        ranges = chunks(len(episodes), 4 * (shots + queries) * bank.dim, limit)
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
    """Errors that estimators predict for a head from the supports of episodes.

    No query is loaded, unless one of the estimators sees queries; only such estimators get them.
    Estimators that use unlabelled images get those of episodes that have any, without labels.
    Estimators that need more shots than the episodes have, or unlabelled images where there are
    none, are skipped and predict NaN.

    Parameters
    ----------
    bank : FeatureBank
    episodes : EpisodeSet
    head : Head
        Unfitted.
    estimators : mapping of str to ErrorEstimator
        Fitted, where they learn from base classes; see `evaluate_base_classes`.
    device : torch.device
    threads : int, optional
        Cores to use; all by default.
    progress : callable, optional
        Called with the number of episodes finished since the last call.

    Returns
    -------
    dict of str to Predicted
        By name of the estimator: errors, intervals and reasons of all E episodes, and seconds.
    """
    shots = episodes.fewest_shots
    lacking = {
        name: NO_UNLABELLED
        for name, estimator in estimators.items()
        if estimator.unlabelled == "needed" and not episodes.has_unlabelled
    }
    lacking |= {
        name: FEW_SHOTS if shots else NO_SHOTS
        for name, estimator in estimators.items()
        if estimator.least_shots > shots
    }
    applicable = {n: estimator for n, estimator in estimators.items() if n not in lacking}
    predictions = {name: no_prediction(len(episodes), lacking[name]) for name in lacking}
    if applicable:

        def predict(part: EpisodeSet) -> dict[str, Predicted]:
            return _predicted(
                bank, part, head, applicable, device=device, threads=threads, progress=progress
            )

        pieces, place = by_group(episodes, predict)
        predictions |= {
            name: concatenated([piece[name] for piece in pieces]).reordered(place)
            for name in applicable
        }
    return {name: predictions[name] for name in estimators}


def _predicted(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: Head,
    estimators: Mapping[str, ErrorEstimator],
    *,
    device: torch.device,
    threads: int | None,
    progress: Progress | None,
) -> dict[str, Predicted]:
    """Predictions of estimators for every support, a few episodes at a time."""

    def work(start: int, stop: int) -> dict[str, Predicted]:
        support = load_support(bank, episodes, start, stop, device, head.uses)
        fitted = head.clone().fit(support)
        rows = {}
        for name, estimator in plain.items():
            rows[name] = timed_prediction(estimator.predict, support, fitted)
        if seeing:
            rows |= _seeing_predictions(bank, episodes, head, seeing, (start, stop), device)
        if with_unlabelled:
            rows |= predictions_with_unlabelled(
                bank, episodes, support, fitted, with_unlabelled, (start, stop), device
            )
        if progress:
            progress(stop - start)
        return rows

    seeing = {name: estimator for name, estimator in estimators.items() if estimator.sees_queries}
    with_unlabelled = {
        name: estimator
        for name, estimator in estimators.items()
        if sees_unlabelled(estimator, episodes)
    }
    plain = {n: e for n, e in estimators.items() if n not in seeing and n not in with_unlabelled}
    images = episodes.ways * max(episodes.shots, 1)
    limit = SUPPORT_BYTES if device.type == "cpu" else DEVICE_BYTES
    if with_unlabelled:
        ranges = unlabelled_ranges(bank, episodes, device)
    else:
        ranges = chunks(len(episodes), images * bank.dim * 4, limit)
    pieces = list(map_chunks(work, ranges, device, threads))
    predicted = {name: concatenated([piece[name] for piece in pieces]) for name in estimators}
    if with_unlabelled:
        reservations = copy_reservations(bank, episodes)
        for name in with_unlabelled:
            predicted[name] = predicted[name].reserved(reservations)
    return predicted


def _seeing_predictions(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: Head,
    estimators: Mapping[str, ErrorEstimator],
    bounds: tuple[int, int],
    device: torch.device,
) -> dict[str, Predicted]:
    """Predictions from labelled queries for a chunk of supports, in smaller chunks."""
    pieces: dict[str, list[Predicted]] = {name: [] for name in estimators}
    images = episodes.ways * (episodes.shots + episodes.largest_query)
    limit = QUERY_BYTES if device.type == "cpu" else DEVICE_BYTES
    begin, end = bounds
    for first, last in chunks(end - begin, images * bank.dim * 4, limit):
        start, stop = begin + first, begin + last
        support = load_support(bank, episodes, start, stop, device, head.uses)
        queries = Support(*gather(bank, episodes.query_rows(start, stop), device))
        fitted = head.clone().fit(support)
        for name, estimator in estimators.items():
            prediction = timed_prediction(estimator.predict_knowing, support, fitted, queries)
            pieces[name].append(prediction)
    return {name: concatenated(parts) for name, parts in pieces.items()}
