"""How far to shrink a covariance matrix of few observations, without forming the matrix."""

from __future__ import annotations

import torch
from torch import Tensor


def ledoit_wolf_intensity(
    lengths: Tensor, gram_norm: Tensor, counts: Tensor, dimensions: int
) -> tuple[Tensor, Tensor]:
    """Intensity and mean variance of Ledoit and Wolf (2004), from the Gram matrix.

    With Z the observations (K, D), centred, the empirical covariance is ``R = Z'Z / K``, the
    target ``mu I`` with ``mu = tr R / D``, and the intensity ``beta / delta`` with
    ``delta = |R - mu I|^2 / D`` and ``beta = min(delta, (sum_k |z_k|^4 / K - |R|^2) / (D K))``.
    |R|^2 is that of the K x K Gram matrix over K^2, so nothing of size D x D appears.

    Parameters
    ----------
    lengths : Tensor of shape (..., K)
        |z_k|^2, zero for padding.
    gram_norm : Tensor of shape (...)
        Squared Frobenius norm of ``Z Z'``.
    counts : Tensor of shape (...)
        Observations without the padding.
    dimensions : int
        D.

    Returns
    -------
    intensity : Tensor of shape (...), in [0, 1]
    mu : Tensor of shape (...)
    """
    mu = lengths.sum(-1) / (counts * dimensions)
    squared_norm = gram_norm / counts.square()
    fourth = lengths.square().sum(-1) / counts
    beta = (fourth - squared_norm).clamp_min(0) / (dimensions * counts)
    delta = squared_norm / dimensions - mu.square()
    beta = torch.minimum(beta, delta)
    return torch.where(beta > 0, beta / delta, torch.zeros_like(beta)), mu
