"""Distances between class means, corrected for the bias due to few shots."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fewshot.estimators.scaling import pairwise_distances

DISTANCES = ("closed_form", "tabulated")
TABLE_ROWS = 256
TABLE_DRAWS = (128, 64)  # of z_1, and of the squared length of the rest


def unbiased_distances(
    points: Tensor, trace: Tensor, dimensions: int, kind: str = "closed_form"
) -> Tensor:
    """Separations of the true means along the estimated directions: (E, N, N).

    The means of K_i and K_j shots of isotropic classes are too far apart: their squared distance
    ``d^2`` includes noise of ``tr S_i / K_i + tr S_j / K_j``. With ``q`` the ratio of this
    noise to ``d^2``, which is ``D / (K snr^2)`` for equal shots and
    ``snr = d / sqrt(s_i^2 + s_j^2)``, the result is ``d g(q)``.

    Parameters
    ----------
    points : Tensor of shape (E, N, P), floating
        Class means, in any basis that keeps their distances.
    trace : Tensor of shape (E, N)
        ``tr(S_c) / K_c``.
    dimensions : int
        D, of the features; used by the table only.
    kind : {"closed_form", "tabulated"}
        ``g = max(0, 1 - q)``, or Bendou et al.'s table, see :func:`simulated_table`.
    """
    distance = pairwise_distances(points)
    noise = trace[:, :, None] + trace[:, None]
    q = noise / distance.square()  # infinite, or 0 / 0, where means coincide
    q = torch.where(distance > 0, q, torch.inf)
    return distance * (tabulated(q, dimensions) if kind == "tabulated" else (1 - q).clamp_min(0))


def tabulated(q: Tensor, dimensions: int) -> Tensor:
    """Interpolate the table linearly at q >= 0, infinity included: same shape, in [0, 1]."""
    places, values = (column.to(q) for column in simulated_table(dimensions))
    upper = torch.searchsorted(places, q).clamp(1, len(places) - 1)
    lower = upper - 1
    share = (q - places[lower]) / (places[upper] - places[lower])
    return torch.lerp(values[lower], values[upper], share.clamp(0, 1))


@lru_cache(maxsize=64)
def simulated_table(dimensions: int) -> tuple[Tensor, Tensor]:
    r"""Bendou et al.'s g_K(snr) for one D: ratios of noise to squared distance, and g there.

    For true distances T between 0 and far, pairs of means are simulated, and the mean observed
    distance S is tabulated against the mean of |true separation along the observed direction|
    / S. In units of the noise of a mean (``sqrt(s_i^2 / K_i + s_j^2 / K_j)``) the difference
    of two means is ``T e_1 + z`` with z standard normal in R^D: no K is left in it, so that one
    table serves all of them, unequal ones too, and only ``z_1`` and the squared length of the
    rest (chi-squared, D - 1) have to be drawn. The draws are the middles of equally probable
    strata instead of random ones, and the same for every T: no seed, no noise.

    Two differences from the authors' table: the variance is assumed to be known (theirs is
    estimated from K D numbers), and the interpolation is linear in ``q = D / S^2`` and monotone,
    where a cubic spline in S overshoots near the noise floor.

    Returns
    -------
    q, g : Tensors of shape (257,), float64
        q ascending from 0, where g is 1, to the noise floor, where g is 0.
    """
    from scipy.special import gammaincinv, ndtri

    first, rest = np.meshgrid(*((np.arange(n) + 0.5) / n for n in TABLE_DRAWS))
    first = ndtri(first).ravel()
    rest = rest.ravel()
    rest = 2 * gammaincinv((dimensions - 1) / 2, rest) if dimensions > 1 else 0 * rest
    far = np.linspace(0, 1, TABLE_ROWS, endpoint=False)
    true = np.sqrt(dimensions) * far / (1 - far)
    squared = np.array([np.square(t + first) + rest for t in true])
    observed = np.sqrt(squared).mean(1)
    along = true[:, None] * np.abs(true[:, None] + first)
    g = np.append((along / squared).mean(1), 1.0)
    q = np.append(dimensions / np.square(observed), 0.0)
    # Both are monotone in T but for rounding.
    q = np.minimum.accumulate(q)[::-1]
    g = np.maximum.accumulate(g.clip(0, 1))[::-1]
    q, kept = np.unique(q, return_index=True)
    g = g[kept]
    g[-1] = 0.0  # no true distance; of equal q the first was kept
    return torch.from_numpy(q), torch.from_numpy(g)
