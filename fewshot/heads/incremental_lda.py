"""Linear discriminant analysis whose covariance base classes and shots share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number
from fewshot.heads.base import Context, LinearForm, LinearHead, Support, linear_scores
from fewshot.heads.labelled import LabelledBatch, LabelledEpisodes
from fewshot.heads.presets import Preset, with_preset
from fewshot.heads.solvers.covariance import LowRankCovariance, solve, spread_of
from fewshot.heads.solvers.selection import choose_on_base
from fewshot.heads.solvers.sufficient_statistics import SufficientStatistics
from fewshot.heads.solvers.transforms import ncm_weights
from fewshot.heads.tags import HeadTags

Shrinkage = float | Literal["auto", "oracle", "identity"]
NAMES = ("auto", "oracle", "identity")
PAPER = {"shrinkage": "identity"}
# Shares of the average variance beside the covariance that "auto" chooses among: first a safe one,
# then that of nearest class mean, then smaller ones.
SHARES = (1.0, 100 / 101, 30 / 31, 10 / 11, 3 / 4, 1 / 2, 1 / 4, 1 / 10, 0.0)
# Without episodes of base classes the average variance counts as so many images per dimension.
PRIOR_IMAGES = 30


class IncrementalLDA(LinearHead):
    """Linear discriminant analysis from accumulated statistics.

    The head of Panos et al., "First Session Adaptation: A Strong Replay-Free Baseline for
    Class-Incremental Learning", ICCV 2023; running covariances as in Hayes and Kanan, "Lifelong
    Machine Learning with Deep Streaming LDA", CVPR Workshops 2020. Score of class c:
    ``m_c' S^-1 x - m_c' S^-1 m_c / 2``, with S the covariance within classes that B base images
    and the shots give together::

        S = (B ((1 - g) S_base + g s I) + A'A) / (B + sum_c (K_c - 1)),    s = tr(S_base) / D

    A (N K, D) are the deviations of the shots from their class means, and g the shrinkage. One
    inverse of the base part serves all episodes and A enters by Woodbury's
    identity: O(D^3 + E N K D^2).

    It assumes that new classes spread as the base classes do. Without base classes,
    S = (1 - g) A'A / sum_c (K_c - 1) + g s I, with s its average variance; without
    deviations either (one shot), S = I and the head is nearest class mean.

    Parameters
    ----------
    shrinkage : "auto", "oracle", "identity" or float in (0, 1]
        Weight g of the average variance s against the covariance; a number is fixed. "oracle" is
        the oracle approximating shrinkage of Chen et al., IEEE Trans. Signal Processing 2010, which
        needs the covariance and the number of images only, from base classes, or from the supports
        where there are none. "identity" adds the identity to the covariance, as Panos et al. do:
        what it weighs depends on the scale of the features. "auto", the default, is "oracle"
        without base classes, else (1 - h) S + h s I with the S of "oracle": see the notes.
    preset : {"none", "paper"}
        "paper" sets ``shrinkage="identity"``.

    Notes
    -----
    The inverse weighs all dimensions alike, also those in which neither classes nor images differ
    much, and a shot or two fix a mean there no better than chance: with few base images for their
    dimensions that costs more than the covariance brings. At h = 1 the head is nearest class mean.
    "auto" takes for h the first of 1, 100/101, 30/31, 10/11, 3/4, 1/2, 1/4, 1/10 and 0 within one
    standard error of the fewest mistakes on episodes of base classes, where the covariance comes
    from other base classes. Where these are too few, h = 30 D / (30 D + B): the average variance
    counts as 30 images per dimension.

    :func:`lda_weights` makes the same classifier from :class:`SufficientStatistics`, for classes
    that come one after the other. Runs in float64.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
    """

    references = ("panos2023first", "hayes2020lifelong", "chen2010shrinkage")
    tags = HeadTags(shift_invariant=True, scale_invariant=True)

    def __init__(self, shrinkage: Shrinkage = "auto", preset: Preset = "none") -> None:
        self.shrinkage = shrinkage
        self.preset = preset

    @property
    def uses(self) -> frozenset[str]:
        """Base classes, though it can do without; episodes of these if shrinkage is "auto"."""
        settings = with_preset(self, PAPER, "head.incremental_lda")
        chosen = settings.shrinkage == "auto"
        return frozenset({"base", "base_episodes"} if chosen else {"base"})

    def fit(self, support: Support) -> Self:
        """Combine the covariances and solve for the weights."""
        settings = with_preset(self, PAPER, "head.incremental_lda")
        check_shrinkage(settings.shrinkage)
        dtype = support.features.dtype
        support = support.to(torch.float64)
        shots = _statistics(support)
        if knows_base(support.context):
            weights = settings._with_base(support.context, shots)
        else:
            weights = without_base(*shots, settings.shrinkage)
        biases = _biases(weights, support.means())
        self.weights_, self.biases_ = weights.to(dtype), biases.to(dtype)
        return self

    def _with_base(self, context: Context, shots: _Shots) -> Tensor:
        """Weights (E, N, D) where there is a covariance of base classes."""
        base, images, h = context.base_covariance, context.base_images, 0.0
        assert base is not None
        if self.shrinkage == "auto":
            episodes = context.base_episodes
            prior = PRIOR_IMAGES * len(base)
            h = prior / (prior + images) if episodes is None else episodes.choose(self, _on_base)
        shrunk, average = shrink(base, images, self.shrinkage), base.trace() / len(base)
        mixed = (1 - h) * shrunk
        mixed.diagonal().add_(h * average)
        rows = (1 - h) ** 0.5 * shots.rows
        return with_base(mixed * images, images, rows, shots.freedom, shots.apart)

    def linear(self) -> LinearForm:
        """Weights that depend on the shots through the covariance as well."""
        return LinearForm(self.weights_, self.biases_, None)


class _Shots(NamedTuple):
    """Deviations (E, R, D), degrees of freedom (E,) and class means about their mean (E, N, D)."""

    rows: Tensor
    freedom: Tensor
    apart: Tensor


def _statistics(support: Support) -> _Shots:
    means = support.means()
    deviations, _ = spread_of(support.deviations(means), means, support.counts)
    apart = means - means.mean(1, keepdim=True)
    return _Shots(deviations.flatten(1, 2), (support.counts - 1).sum(1), apart)


def _biases(weights: Tensor, means: Tensor) -> Tensor:
    return -(weights * (means + means.mean(1, keepdim=True))).sum(-1) / 2


def knows_base(context: Context) -> bool:
    """Whether there is a covariance of base classes that is not zero."""
    base = context.base_covariance
    return base is not None and context.base_images > 0 and bool(base.trace() > 0)


def check_shrinkage(shrinkage: object) -> None:
    """Raise unless `shrinkage` is one of the names or in (0, 1]."""
    if shrinkage not in NAMES:
        remedy = "Or 'auto', 'oracle', 'identity'; 0 would need more images than dimensions."
        name = "head.incremental_lda.shrinkage"
        expect_number(name, shrinkage, 0, 1, above=True, remedy=remedy)


def _on_base(episodes: LabelledEpisodes) -> float:
    """The share of the average variance that is about the best for episodes of base classes.

    In the basis of the eigenvectors of the covariance of the others, which episodes of a fold
    share, every share has a diagonal matrix.
    """
    basis: list[tuple[Tensor, Tensor, Tensor]] = []  # covariance, eigenvalues and -vectors

    def scores(batch: LabelledBatch) -> Iterator[Tensor]:
        context, support = batch.support.context, batch.support.to(torch.float64)
        base, images = context.base_covariance, context.base_images
        assert base is not None
        if not basis or basis[0][0] is not base:
            basis[:] = [(base, *torch.linalg.eigh(shrink(base.double(), images, "oracle")))]
        _, values, vectors = basis[0]
        turned = Support(support.features @ vectors, support.mask)
        shots, queries = _statistics(turned), batch.query.features.double() @ vectors
        for h in SHARES:
            diagonal = images * ((1 - h) * values + h * values.mean())
            rows = (1 - h) ** 0.5 * shots.rows
            solved = rows / diagonal, shots.apart / diagonal
            weights = _woodbury(rows, *solved) * (images + shots.freedom)[:, None, None]
            yield linear_scores(queries, weights, _biases(weights, turned.means()))

    return choose_on_base(episodes, SHARES, scores)


def with_base(base: Tensor, images: int, rows: Tensor, freedom: Tensor, right: Tensor) -> Tensor:
    """``S^-1 right`` for ``S = (base + rows' rows) / (images + freedom)``.

    base (D, D), rows (E, R, D), freedom (E,), right (E, N, D); returns (E, N, D).
    """
    R = rows.shape[1]
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(base))
    solved = torch.cat([rows, right], 1) @ inverse
    weights = _woodbury(rows, solved[:, :R], solved[:, R:])
    return weights * (images + freedom)[:, None, None]


def _woodbury(rows: Tensor, solved_rows: Tensor, solved: Tensor) -> Tensor:
    """``(M + rows' rows)^-1 right`` from ``M^-1 rows`` and ``M^-1 right``."""
    inner = solved_rows @ rows.mT
    inner.diagonal(dim1=-2, dim2=-1).add_(1.0)
    coefficients = torch.cholesky_solve(rows @ solved.mT, torch.linalg.cholesky(inner))
    return solved - coefficients.mT @ solved_rows


def without_base(rows: Tensor, freedom: Tensor, right: Tensor, shrinkage: Shrinkage) -> Tensor:
    """``S^-1 right`` (E, N, D) for the shrunk covariance of deviations (E, R, D)."""
    E, _, D = rows.shape
    free = freedom.clamp_min(1)
    if shrinkage == "identity":
        whole = torch.ones_like(freedom, dtype=torch.bool)
        ones = torch.ones_like(freedom)[:, None].expand(E, D)
        return solve(LowRankCovariance(ones, rows / free.sqrt()[:, None, None], whole), right)
    gram = rows @ rows.mT
    trace = gram.diagonal(dim1=-2, dim2=-1).sum(-1) / free
    squared = gram.square().sum((1, 2)) / free.square()
    intensity = intensity_of(trace, squared, free, D, shrinkage)
    defined = trace > 0
    diagonal = torch.where(defined, intensity * trace / D, 1.0)[:, None].expand(E, D)
    factor = rows * ((1 - intensity) / free).sqrt()[:, None, None]
    solved = solve(LowRankCovariance(diagonal, factor, defined), right)
    return torch.where(defined[:, None, None], solved, right)


def shrink(covariance: Tensor, images: int, shrinkage: Shrinkage) -> Tensor:
    """Covariance (D, D) of so many images, moved towards its average variance, or the identity."""
    if shrinkage == "identity":
        return covariance + torch.eye(len(covariance), dtype=covariance.dtype).to(covariance)
    trace, squared = covariance.trace(), covariance.square().sum()
    count = torch.as_tensor(float(images), dtype=trace.dtype, device=trace.device)
    intensity = intensity_of(trace, squared, count, len(covariance), shrinkage)
    target = torch.eye(len(covariance), dtype=trace.dtype, device=trace.device)
    return (1 - intensity) * covariance + intensity * trace / len(covariance) * target


def intensity_of(
    trace: Tensor, squared: Tensor, count: Tensor, dim: int, shrinkage: Shrinkage
) -> Tensor:
    """The number given, or the oracle approximating one from tr S, tr S^2 and the images.

    ``min(1, (tr S^2 + tr^2 S) / ((n + 1) (tr S^2 - tr^2 S / D)))``: as in scikit-learn's
    ``oas``, terms of order 2 / D of the paper's eq. (23) are left out. Positive always.
    """
    if not isinstance(shrinkage, str):
        return torch.full_like(trace, float(shrinkage))
    spread = (squared - trace.square() / dim).clamp_min(torch.finfo(trace.dtype).tiny)
    return ((squared + trace.square()) / ((count + 1) * spread)).clamp_max(1.0)


def lda_weights(
    statistics: SufficientStatistics, shrinkage: Shrinkage = "auto"
) -> tuple[Tensor, Tensor]:
    """Weights (C, D) and biases (C,) of all classes seen so far, every one with an image.

    There are no other classes to choose on, so that "auto" is "oracle".
    """
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
