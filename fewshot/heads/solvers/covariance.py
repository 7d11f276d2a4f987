"""Covariances of few shots, shrunk, as low rank plus diagonal, and solving with them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from fewshot.heads.base import Support
from fewshot.statistics.shrinkage import ledoit_wolf_intensity

# A pooled Ledoit-Wolf intensity below this is rounding.
LEAST_INTENSITY = 1e-12


# Weight of the average variance against those of single dimensions, in degrees of freedom.
PRIOR_FREEDOM = 2.0


class LowRankCovariance(NamedTuple):
    """``diag(diagonal) + factor' factor`` for every episode.

    Attributes
    ----------
    diagonal : Tensor of shape (E, D)
    factor : Tensor of shape (E, R, D)
    defined : Tensor of shape (E,), bool
        False where no class has two different shots, or where the only ones are a pair of shots
        or copies of it.
    """

    diagonal: Tensor
    factor: Tensor
    defined: Tensor


def shrunk_covariance(
    support: Support, means: Tensor, priors: Tensor, shrinkage: float | Literal["auto"]
) -> LowRankCovariance:
    """Prior-weighted mean of the shrunk covariances of classes with two shots or more.

    Parameters
    ----------
    support : Support
    means : Tensor of shape (E, N, D)
    priors : Tensor of shape (E, N)
    shrinkage : "auto" or float
    """
    counts = support.counts
    deviations, variance = spread_of(support.deviations(means), means, counts)
    weight = priors * (counts > 1)
    weight = weight / weight.sum(1, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
    defined = (weight[..., None] * variance).sum((1, 2)) > 0
    if shrinkage == "auto":
        intensity, target = ledoit_wolf(deviations, means, variance, counts)
        two = counts <= 2
        if bool(two.any()):
            pooled = pooled_ledoit_wolf(deviations, means, counts)
            intensity = torch.where(two, pooled[0], intensity)
            target = torch.where(two[..., None], towards_average(pooled[1], counts), target)
            # One pair of shots says nothing of an intensity: pooling has to find another.
            defined &= ~two.all(1) | (pooled[0][:, 0] > LEAST_INTENSITY)
    else:
        intensity = torch.full_like(counts, float(shrinkage))
        target = variance.mean(-1, keepdim=True).expand_as(variance)
    diagonal = torch.einsum("en,end->ed", weight * intensity, target)
    scale = (weight * (1 - intensity) / counts).clamp_min(0).sqrt()
    factor = (deviations * scale[..., None, None]).flatten(1, 2)
    return LowRankCovariance(diagonal, factor, defined)


def spread_of(deviations: Tensor, means: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Deviations (E, N, K, D) from class means and their variances (E, N, D), without rounding.

    The mean of K equal numbers may differ from them in its last digit; such a deviation counts as
    none, or copies of one shot would pass for a class of next to no variance.
    """
    variance = deviations.square().sum(2) / counts[..., None]
    noise = (variance <= rounding_variance(means, counts)) & (variance > 0)
    if not bool(noise.any()):
        return deviations, variance
    return deviations.masked_fill(noise[:, :, None], 0.0), variance.masked_fill(noise, 0.0)


def rounding_variance(means: Tensor, counts: Tensor) -> Tensor:
    """Variances (E, N, D) that rounding may have made of equal shots with these means."""
    return (counts[..., None] * means * torch.finfo(means.dtype).eps).square()


def ledoit_wolf(
    deviations: Tensor, means: Tensor, variance: Tensor, counts: Tensor
) -> tuple[Tensor, Tensor]:
    """Ledoit-Wolf shrinkage of every class, on standardised features.

    Of the standardised shots of a class intensity and ``mu`` are those of
    `fewshot.statistics.shrinkage`. Scaled back to features, the target is ``mu`` times the
    variances.

    Parameters
    ----------
    deviations : Tensor of shape (E, N, K, D)
    means, variance : Tensor of shape (E, N, D)
    counts : Tensor of shape (E, N)

    Returns
    -------
    intensity : Tensor of shape (E, N), in [0, 1]
    target : Tensor of shape (E, N, D)
        Diagonal of the target in the units of the features.
    """
    D = deviations.shape[-1]
    k = counts
    eps = torch.finfo(deviations.dtype).eps
    # A variance that is all rounding counts as zero and the feature keeps its scale, the rule
    # of scikit-learn's StandardScaler.
    rounding = k[..., None] * eps * variance + rounding_variance(means, k)
    constant = variance <= rounding
    squared_scale = variance.masked_fill(constant, 1.0)
    standardised = deviations * squared_scale.rsqrt()[:, :, None]
    lengths = standardised.square().sum(-1)  # |z_k|^2
    gram = standardised @ standardised.mT
    intensity, mu = ledoit_wolf_intensity(lengths, gram.square().sum((-1, -2)), k, D)
    return intensity, mu[..., None] * squared_scale


def pooled_ledoit_wolf(deviations: Tensor, means: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Intensity (E, 1) and target (E, 1, D) of all classes' deviations taken as one sample.

    The variances are those of K_c - 1 degrees of freedom per class, so that the target of a
    class with two shots is not too small by half.
    """
    total = (
        (counts * (counts > 1)).sum(1, keepdim=True).clamp_min(1)
    )  # one shot deviates by nothing
    freedom = (counts - 1).sum(1, keepdim=True).clamp_min(1)
    pooled = deviations.flatten(1, 2)[:, None]
    variance = pooled.square().sum(2) / total[..., None]
    intensity, target = ledoit_wolf(pooled, means.mean(1, keepdim=True), variance, total)
    return intensity, target * (total / freedom)[..., None]


def towards_average(variance: Tensor, counts: Tensor) -> Tensor:
    """Variances (E, 1, D) of few shots, with the average over the dimensions as a prior.

    The posterior scale of an inverse-gamma prior worth ``PRIOR_FREEDOM`` degrees of freedom:
    ``(f v_d + f_0 mean(v)) / (f + f_0)`` with ``f = sum_c (K_c - 1)``.
    """
    freedom = (counts - 1).sum(1)[:, None, None]
    average = variance.mean(-1, keepdim=True)
    return (freedom * variance + PRIOR_FREEDOM * average) / (freedom + PRIOR_FREEDOM)


def solve(covariance: LowRankCovariance, right: Tensor) -> Tensor:
    """``S^-1 right`` for right (E, N, D): Woodbury for few shots, Cholesky for many.

    A dimension without any variance has weight zero, as in a least-squares solution.
    """
    diagonal, factor, _ = covariance
    rank, D = factor.shape[1:]
    # Intensity zero leaves no diagonal: a trace of each variance, large enough for Cholesky to
    # survive its own rounding, keeps S invertible.
    total = diagonal + factor.square().sum(1)
    least = total * (10 * rank * D * torch.finfo(diagonal.dtype).eps)
    usable = total > 0
    diagonal = torch.maximum(diagonal, least).masked_fill(~usable, 1.0)
    inverse = torch.where(usable, 1 / diagonal, torch.zeros_like(diagonal))
    if rank >= D:
        full = torch.diag_embed(diagonal) + factor.mT @ factor
        return torch.cholesky_solve(right.mT, torch.linalg.cholesky(full)).mT * usable[:, None]
    scaled = right * inverse[:, None]
    inner = (factor * inverse[:, None]) @ factor.mT
    inner.diagonal(dim1=-2, dim2=-1).add_(1.0)
    coefficients = torch.cholesky_solve(factor @ scaled.mT, torch.linalg.cholesky(inner))
    return scaled - (coefficients.mT @ factor) * inverse[:, None]
