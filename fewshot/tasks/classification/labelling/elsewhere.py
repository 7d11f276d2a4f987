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
# Logarithm of the squared distance to the nearest class, less the mean logarithm of distances to
# other classes, of tasks with a single shot of every class and with several; what is added to them
# is this over the number of shots, as the unit is known less well from few.
SINGLE_SHOTS = (-28.187, -0.957, -0.542, -0.34, -0.244, -0.111, 0.022, 0.187, 0.499, 0.799, 2.316)
SEVERAL_SHOTS = (-7.383, -1.29, -0.6, -0.283, -0.145, 0.036, 0.209, 0.393, 0.686, 0.956, 2.316)
UNSURE = 0.5
# One minus the probability of the true class, by the error of the task.
ERRORS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
NONCONFORMITY = (
    (0.0, 0.0046, 0.0242, 0.0935, 0.2159, 0.5803, 0.8685, 0.9723, 0.9976, 0.9997, 1.0),
    (0.0, 0.0067, 0.0708, 0.3217, 0.5873, 0.9031, 0.9848, 0.9982, 0.9999, 1.0, 1.0),
    (0.0, 0.0317, 0.293, 0.6102, 0.8223, 0.9655, 0.9942, 0.9991, 1.0, 1.0, 1.0),
    (0.0, 0.1129, 0.4787, 0.7126, 0.8515, 0.959, 0.991, 0.9984, 0.9999, 1.0, 1.0),
    (0.0, 0.2699, 0.5233, 0.7824, 0.8589, 0.9393, 0.9783, 0.994, 0.9993, 0.9999, 1.0),
    (0.0, 0.4705, 0.6956, 0.8204, 0.8793, 0.9294, 0.9602, 0.9803, 0.9943, 0.9987, 1.0),
    (0.0, 0.5523, 0.7945, 0.8654, 0.8996, 0.9295, 0.9519, 0.9687, 0.9827, 0.9904, 1.0),
    (0.0, 0.7255, 0.8286, 0.8935, 0.9057, 0.9317, 0.9497, 0.9631, 0.9771, 0.9826, 1.0),
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
