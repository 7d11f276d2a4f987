"""Correcting raw predictions by what they got wrong on base classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CALIBRATIONS = ("none", "base")


@dataclass(frozen=True)
class Offset:
    """Subtract the mean excess on base-class episodes: the correction of Bendou et al. (2023).

    Attributes
    ----------
    shift : float
        Mean predicted minus mean actual error on base classes; NaN if nothing was predicted.
    """

    shift: float

    @classmethod
    def fit(cls, predicted: NDArray, actual: NDArray) -> Offset:
        """Learn the shift from predicted and actual errors (B,) of base-class episodes."""
        known = np.isfinite(predicted)
        if not known.any():
            return cls(float("nan"))
        return cls(float(np.mean(predicted[known] - actual[known])))

    def __call__(self, predicted: NDArray) -> NDArray:
        """Corrected errors (E,), kept in [0, 1]."""
        return np.clip(predicted - self.shift, 0.0, 1.0)
