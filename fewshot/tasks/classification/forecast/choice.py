"""Which head on which backbone to take, by the predicted errors, and what choosing costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fewshot.estimators.calibration.calibrators import probit
from fewshot.estimators.calibration.intervals import spread
from fewshot.tasks.classification.forecast.forecast import Forecast

# The head that is taken unless another one is clearly better. On half of the groups of images that
# calibrators are fitted on it has the lowest mean error at 2 to 5 shots, and nowhere a much higher
# one than the best.
USUAL = "ridge"
# Difference of probits from which on a lower prediction is clear: predictions of two heads on the
# same images differ by about as much where their errors are the same.
CLEAR = 0.1
# Standard deviations of predictions of heads, and of backbones, about what they have in common, in
# units of `spread`, without differences that are true: with these the price is the bias that was
# measured on data sets left out of the fit (of four heads .2 to .6 points, of two or three
# backbones .4 to 1.5).
OF_HEADS, OF_BACKBONES = 0.035, 0.1
DRAWS = 2000
WORTH_SAYING = 0.002  # of a price


def in_order(forecasts: Sequence[Forecast]) -> list[Forecast]:
    """The forecast to take first, then the others by their predicted error.

    On every backbone the usual head is preferred unless another one is predicted to be clearly
    better: the lowest of several predictions that are nearly the same is mostly the luckiest. Of
    the backbones the one with the lowest prediction is taken. The upper bound of what is taken is
    raised by `price_of_choice`.

    Parameters
    ----------
    forecasts : sequence of Forecast
        Of heads on one or several backbones.
    """
    by_error = sorted(forecasts, key=lambda entry: entry.error)
    errors = np.array([[entry.error for entry in by_error]])
    names = [(entry.backbone, entry.head) for entry in by_error]
    taken = by_error[int(taken_of(errors, names)[0])]
    price = price_of_choice(errors[0], names)
    others = [entry for entry in by_error if entry is not taken]
    return [_with_price(taken, price, len(names)), *others]


def taken_of(errors: NDArray, names: Sequence[tuple[str, str]]) -> NDArray:
    """Number of the combination that is taken, for rows of predicted errors.

    Parameters
    ----------
    errors : ndarray of shape (B, M)
    names : sequence of M (str, str)
        Backbones and heads.

    Returns
    -------
    ndarray of shape (B,), int
    """
    rows = np.arange(len(errors))
    best = []
    for backbone in dict.fromkeys(name for name, _ in names):
        members = np.array([m for m, (name, _) in enumerate(names) if name == backbone])
        lowest = members[errors[:, members].argmin(1)]
        usual = [m for m in members if names[m][1] == USUAL]
        if usual:
            near = probit(errors[:, usual[0]]) - probit(errors[rows, lowest]) < CLEAR
            lowest = np.where(near, usual[0], lowest)
        best.append(lowest)
    candidates = np.stack(best, 1)
    chosen = errors[rows[:, None], candidates].argmin(1)
    taken: NDArray = candidates[rows, chosen]
    return taken


def price_of_choice(errors: NDArray, names: Sequence[tuple[str, str]]) -> float:
    """By how much the prediction of what is taken is too low, as it was taken for being low.

    The bias of a minimum by the parametric bootstrap (Efron and Tibshirani 1993, chapter 10): were
    the predictions the truth, other predictions of it would be off by `OF_HEADS` and
    `OF_BACKBONES`, and what is taken by them is on average as much worse than predicted.

    Parameters
    ----------
    errors : ndarray of shape (M,)
    names : sequence of M (str, str)

    Returns
    -------
    float, >= 0
        0 for a single combination.
    """
    if len(errors) < 2:
        return 0.0
    rng = np.random.default_rng(0)
    backbones = list(dict.fromkeys(name for name, _ in names))
    of_backbone = OF_BACKBONES * rng.standard_normal((DRAWS, len(backbones)))
    noise = of_backbone[:, [backbones.index(name) for name, _ in names]]
    if len(backbones) == 1:
        noise = np.zeros_like(noise)  # what all are off by is in the interval of each
    noise = noise + OF_HEADS * rng.standard_normal((DRAWS, len(names)))
    predicted = np.clip(errors + spread(errors) * noise, 0, 1)
    taken = taken_of(predicted, names)
    return max(0.0, float(np.mean(errors[taken] - predicted[np.arange(DRAWS), taken])))


def _with_price(taken: Forecast, price: float, candidates: int) -> Forecast:
    """The forecast with the price in its upper bound, now and along its curve."""
    if price >= WORTH_SAYING:
        why = f"chosen among {candidates} by predictions, and what is chosen so is mostly predicted"
        why += f" a little too low: {100 * price:.1f} points are added to its upper bound"
        taken = replace(taken, warnings=(*taken.warnings, why))
    upper = min(1.0, taken.upper + price)
    curve = taken.learning_curve
    if curve is None:
        return replace(taken, upper=upper, price=price)
    curve = replace(curve, numbers=(taken.error, taken.lower, upper))
    more = [point.more for point in taken.outlook]
    return replace(
        taken, upper=upper, price=price, learning_curve=curve, outlook=curve.points(more)
    )
