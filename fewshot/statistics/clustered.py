"""Intervals of shares of queries that come in clusters: those of an episode succeed together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95


class Shares(NamedTuple):
    """Shares of G groups, (G,) each; NaN where undefined.

    Attributes
    ----------
    clusters, total : ndarray of int64
        Clusters with anything of the group, and what they have in all.
    share, lower, upper : ndarray of float64
        In [0, 1].
    """

    clusters: NDArray
    total: NDArray
    share: NDArray
    lower: NDArray
    upper: NDArray


def clustered_shares(
    hits: NDArray, totals: NDArray, group: NDArray, groups: int, level: float = LEVEL
) -> Shares:
    """Shares of hits by group, with intervals over other clusters.

    The share p of a group is all its hits by its total. Its variance is that of a ratio over m
    clusters (linearised; Cochran, Sampling Techniques, section 6.3):
    m / (m - 1) * sum (hits - p * total)^2 / (sum total)^2. It says how many independent queries
    were worth as much, p (1 - p) / variance, of which Wilson's interval is taken with the quantile
    of Student's t of m - 1 degrees of freedom, so that it ends within [0, 1]. Where all clusters
    have the same share, as for a class without any mistake, each counts as a single query.

    Parameters
    ----------
    hits, totals : ndarray of shape (n,)
        Of one group in one cluster each.
    group : ndarray of shape (n,), int
        From 0 to `groups` - 1.
    level : float
        Of the intervals.

    Returns
    -------
    Shares
        Without bounds for groups in fewer than two clusters.
    """
    from scipy.special import stdtrit

    asked = totals > 0
    hits, totals, group = hits[asked], totals[asked], group[asked]

    def summed(values: NDArray) -> NDArray:
        return np.bincount(group, values, minlength=groups)

    clusters, total = np.bincount(group, minlength=groups), summed(totals)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = summed(hits) / total
        squares = summed((hits - share[group] * totals) ** 2)
        variance = clusters / (clusters - 1) * squares / total**2
        # Rounding leaves a little where all clusters have the same share.
        worth = np.where(variance > 1e-15, share * (1 - share) / variance, clusters)
        t = stdtrit(np.maximum(clusters - 1, 1), (1 + level) / 2)
        middle = (share + t**2 / (2 * worth)) / (1 + t**2 / worth)
        half = t * np.sqrt(share * (1 - share) / worth + t**2 / (4 * worth**2)) / (1 + t**2 / worth)
    known = clusters > 1
    lower = np.where(known, np.clip(middle - half, 0, share), np.nan)
    upper = np.where(known, np.clip(middle + half, share, 1), np.nan)
    return Shares(clusters, total.astype(np.int64), share, lower, upper)
