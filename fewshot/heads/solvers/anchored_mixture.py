"""Mixtures of Gaussians on the queries whose assignments stay near a prediction from text.

What TransCLIP and StatA share: Zanella et al., "Boosting Vision-Language Models with Transduction",
NeurIPS 2024, and "Realistic Test-Time Adaptation of Vision-Language Models", CVPR 2025.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from fewshot.heads.base import Head, Query, Support
from fewshot.heads.presets import with_preset
from fewshot.heads.solvers.graph import affinities, most_similar, pulled
from fewshot.heads.solvers.transforms import unit_length
from fewshot.heads.texts import class_text

NEIGHBOURS = 3
TEMPER = 50.0  # what both programs divide log-likelihoods by; the dimensions are not independent
ROUNDS = 5  # updates of the assignments between two of the Gaussians
LEAST_VARIANCE = 1e-6  # over D: unit-length features have variances of about 1 / D


@dataclass(frozen=True, eq=False)
class AnchoredEpisodes:
    """What the updates of all episodes read; features are of unit length.

    Attributes
    ----------
    queries : Tensor of shape (E, T, D)
        Zero in the padding.
    learnable : Tensor of shape (E, T, 1)
        1 where the Gaussians may learn from a query, else 0.
    shots : Tensor of shape (E, N K, D)
    labels : Tensor of shape (E, N K, N)
        One-hot; zero in the padding.
    text : Tensor of shape (E, N, D)
    zero_shot : Tensor of shape (E, T, N)
        Log-probabilities from the text.
    links : Tensor of shape (E T, E T), sparse
        Between neighbouring queries; see `affinities`.
    pull_of_shots : Tensor of shape (E, T, N)
        Of the shots whose neighbour a query is, by class.
    """

    queries: Tensor
    learnable: Tensor
    shots: Tensor
    labels: Tensor
    text: Tensor
    zero_shot: Tensor
    links: Tensor
    pull_of_shots: Tensor

    @classmethod
    def of(cls, support: Support, query: Query, name: str) -> AnchoredEpisodes:
        """Everything that stays as it is while assignments and Gaussians change."""
        text = class_text(support, name)
        mask = query.learning_mask
        queries = unit_length(query.features).masked_fill(~query.mask[..., None], 0.0)
        shots = unit_length(support.features.flatten(1, 2))
        N, K = support.mask.shape[1:]
        one_hot = torch.eye(N, dtype=shots.dtype, device=shots.device).repeat_interleave(K, 0)
        labels = one_hot * support.mask.flatten(1, 2)[..., None]
        logits = support.context.logit_scale * (queries @ text.mT)
        return cls(
            queries=queries,
            learnable=mask.to(queries.dtype)[..., None],
            shots=shots,
            labels=labels,
            text=text,
            zero_shot=logits.log_softmax(-1),
            links=affinities(queries, mask, NEIGHBOURS),
            pull_of_shots=pull_of_shots(shots, labels, queries, mask),
        )

    @property
    def points(self) -> Tensor:
        """Queries and shots (E, T + N K, D)."""
        return torch.cat([self.queries, self.shots], 1)

    @property
    def number(self) -> Tensor:
        """How many queries there are to learn from, at least 1: (E, 1, 1)."""
        return self.learnable.sum(1, keepdim=True).clamp_min(1)

    @property
    def effective_classes(self) -> Tensor:
        """How many classes the queries seem to be of: (E, 1, 1), from 1 to N.

        ``1 / sum_c pi_c^2`` with pi the mean zero-shot probabilities of the queries.
        """
        shares = (self.zero_shot.exp() * self.learnable).sum(1, keepdim=True) / self.number
        return 1 / shares.square().sum(-1, keepdim=True).clamp_min(1 / shares.shape[-1])

    def assigned(
        self, likelihood: Tensor, shares: Tensor, text_weight: float, laplacian: float
    ) -> Tensor:
        """The assignments after `ROUNDS` updates, as logits (E, T, N).

        ``z_t`` is the softmax of ``text_weight log y_t + l_t + laplacian / 6 sum_u w_tu z_u``, y
        being the zero-shot probabilities and the sum that over the links of t.

        Parameters
        ----------
        likelihood : Tensor of shape (E, T, N)
            l: log-likelihoods over `TEMPER`, up to a constant of the query.
        shares : Tensor of shape (E, T, N)
            The assignments z to begin with.
        text_weight, laplacian : float
        """
        factor = laplacian / (2 * NEIGHBOURS)
        fixed = text_weight * self.zero_shot + likelihood + factor * self.pull_of_shots
        logits = fixed
        for _ in range(ROUNDS):
            logits = fixed + factor * pulled(self.links, shares)
            shares = logits.softmax(-1)
        return logits


def pull_of_shots(shots: Tensor, labels: Tensor, queries: Tensor, mask: Tensor) -> Tensor:
    """Sum (E, T, N) of the one-hot labels of the shots that have a query among their neighbours.

    Weighted by ``max(0, cosine)``.

    Parameters
    ----------
    shots : Tensor of shape (E, S, D)
    labels : Tensor of shape (E, S, N)
    queries : Tensor of shape (E, T, D)
    mask : Tensor of shape (E, T), bool
        Queries that may be neighbours.
    """
    E, T = mask.shape
    total = queries.new_zeros(E, T, labels.shape[2])
    rows, weights = most_similar(shots, queries, mask, NEIGHBOURS)
    for j in range(rows.shape[2]):
        index = rows[..., j, None].expand_as(labels)
        total.scatter_add_(1, index, labels * weights[..., j, None])
    return total


def log_likelihood(x: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """``-1/2 sum_d (x_d - m_cd)^2 / s_cd``: (E, T, N), up to a constant of the row if s is shared.

    The normalising constants are left out, as in both programs.

    Parameters
    ----------
    x : Tensor of shape (E, T, D)
    means : Tensor of shape (E, N, D)
    variances : Tensor of shape (E, 1 or N, D)
    """
    centre = means.mean(1, keepdim=True)  # of differences of large numbers, smaller ones
    x, means, precisions = x - centre, means - centre, 1 / variances
    products = (means * precisions) @ x.mT - (means.square() * precisions).sum(-1)[..., None] / 2
    if variances.shape[1] > 1:
        products = products - precisions @ x.square().mT / 2
    return products.mT


def squared_deviations(x: Tensor, weights: Tensor, means: Tensor) -> Tensor:
    """``sum_t w_tc (x_td - m_cd)^2``: (E, N, D) of x (E, T, D), weights (E, T, N) and means."""
    centre = means.mean(1, keepdim=True)  # of differences of large numbers, smaller ones
    x, means = x - centre, means - centre
    crossed = means * (weights.mT @ x)
    count = weights.sum(1)[..., None]
    return (weights.mT @ x.square() - 2 * crossed + count * means.square()).clamp_min(0)


def usable_variances(variances: Tensor) -> Tensor:
    """Variances (..., D) that can be divided by: at least a millionth of 1 / D."""
    return variances.clamp_min(LEAST_VARIANCE / variances.shape[-1])


class AnchoredHead(Head):
    """A mixture on the queries, zero- and few-shot; what its Gaussians are is the subclass's.

    Attributes
    ----------
    name : str
        Of the registry, for messages.
    paper : mapping
        Settings of ``preset="paper"``.
    """

    name: ClassVar[str]
    paper: ClassVar[Mapping[str, Any]]
    support_: Support

    @property
    def least_shots(self) -> int:
        """None: class names are enough."""
        return 0

    @property
    def uses(self) -> frozenset[str]:
        """Class names and all queries together; no assumption on the shares of classes."""
        return frozenset({"text", "queries"})

    def fit(self, support: Support) -> Self:
        """Keep the shots; what is learned depends on the queries."""
        self._chosen()._check_parameters()
        class_text(support, self.name)  # or an error
        self.support_ = support
        return self

    def scores(self, query: Query) -> Tensor:
        """Logarithms (E, T, N) of the assignments, up to a constant of the query."""
        return self._chosen()._assignments(AnchoredEpisodes.of(self.support_, query, self.name))

    def _chosen(self) -> Self:
        return with_preset(self, self.paper, f"head.{self.name}")

    @abstractmethod
    def _assignments(self, episodes: AnchoredEpisodes) -> Tensor:
        """Logarithms (E, T, N) of the assignments."""

    @abstractmethod
    def _check_parameters(self) -> None:
        """Raise FewshotError for a setting out of its range."""
