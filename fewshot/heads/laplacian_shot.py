"""Nearest prototype with a Laplacian term that makes neighbouring queries agree."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor
from torch.linalg import vector_norm

from fewshot.exceptions import expect_bool, expect_number, expect_positive_int, expect_repeats
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.bd_cspn import (
    Rectification,
    Weights,
    check_rectification,
    rectified_prototypes,
)
from fewshot.heads.presets import Preset, with_preset
from fewshot.heads.solvers.graph import nearest_neighbours, neighbour_sums
from fewshot.heads.solvers.transforms import (
    QueryCenter,
    centred,
    check_query_center,
    uses_of_center,
)
from fewshot.heads.solvers.unlabelled import padding_zeroed, proximities

PAPER = {"scale": 10.0, "weights": "classes", "score_shifted": True, "center": "base"}
STILL = 1e-6  # relative change of the bound below which an episode stops, as in the paper


class LaplacianShot(Head):
    r"""Assignments of queries that stay near a prototype and near those of their neighbours.

    Ziko et al., "Laplacian Regularized Few-Shot Learning", ICML 2020. With a_tc the squared
    distance of query t and prototype c and W the 0/1 matrix of nearest neighbours, the
    assignments Y minimise ``sum_t y_t . a_t - lambda / 2 sum_tu w_tu y_t . y_u`` by the bound
    updates of algorithm 1, ``y_t = softmax_c(-a_tc + lambda sum_u w_tu y_uc)``, from
    ``softmax_c(-a_tc)`` on. The prototypes are those of BD-CSPN, as in the paper. Scores are
    log y up to a constant of the query.

    It assumes that neighbours are of one class and that a and lambda are of one scale: features
    of unit length. O(T^2 D) for the neighbours.

    Parameters
    ----------
    knn : int >= 1
        Nearest queries that are to agree, the query itself counted: 3 means two neighbours. The
        value of the authors' program and easyfsl's.
    weight : float >= 0
        lambda: how much the neighbours count against squared distances to prototypes. easyfsl's
        0.7, chosen on mini-ImageNet's validation classes, at 5 shots.
    steps : int >= 0
        Bound updates at most; 20 as the authors have it.
    scale : float >= 0
        Times the cosines in the weights of the rectified prototypes, as in BD-CSPN; 1 as in
        easyfsl, 10 in the authors' program, with weights "classes".
    shift : bool
        Shift the queries to the mean of the shots for the prototypes, as in BD-CSPN, which assumes
        that the classes of the queries have the shares of the shots (a query prior).
    weights : {"samples", "classes"}
        What the weights of the rectified prototypes are divided by the sum over, as in BD-CSPN:
        "classes" in the authors' program, "samples" in easyfsl.
    score_shifted : bool
        Take the distances of the queries where the shift took them, as the authors' program does,
        rather than where they are.
    center : {"none", "base", "support", "all", "each"}
        What is subtracted from all features, which then get unit length (CL2N): nothing; the mean
        of the base classes, as in the authors' program; of the class means; of all shots and
        queries; or from the shots the mean of their class means and from the queries theirs.
    preset : {"none", "paper"}
        "paper" is the authors' program: scale 10, weights "classes", score_shifted, center "base".

    Attributes
    ----------
    support_ : Support
    """

    references = ("ziko2020laplacian",)

    def __init__(
        self,
        knn: int = 3,
        weight: float = 0.7,
        steps: int = 20,
        scale: float = 1.0,
        shift: bool = True,
        weights: Weights = "samples",
        score_shifted: bool = False,
        center: QueryCenter = "none",
        preset: Preset = "none",
    ) -> None:
        self.knn = knn
        self.weight = weight
        self.steps = steps
        self.scale = scale
        self.shift = shift
        self.weights = weights
        self.score_shifted = score_shifted
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
        """Keep the shots: the prototypes depend on the queries."""
        chosen = self._chosen()
        expect_positive_int("head.laplacian_shot.knn", self.knn)
        expect_number("head.laplacian_shot.weight", self.weight, 0)
        expect_repeats("head.laplacian_shot.steps", self.steps, minimum=0)
        check_rectification(chosen.scale, chosen.shift, chosen.weights, "head.laplacian_shot")
        expect_bool("head.laplacian_shot.score_shifted", chosen.score_shifted)
        check_query_center(chosen.center, support, "head.laplacian_shot")
        self.support_ = support
        return self

    @torch.no_grad()
    def scores(self, query: Query) -> Tensor:
        """Logarithms (E, T, N) of the assignments, up to a constant of the query."""
        chosen = self._chosen()
        support, query = centred(self.support_, query, chosen.center, "head.laplacian_shot")
        features, learning = padding_zeroed(query), query.learning_mask
        how = Rectification(chosen.scale, chosen.shift, chosen.weights)
        lengths = vector_norm(features, dim=-1)
        prototypes, offset = rectified_prototypes(support, features, learning, lengths, how)
        if chosen.score_shifted:  # |x + offset - m| = |x - (m - offset)|
            prototypes = prototypes - offset
        unary = proximities(features, prototypes)
        rows, exists = nearest_neighbours(features, learning, self.knn - 1)
        logits = bound_updates(unary, rows, exists, learning, self.weight, self.steps)
        return logits.mT.contiguous()

    def _chosen(self) -> LaplacianShot:
        return with_preset(self, PAPER, "head.laplacian_shot")


def bound_updates(
    unary: Tensor, rows: Tensor, exists: Tensor, mask: Tensor, weight: float, steps: int
) -> Tensor:
    """Repeat ``y_t = softmax(unary_t + weight * sum of the neighbours' y)``.

    An episode stops by itself, when its bound (equation 7) changes by less than a millionth from
    the third step on, so that it does not matter what else is in the batch.

    Parameters
    ----------
    unary : Tensor of shape (E, N, T)
    rows, exists : Tensor of shape (E, T, J)
        The neighbours of every query.
    mask : Tensor of shape (E, T), bool
        Queries that the bound is summed over: those to learn from.
    weight : float
    steps : int

    Returns
    -------
    Tensor of shape (E, N, T)
        What the last softmax was taken of.
    """
    logits = unary
    pull = neighbour_sums(unary.softmax(1), rows, exists)
    bound = unary.new_full(unary.shape[:1], torch.inf)
    moving = torch.ones_like(bound, dtype=torch.bool)
    for step in range(steps):
        logits = torch.where(moving[:, None, None], unary + weight * pull, logits)
        logs = logits.log_softmax(1)
        shares = logs.exp()
        before, pull = pull, neighbour_sums(shares, rows, exists)
        # sum y log y - y unary - weight y Wy, where log y = logits - (a constant of the query)
        terms = weight * (shares * (before - pull)).sum(1) - (logits - logs)[:, 0]
        last, bound = bound, (terms * mask).sum(-1)
        if step > 1:
            moving = moving & ((bound - last).abs() > STILL * last.abs())
            if not bool(moving.any()):
                break
    return logits
