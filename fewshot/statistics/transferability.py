"""Transferability scores: how well the features of a backbone go with the labels of few images.

Published criteria for choosing a backbone without training on the task: `logme`, `h_score`,
`transrate`, `gbc`. All are larger where the backbone should do better, and are compared between
backbones on the same images only; none is an error or a probability, and none knows the head.

All take ``features`` (E, N, K, D), floating, K images of each of N classes in E tasks, with a
``mask`` (E, N, K), bool, False for padding and True for one image of every class at least. They
return (E,) in float64, NaN where a score is undefined, for the reason in `TRANSFER_SCORES`, and
raise `FewshotError` for other shapes. Of M = N K images they need O(M^2 D + M^3) time and, for
M <= D, no matrix larger than M x M: eigenvalues and eigenvectors of the Gram matrix.

With one image of every class no score can see how the images of a class differ: `gbc` is
undefined, and the other three say how far apart the images are from each other.

LEEP (Nguyen et al. 2020) and NCE (Tran et al. 2019) are not among them: they need probabilities
of the classes that the backbone was trained on, which features do not have.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from fewshot.exceptions import expect
from fewshot.statistics.shrinkage import ledoit_wolf_intensity

# Of the fixed point of `logme`: most steps, relative change at which it ends, and range of
# alpha / beta as a multiple of the largest eigenvalue, as the evidence may grow towards 0 or
# infinity, where it has a limit.
STEPS, TOLERANCE, RANGE = 500, 1e-6, 1e10
# Squared distortion of the coding rate in `transrate`, the authors' value.
DISTORTION = 1e-4
# Leading principal components that `gbc` keeps, the authors' value.
COMPONENTS = 64
# A variance below this share of the largest is rounding.
ROUNDING = 1e-12


def logme(features: Tensor, mask: Tensor) -> Tensor:
    """LogME: largest log evidence per image of a Bayesian linear model of the labels.

    You, Liu, Wang and Long, ICML 2021, algorithm 1. With F the M x D
    features, y the 0/1 labels of a class, ``w ~ N(0, I / alpha)`` and ``y ~ N(F w, I / beta)``::

        L(alpha, beta) = M/2 log beta + D/2 log alpha - M/2 log 2 pi
                         - beta/2 |F m - y|^2 - alpha/2 |m|^2 - 1/2 log |A|
        A = alpha I + beta F'F,   m = beta A^-1 F'y

    is maximised over alpha and beta for every class by the paper's fixed point, here until it
    converges, and the score is the mean of L / M over the classes. With ``t = alpha / beta``, s_i
    and u_i the eigenvalues and eigenvectors of F F', and beta at its optimum for t,
    ``L = M/2 (log(M / (2 pi q)) - 1) - 1/2 sum_i log(1 + s_i / t)``,
    ``q = sum_i (u_i'y)^2 t / (t + s_i)``.

    Any real number; not changed by the scale of the features. Features are not centred, as in the
    paper, so moving all of them changes the score.
    """
    rows, images = _rows(features, mask)
    values, vectors = _spectrum(rows)
    squares = _class_sums(vectors, mask).square()  # (u_i'y)^2: (E, N, R)
    # What of y is outside of the span of the eigenvectors, where D < M.
    rest = (mask.sum(-1) - squares.sum(-1)).clamp_min(0)
    values, images = values[:, None], images[:, None]
    ratio = _precision_ratio(values, squares, rest, images)[..., None]
    quadratic = (squares * ratio / (ratio + values)).sum(-1) + rest
    fit = images / 2 * (torch.log(images / (2 * math.pi * quadratic)) - 1)
    evidence = fit - torch.log1p(values / ratio).sum(-1) / 2
    return (evidence / images).mean(1)


def _precision_ratio(values: Tensor, squares: Tensor, rest: Tensor, images: Tensor) -> Tensor:
    """Fixed point of ``t = alpha / beta`` (E, N), with gamma = sum_i s_i / (t + s_i).

    ``alpha = gamma / |m|^2`` and ``beta = (M - gamma) / |F m - y|^2``, from the mean eigenvalue.
    """
    largest = values.amax(-1).clamp_min(torch.finfo(values.dtype).tiny * RANGE)
    lowest, highest = largest / RANGE, largest * RANGE
    positive = values > 0
    zeros = images - positive.sum(-1)
    ratio = (values.sum(-1) / images).clamp(lowest, highest).expand_as(rest)
    for _ in range(STEPS):
        t = ratio[..., None]
        unexplained = t / (t + values)
        gamma = (values / (t + values)).sum(-1)
        freedom = (unexplained * positive).sum(-1) + zeros  # M - gamma without cancellation
        residual = (squares * unexplained.square()).sum(-1) + rest
        norm = (squares * values / (t + values).square()).sum(-1)
        step = gamma / norm * residual / freedom
        # Without any explained part (0 / 0) the weights are 0: alpha is infinite.
        step = torch.where(step.isnan(), highest, step)
        step = torch.minimum(torch.maximum(step, lowest), highest)
        change = (step / ratio - 1).abs().amax()
        ratio = step
        if float(change) < TOLERANCE:
            break
    return ratio


def h_score(features: Tensor, mask: Tensor) -> Tensor:
    """H-score with a shrunk covariance: variance between classes, whitened.

    ``(1 - a) tr(S_a^-1 cov(E[f | y]))`` with ``S_a = (1 - a) cov(f) + a tr(cov(f)) / D I`` and a
    the Ledoit-Wolf intensity: Ibrahim, Ponomareva and Mazumder, ECML 2022 ("Newer is not always
    better"), of Bao et al., ICIP 2019 (a = 0). Both covariances divide by M. With s_i and u_i the
    eigenvalues and eigenvectors of the centred Gram matrix, and y_c the 0/1 labels of class c,
    ``sum_i (1 - a) s_i / ((1 - a) s_i + a M tr(cov(f)) / D) sum_c (u_i'y_c)^2 / M_c``.

    In [0, N - 1]; not changed by the scale of the features or by moving them.
    """
    rows, images = _rows(features, mask, centred=True)
    values, vectors = _spectrum(rows)
    intensity, mu = ledoit_wolf_intensity(
        rows.square().sum(-1), values.square().sum(-1), images, rows.shape[-1]
    )
    between = (_class_sums(vectors, mask).square() / mask.sum(-1, keepdim=True)).sum(1)
    kept = (1 - intensity)[:, None] * values
    whitened = kept / (kept + (intensity * images * mu)[:, None])
    score = (whitened.nan_to_num(0.0) * between).sum(-1)  # 0 / 0 in the null space
    return score.where(values.amax(-1) > 0, torch.nan)


def transrate(features: Tensor, mask: Tensor) -> Tensor:
    """TransRate: coding rate of all images less the mean coding rate of a class.

    ``R(Z) - 1/N sum_c R(Z_c)`` with ``R(Z) = 1/2 log |I + Z'Z / (M eps)|``, eps = 1e-4, Z the
    features less their overall mean, those of a class too: Huang et al., ICML 2022, with the
    classes alike as in the code of its appendix. The mutual information of features and labels,
    in nats, where entropies are replaced by coding rates.

    At least 0 where all classes have as many images. Larger for larger features: compare
    features of one scale, as of unit length.
    """
    rows, images = _rows(features, mask, centred=True)
    by_class = rows.unflatten(1, features.shape[1:3])
    return _coding_rate(rows, images) - _coding_rate(by_class, mask.sum(-1)).mean(-1)


def _coding_rate(rows: Tensor, images: Tensor) -> Tensor:
    """``1/2 log |I + Z'Z / (M eps)|`` (...) of rows (..., M, D), by the smaller Gram matrix."""
    small = rows @ rows.mT if rows.shape[-2] <= rows.shape[-1] else rows.mT @ rows
    small = small / (images[..., None, None] * DISTORTION)
    small.diagonal(dim1=-2, dim2=-1).add_(1.0)
    return torch.linalg.cholesky(small).diagonal(dim1=-2, dim2=-1).log().sum(-1)


def gbc(features: Tensor, mask: Tensor) -> Tensor:
    """Gaussian Bhattacharyya coefficient: minus the overlap of spherical Gaussians of the classes.

    ``- sum_{c != j} exp(-B_cj)`` with the Bhattacharyya distance of Gaussians
    ``B_cj = |m_c - m_j|^2 / (8 v) + d/2 log(v / sqrt(v_c v_j))``, ``v = (v_c + v_j) / 2``: Pandy,
    Agostinelli, Uijlings, Ferrari and Mensink, CVPR 2022, on the d = 64 leading
    principal components, or as many as there are; v_c is the variance of class c with M_c - 1
    degrees of freedom, averaged over the components.

    In [-N (N - 1), 0]; not changed by the scale of the features or by moving them. NaN where a
    class has one image or copies of one, and so no variance.
    """
    rows, _ = _rows(features, mask, centred=True)
    values, vectors = (part[..., :COMPONENTS] for part in _spectrum(rows))
    d = (values > 0).sum(-1).clamp_min(1)[:, None, None]
    points = (vectors * values.sqrt()[:, None]).unflatten(1, features.shape[1:3])
    counts = mask.sum(-1, keepdim=True)
    means = points.sum(2) / counts
    deviations = (points - means[:, :, None]) * mask[..., None]
    variance = deviations.square().sum((-2, -1)) / (counts[..., 0] - 1)  # of d components together
    defined = (variance > ROUNDING * values[:, :1]).all(-1)  # False of 0 / 0
    average = (variance[:, :, None] + variance[:, None]) / 2
    distance = (means[:, :, None] - means[:, None]).square().sum(-1) * d / (8 * average)
    logs = variance.log()
    distance = distance + d / 2 * (average.log() - (logs[:, :, None] + logs[:, None]) / 2)
    overlap = torch.exp(-distance).sum((-2, -1)) - features.shape[1]  # less those of c with c
    return (-overlap).where(defined, torch.nan)


class TransferScore(NamedTuple):
    """A score and why it is NaN where it is.

    Attributes
    ----------
    function : callable
        ``function(features, mask)``.
    undefined : str
    """

    function: Callable[[Tensor, Tensor], Tensor]
    undefined: str


_NUMBERS = "its numbers left the range of floating point"
TRANSFER_SCORES = {
    "logme": TransferScore(logme, _NUMBERS),
    "h_score": TransferScore(h_score, "all images have the same features"),
    "transrate": TransferScore(transrate, _NUMBERS),
    "gbc": TransferScore(gbc, "a class has one image only, or copies of one, and so no variance"),
}


def _rows(features: Tensor, mask: Tensor, centred: bool = False) -> tuple[Tensor, Tensor]:
    """Images of all classes (E, N K, D), float64, zero for padding, and their number (E,)."""
    expect(
        features.ndim == 4 and mask.shape == features.shape[:3] and bool(mask.any(-1).all()),
        "features",
        "expected (E, N, K, D) with a mask (E, N, K) of one image of every class or more, got "
        f"{tuple(features.shape)} and {tuple(mask.shape)}",
    )
    real = mask.flatten(1)[..., None]
    rows = features.flatten(1, 2).double().masked_fill(~real, 0.0)
    images = real.sum((1, 2)).double()
    if centred:
        mean = rows.sum(1, keepdim=True) / images[:, None, None]
        # The mean of equal numbers may differ from them in its last digits.
        noise = mean.abs() * images[:, None, None] * torch.finfo(rows.dtype).eps
        rows = (rows - mean) * real
        rows = rows.masked_fill(rows.abs() <= noise, 0.0)
    return rows, images


def _spectrum(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (E, R) of ``X X'``, the largest first, and vectors (E, M, R); R = min(M, D).

    Eigenvalues that are rounding are 0.
    """
    M, D = rows.shape[-2:]
    if M <= D:
        ascending, columns = torch.linalg.eigh(rows @ rows.mT)
        values, vectors = ascending.flip(-1), columns.flip(-1)
    else:
        vectors, singular, _ = torch.linalg.svd(rows, full_matrices=False)
        values = singular.square()
    least = values.amax(-1, keepdim=True) * max(M, D) * torch.finfo(rows.dtype).eps
    return values.where(values > least, 0.0), vectors


def _class_sums(vectors: Tensor, mask: Tensor) -> Tensor:
    """Sums (E, N, R) over the images of every class of vectors (E, N K, R): ``u_i'y_c``."""
    return (vectors.unflatten(1, mask.shape[1:]) * mask[..., None]).sum(2)
