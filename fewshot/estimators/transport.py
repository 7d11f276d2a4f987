"""Optimal transport of a few points to fewer classes, for batches of episodes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# Levels of entropic regularisation, in units of the largest gain, and Newton steps at each.
LEVELS = np.geomspace(0.25, 2.5e-4, 12).tolist()
NEWTON_STEPS = 3
# Added to the diagonal of the Hessian, which is singular where assignments are nearly certain.
DAMPING = 1e-4


def largest_gain(gains: Tensor, mask: Tensor) -> Tensor:
    r"""Largest mean gain of a transport of points to classes that get equal shares.

    The maximum of ``sum_ic T_ic gains_ic`` over plans T >= 0 with row sums 1 / U and column sums
    1 / N. Its dual is the minimum over prices v of the classes of

    .. math:: D(v) = \frac{1}{U} \sum_i \max_c (g_{ic} - v_c) + \frac{1}{N} \sum_c v_c ,

    convex in N variables (Cuturi and Peyre, "Semidual Regularized Optimal Transport", SIAM Review
    2018). With the maximum replaced by a log-sum-exp at a falling temperature it is smooth and
    solved by damped Newton steps; the smallest D of all levels is returned. D never lies below the
    maximum sought, and the entropic one lies at most 2.5e-4 log(N) above it: so does the result,
    once Newton's steps have converged.

    Parameters
    ----------
    gains : Tensor of shape (E, U, N), in [0, 1]
        Any in the padding.
    mask : Tensor of shape (E, U), bool

    Returns
    -------
    Tensor of shape (E,), float64
        NaN for an episode without points.
    """
    gains = gains.double().masked_fill(~mask[..., None], 0.0).mT.contiguous()  # (E, N, U): faster
    ways = gains.shape[1]
    weights = mask.double() / mask.sum(-1, keepdim=True)
    prices = gains.new_zeros(gains.shape[:2])
    smallest = _dual(gains, prices, weights)
    # Prices have no level of their own: adding a constant to all makes the Hessian regular.
    regular = gains.new_full((ways, ways), 1 / ways)
    regular.diagonal().add_(DAMPING)
    for temperature in LEVELS:
        for _ in range(NEWTON_STEPS):
            prices = prices + _newton_step(gains, prices, weights, temperature, regular)
        smallest = torch.minimum(smallest, _dual(gains, prices, weights))
    return smallest


def _dual(gains: Tensor, prices: Tensor, weights: Tensor) -> Tensor:
    return ((gains - prices[..., None]).amax(1) * weights).sum(-1) + prices.mean(-1)


def _newton_step(
    gains: Tensor, prices: Tensor, weights: Tensor, temperature: float, regular: Tensor
) -> Tensor:
    """Newton step of the prices (E, N), at most twice the temperature."""
    assigned = ((gains - prices[..., None]) / temperature).softmax(1)
    weighted = assigned * weights[:, None]
    shares = weighted.sum(-1)
    hessian = torch.diag_embed(shares) - weighted @ assigned.mT + regular
    present = shares.isfinite().all(-1)  # an episode without points has no shares
    hessian = torch.where(present[:, None, None], hessian, regular)
    step = torch.linalg.solve(hessian, shares - 1 / shares.shape[-1]) * temperature
    longest = 2 * temperature
    return step * (longest / step.abs().amax(-1, keepdim=True).clamp_min(longest))
