"""Prototypes refined by label propagation on a graph of samples and prototypes."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self, get_args

import torch
from torch import Tensor

from fewshot.exceptions import expect_choice, expect_number, expect_positive_int, expect_repeats
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.solvers.span import span_of
from fewshot.heads.solvers.transforms import (
    centred,
    power_transform,
    unit_length,
)
from fewshot.heads.solvers.transport import sinkhorn, transport_plan
from fewshot.heads.solvers.unlabelled import mixed_means, padding_zeroed, proximities
from fewshot.heads.tags import HeadTags

SETTING = "head.proto_lp"
STILL = 1e-5  # of features of unit length: an episode whose prototypes move less is done
Prior = Literal["uniform", "support", "none"]
Center = Literal["none", "support", "all", "each"]
Laplacian = Literal["prototypes", "samples"]


class ProtoLP(Head):
    r"""Prototype-based label propagation with iterative graph refinement.

    Zhu and Koniusz, "Transductive Few-shot Learning with Prototype-based Label Propagation by
    Iterative Graph Refinement", CVPR 2023. Prototypes are the nodes of a bipartite graph: the
    weights of a query to them are the shares ``Z = softmax_c(-transport |x - m_c|^2)``, balanced by
    optimal transport to classes of known size, those of a shot are its label. Labels of prototypes
    that fit the shots and vary little between prototypes with common samples are
    ``A = (K + smoothness (I - W))^-1 K``, with K the shots of each class and
    ``W = L^-1/2 Z'Z L^-1/2``, L the column sums of Z. The labels ``Z A`` of the queries, balanced
    as Z is, are mixed with Z and draw the prototypes towards their weighted means; and so on.
    Scores are the logarithms of the last Z.

    It assumes non-negative features, as after a ReLU, whose few largest principal directions tell
    the classes apart, and known shares of the classes among the queries. O(T N D) per step.

    Parameters
    ----------
    power : float in (0, 1], or None
        Power of the features before they get unit length; 0.5 as in the authors' program. Of
        negative numbers the mirror image.
    dimensions : int >= 1, or None
        Principal directions, about the origin, that are kept of shots and queries; 40 as there.
    center : {"none", "support", "all", "each"}
        Whose mean is subtracted before features get unit length again, see `centred`: that of all
        shots and queries together as there.
    transport : float > 0
        lambda of the transport, 10 as there.
    rate : float in (0, 1]
        Share of the way that prototypes go at each step, 0.2 as there.
    smoothness : float >= 0
        Weight of the graph against the shots, gamma; 1 as there.
    mixture : float in [0, 1]
        Share of propagated labels in the labels that prototypes are drawn by, 0.6 as there.
    steps : int >= 0
        Updates of the prototypes, 100 as there.
    prior : {"uniform", "support", "none"}
        Shares of the classes among the queries: the same for all, those among the shots (both a
        query prior), or unknown, where Z and the propagated labels are not balanced.
    laplacian : {"prototypes", "samples"}
        What varies little: labels of prototypes, ``I - W``; or labels of samples, as in anchor
        graph regularization (Liu, He and Chang, ICML 2010), ``Z'Z - Z'Z L^-1 Z'Z``. The authors'
        program has the first with the settings above, and the second in a file of its own, with
        smoothness 0.05, mixture 0.7, 50 steps and no power.
    """

    references = ("zhu2023transductive", "liu2010large", "cuturi2013sinkhorn")
    tags = HeadTags(tolerance=1e-6, check_with={"steps": 10})

    def __init__(
        self,
        power: float | None = 0.5,
        dimensions: int | None = 40,
        center: Center = "all",
        transport: float = 10.0,
        rate: float = 0.2,
        smoothness: float = 1.0,
        mixture: float = 0.6,
        steps: int = 100,
        prior: Prior = "uniform",
        laplacian: Laplacian = "prototypes",
    ) -> None:
        self.power = power
        self.dimensions = dimensions
        self.center = center
        self.transport = transport
        self.rate = rate
        self.smoothness = smoothness
        self.mixture = mixture
        self.steps = steps
        self.prior = prior
        self.laplacian = laplacian

    @property
    def uses(self) -> frozenset[str]:
        """The queries together and, unless the prior is "none", the shares of their classes."""
        prior = frozenset() if self.prior == "none" else frozenset({"query_prior"})
        return prior | {"queries"}

    def fit(self, support: Support) -> Self:
        """Keep the shots: what is learned depends on the queries."""
        self._check_parameters()
        self.support_ = support
        return self

    def scores(self, query: Query) -> Tensor:
        """Log shares (E, T, N) of the classes."""
        support, query = self._transformed(query)
        features, mask = padding_zeroed(query), query.learning_mask
        sums, counts = support.features.sum(2), support.counts
        means = unit_length(support.means())
        of_shares = _Balanced(mask, counts, self.prior)
        of_labels = _Balanced(mask, counts, self.prior)
        for _ in range(self.steps):
            shares = of_shares(self._logits(features, means))
            labels = of_labels(log_labels(shares, counts.double(), self.smoothness, self.laplacian))
            mixed = (self.mixture * labels + (1 - self.mixture) * shares).to(features.dtype)
            step = self.rate * (mixed_means(sums, counts, features, mixed) - means)
            moving = step.abs().amax((1, 2), keepdim=True) > STILL
            if not bool(moving.any()):
                break
            means = torch.where(moving, means + step, means)
        logits = self._logits(features, means)
        of_shares(logits)
        logits = logits + of_shares.potentials[..., None]
        return logits.log_softmax(1).mT.to(features.dtype).contiguous()

    def _logits(self, features: Tensor, means: Tensor) -> Tensor:
        """Of the shares of queries: (E, N, T), float64."""
        return (self.transport * proximities(features, means)).double()

    def _transformed(self, query: Query) -> tuple[Support, Query]:
        """Power, unit length, principal directions, then centring with unit length again."""
        shots = self._powered(self.support_.features)
        queries = self._powered(padding_zeroed(query))
        if self.dimensions is not None and self.dimensions < shots.shape[-1]:
            learned = queries * query.learning_mask[..., None]
            axes = principal_axes(torch.cat([shots.flatten(1, 2), learned], 1), self.dimensions)
            shots, queries = shots @ axes[:, None], queries @ axes
        support = replace(self.support_, features=shots)
        return centred(support, replace(query, features=queries), self.center, SETTING)

    def _powered(self, features: Tensor) -> Tensor:
        return power_transform(unit_length(features), 1.0 if self.power is None else self.power)

    def _check_parameters(self) -> None:
        if self.power is not None:
            expect_number(f"{SETTING}.power", self.power, 0, 1, above=True)
        if self.dimensions is not None:
            expect_positive_int(f"{SETTING}.dimensions", self.dimensions)
        expect_choice(f"{SETTING}.center", self.center, get_args(Center))
        expect_number(f"{SETTING}.transport", self.transport, 0, above=True)
        expect_number(f"{SETTING}.rate", self.rate, 0, 1, above=True)
        expect_number(f"{SETTING}.smoothness", self.smoothness, 0)
        expect_number(f"{SETTING}.mixture", self.mixture, 0, 1)
        expect_repeats(f"{SETTING}.steps", self.steps, minimum=0)
        expect_choice(f"{SETTING}.prior", self.prior, get_args(Prior))
        expect_choice(f"{SETTING}.laplacian", self.laplacian, get_args(Laplacian))


class _Balanced:
    """Shares of queries that give every class its size, one step after the other."""

    def __init__(self, mask: Tensor, counts: Tensor, prior: Prior) -> None:
        known = torch.ones_like(counts) if prior == "uniform" else counts
        known = known.double()
        self.mask = mask
        self.sizes = mask.sum(-1, keepdim=True) * known / known.sum(-1, keepdim=True)
        self.potentials = torch.zeros_like(known)
        self.free = prior == "none"

    def __call__(self, logits: Tensor) -> Tensor:
        """Shares (E, N, T) of queries by logits (E, N, T), zero outside of the mask."""
        if not self.free:  # the potentials of one step are nearly those of the next
            self.potentials = sinkhorn(logits, self.mask, self.sizes, self.potentials)
        return transport_plan(logits, self.potentials, self.mask)


def log_labels(
    shares: Tensor, counts: Tensor, smoothness: float, laplacian: Laplacian = "prototypes"
) -> Tensor:
    """Logarithms (E, N, T) of the labels that queries get from those of the prototypes.

    Parameters
    ----------
    shares : Tensor of shape (E, N, T), float64
        Z, weights of queries to prototypes.
    counts : Tensor of shape (E, N), float64
        Shots of every class.
    smoothness : float
        gamma.
    laplacian : {"prototypes", "samples"}
    """
    common = shares @ shares.mT + torch.diag_embed(counts)  # Z'Z with the shots
    mass = shares.sum(-1) + counts
    if laplacian == "prototypes":
        length = mass.sqrt()
        joint = common / (length[..., None] * length[:, None])
        graph = torch.diag_embed(torch.ones_like(counts)) - joint
    else:
        graph = common - common / mass[:, None] @ common
    of_shots = torch.diag_embed(counts)
    labels = torch.linalg.solve(of_shots + smoothness * graph, of_shots)
    # Not negative for prototypes: what is inverted has no positive number beside its diagonal.
    return (labels.mT @ shares).clamp_min(torch.finfo(shares.dtype).tiny).log()


def principal_axes(rows: Tensor, dimensions: int) -> Tensor:
    """Orthonormal axes (E, D, d) that keep most of the squares of rows (E, n, D).

    About the origin, as a singular value decomposition has it; zero where the rows span fewer.
    """
    span = span_of(rows.double())
    back = span.back if span.vectors is None else span.back @ span.vectors
    return back[:, -dimensions:].mT.to(rows.dtype)
