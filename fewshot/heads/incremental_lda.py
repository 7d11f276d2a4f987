"""Linear discriminant analysis whose covariance base classes and shots share."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number
from fewshot.heads.base import LinearForm, LinearHead, Support
from fewshot.heads.solvers.covariance import LowRankCovariance, solve, spread_of
from fewshot.heads.solvers.sufficient_statistics import SufficientStatistics
from fewshot.heads.solvers.transforms import ncm_weights
from fewshot.heads.tags import HeadTags


class IncrementalLDA(LinearHead):
    """Linear discriminant analysis from accumulated statistics.

    The head of Panos et al., "First Session Adaptation: A Strong Replay-Free Baseline for
    Class-Incremental Learning", ICCV 2023; running covariances as in Hayes and Kanan, "Lifelong
    Machine Learning with Deep Streaming LDA", CVPR Workshops 2020. Score of class c:
    ``m_c' S^-1 x - m_c' S^-1 m_c / 2``, with S the covariance within classes that B base images
    and the shots give together::

        S = (B ((1 - g) S_base + g tr(S_base) / D I) + A'A) / (B + sum_c (K_c - 1))

    A (N K, D) are the deviations of the shots from their class means, and g the shrinkage. One
    inverse of the base part serves all episodes and A enters by Woodbury's
    identity: O(D^3 + E N K D^2).

    It assumes that new classes spread as the base classes do. Without base classes,
    S = (1 - g) A'A / sum_c (K_c - 1) + g s I, with s its average variance; without
    deviations either (one shot), S = I and the head is nearest class mean.

    Parameters
    ----------
    shrinkage : "auto" or float in (0, 1]
        Weight g of the average variance against the covariance. "auto" is the oracle approximating
        shrinkage of Chen et al., IEEE Trans. Signal Processing 2010, which needs the covariance and
        the number of images only; a number is fixed. From base classes, or from the supports where
        there are none.

    Notes
    -----
    Panos et al. add the identity to the covariance; the average variance takes the place of 1
    here, so that the scale of the features does not matter. :func:`lda_weights` makes the same
    classifier from :class:`SufficientStatistics`, for classes that come one after the other.
    Runs in float64.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
    """

    tags = HeadTags(shift_invariant=True, scale_invariant=True)

    def __init__(self, shrinkage: float | Literal["auto"] = "auto") -> None:
        self.shrinkage = shrinkage

    @property
    def uses(self) -> frozenset[str]:
        """Base classes, though it can do without."""
        return frozenset({"base"})

    def fit(self, support: Support) -> Self:
        """Combine the covariances and solve for the weights."""
        check_shrinkage(self.shrinkage)
        dtype = support.features.dtype
        support = support.to(torch.float64)
        means = support.means()
        centre = means.mean(1, keepdim=True)
        deviations, _ = spread_of(support.deviations(means), means, support.counts)
        rows, freedom = deviations.flatten(1, 2), (support.counts - 1).sum(1)
        base, images = support.context.base_covariance, support.context.base_images
        if base is not None and images > 0 and bool(base.trace() > 0):
            shrunk = shrink(base, images, self.shrinkage) * images
            weights = with_base(shrunk, images, rows, freedom, means - centre)
        else:
            weights = without_base(rows, freedom, means - centre, self.shrinkage)
        biases = -(weights * (means + centre)).sum(-1) / 2
        self.weights_, self.biases_ = weights.to(dtype), biases.to(dtype)
        return self

    def linear(self) -> LinearForm:
        """Weights that depend on the shots through the covariance as well."""
        return LinearForm(self.weights_, self.biases_, None)


def check_shrinkage(shrinkage: object) -> None:
    """Raise unless `shrinkage` is "auto" or in (0, 1]."""
    if shrinkage != "auto":
        remedy = "Or 'auto'; 0 would need more images than dimensions to be invertible."
        name = "head.incremental_lda.shrinkage"
        expect_number(name, shrinkage, 0, 1, above=True, remedy=remedy)


def with_base(base: Tensor, images: int, rows: Tensor, freedom: Tensor, right: Tensor) -> Tensor:
    """``S^-1 right`` for ``S = (base + rows' rows) / (images + freedom)``.

    base (D, D), rows (E, R, D), freedom (E,), right (E, N, D); returns (E, N, D).
    """
    R = rows.shape[1]
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(base))
    solved = torch.cat([rows, right], 1) @ inverse
    solved_rows, solved = solved[:, :R], solved[:, R:]
    inner = solved_rows @ rows.mT
    inner.diagonal(dim1=-2, dim2=-1).add_(1.0)
    coefficients = torch.cholesky_solve(rows @ solved.mT, torch.linalg.cholesky(inner))
    weights = solved - coefficients.mT @ solved_rows
    return weights * (images + freedom)[:, None, None]


def without_base(
    rows: Tensor, freedom: Tensor, right: Tensor, shrinkage: float | Literal["auto"]
) -> Tensor:
    """``S^-1 right`` (E, N, D) for the shrunk covariance of deviations (E, R, D)."""
    E, _, D = rows.shape
    free = freedom.clamp_min(1)
    gram = rows @ rows.mT
    trace = gram.diagonal(dim1=-2, dim2=-1).sum(-1) / free
    squared = gram.square().sum((1, 2)) / free.square()
    intensity = intensity_of(trace, squared, free, D, shrinkage)
    defined = trace > 0
    diagonal = torch.where(defined, intensity * trace / D, 1.0)[:, None].expand(E, D)
    factor = rows * ((1 - intensity) / free).sqrt()[:, None, None]
    solved = solve(LowRankCovariance(diagonal, factor, defined), right)
    return torch.where(defined[:, None, None], solved, right)


def shrink(covariance: Tensor, images: int, shrinkage: float | Literal["auto"]) -> Tensor:
    """Covariance (D, D) of so many images, moved towards its average variance."""
    trace, squared = covariance.trace(), covariance.square().sum()
    count = torch.as_tensor(float(images), dtype=trace.dtype, device=trace.device)
    intensity = intensity_of(trace, squared, count, len(covariance), shrinkage)
    target = torch.eye(len(covariance), dtype=trace.dtype, device=trace.device)
    return (1 - intensity) * covariance + intensity * trace / len(covariance) * target


def intensity_of(
    trace: Tensor, squared: Tensor, count: Tensor, dim: int, shrinkage: float | Literal["auto"]
) -> Tensor:
    """The number given, or the oracle approximating one from tr S, tr S^2 and the images.

    ``min(1, (tr S^2 + tr^2 S) / ((n + 1) (tr S^2 - tr^2 S / D)))``: as in scikit-learn's
    ``oas``, terms of order 2 / D of the paper's eq. (23) are left out. Positive always.
    """
    if shrinkage != "auto":
        return torch.full_like(trace, float(shrinkage))
    spread = (squared - trace.square() / dim).clamp_min(torch.finfo(trace.dtype).tiny)
    return ((squared + trace.square()) / ((count + 1) * spread)).clamp_max(1.0)


def lda_weights(
    statistics: SufficientStatistics, shrinkage: float | Literal["auto"] = "auto"
) -> tuple[Tensor, Tensor]:
    """Weights (C, D) and biases (C,) of all classes seen so far, every one with an image."""
    check_shrinkage(shrinkage)
    means = statistics.means()
    covariance = statistics.covariance()
    if not float(covariance.trace()) > 0:
        weights, biases = ncm_weights(means[None])
        return weights[0], biases[0]
    shrunk = shrink(covariance, statistics.freedom, shrinkage)
    centre = means.mean(0)
    weights = torch.cholesky_solve((means - centre).mT, torch.linalg.cholesky(shrunk)).mT
    return weights, -(weights * (means + centre)).sum(-1) / 2
