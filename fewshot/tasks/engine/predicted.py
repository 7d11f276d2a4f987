"""Predictions of an estimator as arrays."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fewshot.estimators.base import Prediction
from fewshot.statistics.populations import LEVELS


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

    def reordered(self, place: NDArray) -> Predicted:
        """The same with the episode at each position `place` (E,) of these."""
        if np.array_equal(place, np.arange(len(place))):
            return self
        arrays = ("error", "lower", "upper", "reasons", "bands")
        return replace(self, **{name: getattr(self, name)[place] for name in arrays})

    def reserved(self, reservations: NDArray) -> Predicted:
        """The same with further reservations (E,), str or None, where there is a prediction."""
        reasons = self.reasons.copy()
        for e in np.flatnonzero(np.isfinite(self.error) & (reservations != None)):  # noqa: E711
            before = reasons[e]
            reasons[e] = reservations[e] if before is None else f"{before}; {reservations[e]}"
        return replace(self, reasons=reasons)


def no_prediction(episodes: int, reason: str) -> Predicted:
    """No prediction for any of E episodes."""
    none = np.full(episodes, np.nan)
    bands = np.full((episodes, 2, len(LEVELS)), np.nan)
    return Predicted(none, none, none, np.full(episodes, reason, dtype=object), bands, 0.0)


def timed_prediction(predict: Callable[..., Prediction], *arguments: object) -> Predicted:
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


def concatenated(pieces: list[Predicted]) -> Predicted:
    """Predictions of consecutive chunks as one; times are summed."""
    return Predicted(
        error=np.concatenate([piece.error for piece in pieces]),
        lower=np.concatenate([piece.lower for piece in pieces]),
        upper=np.concatenate([piece.upper for piece in pieces]),
        reasons=np.concatenate([piece.reasons for piece in pieces]),
        bands=np.concatenate([piece.bands for piece in pieces]),
        seconds=sum(piece.seconds for piece in pieces),
    )
