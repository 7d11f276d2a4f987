"""Metric multidimensional scaling of many small configurations at once."""

from __future__ import annotations

import torch
from torch import Tensor

# Ways from which on a step is a product of matrices, with memory for N^2 instead of N^2 P values.
MATRICES = 32


def pairwise_distances(points: Tensor) -> Tensor:
    """Euclidean distances (E, N, N) of points (E, N, P), exact for near ones."""
    return torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")


def scale_metrically(points: Tensor, distances: Tensor, iterations: int) -> Tensor:
    """Move points (E, N, P) until their distances are `distances` (E, N, N), by least squares.

    Stress majorisation (SMACOF; de Leeuw, "Applications of Convex Analysis to Multidimensional
    Scaling", 1977): every iteration is a Guttman transform, ``X <- B(X) X / N``, and never
    increases the stress.

    The number of iterations is fixed, so that the result does not depend on the batch. The points
    keep their orientation: ``B(X)`` is symmetric, so that ``X' B(X) X`` is, which makes the
    identity the best rotation (Procrustes) of every step. A covariance in the coordinates of the
    initial points is therefore valid for the final ones.

    Parameters
    ----------
    points : Tensor of shape (E, N, P)
    distances : Tensor of shape (E, N, N)
        Symmetric, not negative, zero on the diagonal and where points coincide.
    iterations : int
        With 0 the points are not moved.
    """
    N = points.shape[1]
    if N > MATRICES:
        return _by_matrices(points, distances, iterations)
    smallest = torch.finfo(points.dtype).tiny
    # Episodes last: a few long vectors instead of many small matrices.
    points, distances = points.movedim(0, -1).contiguous(), distances.movedim(0, -1).contiguous()
    for _ in range(iterations):
        between = points[:, None] - points  # (N, N, P, E)
        current = between.square().sum(2).sqrt_().clamp_min_(smallest)
        points = between.mul_((distances / current)[:, :, None]).sum(1).div_(N)
    return points.movedim(-1, 0).contiguous()


def _by_matrices(points: Tensor, distances: Tensor, iterations: int) -> Tensor:
    """The same Guttman transforms as products ``B(X) X / N``."""
    smallest = torch.finfo(points.dtype).tiny
    for _ in range(iterations):
        products = points @ points.mT
        squares = products.diagonal(dim1=-2, dim2=-1)
        current = (squares[:, :, None] + squares[:, None] - 2 * products).clamp_min_(0).sqrt_()
        ratio = torch.where(distances > 0, distances / current.clamp_min_(smallest), 0.0)
        points = (points * ratio.sum(-1, keepdim=True) - ratio @ points) / points.shape[1]
    return points
