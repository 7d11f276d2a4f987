"""Dirichlet-distributed shares of classes, as whole numbers of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fewshot.episodes.draws import uniform

SHARES = 3  # purpose of a stream, beside the classes, shots and queries of balanced episodes


def dirichlet(
    seed: int, episodes: int, ways: int, alpha: float, stream: tuple[int, ...] = (0, SHARES)
) -> NDArray:
    """Symmetric Dirichlet shares (E, N): gamma variates, from uniform ones by their quantiles."""
    from scipy.special import gammaincinv

    draws = uniform(seed, stream, 0, episodes, ways)
    gamma = gammaincinv(alpha, draws) + np.finfo(float).tiny
    return gamma / gamma.sum(1, keepdims=True)


def apportioned(shares: NDArray, total: int | NDArray, room: NDArray) -> NDArray:
    """Whole numbers (E, N) near ``shares * total`` that sum to `total` and leave no room overfull.

    Parameters
    ----------
    shares : ndarray of shape (E, N)
        Sum to 1.
    total : int, or ndarray of shape (E, 1), int
    room : ndarray of shape (E, N), int
        Sums to `total` at least.
    """
    quota, before = shares * total, None
    while True:  # each round fills one class at least
        full = quota >= room
        if before is not None and np.array_equal(full, before):
            break
        before = full
        spare = total - np.where(full, room, 0).sum(1, keepdims=True)
        rest = np.where(full, 0.0, shares)
        scale = spare / np.maximum(rest.sum(1, keepdims=True), np.finfo(float).tiny)
        quota = np.where(full, room, rest * scale)
    counts = np.floor(quota).astype(np.int64)
    missing = total - counts.sum(1, keepdims=True)
    rank = np.argsort(np.argsort(counts - quota, axis=1, kind="stable"), axis=1)
    return counts + (rank < missing)
