"""Labels that spread over a graph of shots and queries."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from fewshot.exceptions import expect, expect_bool, expect_number, expect_positive_int
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.solvers.graph import squared_distances
from fewshot.heads.solvers.transforms import (
    QueryCenter,
    centred,
    check_query_center,
    uses_of_center,
)
from fewshot.heads.solvers.unlabelled import padding_zeroed
from fewshot.heads.tags import HeadTags

SETTING = "head.label_propagation"


class LabelPropagation(Head):
    r"""Label propagation with local and global consistency.

    Zhou, Bousquet, Lal, Weston and Schölkopf, "Learning with Local and Global Consistency", NeurIPS
    2003. Shots and queries are the nodes of a graph with weights
    ``w_ij = exp(-|x_i - x_j|^2 / (s_i s_j))``, zero on the diagonal, where the width s_i is the
    distance to the neighbour of a given rank (Zelnik-Manor and Perona, "Self-Tuning Spectral
    Clustering", NeurIPS 2004). Labels spread along its edges: ``F = (I - alpha S)^-1 Y`` with
    ``S = D^-1/2 W D^-1/2``, D the row sums of W, and Y the labels of the shots. Scores are shares
    of ``sum_j w_ij F_j / sqrt(D_j)``: those of F itself, and for a query that nothing is learned
    from the induction of Delalleau, Bengio and Le Roux, AISTATS 2005.

    It assumes that images of a class are joined by chains of similar images. O(n^2 (n + D)), and
    n^2 numbers, for n shots and queries.

    Parameters
    ----------
    alpha : float in [0, 1)
        How far labels spread; 0.99 in the paper.
    neighbour : int >= 1
        Rank of the neighbour that gives the width; 7 in the paper of the widths.
    normalize_labels : bool
        Divide the labels of a class by the sum of ``sqrt(D)`` over its shots, so that all classes
        have the same part in the constant solution, to which labels that spread far tend (Wang,
        Jebara and Chang, "Semi-Supervised Learning Using Greedy Max-Cut", JMLR 2013). Without, as
        in the paper, the class whose few shots lie in the densest place takes nearly all queries.
    center : {"none", "base", "support", "all", "each"}
        Whose mean is subtracted before features get unit length, see `centred`; "none" leaves them
        as they are.
    """

    references = ("zhou2003learning", "zelnik2004self", "wang2013semi", "delalleau2005efficient")
    tags = HeadTags(tolerance=1e-6)

    def __init__(
        self,
        alpha: float = 0.99,
        neighbour: int = 7,
        normalize_labels: bool = True,
        center: QueryCenter = "none",
    ) -> None:
        self.alpha = alpha
        self.neighbour = neighbour
        self.normalize_labels = normalize_labels
        self.center = center

    @property
    def uses(self) -> frozenset[str]:
        """The queries together, and the mean of base classes for that centre."""
        return frozenset({"queries"}) | uses_of_center(self.center)

    def fit(self, support: Support) -> Self:
        """Keep the shots: what is learned depends on the queries."""
        expect_number(f"{SETTING}.alpha", self.alpha, 0, 1)
        expect(self.alpha < 1, f"{SETTING}.alpha", f"expected less than 1, got {self.alpha}")
        expect_positive_int(f"{SETTING}.neighbour", self.neighbour)
        expect_bool(f"{SETTING}.normalize_labels", self.normalize_labels)
        check_query_center(self.center, support, SETTING)
        self.support_ = support
        return self

    def scores(self, query: Query) -> Tensor:
        """Shares (E, T, N) of the classes in the labels that reach a query."""
        support, query = centred(self.support_, query, self.center, SETTING)
        E, N, K, _ = support.features.shape
        centre = support.means().mean(1, keepdim=True)  # distances are differences of squares
        shots = support.features.flatten(1, 2) - centre
        nodes = torch.cat([shots, padding_zeroed(query) - centre], 1).double()
        known = torch.cat([support.mask.flatten(1), query.learning_mask], 1)
        weights = affinities(nodes, known, self.neighbour)
        labels = weights.new_zeros(E, nodes.shape[1], N)
        labels[:, : N * K] = torch.eye(
            N, dtype=labels.dtype, device=labels.device
        ).repeat_interleave(K, 0)
        labels = labels * torch.cat([known[:, : N * K], torch.zeros_like(query.mask)], 1)[..., None]
        reached = spread_labels(
            weights * known[..., None], labels, self.alpha, self.normalize_labels
        )
        sums = weights[:, N * K :] @ reached
        total = sums.sum(-1, keepdim=True).clamp_min(torch.finfo(sums.dtype).tiny)
        return (sums / total).to(query.features.dtype)


def affinities(nodes: Tensor, known: Tensor, neighbour: int) -> Tensor:
    """Weights (E, n, n) of the edges from every node to those that are learned from.

    Parameters
    ----------
    nodes : Tensor of shape (E, n, D), float64
    known : Tensor of shape (E, n), bool
        Which are learned from, two in every episode at least; edges to others weigh nothing.
    neighbour : int
        Rank of the neighbour that gives the widths; the last one where there are fewer.
    """
    distances = squared_distances(nodes, nodes).masked_fill_(~known[:, None], torch.inf)
    torch.diagonal(distances, dim1=-2, dim2=-1).fill_(torch.inf)
    most = min(neighbour, nodes.shape[1] - 1)
    nearest = distances.topk(most, -1, largest=False).values
    rank = (known.sum(-1) - 1).clamp(1, most) - 1
    width = nearest.gather(-1, rank[:, None, None].expand(*known.shape, 1))[..., 0].sqrt()
    # Zero among many copies, infinite for the only node.
    width = width.clamp(torch.finfo(width.dtype).tiny ** 0.5, torch.finfo(width.dtype).max ** 0.5)
    return (-distances / (width[..., None] * width[:, None])).exp_()


def spread_labels(weights: Tensor, labels: Tensor, alpha: float, normalize: bool) -> Tensor:
    """``D^-1/2 (I - alpha S)^-1 Y`` (E, n, N) for weights (E, n, n) and labels (E, n, N)."""
    root = weights.sum(-1).sqrt()[..., None]
    if normalize:
        mass = (labels * root).sum(1, keepdim=True)
        labels = labels / mass.clamp_min(torch.finfo(mass.dtype).tiny ** 0.5)
    inverse = torch.where(root > 0, 1 / root, 0.0)  # no edge: no label
    graph = -alpha * weights * inverse * inverse.mT
    torch.diagonal(graph, dim1=-2, dim2=-1).add_(1)
    return inverse * torch.linalg.solve(graph, labels)
