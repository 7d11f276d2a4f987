"""Probability that a class scores highest, with Gaussian scores and any number of classes."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from fewshot.estimators.orthant import (
    JITTER,
    normal_points,
    orthant_probability,
    student_scales,
)

# Up to here the probability of each class is an integral of its own, by Genz's method: its time
# grows with the fourth power of the ways and its memory with the third.
EXACT_WAYS = 32
# Points along lines for each quadrature point, so that both methods err by about as much.
LINE_POINTS = 8
# Values of intermediate results at a time, which then stay in the cache of a core.
VALUES = 1 << 16

Scatter = Tensor | Callable[[slice], Tensor]


def winning_probability(
    margins: Tensor,
    scatter: Scatter,
    points: int = 128,
    freedom: float = math.inf,
    exact_ways: int = EXACT_WAYS,
) -> Tensor:
    """P(score of c > score of every other class) for a point of class c: (E, N), float64.

    Up to 32 ways by :func:`~fewshot.estimators.orthant.orthant_probability` of the N - 1 margins.
    Beyond, by integration along lines (:func:`on_lines`), with memory for N^2 values: its mean
    over the classes differs from the former's by 0.002 (root mean square) at the default points.

    Parameters
    ----------
    margins : Tensor of shape (E, N, N)
        Expected margin of class c (second axis) over class j (third); the diagonal is ignored.
    scatter : Tensor of shape (E, N, N), or callable
        Covariance of the scores for x of any class; or a function from a slice of n classes to
        the covariances for x of these classes, (E, n, N, N).
    points : int >= 1
        Quadrature points.
    freedom : float > 2
        Degrees of freedom of Student's t; infinite for normal scores.
    exact_ways : int
        Ways up to which each class has an integral of its own.
    """
    N = margins.shape[-1]
    if exact_ways >= N:
        everything = scatter if isinstance(scatter, Tensor) else scatter(slice(0, N))
        return orthant_probability(rivals(margins), rival_covariance(everything), points, freedom)
    shared = isinstance(scatter, Tensor)
    slices = [slice(0, N)] if shared else [slice(c, c + 1) for c in range(N)]
    columns = []
    for classes in slices:
        covariance = scatter if isinstance(scatter, Tensor) else scatter(classes)[:, 0]
        roots = (principal_root if shared else triangular_root)(covariance.double())
        episodes = zip(margins.double(), roots, strict=True)
        columns.append(torch.stack([
            on_lines(mean, root, range(N)[classes], LINE_POINTS * points, freedom)
            for mean, root in episodes
        ]))  # fmt: skip
    return torch.cat(columns, 1)


def rivals(margins: Tensor) -> Tensor:
    """Drop the diagonal of (E, N, N): each class's margins over the others, (E, N, N - 1)."""
    N = margins.shape[-1]
    off = ~torch.eye(N, dtype=torch.bool, device=margins.device)
    return margins[:, off].unflatten(-1, (N, N - 1))


def rival_covariance(scatter: Tensor) -> Tensor:
    """Covariance of the margins (E, N, N - 1, N - 1) from that of the scores.

    `scatter` is (E, N, N) for all classes alike, or (E, N, N, N) with the class of x second.
    """
    N = scatter.shape[-1]
    if scatter.ndim == 3:
        scatter = scatter[:, None].expand(-1, N, -1, -1)
    ways = torch.arange(N, device=scatter.device)
    # cov(s_c - s_i, s_c - s_j) = S_cc + S_ij - S_ci - S_cj
    with_class = scatter[:, ways, ways]  # (E, c, j): S_cj
    itself = with_class[:, ways, ways]
    covariance = (
        itself[..., None, None] + scatter - with_class[..., None] - with_class[..., None, :]
    )
    off = ~torch.eye(N, dtype=torch.bool, device=scatter.device)
    kept = off[:, :, None] & off[:, None, :]
    return covariance[:, kept].unflatten(1, (N, N - 1, N - 1))


def on_lines(
    margins: Tensor, root: Tensor, classes: range | list[int], points: int, freedom: float
) -> Tensor:
    """Winning probabilities of some classes of an episode, by integration along lines: (n,).

    With scores ``root u`` around their means, u standard normal, class c wins where
    ``margin_cj + (a_c - a_j) . u > 0`` for all j, a_j the rows of `root`. For each of the
    quasi-random points u, the part of the line through u in a direction d on which c wins is an
    interval, and its normal measure is exact: Monte Carlo conditional on all but one dimension.
    d points away from the rivals, weighted by their probability to win against c alone.

    Parameters
    ----------
    margins : Tensor of shape (N, N), float64
    root : Tensor of shape (N, R), float64
        ``root root'`` is the covariance of the scores.
    classes : sequence of n ints
    points : int
    freedom : float
        See :func:`winning_probability`.
    """
    uniform = normal_points(root.shape[1], points).to(root)
    scores = uniform @ root.mT  # (points, N)
    scale = None if math.isinf(freedom) else student_scales(freedom, points).to(root)[:, None]
    rows = max(1, VALUES // len(root))
    probabilities = []
    for c in classes:
        direction = _away_from_rivals(margins[c], root, c)
        slopes = (root[c] - root) @ direction
        along = uniform @ direction
        # A slope of nothing decides by the sign of the margin, and a class ties with itself.
        smallest = slopes.abs().amax().clamp_min(1e-300) * 1e-9
        slopes = torch.where(slopes.abs() < smallest, smallest, slopes)
        rises, falls, gentle = slopes > 0, slopes < 0, 1 / slopes
        mean = margins[c].clone()
        mean[c] = torch.inf
        wins = torch.zeros((), dtype=root.dtype, device=root.device)
        for first in range(0, points, rows):
            part = slice(first, first + rows)
            limits = scores[part] - scores[part, c, None]
            limits.sub_(mean if scale is None else mean * scale[part]).mul_(gentle)
            lowest = limits.masked_fill(falls, -torch.inf).amax(-1) + along[part]
            highest = limits.masked_fill(rises, torch.inf).amin(-1) + along[part]
            inside = torch.special.ndtr(highest) - torch.special.ndtr(lowest)
            wins += inside.clamp_min(0).sum()
        probabilities.append(wins / points)
    return torch.stack(probabilities)


def _away_from_rivals(margins: Tensor, root: Tensor, c: int) -> Tensor:
    """Unit vector (R,) along which class c gains on its rivals, the strongest first."""
    differences = root[c] - root
    deviation = differences.norm(dim=1).clamp_min(1e-300)
    weights = torch.special.ndtr(-margins / deviation) / deviation
    weights[c] = 0.0
    direction = weights @ differences
    return direction / direction.norm().clamp_min(1e-300)


def principal_root(covariance: Tensor) -> Tensor:
    """Roots (E, N, N) of positive semi-definite matrices (E, N, N), largest components first.

    The first of the quasi-random coordinates are the most even ones. Signs are those that make the
    largest entry of each component positive: the answer does not depend on those of the
    eigenvectors. NaN for matrices that are not finite.
    """
    finite = covariance.isfinite().all(-1).all(-1)[:, None, None]
    values, vectors = torch.linalg.eigh(torch.where(finite, covariance, 0.0))
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    root = vectors * (largest.sign() * values.clamp_min(0).sqrt()[:, None])
    return torch.where(finite, root.flip(-1), torch.nan)


def triangular_root(covariance: Tensor) -> Tensor:
    """Roots (E, N, N) as above at a tenth of the time, with coordinates in no order."""
    diagonal = covariance.diagonal(dim1=-2, dim2=-1)
    spread = diagonal.mean(-1, keepdim=True).clamp_min(1e-300)
    regular = covariance + torch.diag_embed((JITTER * spread).expand(diagonal.shape))
    root, failed = torch.linalg.cholesky_ex(regular)
    if not bool(failed.any()):
        return root
    return torch.where(failed[:, None, None] > 0, principal_root(covariance), root)
