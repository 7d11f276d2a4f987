"""Queries in random order, for heads that look at all of them together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fewshot.episodes.draws import uniform

ORDER = 9  # the stream of uniform numbers that decides the order


def random_order(shape: tuple[int, int], seed: int, start: int) -> NDArray:
    """A permutation of T queries for each of E episodes: (E, T).

    Queries stand class after class in an episode, which a method could exploit without anybody
    meaning it to. The order of an episode depends on the seed and its number alone.

    Parameters
    ----------
    shape : (E, T)
    seed, start : int
        Seed of the episodes, and number of the first one.
    """
    episodes, queries = shape
    return np.argsort(uniform(seed, (ORDER,), start, start + episodes, queries), axis=1)
