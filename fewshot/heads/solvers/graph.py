"""Nearest neighbours among the queries of an episode."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.heads.solvers.products import gram


def squared_distances(one: Tensor, other: Tensor) -> Tensor:
    """|x - y|^2 of all pairs: (E, A, B) of (E, A, D) and (E, B, D)."""
    lengths = one.square().sum(-1)[..., None] + other.square().sum(-1)[:, None]
    return torch.baddbmm(lengths, one, other.mT, alpha=-2).clamp_min_(0)


def nearest_neighbours(features: Tensor, mask: Tensor, neighbours: int) -> tuple[Tensor, Tensor]:
    """The nearest other rows of every row, by Euclidean distance.

    Parameters
    ----------
    features : Tensor of shape (E, T, D)
    mask : Tensor of shape (E, T), bool
        False for rows that are nobody's neighbour.
    neighbours : int

    Returns
    -------
    rows : Tensor of shape (E, T, J), int64
        The nearest first; J is the smaller of `neighbours` and T - 1.
    exists : Tensor of shape (E, T, J), bool
        False where there are fewer.
    """
    dots = gram(features)
    # |x - y|^2 less the |x|^2 of the row, which orders them alike
    distances = torch.diagonal(dots, dim1=-2, dim2=-1)[:, None] - 2 * dots
    torch.diagonal(distances, dim1=-2, dim2=-1).fill_(torch.inf)
    if not bool(mask.all()):
        distances.masked_fill_(~mask[:, None], torch.inf)
    rows, exists = [], []
    for _ in range(min(neighbours, features.shape[1] - 1)):  # far faster than topk for a few
        least, nearest = distances.min(-1, keepdim=True)
        distances.scatter_(-1, nearest, torch.inf)
        rows.append(nearest)
        exists.append(least.isfinite())
    if not rows:
        none = mask.new_zeros((*mask.shape, 0))
        return none.long(), none
    return torch.cat(rows, -1), torch.cat(exists, -1)


def neighbour_sums(values: Tensor, rows: Tensor, exists: Tensor) -> Tensor:
    """Sum (E, N, T) over the neighbours (E, T, J) of every row of their values (E, N, T).

    The product with the matrix of neighbours, of which nearly all entries are zero.
    """
    total, complete = torch.zeros_like(values), bool(exists.all())
    for j in range(rows.shape[-1]):
        taken = values.gather(-1, rows[:, None, :, j].expand_as(values))
        total += taken if complete else taken * exists[:, None, :, j]
    return total
