"""Unequal shots of the classes of an episode, whose spread is one number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fewshot.episodes.draws import uniform
from fewshot.exceptions import FewshotError, expect, expect_number

RANKS = 13  # what a stream of uniform numbers decides, beside those of other samplers
SETTING = "episodes.shots_imbalance"


def check_imbalance(imbalance: float, shots: int) -> None:
    """Raise unless shots can have the imbalance.

    Raises
    ------
    FewshotError
        Not in [0, 1), or above 0 with fewer than two shots, which cannot be shared unequally.
    """
    expect_number(SETTING, imbalance, 0)
    expect(
        imbalance < 1,
        SETTING,
        f"expected a number in [0, 1), got {imbalance}",
        "It is (largest - smallest) / (largest + smallest) shots, 0.8 for 1 to 9 of them.",
    )
    if imbalance > 0 and shots < 2:
        raise FewshotError(
            SETTING,
            f"got {imbalance} with {shots} shots; every class has one shot at least, and of one on "
            "average none has more",
            "Set episodes.shots to 2 or more, or episodes.shots_imbalance=0.",
        )


def shots_of_ranks(shots: int, ways: int, imbalance: float) -> NDArray:
    """Shots of N classes from fewest to most, K on average: (N,), int64.

    The linear imbalance of Ochal et al., "Few-Shot Learning with Class Imbalance", IEEE
    Transactions on Artificial Intelligence 2023: from K_min to K_max in equal steps, rounded. With
    K_min = (1 - s) K and K_max = (1 + s) K, s = (K_max - K_min) / (K_max + K_min). Classes of
    opposite ranks have 2 K together, and no class has fewer shots of K + 1 than of K.

    Parameters
    ----------
    shots : int
        K.
    ways : int
        N.
    imbalance : float in [0, 1)
        s.
    """
    steps = 1 - 2 * np.arange(ways // 2) / (ways - 1)  # from 1 for the fewest shots to 0
    # Halves are rounded down, for 1 to 9 of 5 on average; the tolerance is of float products.
    few = np.maximum(1, np.ceil(shots * (1 - imbalance * steps) - 0.5 - 1e-9)).astype(np.int64)
    middle = [shots] if ways % 2 else []
    return np.concatenate([few, middle, 2 * shots - few[::-1]]).astype(np.int64)


def largest_shots_of(shots: int, ways: int, imbalance: float) -> int:
    """Shots of the class that has most."""
    return int(shots_of_ranks(shots, ways, imbalance)[-1]) if imbalance else shots


def unequal_shots(
    shots: int, imbalance: float, episodes: int, ways: int, seed: int, stream: int
) -> NDArray:
    """Shots (E, N) of each class, ranks being random; the same ranks for every number of shots."""
    ranks = np.argsort(uniform(seed, (stream, RANKS), 0, episodes, ways), axis=1)
    return shots_of_ranks(shots, ways, imbalance)[ranks]
