"""Prediction intervals from the residuals of predictions on other episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from fewshot.exceptions import expect_number
from fewshot.statistics.populations import LEVELS

LEVEL = 0.9
# Residuals are stored as quantiles, so that a saved calibrator is small and readable.
GRID = np.array(
    [0.005, 0.01, 0.025, *np.round(np.arange(0.05, 0.951, 0.05), 2), 0.975, 0.99, 0.995]
)
FLOOR = 1e-4


def spread(error: NDArray) -> NDArray:
    """Scale of the residuals at a predicted error, up to a factor: sqrt(p (1 - p)), never 0."""
    return np.sqrt(error * (1 - error) + FLOOR)


@dataclass(frozen=True)
class Residuals:
    """Distribution of ``(actual - predicted) / spread(predicted)``.

    Split conformal prediction with a normalised score (Papadopoulos et al., "Inductive
    Confidence Machines for Regression", 2002; Lei et al., "Distribution-Free Predictive
    Inference for Regression", 2018), each tail separately: errors near zero have positive
    residuals only.

    Attributes
    ----------
    quantiles : ndarray of shape (len(GRID),)
    """

    quantiles: NDArray

    @classmethod
    def of(cls, predicted: NDArray, actual: NDArray, inflation: float = 1.0) -> Residuals:
        """Compute from B predictions and actual errors; `inflation` widens it about its median.

        The quantile q of B residuals is the one of rank ``q (B + 1)``, rounded away from the
        median, so that the coverage of exchangeable episodes is at least nominal if there are
        enough residuals for that rank (39 at level 0.95).
        """
        defined = np.isfinite(predicted)
        scores = np.sort((actual[defined] - predicted[defined]) / spread(predicted[defined]))
        if len(scores) == 0:
            return cls(np.full(len(GRID), np.nan))
        rank = GRID * (len(scores) + 1)
        rank = np.where(GRID < 0.5, np.floor(rank), np.ceil(rank))
        quantiles = scores[np.clip(rank.astype(int) - 1, 0, len(scores) - 1)]
        middle = np.median(scores)
        return cls(middle + inflation * (quantiles - middle))

    @property
    def width(self) -> float:
        """Width of the central 90 %."""
        return float(self.quantiles[_NINETY_FIVE] - self.quantiles[_FIVE])

    def interval(self, predicted: NDArray, level: float = LEVEL) -> tuple[NDArray, NDArray]:
        """Return lower and upper bounds (E,) in [0, 1], which contain the prediction."""
        low, high = np.interp([0.5 - level / 2, 0.5 + level / 2], GRID, self.quantiles)
        width = spread(predicted)
        lower = np.clip(predicted + min(low, 0.0) * width, 0, 1)
        upper = np.clip(predicted + max(high, 0.0) * width, 0, 1)
        return lower, upper

    def bands(self, predicted: NDArray) -> NDArray:
        """Return the bounds (2, L, E) at LEVELS."""
        return np.stack([self.interval(predicted, level) for level in LEVELS], 1)


# Degrees of freedom that the width of transferred residuals counts as.
TRANSFERRED_FREEDOM = 2.0
_FIVE, _NINETY_FIVE = (int(np.flatnonzero(level == GRID)[0]) for level in (0.05, 0.95))


def blended(measured: Residuals, transferred: Residuals, classes: int) -> Residuals:
    """Residuals for new classes, from those on base classes and those on other data sets.

    The width on `classes` base classes is an estimate with ``classes - 1`` degrees of freedom, that
    on other data sets a prior with `TRANSFERRED_FREEDOM`: logarithms of the widths are averaged by
    these, as residuals on other data sets may be several times as wide, and the result is as much
    wider as Student's t with all of them is than the normal distribution.

    Parameters
    ----------
    measured : Residuals
        On episodes of base classes, widened for new ones (`new_classes`).
    transferred : Residuals
    classes : int
        Number of base classes.
    """
    freedom = max(classes - 1, 0)
    total = freedom + TRANSFERRED_FREEDOM
    share = TRANSFERRED_FREEDOM / total
    widths = [residuals.width for residuals in (measured, transferred)]
    logs = np.log(np.maximum(widths, 1e-9))
    width = np.exp((1 - share) * logs[0] + share * logs[1])
    width *= stdtrit(total, 0.95) / ndtri(0.95)
    scaled = [
        np.median(residuals.quantiles)
        + (residuals.quantiles - np.median(residuals.quantiles)) * width / max(own, 1e-9)
        for residuals, own in zip((measured, transferred), widths, strict=True)
    ]
    return Residuals((1 - share) * scaled[0] + share * scaled[1])


def new_classes(
    predicted: NDArray, actual_by_class: NDArray, members: NDArray, expected: NDArray
) -> float:
    r"""Ratio of the width of residuals on other classes to that on the base classes.

    A class has an effect rho_c on the residual of its episodes. Episodes of N out of C base classes
    contain ``var(rho) / N (1 - N / C)`` of its variance, as the calibration has removed the mean
    over the C; other classes have ``var(rho) (1 / N + 1 / C)``: ``2 var(rho) / C`` more. With
    C = N, for example, the episodes of base classes contain nothing of it.

    Parameters
    ----------
    predicted : ndarray of shape (B,)
    actual_by_class : ndarray of shape (B, N)
    members : ndarray of shape (B, N), int
        Class numbers.
    expected : ndarray of shape (B, N)
        Predicted error of every class, or of the episode.

    Returns
    -------
    float, >= 1
        Ratio of the standard deviations, 10 at most.
    """
    defined = np.isfinite(predicted)
    if not defined.any():
        return 1.0
    width = spread(predicted[defined])
    by_class = (actual_by_class[defined] - expected[defined]) / width[:, None]
    numbers, place = np.unique(members[defined], return_inverse=True)
    C = len(numbers)
    total = float(by_class.mean(-1).var())
    if C < 2:
        return 1.0
    counts = np.bincount(place.ravel(), minlength=C)
    effects = np.bincount(place.ravel(), by_class.ravel(), minlength=C) / counts
    missing = 2 * float(effects.var(ddof=1)) / C
    return float(np.sqrt(1 + missing / max(total, missing / 99))) if missing > 0 else 1.0


def check_level(argument: str, level: Any) -> float:
    """Return `level` if in (0, 0.99]; the tails of a few hundred episodes end there."""
    expect_number(argument, level, 0, 0.99, above=True)
    return float(level)
