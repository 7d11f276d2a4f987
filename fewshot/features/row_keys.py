"""Hashes of rows, for finding equal rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 4096


def row_keys(features: NDArray) -> NDArray:
    """Hashes (M,), uint64, of rows (M, D); equal rows have equal hashes.

    A random linear hash of their bits: of a million rows, two that differ have the same number with
    a probability below 1e-7.
    """
    rng = np.random.default_rng(0)
    wide = features.shape[1] * features.dtype.itemsize % 4 == 0
    word = np.dtype(np.uint32 if wide else np.uint16)
    width = features.shape[1] * features.dtype.itemsize // word.itemsize
    factors = rng.integers(0, 2**64, (2, width), dtype=np.uint64)
    keys = np.zeros(len(features), dtype=np.uint64)
    for start in range(0, len(features), BLOCK):
        rows = np.ascontiguousarray(features[start : start + BLOCK] + features.dtype.type(0))
        words = rows.view(word).astype(np.uint64)  # adding 0 has made 0 of -0
        high, low = (words @ each for each in factors)
        keys[start : start + len(rows)] = high ^ (low >> np.uint64(32))
    return keys
