"""Means of episodes in bins by predicted error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def equal_bins(x: NDArray, count: int) -> NDArray:
    """Bin numbers (E,) of about equally many values each, equal values in one bin."""
    edges = np.unique(np.quantile(x, np.linspace(0, 1, count + 1)[1:-1]))
    return np.searchsorted(edges, x, side="left")


def bin_means(bins: NDArray, *columns: NDArray) -> tuple[NDArray, ...]:
    """Means of every column by bin, bins without a value left out."""
    sizes = np.bincount(bins)
    occupied = sizes > 0
    return tuple(np.bincount(bins, column)[occupied] / sizes[occupied] for column in columns)
