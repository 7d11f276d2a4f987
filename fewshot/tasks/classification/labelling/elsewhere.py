"""What new images of other data sets get, for what the shots of one task are too few to say.

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
    (-5.003, -0.798, -0.337, -0.101, 0.017, 0.192, 0.404, 0.753, 1.147, 1.286, 2.829),
    (-12.546, -0.892, -0.424, -0.219, -0.133, -0.024, 0.078, 0.208, 0.385, 0.518, 2.829),
    (-11.65, -0.895, -0.472, -0.272, -0.182, -0.074, 0.018, 0.114, 0.274, 0.415, 2.829),
    (-27.829, -1.002, -0.547, -0.344, -0.259, -0.158, -0.068, 0.029, 0.188, 0.31, 2.829),
    (-28.391, -1.113, -0.659, -0.437, -0.343, -0.239, -0.16, -0.088, 0.013, 0.104, 2.829),
)  # fmt: skip
SEVERAL_SHOTS_DISTANCES = (
    -7.536, -1.168, -0.553, -0.271, -0.14, 0.046, 0.215, 0.396, 0.674, 0.919, 2.829,
)  # fmt: skip
UNSURE, OVERLAP, TYPICAL_ERROR = 0.5, 0.15, 0.3
# One minus the probability of the true class.
SINGLE_SHOT_NONCONFORMITY = (
    (0.0114, 0.0482, 0.1957, 0.4391, 0.5835, 0.7788, 0.8782, 0.9361, 0.9715, 0.9827, 1.0),
    (0.027, 0.1298, 0.535, 0.8071, 0.8883, 0.9508, 0.9761, 0.9871, 0.9915, 0.9926, 1.0),
    (0.0408, 0.1977, 0.7265, 0.9129, 0.9539, 0.9793, 0.9895, 0.9937, 0.9951, 0.9953, 1.0),
    (0.0558, 0.2437, 0.8516, 0.9673, 0.9835, 0.9927, 0.9957, 0.9967, 0.997, 0.9971, 1.0),
    (0.0716, 0.145, 0.8217, 0.9751, 0.9892, 0.9955, 0.9973, 0.9979, 0.9981, 0.9982, 1.0),
)  # fmt: skip
SEVERAL_SHOTS_NONCONFORMITY = (
    (0.0, 0.0045, 0.0156, 0.0659, 0.1735, 0.5061, 0.813, 0.9436, 0.9849, 0.9947, 1.0),
    (0.0, 0.0115, 0.0503, 0.2095, 0.4263, 0.7537, 0.9179, 0.9716, 0.991, 0.9961, 1.0),
    (0.0, 0.0415, 0.2073, 0.4926, 0.6817, 0.8773, 0.9531, 0.9793, 0.9913, 0.9953, 1.0),
    (0.0, 0.104, 0.3939, 0.6398, 0.789, 0.9147, 0.9618, 0.9808, 0.9905, 0.9941, 1.0),
    (0.0, 0.2175, 0.5149, 0.7656, 0.857, 0.9345, 0.9663, 0.9814, 0.9897, 0.9932, 1.0),
    (0.0, 0.3759, 0.6755, 0.8293, 0.8932, 0.9449, 0.9685, 0.981, 0.9887, 0.9923, 1.0),
    (0.0, 0.5034, 0.7737, 0.867, 0.9087, 0.9491, 0.9689, 0.9799, 0.9875, 0.991, 1.0),
    (0.0, 0.6337, 0.8067, 0.8883, 0.9158, 0.9503, 0.9678, 0.9781, 0.9856, 0.9893, 1.0),
)  # fmt: skip


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
