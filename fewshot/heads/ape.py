"""APE: a cache of the shots on the channels that tell classes apart."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.solvers.transforms import unit_length
from fewshot.heads.tags import HeadTags
from fewshot.heads.texts import class_text

FLOOR = 1e-6  # added to probabilities in divergences, as in the authors' program


class APE(Head):
    r"""Zero-shot logits plus a cache on refined channels, its entries weighted by class names.

    Zhu et al., "Not All Features Matter: Enhancing Few-shot CLIP with Adaptive Prior Refinement",
    ICCV 2023, without training. The channels with the largest ``v Var - w S`` are kept
    (`channel_criterion`); primes mark vectors on them, again of unit length. With query x, shots
    f_i of class y_i and class texts t_c,

        score_c(x) = logit_scale t_c . x + alpha sum_(i of class c) r_i exp(-beta (1 - f_i' . x'))
        r_i        = exp(gamma log2(1 / p_i)),    p_i = softmax_c(f_i' . t_c')[y_i]

    r_i is the divergence of the label of a shot from what class names make of it: shots that names
    get wrong weigh more. The sum favours classes with more shots, as in the paper. O(N K D) a
    query.

    Parameters
    ----------
    alpha : float >= 0
        Weight of the cache. 1 for most data sets in the authors' program before its search on
        validation images (0.1 to 7; 2 or 3 for a few).
    beta : float > 0
        Sharpness of the affinities; the authors' 1 before their search (0.1 to 7).
    gamma : float >= 0
        Weight of the divergence; the authors' 0.1 before their search (0 to 1).
    channels : float in (0, 1]
        Share of the channels that are kept. The authors keep 500 to 900 of 1024, mostly 800, the
        default's share.
    similarity : float in [0, 1]
        w, the weight of the similarity S between classes; the variance Var of class texts weighs
        v = 1 - w. The authors' 0.7 for most data sets (0.4 to 0.9).

    Attributes
    ----------
    channels_ : Tensor of shape (E, C), int64
        The channels that are kept, in ascending order.
    keys_ : Tensor of shape (E, N, K, C)
        The cache; `values_`, of shape (E, N, K), has the r_i, zero where there is no shot.
    text_ : Tensor of shape (E, N, D)
    """

    references = ("zhu2023not",)
    tags = HeadTags(scale_invariant=True)

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 1.0,
        gamma: float = 0.1,
        channels: float = 0.78125,
        similarity: float = 0.7,
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.channels = channels
        self.similarity = similarity

    @property
    def uses(self) -> frozenset[str]:
        """Class names."""
        return frozenset({"text"})

    def fit(self, support: Support) -> Self:
        """Choose the channels, and store the shots on them."""
        self._check_parameters()
        self.scale_, self.text_ = support.context.logit_scale, class_text(support, "ape")
        shots = unit_length(support.features)
        number = max(1, round(self.channels * shots.shape[-1]))
        criterion = channel_criterion(self.text_, shots, support.mask, self.similarity)
        self.channels_ = criterion.topk(number, dim=-1).indices.sort(-1).values
        self.keys_ = on_channels(shots, self.channels_)
        text = on_channels(self.text_, self.channels_)
        weights = label_divergence(self.keys_, text).mul(self.gamma).exp()
        self.values_ = weights * support.mask
        return self

    def scores(self, query: Query) -> Tensor:
        """Zero-shot logits and cache logits: (E, T, N)."""
        x = unit_length(query.features)
        affinities = on_channels(x, self.channels_) @ self.keys_.flatten(1, 2).mT
        sharp = torch.exp(self.beta * (affinities - 1)).unflatten(-1, self.values_.shape[1:])
        cache = torch.einsum("etnk,enk->etn", sharp, self.values_)
        return self.scale_ * (x @ self.text_.mT) + self.alpha * cache

    def _check_parameters(self) -> None:
        expect_number("head.ape.alpha", self.alpha, 0)
        expect_number("head.ape.beta", self.beta, 0, above=True)
        expect_number("head.ape.gamma", self.gamma, 0)
        expect_number("head.ape.channels", self.channels, 0, 1, above=True)
        expect_number("head.ape.similarity", self.similarity, 0, 1)


def channel_criterion(text: Tensor, shots: Tensor, mask: Tensor, similarity: float) -> Tensor:
    r"""How well every channel tells classes apart: ``(1 - w) Var - w S``, (E, D) in float64.

    S is the mean product, in this channel, of two vectors of different classes, class texts and
    shots alike; Var the unbiased variance of the class texts (equations 4 to 7 of the paper, whose
    program takes the shots into S as well).

    Parameters
    ----------
    text : Tensor of shape (E, N, D)
        Of unit length, as are the shots.
    shots : Tensor of shape (E, N, K, D)
    mask : Tensor of shape (E, N, K), bool
    similarity : float
        w.
    """
    text = text.double()
    sums = text + (shots.double() * mask[..., None]).sum(2)
    counts = 1 + mask.sum(-1)
    products = sums.sum(1).square() - sums.square().sum(1)
    pairs = counts.sum(1).square() - counts.square().sum(1)
    mean_product = products / pairs.clamp_min(1)[:, None]
    variance = text.var(1, correction=min(1, text.shape[1] - 1))
    return (1 - similarity) * variance - similarity * mean_product


def on_channels(vectors: Tensor, channels: Tensor) -> Tensor:
    """Vectors (E, ..., D) on the channels (E, C) of their episode, of unit length: (E, ..., C)."""
    index = channels.view(len(channels), *(1,) * (vectors.ndim - 2), -1)
    kept = vectors.gather(-1, index.expand(*vectors.shape[:-1], -1))
    return unit_length(kept)


def label_divergence(keys: Tensor, text: Tensor) -> Tensor:
    """Divergence (E, N, K), in bits, of the labels of shots from their zero-shot probabilities.

    ``log2((1 + e) / (p + e))`` with p the probability of the shot's own class under a softmax of
    the cosines at temperature 1; keys (E, N, K, C) and text (E, N, C) have unit length.
    """
    probabilities = torch.einsum("enkc,emc->enkm", keys, text).softmax(-1)
    own = torch.diagonal(probabilities, dim1=1, dim2=3).mT
    return torch.log2((1 + FLOOR) / (own + FLOOR))
