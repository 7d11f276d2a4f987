"""Quadratic discriminant analysis with regularised covariances."""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_choice, expect_number
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.solvers.covariance import spread_of
from fewshot.heads.tags import HeadTags


class QDA(Head):
    r"""A Gaussian with its own covariance for every class.

    Friedman, "Regularized Discriminant Analysis", JASA 1989. With A_c the deviations of the
    shots of class c from their mean, ``A_c'A_c`` their scatter over K_c - 1 degrees of freedom,
    lambda the pooling and gamma the shrinkage::

        S_c = ((1 - lambda) A_c'A_c + lambda sum_m A_m'A_m)
              / ((1 - lambda) (K_c - 1) + lambda sum_m (K_m - 1))
        C_c = (1 - gamma) S_c + gamma tr(S_c) / D I
        score_c(x) = -(x - m_c)' C_c^-1 (x - m_c) / 2 - log det C_c / 2 + log p_c

    C_c is d_c I plus F_c'F_c of few rows, so that Woodbury's identity and the determinant lemma
    need ``d_c I + F_c F_c'`` only. O(T N K D + N (N K)^3), without pooling O(T N K D + N K^3).

    Parameters
    ----------
    pooling : float in [0, 1]
        Friedman's lambda: 0 is a covariance per class, 1 the same for all, linear discriminant
        analysis.
    shrinkage : float in (0, 1]
        Friedman's gamma, towards the average variance of the class. Both are fixed; Friedman
        chooses them by cross-validation, for which few shots are too few.
    priors : {"uniform", "empirical"}
        Shares p_c of the classes: 1 / N, or the share of the class in the support.

    Notes
    -----
    Friedman divides by shots, scikit-learn 1.9 as well, where degrees of freedom are counted
    here: otherwise a class with two shots has half the variance it should have. A class whose shots
    do not deviate (one shot, copies) takes the pooled covariance; if no class has any, all take
    the identity and QDA is nearest class mean. Runs in float64.

    Attributes
    ----------
    gaussians_ : Gaussians
    """

    references = ("friedman1989regularized",)
    tags = HeadTags(shift_invariant=True, scale_invariant=True)

    def __init__(
        self,
        pooling: float = 0.5,
        shrinkage: float = 0.5,
        priors: Literal["uniform", "empirical"] = "uniform",
    ) -> None:
        self.pooling = pooling
        self.shrinkage = shrinkage
        self.priors = priors

    def fit(self, support: Support) -> Self:
        """Estimate means and covariances."""
        self._check_parameters()
        self.dtype_ = support.features.dtype
        support = support.to(torch.float64)
        counts = support.counts
        shares = torch.ones_like(counts) if self.priors == "uniform" else counts
        # Up to what is common to all classes: equal priors are zero, and drown no density.
        self.log_priors_ = (shares / shares.amax(1, keepdim=True)).log()
        self.gaussians_ = gaussians_of(support, self.pooling, self.shrinkage)
        return self

    def scores(self, query: Query) -> Tensor:
        """Log densities (E, T, N), up to what is common to all classes, plus log priors."""
        points = query.features.to(torch.float64)
        return (log_density(self.gaussians_, points) + self.log_priors_[:, None]).to(self.dtype_)

    def _check_parameters(self) -> None:
        expect_number("head.qda.pooling", self.pooling, 0, 1)
        remedy = "0 would need more shots per class than dimensions to be invertible."
        expect_number("head.qda.shrinkage", self.shrinkage, 0, 1, above=True, remedy=remedy)
        expect_choice("head.qda.priors", self.priors, ("uniform", "empirical"))


class Gaussians(NamedTuple):
    """Means and covariances ``diagonal_c I + (s_c A)' (s_c A)``, s_c scaling the rows of A.

    Attributes
    ----------
    means : Tensor of shape (E, N, D)
    diagonal : Tensor of shape (E, N)
    rows : Tensor of shape (E, M, R, D)
        A: those of every class (M = N), or the same for all (M = 1).
    scale : Tensor of shape (E, N, R)
    gram : Tensor of shape (E, M, R, R)
        ``A A'``.
    """

    means: Tensor
    diagonal: Tensor
    rows: Tensor
    scale: Tensor
    gram: Tensor


def gaussians_of(support: Support, pooling: float, shrinkage: float) -> Gaussians:
    """Means and regularised covariances of the classes of every episode."""
    E, N, K, D = support.features.shape
    means, counts = support.means(), support.counts
    deviations, _ = spread_of(support.deviations(means), means, counts)
    trace = deviations.square().sum((2, 3))
    pooled = torch.full_like(trace, float(pooling)).masked_fill(trace == 0, 1.0)
    freedom = counts - 1
    total = trace.sum(1, keepdim=True)
    divisor = (1 - pooled) * freedom + pooled * freedom.sum(1, keepdim=True)
    divisor = divisor.clamp_min(1e-300)
    average = ((1 - pooled) * trace + pooled * total) / (divisor * D)
    diagonal = torch.where(total > 0, shrinkage * average, 1.0)
    share = (1 - shrinkage) / divisor
    if bool((pooled == 0).all()):
        rows, weight = deviations, share[..., None].expand(E, N, K)
    else:
        rows = deviations.flatten(1, 2)[:, None]
        own = torch.eye(N, dtype=trace.dtype, device=trace.device)
        weight = own * (1 - pooled[..., None]) + pooled[..., None]  # of m's shots in class c
        weight = (weight * share[..., None]).repeat_interleave(K, -1)
    return Gaussians(means, diagonal, rows, weight.sqrt(), rows @ rows.mT)


def log_density(gaussians: Gaussians, points: Tensor) -> Tensor:
    """Log densities (E, T, N) of points (E, T, D), without D log(2 pi) / 2.

    One class at a time: all at once would hold (E, N, R, R) and (E, N, T, R).
    """
    means, diagonal, rows, scale, gram = gaussians
    rank, D = rows.shape[2:]
    centre = means.mean(1, keepdim=True)  # lengths of small numbers lose fewer digits
    points, means = points - centre, means - centre
    lengths = torch.linalg.vecdot(points, points)[..., None] + means.square().sum(-1)[:, None]
    distances = torch.baddbmm(lengths, points, means.mT, alpha=-2.0)
    shared = points @ rows[:, 0].mT if rows.shape[1] == 1 else None
    densities = []
    for n in range(means.shape[1]):
        m = min(n, rows.shape[1] - 1)
        inner = gram[:, m] * scale[:, n, :, None] * scale[:, n, None]
        inner.diagonal(dim1=-2, dim2=-1).add_(diagonal[:, n, None])
        factor = torch.linalg.cholesky(inner)
        across = points @ rows[:, m].mT if shared is None else shared
        across = (across - means[:, n, None] @ rows[:, m].mT) * scale[:, n, None]
        solved = torch.linalg.solve_triangular(factor, across.mT, upper=False)
        squared = distances[..., n] - solved.square().sum(1)
        pivots = factor.diagonal(dim1=-2, dim2=-1)
        log_det = (D - rank) * diagonal[:, n].log() + 2 * pivots.log().sum(-1)
        densities.append(-(squared / diagonal[:, n, None] + log_det[:, None]) / 2)
    return torch.stack(densities, -1)
