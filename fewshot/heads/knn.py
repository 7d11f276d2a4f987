"""Nearest neighbours."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_choice, expect_positive_int
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.solvers.transforms import check_metric, unit_length
from fewshot.heads.tags import HeadTags


class KNN(Head):
    """Votes of the k nearest shots.

    Cover and Hart, "Nearest Neighbor Pattern Classification", IEEE Trans. Inf. Theory 1967;
    weights by distance as in Dudani, IEEE Trans. SMC 1976 and scikit-learn's
    ``KNeighborsClassifier``. Exact search: all distances of an episode by one matrix product,
    O(T N K D).

    Parameters
    ----------
    k : int >= 1
        Neighbours; all shots if an episode has fewer. Fixed, 1 by default, which is defined for
        any number of shots.
    metric : {"euclidean", "cosine"}
        Euclidean distance, or 1 - cosine.
    weights : {"uniform", "distance"}
        A vote each, or in proportion to 1 / distance. Shots at distance zero, up to rounding,
        share all votes.

    Notes
    -----
    A score is the class's share of the votes. Equal numbers of uniform votes are decided by the
    nearest neighbour, by less than half a vote that is added by rank (scikit-learn takes the first
    class). Shots at exactly equal distances around place k are taken as ``torch.topk`` gives them.

    Attributes
    ----------
    shots_ : Tensor of shape (E, N * K, D)
        Shots, less their mean, or of unit length.
    mask_ : Tensor of shape (E, N, K)
    """

    references = ("cover1967nearest", "dudani1976distance")

    def __init__(
        self,
        k: int = 1,
        metric: Literal["euclidean", "cosine"] = "euclidean",
        weights: Literal["uniform", "distance"] = "uniform",
    ) -> None:
        self.k = k
        self.metric = metric
        self.weights = weights

    @property
    def tags(self) -> HeadTags:
        """Angles change with the origin, distances do not."""
        return HeadTags(shift_invariant=self.metric == "euclidean", scale_invariant=True)

    def fit(self, support: Support) -> Self:
        """Keep the shots."""
        expect_positive_int("head.knn.k", self.k)
        check_metric(self.metric, "head.knn")
        expect_choice("head.knn.weights", self.weights, ("uniform", "distance"))
        # Distances are differences of squares: small numbers lose fewer digits.
        self.centre_ = support.means().mean(1, keepdim=True)
        self.shots_ = self._prepared(support.features.flatten(1, 2))
        self.mask_ = support.mask
        return self

    def scores(self, query: Query) -> Tensor:
        """Shares of the votes: (E, T, N)."""
        distances = self._distances(self._prepared(query.features))
        return votes(distances, self.mask_.shape[1], self.k, self.weights)

    def leave_one_out(self, support: Support) -> Tensor:
        """Shares of the votes (E, N, K, N) of the other shots."""
        fitted = self.clone().fit(support)
        distances = fitted._distances(fitted.shots_)
        distances.diagonal(dim1=-2, dim2=-1).fill_(torch.inf)
        shares = votes(distances, support.mask.shape[1], self.k, self.weights)
        return shares.view(*support.mask.shape, -1)

    def _prepared(self, features: Tensor) -> Tensor:
        return unit_length(features) if self.metric == "cosine" else features - self.centre_

    def _distances(self, points: Tensor) -> Tensor:
        """Distances (E, T, N * K) of prepared points (E, T, D), infinite in the padding."""
        measure = cosine_distances if self.metric == "cosine" else euclidean_distances
        absent = ~self.mask_.flatten(1)[:, None]
        return measure(points, self.shots_).masked_fill(absent, torch.inf)


def euclidean_distances(points: Tensor, shots: Tensor) -> Tensor:
    """Distances (E, T, R) of points (E, T, D) from shots (E, R, D), at least their rounding."""
    lengths = points.square().sum(-1)[..., None] + shots.square().sum(-1)[:, None]
    squared = torch.baddbmm(lengths, points, shots.mT, alpha=-2.0)
    return torch.maximum(squared, _rounding(lengths)).sqrt()


def cosine_distances(points: Tensor, shots: Tensor) -> Tensor:
    """``1 - cosine`` (E, T, R) of unit-length points (E, T, D) and shots (E, R, D)."""
    distances = 1 - points @ shots.mT
    return torch.maximum(distances, _rounding(torch.ones_like(distances)))


def _rounding(size: Tensor) -> Tensor:
    info = torch.finfo(size.dtype)
    return (4 * info.eps * size).clamp_min(info.tiny)


def votes(distances: Tensor, ways: int, k: int, weights: str) -> Tensor:
    """Shares of votes (E, T, N) from distances (E, T, N * K), infinite where there is no shot."""
    E, T, R = distances.shape
    k = min(k, R)
    nearest, places = distances.topk(k, largest=False)
    classes = places // (R // ways)
    present = nearest.isfinite()
    weight = present.to(distances.dtype) if weights == "uniform" else nearest[..., :1] / nearest
    weight = weight.nan_to_num(0.0)
    total = weight.sum(-1, keepdim=True).clamp_min(1.0)
    share = distances.new_zeros(E, T, ways).scatter_add_(-1, classes, weight) / total
    if weights == "distance":
        return share
    rank = torch.arange(k, 0, -1, device=distances.device, dtype=distances.dtype)
    best = share.new_zeros(E, T, ways).scatter_reduce_(-1, classes, rank * present, "amax")
    return share + best / (2 * k * k)
