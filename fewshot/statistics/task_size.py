"""How many queries a disjoint episode should have, for the narrowest interval from given images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class TaskSize(NamedTuple):
    """Variance of the accuracy of disjoint episodes by its causes, and the best queries per class.

    Attributes
    ----------
    between : float
        Variance of the accuracy that an episode would have on infinitely many queries, >= 0.
    within : float
        Variance that a single query per class would add, > 0 unless all answers are right or wrong.
    queries : float
        Queries per class that give the narrowest interval, >= 1; infinite where no variance is
        between episodes.
    """

    between: float
    within: float
    queries: float


def best_queries(accuracy: NDArray, ways: int, shots: int, queries: int) -> TaskSize:
    """Queries per class that make the interval of disjoint episodes from the same images narrowest.

    Lafargue et al., TMLR 2024, section 5: M images give E = M / (N (K + Q)) episodes, so that the
    variance of their mean accuracy is ``N (K + Q) (between + within / Q) / M``, which is smallest
    at ``Q = sqrt(K within / between)``.

    Parameters
    ----------
    accuracy : ndarray of shape (E,)
        Accuracy of each episode, in [0, 1], on ``ways * queries`` queries; E >= 2.
    ways, shots, queries : int
        N, K and Q of these episodes, with N Q >= 2.

    Returns
    -------
    TaskSize

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> hard = rng.normal(0.7, 0.1, 4000)
    >>> size = best_queries(rng.binomial(75, hard.clip(0, 1)) / 75, 5, 5, 15)
    >>> round(size.queries)
    5
    """
    answers = ways * queries
    share = np.asarray(accuracy, dtype=np.float64)
    of_queries = float((share * (1 - share)).mean()) / (answers - 1)
    between = max(0.0, float(share.var(ddof=1)) - of_queries)
    within = of_queries * queries
    if within == 0:
        return TaskSize(between, 0.0, 1.0)
    best = np.inf if between == 0 else (max(shots, 1) * within / between) ** 0.5
    return TaskSize(between, within, float(max(1.0, best)))
