"""Prototypes rectified by the queries that they attract."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import normalize

from fewshot.exceptions import expect_bool, expect_number
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.solvers.unlabelled import padding_zeroed

LEAST_LENGTH = 1e-12  # a shorter vector has no direction; the limit of torch's ``normalize``


class BDCSPN(Head):
    r"""Bias-diminished cosine-similarity prototypes.

    Liu, Song and Qin, "Prototype Rectification for Few-Shot Learning", ECCV 2020. The queries are
    shifted by the mean of all shots minus the mean of all queries, and each goes to the class
    mean p_c of the largest cosine. A class's prototype is then the weighted mean of its shots and
    of its shifted queries, with weights proportional to ``exp(scale cos(x, p_c))``. The score of a
    query, not shifted, is its cosine with these.

    It assumes that directions tell the classes apart. O(T N D).

    Parameters
    ----------
    scale : float >= 0
        Times the cosines in the weights. 1 as in easyfsl; the paper has 10.
    shift : bool
        Shift the queries to the mean of the shots, which assumes that their classes have the shares
        that they have among the shots (a query prior). Turn it off where queries may be imbalanced.

    Attributes
    ----------
    support_ : Support
    """

    def __init__(self, scale: float = 1.0, shift: bool = True) -> None:
        self.scale = scale
        self.shift = shift

    @property
    def uses(self) -> frozenset[str]:
        """The queries together and, if they are shifted, the shares of their classes."""
        return frozenset({"queries", "query_prior"} if self.shift else {"queries"})

    def fit(self, support: Support) -> Self:
        """Keep the shots: they are weighed anew together with the queries."""
        expect_number("head.bd_cspn.scale", self.scale, 0)
        expect_bool("head.bd_cspn.shift", self.shift)
        self.support_ = support
        return self

    def scores(self, query: Query) -> Tensor:
        """Cosines (E, T, N) of queries and rectified prototypes."""
        features = padding_zeroed(query)
        lengths = vector_norm(features, dim=-1)
        prototypes = rectified_prototypes(
            self.support_, features, query.learning_mask, lengths, self.scale, self.shift
        )
        dots = normalize(prototypes, dim=-1) @ features.mT
        return (dots / lengths.clamp_min(LEAST_LENGTH)[:, None]).mT.contiguous()


def rectified_prototypes(
    support: Support, features: Tensor, mask: Tensor, lengths: Tensor, scale: float, shift: bool
) -> Tensor:
    """Weighted means (E, N, D) of shots and of the shifted queries that the class attracts.

    Parameters
    ----------
    support : Support
    features : Tensor of shape (E, T, D)
        Queries, zero in the padding.
    mask : Tensor of shape (E, T), bool
        Queries to learn from.
    lengths : Tensor of shape (E, T)
        Lengths of the queries.
    scale : float
    shift : bool
    """
    directions = normalize(support.means(), dim=-1)
    offset = mean_difference(support, features, mask) * float(shift)
    cosines = shifted_cosines(features, lengths, directions, offset)
    # Between equal classes a query counts for each, or their order would matter.
    won = (cosines == cosines.amax(1, keepdim=True)) & mask[:, None]
    # A softmax over the shots and queries of a class gives the weights that add up to 1.
    taken = torch.cat([support.mask, won], -1)
    logits = scale * torch.cat([own_cosines(support, directions), cosines], -1)
    weights = logits.masked_fill(~taken, -torch.inf).softmax(-1)
    shots = support.features.shape[2]
    of_shots, of_queries = weights[..., :shots], weights[..., shots:]
    from_shots = (of_shots[..., None] * support.features).sum(2)
    return from_shots + of_queries @ features + of_queries.sum(-1, keepdim=True) * offset


def own_cosines(support: Support, directions: Tensor) -> Tensor:
    """Cosine (E, N, K) of every shot and the direction (E, N, D) of its class."""
    # A product of matrices this small is slower.
    dots = (support.features * directions[:, :, None]).sum(-1)
    return dots / vector_norm(support.features, dim=-1).clamp_min(LEAST_LENGTH)


def mean_difference(support: Support, features: Tensor, mask: Tensor) -> Tensor:
    """Mean of all shots minus mean of queries in the mask: (E, 1, D); zero without any."""
    shots = support.features.sum((1, 2)) / support.counts.sum(1, keepdim=True)
    weight = mask.to(features.dtype)
    number = weight.sum(1, keepdim=True)
    queries = (weight[:, None] @ features)[:, 0]
    difference = shots - queries / number.clamp_min(1)
    return torch.where(number > 0, difference, 0.0)[:, None]


def shifted_cosines(
    features: Tensor, lengths: Tensor, directions: Tensor, offset: Tensor
) -> Tensor:
    """Cosines (E, N, T) of ``x + offset`` and unit vectors, without a copy of the queries."""
    dots = torch.cat([directions, offset], 1) @ features.mT
    along, across = dots[:, :-1], dots[:, -1]
    squared = lengths.square() + 2 * across + offset.square().sum(-1)
    moved = squared.clamp_min(0).sqrt().clamp_min(LEAST_LENGTH)
    return (along + directions @ offset.mT) / moved[:, None]
