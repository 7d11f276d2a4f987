"""What new images of other data sets get, for what the shots of one task are too few to say.

Quantiles over images of tasks of 5 and 10 classes, random and similar ones, with 1 to 10 shots, of
crops of photographs and textures, clip art, emoji, icons, fonts, game art and digits
(``python benchmarks/prediction_sets.py --fit`` prints them; the sets that its tables judge are not
among them). What each of them is a quantile of is in a unit that makes tasks alike: probabilities
that are calibrated, distances as a multiple of those of left-out shots.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

# Shares of images at or below the numbers of every row.
QUANTILES = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 1.0)
ATOMS = 400
# Logarithm of the squared distance to the nearest class, less the mean of left-out shots; and, at
# one shot, less the mean of distances between shots of different classes.
LEFT_OUT = (-6.611, -0.397, 0.014, 0.256, 0.418, 0.669, 0.916, 1.155, 1.45, 1.674, 2.99)
ACROSS = (-27.958, -0.569, -0.176, 0.011, 0.107, 0.266, 0.449, 0.64, 0.939, 1.093, 2.99)
# One minus the probability of the true class, by the error of the task.
ERRORS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
NONCONFORMITY = (
    (0.0, 0.0029, 0.0169, 0.0803, 0.1969, 0.5812, 0.859, 0.9586, 0.9923, 0.9982, 1.0),
    (0.0, 0.008, 0.0742, 0.3742, 0.6842, 0.9309, 0.9865, 0.9975, 0.9998, 1.0, 1.0),
    (0.0, 0.0345, 0.3054, 0.7423, 0.8953, 0.9802, 0.9965, 0.9995, 1.0, 1.0, 1.0),
    (0.0, 0.093, 0.4905, 0.7993, 0.8995, 0.9737, 0.9945, 0.999, 0.9999, 1.0, 1.0),
    (0.0, 0.2318, 0.6483, 0.818, 0.8886, 0.952, 0.9834, 0.9957, 0.9995, 0.9999, 1.0),
    (0.0, 0.4486, 0.7559, 0.8417, 0.8925, 0.9361, 0.9644, 0.9821, 0.9952, 0.9988, 1.0),
    (0.0, 0.6276, 0.7996, 0.8717, 0.9002, 0.9321, 0.9538, 0.9702, 0.9838, 0.9913, 1.0),
    (0.0, 0.7383, 0.8315, 0.8949, 0.9065, 0.9322, 0.9498, 0.9634, 0.9774, 0.9831, 1.0),
)  # fmt: skip


def atoms(quantiles: tuple[float, ...]) -> Tensor:
    """`ATOMS` numbers of equal weight, float64, with these `QUANTILES`; the last is the largest."""
    shares = np.append((np.arange(ATOMS - 1) + 0.5) / ATOMS, 1.0)
    return torch.from_numpy(np.interp(shares, QUANTILES, quantiles))


def nonconformity_at(error: float) -> tuple[float, ...]:
    """`QUANTILES` of one minus the probability of the true class, of tasks with an error."""
    known, at = ndtri(np.array(ERRORS)), ndtri(np.clip(error, ERRORS[0], ERRORS[-1]))
    columns = np.array(NONCONFORMITY).T
    return tuple(float(np.interp(at, known, column)) for column in columns)
