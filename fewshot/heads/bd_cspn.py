"""Prototypes rectified by the queries that they attract."""

from __future__ import annotations

from typing import Literal, NamedTuple, Self, get_args

import torch
from torch import Tensor
from torch.linalg import vector_norm

from fewshot.exceptions import expect_bool, expect_choice, expect_number
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.presets import Preset, with_preset
from fewshot.heads.solvers.products import products
from fewshot.heads.solvers.transforms import (
    QueryCenter,
    centred,
    check_query_center,
    uses_of_center,
)
from fewshot.heads.solvers.unlabelled import padding_zeroed, proximities

Weights = Literal["samples", "classes"]

PAPER = {"scale": 10.0, "weights": "classes", "center": "base"}
LEAST_LENGTH = 1e-12  # a shorter vector has no direction; the limit of torch's ``normalize``


class Rectification(NamedTuple):
    """How prototypes are rectified.

    Attributes
    ----------
    scale : float
        Times the cosines in the weights.
    shift : bool
        Whether queries are shifted to the mean of the shots.
    weights : {"samples", "classes"}
        What the exponentials of the scaled cosines are divided by the sum over.
    """

    scale: float
    shift: bool
    weights: Weights


class BDCSPN(Head):
    r"""Bias-diminished cosine-similarity prototypes.

    Liu, Song and Qin, "Prototype Rectification for Few-Shot Learning", ECCV 2020. The queries are
    shifted by the mean of all shots minus the mean of all queries, and each goes to the class
    mean p_c of the largest cosine. A class's prototype is then the weighted mean of its shots and
    of its shifted queries, with weights w_c(x) from ``exp(scale cos(x, p_c))``. The score of a
    query, not shifted, is its cosine with these.

    It assumes that directions tell the classes apart. O(T N D).

    Parameters
    ----------
    scale : float >= 0
        Times the cosines in the weights. 1 as in easyfsl; 10 in the paper, with weights "classes".
    shift : bool
        Shift the queries to the mean of the shots, which assumes that their classes have the shares
        that they have among the shots (a query prior). Turn it off where queries may be imbalanced.
    weights : {"samples", "classes"}
        Weights ``softmax_c(scale cos(x, p_c))`` over the classes, as in the published programs: how
        sure it is that x is of the class. "samples", as in easyfsl, divides by the sum over the
        shots and queries of the class instead; at scale 10 the shots then outweigh the queries.
    metric : {"cosine", "euclidean"}
        Scores are cosines with the prototypes, as in the paper and easyfsl, or minus squared
        distances, as in the program of Veilleux et al. (NeurIPS 2021).
    center : {"none", "base", "support", "all", "each"}
        What is subtracted from all features, which then get unit length (CL2N): nothing; the mean
        of the base classes, as in the published programs; of the class means; of all shots and
        queries; or from the shots the mean of their class means and from the queries theirs.
    preset : {"none", "paper"}
        "paper": scale 10, weights "classes" and center "base".

    Attributes
    ----------
    support_ : Support
    """

    references = ("liu2020prototype",)

    def __init__(
        self,
        scale: float = 1.0,
        shift: bool = True,
        weights: Weights = "samples",
        metric: Literal["cosine", "euclidean"] = "cosine",
        center: QueryCenter = "none",
        preset: Preset = "none",
    ) -> None:
        self.scale = scale
        self.shift = shift
        self.weights = weights
        self.metric = metric
        self.center = center
        self.preset = preset

    @property
    def uses(self) -> frozenset[str]:
        """The queries together and, if they are shifted, the shares of their classes.

        Base classes if `center` says so.
        """
        shares = {"queries", "query_prior"} if self.shift else {"queries"}
        return frozenset(shares) | uses_of_center(self._chosen().center)

    def fit(self, support: Support) -> Self:
        """Keep the shots: they are weighed anew together with the queries."""
        chosen = self._chosen()
        check_rectification(chosen.scale, chosen.shift, chosen.weights, "head.bd_cspn")
        expect_choice("head.bd_cspn.metric", self.metric, ("cosine", "euclidean"))
        check_query_center(chosen.center, support, "head.bd_cspn")
        self.support_ = support
        return self

    @torch.no_grad()
    def scores(self, query: Query) -> Tensor:
        """Cosines (E, T, N) of queries and rectified prototypes, or minus squared distances."""
        chosen = self._chosen()
        support, query = centred(self.support_, query, chosen.center, "head.bd_cspn")
        features = padding_zeroed(query)
        lengths = vector_norm(features, dim=-1)
        how = Rectification(chosen.scale, chosen.shift, chosen.weights)
        prototypes, _ = rectified_prototypes(support, features, query.learning_mask, lengths, how)
        if chosen.metric == "euclidean":
            return proximities(features, prototypes).mT.contiguous()
        dots = products(prototypes, features.mT)
        dots /= lengths_of(prototypes)[..., None] * lengths.clamp_min(LEAST_LENGTH)[:, None]
        return dots.mT.contiguous()

    def _chosen(self) -> BDCSPN:
        return with_preset(self, PAPER, "head.bd_cspn")


def check_rectification(scale: object, shift: object, weights: object, setting: str) -> None:
    """Raise unless these are values of `Rectification`; `setting` names the head."""
    expect_number(f"{setting}.scale", scale, 0)
    expect_bool(f"{setting}.shift", shift)
    expect_choice(f"{setting}.weights", weights, get_args(Weights))


def rectified_prototypes(
    support: Support, features: Tensor, mask: Tensor, lengths: Tensor, how: Rectification
) -> tuple[Tensor, Tensor]:
    """Weighted means (E, N, D) of shots and of shifted queries, and the shift (E, 1, D).

    Parameters
    ----------
    support : Support
    features : Tensor of shape (E, T, D)
        Queries, zero in the padding.
    mask : Tensor of shape (E, T), bool
        Queries to learn from.
    lengths : Tensor of shape (E, T)
        Lengths of the queries.
    how : Rectification
    """
    means = support.means()
    offset = mean_difference(support, means, features, mask) * float(how.shift)
    cosines = shifted_cosines(features, lengths, means, offset)
    # Between equal classes a query counts for each, or their order would matter.
    won = (cosines == cosines.amax(1, keepdim=True)) & mask[:, None]
    weights = weights_over_samples if how.weights == "samples" else weights_over_classes
    of_shots, of_queries = weights(support, means, cosines, won, how.scale)
    E, N, K, D = support.features.shape
    rows = of_shots.reshape(E * N, 1, K)
    from_shots = products(rows, support.features.reshape(E * N, K, D)).view(E, N, D)
    from_queries = products(of_queries, features)
    moved = from_queries.addcmul_(of_queries.sum(-1, keepdim=True), offset)
    return moved.add_(from_shots), offset


def weights_over_samples(
    support: Support, means: Tensor, cosines: Tensor, won: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Weights of shots (E, N, K) and queries (E, N, T) that add up to 1 over those of a class."""
    E, N, K, D = support.features.shape
    rows = means.reshape(E * N, 1, D)
    own = products(rows, support.features.reshape(E * N, K, D).mT).view(E, N, K)
    own = own / (lengths_of(support.features) * lengths_of(means)[..., None])
    taken = torch.cat([support.mask, won], -1)
    logits = scale * torch.cat([own, cosines], -1)
    weights = logits.masked_fill_(~taken, -torch.inf).softmax(-1)
    return weights[..., :K], weights[..., K:]


def weights_over_classes(
    support: Support, means: Tensor, cosines: Tensor, won: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """How sure the shots (E, N, K) and queries (E, N, T) of a class are, over their number.

    A softmax over the classes: a prototype is the mean of ``w_c(x) x``, shorter where it is unsure.
    """
    number = (support.counts + won.sum(-1))[..., None]
    # (E, N, N, K): class by class, the shots of all classes; those of its own on the diagonal.
    dots = (means @ support.features.flatten(1, 2).mT).unflatten(2, support.mask.shape[1:])
    lengths = lengths_of(means)[..., None, None] * lengths_of(support.features)[:, None]
    own = (scale * dots / lengths).softmax(1).diagonal(dim1=1, dim2=2).mT
    of_queries = (scale * cosines).softmax(1) * won
    return own * support.mask / number, of_queries / number


def lengths_of(vectors: Tensor) -> Tensor:
    """Lengths (...) of vectors (..., D), for divisions."""
    return vector_norm(vectors, dim=-1).clamp_min(LEAST_LENGTH)


def mean_difference(support: Support, means: Tensor, features: Tensor, mask: Tensor) -> Tensor:
    """Mean of all shots minus mean of queries in the mask: (E, 1, D); zero without any."""
    share = support.counts / support.counts.sum(1, keepdim=True)
    weight = mask.to(features.dtype)
    number = weight.sum(1)[:, None, None]
    queries = products(weight[:, None] / number.clamp_min(1), features)
    return torch.where(number > 0, products(share[:, None], means) - queries, 0.0)


def shifted_cosines(features: Tensor, lengths: Tensor, means: Tensor, offset: Tensor) -> Tensor:
    """Cosines (E, N, T) of ``x + offset`` and class means, without a copy of the queries."""
    dots = products(torch.cat([means, offset], 1), features.mT)
    along, across = dots[:, :-1], dots[:, -1]
    squared = lengths.square() + 2 * across + offset.square().sum(-1)
    moved = squared.clamp_min(0).sqrt().clamp_min(LEAST_LENGTH)
    return (along + means @ offset.mT) / (lengths_of(means)[..., None] * moved[:, None])
