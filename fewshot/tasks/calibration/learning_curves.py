"""Learning curves over several data sets, fitted to errors on nested supports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from fewshot.estimators.calibration.curves import TaskCurve, elapsed, grown
from fewshot.estimators.calibration.intervals import spread
from fewshot.tasks.calibration.nested import Ladder

POWERS = np.arange(0.0, 1.01, 0.125)
LOWEST = 0.002  # error that none is taken to be below, as a few hundred images show none
# Errors that say nothing on the decrease: nearly all of such tasks are right with any shots.
SOLVED = 0.004
ROUNDS = 10  # of the fit of the slope, which enters as a factor and in an exponent
LEAST_GROUPS = 3


class Pairs(NamedTuple):
    """Errors of P tasks and draws with two numbers of shots.

    Attributes
    ----------
    group : ndarray of shape (P,), str
    now, then : ndarray of shape (P,)
        Numbers of shots, now < then.
    error, later : ndarray of shape (P,)
        Errors with these.
    other : ndarray of shape (P,)
        Error with `now` shots, of the other draw of the images of the task.
    weight : ndarray of shape (P,)
        Alike for every group, before the weights of the plan.
    """

    group: NDArray
    now: NDArray
    then: NDArray
    error: NDArray
    later: NDArray
    other: NDArray
    weight: NDArray

    def take(self, rows: NDArray) -> Pairs:
        """Those in the mask `rows` (P,)."""
        return Pairs(*(column[rows] for column in self))

    @property
    def change(self) -> NDArray:
        """Difference of the probits."""
        return _probit(self.later) - _probit(self.error)

    @property
    def information(self) -> NDArray:
        """Weight times Fisher's information on the probit of an error.

        By the other draw, as images that are unlucky would else count for more: their errors fall
        by more than the curve.
        """
        share = np.clip(self.other, LOWEST, 1 - LOWEST)
        density = np.exp(-(ndtri(share) ** 2))
        informative: NDArray = self.weight * density / (share * (1 - share)) * (share > SOLVED)
        return informative


def pairs_of(ladders: Sequence[Ladder], weights: Mapping[str, float]) -> Pairs:
    """All pairs of numbers of shots of the ladders of one head."""
    columns = []
    for ladder in ladders:
        errors = ladder.errors
        for i, now in enumerate(ladder.shots):
            for j in range(i + 1, len(ladder.shots)):
                size = errors[..., i].size
                columns.append(
                    (
                        np.full(size, ladder.group, dtype=object),
                        np.full(size, now),
                        np.full(size, ladder.shots[j]),
                        errors[..., i].ravel(),
                        errors[..., j].ravel(),
                        errors[:, ::-1, i].ravel(),
                    )
                )
    group, *numbers = (np.concatenate(column) for column in zip(*columns, strict=True))
    weight = np.zeros(len(group))
    for name in np.unique(group):
        inside = group == name
        weight[inside] = weights.get(str(name), 1.0) / inside.sum()
    now, then, error, later, other = numbers
    return Pairs(group, now, then, error, later, other, weight)


def fit_curves(ladders: Sequence[Ladder], weights: Mapping[str, float]) -> dict[str, TaskCurve]:
    """Curves by head; none for heads with ladders of fewer than three groups.

    Parameters
    ----------
    ladders : sequence of Ladder
    weights : mapping of str to float
        Of groups that count for more or less than 1.
    """
    curves = {}
    for head in sorted({ladder.head for ladder in ladders}):
        of_head = [ladder for ladder in ladders if ladder.head == head]
        if len({ladder.group for ladder in of_head}) >= LEAST_GROUPS:
            curve = fit_curve(pairs_of(of_head, weights))
            if curve is not None:
                curves[head] = curve
    return curves


def fit_curve(pairs: Pairs) -> TaskCurve | None:
    """The curve of least squared difference of probits; None if no task makes any errors.

    An error with these very images is low where they are lucky, and falls less then: how hard the
    task is comes from the error with its other draw, as a prediction does not know the luck either.
    """
    if not (pairs.information > 0).any():
        return None
    fits = [_fit(pairs, float(power)) for power in POWERS]
    _, power, level, slope = min(fits)
    shots = np.array([pairs.now.min(), pairs.then.max()])
    curve = TaskCurve(shots, power, level, slope, 0.0)
    return TaskCurve(shots, power, level, slope, _deviation(curve, pairs))


def _fit(pairs: Pairs, power: float) -> tuple[float, float, float, float]:
    """Loss, power, level and slope by iterated linear least squares, both from 0 on."""
    time = elapsed(power, pairs.now, pairs.then)
    z, y, weight = _probit(pairs.other), pairs.change, pairs.information
    slope, root = 0.1, np.sqrt(weight)
    for _ in range(ROUNDS):
        growth = grown(slope, time)
        design = np.stack([-growth, growth * z], -1)
        level, slope = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
        if slope <= 0:
            slope = 0.0
            level = -(weight * y * time).sum() / (weight * time**2).sum()
    level = max(float(level), 0.0)
    change = -np.maximum(level - slope * z, 0.0) * grown(slope, time)
    loss = float((weight * (y - change) ** 2).sum() / weight.sum())
    return loss, power, level, float(slope)


def _deviation(curve: TaskCurve, pairs: Pairs) -> float:
    """Standard deviation over groups of the mean standardised miss per unit of the curve's time."""
    predicted = curve.error(pairs.error, pairs.now, pairs.then)
    time = curve.time(pairs.now, pairs.then)
    miss = (pairs.later - predicted) / spread(predicted)
    rates = []
    for name in np.unique(pairs.group):
        inside = pairs.group == name
        rates.append((miss * time)[inside].sum() / (time**2)[inside].sum())
    return float(np.std(rates, ddof=1))


def _probit(error: NDArray) -> NDArray:
    quantile: NDArray = ndtri(np.clip(error, LOWEST, 1 - LOWEST))
    return quantile


__all__ = ["Pairs", "fit_curve", "fit_curves", "pairs_of"]
