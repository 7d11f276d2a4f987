"""Thresholds of the similarity of an image and a class name, from similarities alone.

An image x is of the class t where s(x, t) > lambda(x). s is a cosine of image and text; n_1 .. n_K
are the confusers of t, names of similar objects.

Bendou et al., "LLM meets Vision-Language Models for Zero-Shot One-Class Classification", 2024,
arXiv 2404.00675: a fixed threshold (FT), the closest confuser (max), the average of the confusers
(ANP) and a blend of average and fixed. gamma = 1/2, the log-mean-exp family between max and ANP and
the posterior are this package's.

Shapes: (..., n) for n images of a class, (..., n, K) with its confusers, mask (..., K) False in the
padding. Without a confuser all three reductions are NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor

GAMMA = 0.5


def closest_negative(confusers: Tensor, mask: Tensor) -> Tensor:
    """max: lambda(x) = max_k s(x, n_k), the similarity of the closest confuser.

    Parameters
    ----------
    confusers : Tensor of shape (..., n, K)
    mask : Tensor of shape (..., K), bool

    Returns
    -------
    Tensor of shape (..., n)
    """
    present = mask[..., None, :]
    highest = confusers.masked_fill(~present, -torch.inf).amax(-1)
    return highest.masked_fill(~mask.any(-1)[..., None], torch.nan)


def average_negative(confusers: Tensor, mask: Tensor) -> Tensor:
    """ANP: lambda(x) = mean_k s(x, n_k).

    The similarity with the average of the confusers' unit vectors, which is not scaled to unit
    length. Parameters and result as in `closest_negative`.
    """
    present = mask[..., None, :]
    return confusers.masked_fill(~present, 0).sum(-1) / mask.sum(-1)[..., None]


def log_mean_exp(confusers: Tensor, mask: Tensor, tau: float) -> Tensor:
    """lambda(x) = tau log mean_k exp(s(x, n_k) / tau): max for tau to 0, ANP for tau to infinity.

    Parameters
    ----------
    confusers, mask
        As in `closest_negative`.
    tau : float
        > 0, in units of a cosine.
    """
    present = mask[..., None, :]
    scaled = (confusers / tau).masked_fill(~present, -torch.inf)
    return tau * (scaled.logsumexp(-1) - mask.sum(-1)[..., None].log())


def blend(adaptive: Tensor, fixed: float, gamma: float = GAMMA) -> Tensor:
    """ANP+FT: lambda(x) = gamma lambda_ANP(x) + (1 - gamma) lambda_FT."""
    return gamma * adaptive + (1 - gamma) * fixed


def both(adaptive: Tensor, fixed: float) -> Tensor:
    """max(lambda_ANP(x), lambda_FT): an image has to pass both."""
    return adaptive.clamp_min(fixed)  # NaN stays NaN


def posterior_logit(target: Tensor, level: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """Log-odds of "yes" at a prevalence of one half.

    Parameters
    ----------
    target : Tensor of shape (..., n)
        s(x, t).
    level : Tensor of shape (..., n)
        `log_mean_exp` of the confusers.
    weights : (float, float, float)
        Of `target`, of `level`, and the constant, from base classes.
    """
    a, b, c = weights
    return a * target + b * level + c
