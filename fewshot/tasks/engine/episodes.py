"""Actual errors of a head and the errors that estimators predict, for every episode."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.estimators.base import ErrorEstimator, Prediction
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head, Support
from fewshot.statistics.populations import LEVELS
from fewshot.tasks.engine.batches import (
    DEVICE_BYTES,
    QUERY_BYTES,
    SUPPORT_BYTES,
    chunks,
    gather,
    load_queries,
    load_support,
    map_chunks,
)
from fewshot.tasks.engine.linear_heads import linear_errors_on_all

Progress = Callable[[int], object]
NO_SHOTS = "no shots to judge by"
FEW_SHOTS = "fewer shots than it needs"


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions of one estimator for E episodes.

    Attributes
    ----------
    error, lower, upper : ndarray of shape (E,)
        NaN where there is none.
    reasons : ndarray of shape (E,), str or None
        Why there is no prediction, or the reservations about it.
    bands : ndarray of shape (E, 2, L)
        Lower and upper bounds at several levels, NaN without intervals.
    seconds : float
        Spent by one core.
    """

    error: NDArray
    lower: NDArray
    upper: NDArray
    reasons: NDArray
    bands: NDArray
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
    """Errors of a head on episodes: the share of misclassified queries of every class.

    The error of an episode is the mean over its classes, whatever their numbers of queries: the
    quantity that every estimator predicts.

    Parameters
    ----------
    bank : FeatureBank
    episodes : EpisodeSet
        E episodes of N classes.
    head : Head
        Unfitted; a clone is fitted on the supports of a few episodes at a time.
    device : torch.device
    threads : int, optional
        Cores to use; all by default.
    progress : callable, optional
        Called with the number of episodes finished since the last call.

    Returns
    -------
    errors : ndarray of shape (E, N)
        In [0, 1]; NaN for a class without queries.
    queries : ndarray of shape (E, N)
        Numbers of queries that the errors are shares of.
    """
    if episodes.query is None and head.is_linear:
        wrong, queries = linear_errors_on_all(
            bank, episodes, head, device=device, threads=threads, progress=progress
        )
    else:
        wrong, queries = _gathered(
            bank, episodes, head, device=device, threads=threads, progress=progress
        )
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
) -> tuple[NDArray, NDArray]:
    """Misclassified queries (E, N) and queries (E, N), a few episodes at a time."""

    def work(start: int, stop: int) -> tuple[Tensor, Tensor]:
        support = load_support(bank, episodes, start, stop, device, head.uses)
        fitted = head.clone().fit(support)
        query, by_class = load_queries(bank, episodes, start, stop, device, head.uses)
        answers = by_class(fitted.predict(query)).view(stop - start, ways, -1)
        mask = by_class(query.mask).view(answers.shape)
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
    """Errors that estimators predict for a head from the supports of episodes.

    No query is loaded, unless one of the estimators sees queries; only such estimators get them.
    Estimators that need more shots than the episodes have are skipped and predict NaN.

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
    applicable = {
        name: estimator for name, estimator in estimators.items() if estimator.least_shots <= shots
    }
    predictions = {}
    if applicable:
        predictions = _predicted(
            bank, episodes, head, applicable, device=device, threads=threads, progress=progress
        )
    nothing = _no_prediction(len(episodes), FEW_SHOTS if shots else NO_SHOTS)
    return {name: predictions.get(name, nothing) for name in estimators}


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
        for name, estimator in estimators.items():
            if name not in seeing:
                rows[name] = _timed_prediction(estimator.predict, support, fitted)
        if seeing:
            rows |= _seeing_predictions(bank, episodes, head, seeing, (start, stop), device)
        if progress:
            progress(stop - start)
        return rows

    seeing = {name: estimator for name, estimator in estimators.items() if estimator.sees_queries}
    images = episodes.ways * max(episodes.shots, 1)
    limit = SUPPORT_BYTES if device.type == "cpu" else DEVICE_BYTES
    ranges = chunks(len(episodes), images * bank.dim * 4, limit)
    pieces = list(map_chunks(work, ranges, device, threads))
    return {name: _concatenated([piece[name] for piece in pieces]) for name in estimators}


def _no_prediction(episodes: int, reason: str) -> Predicted:
    """No prediction for any of E episodes."""
    none = np.full(episodes, np.nan)
    bands = np.full((episodes, 2, len(LEVELS)), np.nan)
    return Predicted(none, none, none, np.full(episodes, reason, dtype=object), bands, 0.0)


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
            prediction = _timed_prediction(estimator.predict_knowing, support, fitted, queries)
            pieces[name].append(prediction)
    return {name: _concatenated(parts) for name, parts in pieces.items()}


def _timed_prediction(predict: Callable[..., Prediction], *arguments: object) -> Predicted:
    """Prediction of an estimator as arrays, with the time that it took."""
    begun = time.perf_counter()
    prediction = predict(*arguments)
    error = prediction.error.cpu().double().numpy()  # not every device has float64
    reasons = np.full(len(error), None, dtype=object)
    reasons[~np.isfinite(error)] = prediction.reason
    for reason, episodes in prediction.by_reservation().items():
        affected = episodes.cpu().numpy()
        reasons[affected] = [
            reason if previous is None else f"{previous}; {reason}"
            for previous in reasons[affected]
        ]
    lower, upper = (
        np.full(len(error), np.nan) if bound is None else bound.cpu().double().numpy()
        for bound in (prediction.lower, prediction.upper)
    )
    bands = np.full((len(error), 2, len(LEVELS)), np.nan)
    if prediction.bands is not None:
        bands = prediction.bands.cpu().double().numpy().transpose(2, 0, 1)
    return Predicted(error, lower, upper, reasons, bands, time.perf_counter() - begun)


def _concatenated(pieces: list[Predicted]) -> Predicted:
    """Predictions of consecutive chunks as one; times are summed."""
    return Predicted(
        error=np.concatenate([piece.error for piece in pieces]),
        lower=np.concatenate([piece.lower for piece in pieces]),
        upper=np.concatenate([piece.upper for piece in pieces]),
        reasons=np.concatenate([piece.reasons for piece in pieces]),
        bands=np.concatenate([piece.bands for piece in pieces]),
        seconds=sum(piece.seconds for piece in pieces),
    )
