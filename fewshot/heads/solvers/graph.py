"""Nearest neighbours among the queries of an episode."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.heads.solvers.products import gram

BLOCK = 2**24  # products of rows that are held at a time


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


def affinities(features: Tensor, mask: Tensor, neighbours: int) -> Tensor:
    """Links of every row with its nearest neighbours, weighted by ``max(0, cosine)``.

    A row outside of `mask` is nobody's neighbour: it is linked to its own neighbours, and nothing
    is linked to it.

    Parameters
    ----------
    features : Tensor of shape (E, T, D)
        Of unit length.
    mask : Tensor of shape (E, T), bool
        Rows that may be neighbours.
    neighbours : int
        Of every row, itself not counted.

    Returns
    -------
    Tensor of shape (E T, E T), sparse
        W + W', W being the matrix of nearest neighbours: two rows that are neighbours of each other
        are linked twice.
    """
    rows, weights = most_similar(features, features, mask, neighbours, themselves=False)
    E, T, J = rows.shape
    first = torch.arange(E, device=rows.device)[:, None, None] * T
    own = (torch.arange(T, device=rows.device)[:, None] + first).expand(E, T, J)
    others, inside = rows + first, mask[..., None].expand(E, T, J)
    targets = torch.cat([own.flatten(), others[inside]])
    sources = torch.cat([others.flatten(), own[inside]])
    values = torch.cat([weights.flatten(), weights[inside]])
    places = torch.stack([targets, sources])
    return torch.sparse_coo_tensor(
        places, values, (E * T, E * T), check_invariants=False
    ).coalesce()


def pulled(links: Tensor, values: Tensor) -> Tensor:
    """Weighted sums (E, T, N) of the values (E, T, N) of the rows that every row is linked to."""
    return torch.sparse.mm(links, values.flatten(0, 1)).view(values.shape)


def most_similar(
    features: Tensor, among: Tensor, mask: Tensor, neighbours: int, themselves: bool = True
) -> tuple[Tensor, Tensor]:
    """The rows of largest dot product with every row.

    Parameters
    ----------
    features : Tensor of shape (E, A, D)
    among : Tensor of shape (E, B, D)
    mask : Tensor of shape (E, B), bool
        Which of them may be chosen.
    neighbours : int
    themselves : bool
        False where `among` is `features` and no row is to be its own neighbour.

    Returns
    -------
    rows : Tensor of shape (E, A, J), int64
        The most similar first; J is the smaller of `neighbours` and B.
    weights : Tensor of shape (E, A, J)
        Their dot products, 0 where negative, or where there are fewer.
    """
    rows, weights = [], []
    step = max(1, BLOCK // max(1, among.shape[0] * among.shape[1]))
    for start in range(0, features.shape[1], step):  # never all products at a time
        products = features[:, start : start + step] @ among.mT
        products.masked_fill_(~mask[:, None], -torch.inf)
        if not themselves:
            torch.diagonal(products, start, dim1=-2, dim2=-1).fill_(-torch.inf)
        values, places = products.topk(min(neighbours, among.shape[1]), -1)
        rows.append(places)
        weights.append(values.clamp_min(0))
    if not rows:
        shape = (*features.shape[:2], min(neighbours, among.shape[1]))
        return mask.new_zeros(shape).long(), features.new_zeros(shape)
    return torch.cat(rows, 1), torch.cat(weights, 1)
