"""Quantiles over new images of other data sets, where the shots of one task are too few.

Quantiles over images of tasks of 2 to 40 classes, random and similar ones, with 1 to 10 shots, of
crops of photographs and textures, clip art, emoji, icons, fonts and game art
(``python benchmarks/prediction_sets.py --fit`` prints them; the sets that its tables judge are not
among them). What each of them is a quantile of is in a unit that makes tasks alike: probabilities
that are calibrated, distances as a multiple of those of left-out shots.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from fewshot.exceptions import expect

# Shares of images at or below the numbers of every row.
QUANTILES = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 1.0)
ATOMS = 400
# Tasks with a single shot of every class, by the number of classes: nothing else is known of them.
# With several shots, by their predicted error.
WAYS = (2, 5, 10, 20, 40)
ERRORS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
# Logarithm of the squared distance to the nearest class, less the mean logarithm of distances to
# other classes. Of several shots, less `UNSURE` over their number, as few say less well how far
# classes are apart, and less `OVERLAP` times what the normal quantile of the error is above that of
# `TYPICAL_ERROR`.
SINGLE_SHOT_DISTANCES = (
    (-28.37, -0.851, -0.423, -0.217, -0.109, -0.004, 0.107, 0.266, 0.493, 0.718, 2.27),
    (-8.001, -0.813, -0.404, -0.218, -0.132, -0.025, 0.096, 0.259, 0.617, 0.917, 2.27),
    (-12.538, -0.958, -0.498, -0.296, -0.206, -0.099, -0.017, 0.076, 0.217, 0.363, 2.27),
    (-28.055, -0.968, -0.551, -0.354, -0.267, -0.169, -0.092, -0.022, 0.09, 0.191, 2.27),
    (-28.37, -1.134, -0.659, -0.438, -0.344, -0.236, -0.154, -0.081, 0.016, 0.097, 2.27),
)  # fmt: skip
SEVERAL_SHOTS_DISTANCES = (
    -7.173, -1.145, -0.538, -0.26, -0.132, 0.043, 0.207, 0.38, 0.635, 0.841, 2.27,
)  # fmt: skip
UNSURE, OVERLAP, TYPICAL_ERROR = 0.5, 0.15, 0.3
# One minus the probability of the true class.
SINGLE_SHOT_NONCONFORMITY = (
    (0.017, 0.0792, 0.2363, 0.4388, 0.5908, 0.7505, 0.8679, 0.9153, 0.9576, 0.9675, 1.0),
    (0.0349, 0.191, 0.5789, 0.8075, 0.8825, 0.9362, 0.9649, 0.9786, 0.9888, 0.9901, 1.0),
    (0.0528, 0.232, 0.7479, 0.9187, 0.9565, 0.9802, 0.9892, 0.9926, 0.9938, 0.994, 1.0),
    (0.0723, 0.2526, 0.8442, 0.9661, 0.9832, 0.9923, 0.9951, 0.9959, 0.9962, 0.9962, 1.0),
    (0.0928, 0.1408, 0.8158, 0.9792, 0.9916, 0.9961, 0.9971, 0.9975, 0.9976, 0.9976, 1.0),
)  # fmt: skip
SEVERAL_SHOTS_NONCONFORMITY = (
    (0.0, 0.0034, 0.014, 0.0638, 0.1697, 0.5043, 0.8212, 0.9398, 0.9867, 0.9961, 1.0),
    (0.0, 0.0093, 0.0513, 0.2132, 0.424, 0.7651, 0.916, 0.9687, 0.991, 0.9959, 1.0),
    (0.0, 0.0389, 0.2148, 0.4989, 0.6859, 0.8778, 0.9494, 0.9778, 0.9916, 0.9953, 1.0),
    (0.0, 0.1082, 0.4134, 0.6467, 0.7974, 0.9167, 0.9623, 0.9809, 0.9911, 0.9947, 1.0),
    (0.0, 0.2337, 0.5223, 0.7712, 0.8603, 0.9356, 0.9666, 0.9815, 0.9903, 0.9937, 1.0),
    (0.0, 0.4001, 0.6854, 0.8328, 0.8934, 0.9442, 0.9685, 0.981, 0.989, 0.9925, 1.0),
    (0.0, 0.5196, 0.7797, 0.8686, 0.9091, 0.9479, 0.9683, 0.9796, 0.9877, 0.9914, 1.0),
    (0.0, 0.6724, 0.8155, 0.8911, 0.9175, 0.9481, 0.9663, 0.9775, 0.9858, 0.9902, 1.0),
)  # fmt: skip


def check_quantiles(argument: str, quantiles: tuple[float, ...]) -> None:
    """Raise FewshotError unless these are numbers for `QUANTILES`, from the smallest up."""
    values = np.array(quantiles, dtype=float)
    fits = values.shape == (len(QUANTILES),) and bool(np.isfinite(values).all())
    problem = f"expected {len(QUANTILES)} numbers that ascend, got {quantiles}"
    expect(fits and bool((np.diff(values) >= 0).all()), argument, problem)


def atoms(quantiles: tuple[float, ...]) -> Tensor:
    """`ATOMS` numbers of equal weight, float64, with these `QUANTILES`; the last is the largest."""
    shares = np.append((np.arange(ATOMS - 1) + 0.5) / ATOMS, 1.0)
    return torch.from_numpy(np.interp(shares, QUANTILES, quantiles))


def distances_like(ways: int, shots: int, error: float | None) -> tuple[float, ...]:
    """`QUANTILES` of logarithms of squared distances, in tasks like this.

    Parameters
    ----------
    ways : int
        Classes.
    shots : int
        Of all classes together; as many as classes if none of them has several.
    error : float in [0, 1], optional
        Predicted.
    """
    if shots == ways:
        return _between(np.log(WAYS), SINGLE_SHOT_DISTANCES, np.log(ways))
    known, at = _quantile_of(TYPICAL_ERROR), _quantile_of(TYPICAL_ERROR if error is None else error)
    moved = UNSURE / shots + OVERLAP * (at - known)
    return tuple(moved + value for value in SEVERAL_SHOTS_DISTANCES)


def nonconformity_like(ways: int, error: float | None) -> tuple[float, ...]:
    """`QUANTILES` of one minus the probability of the true class, in tasks like this.

    Parameters
    ----------
    ways : int
        Classes.
    error : float in [0, 1], or None
        Predicted; None with a single shot of every class.
    """
    if error is None:
        # With more classes than in any task probabilities are as many times smaller.
        share = min(1.0, WAYS[-1] / ways)
        of_ways = _between(np.log(WAYS), SINGLE_SHOT_NONCONFORMITY, np.log(ways))
        return tuple(1 - share * (1 - value) for value in of_ways)
    return _between(ndtri(ERRORS), SEVERAL_SHOTS_NONCONFORMITY, _quantile_of(error))


def _between(known: NDArray, rows: tuple[tuple[float, ...], ...], at: float) -> tuple[float, ...]:
    """The row at a place among the known ones, interpolated; the first or last one outside."""
    return tuple(float(np.interp(at, known, column)) for column in zip(*rows, strict=True))


def _quantile_of(error: float) -> float:
    return float(ndtri(np.clip(error, ERRORS[0], ERRORS[-1])))
