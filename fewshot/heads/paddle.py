"""Clustering of queries around the shots that pays for every class it uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_choice, expect_number, expect_positive_int, expect_repeats
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.presets import Preset, with_preset
from fewshot.heads.solvers.transforms import (
    QueryCenter,
    centred,
    check_query_center,
    uses_of_center,
)
from fewshot.heads.tags import HeadTags

PAPER = {"dimensions": None}
LOG_FLOOR = 1e-6  # added to class shares in logarithms, as in the authors' program
CHECK = 10  # steps between looks at whether anything still changes
STILL = 100  # changes of answers below this many roundings are none


class PADDLE(Head):
    """Partially supervised minimum description length clustering.

    Martin et al., "Towards Practical Few-shot Query Sets: Transductive Minimum Description
    Length Inference", NeurIPS 2022. Answers u (E, T, N) and centres w (E, N, D) minimise (eq. 3)
    ``sum_nk u_nk |w_k - z_n|^2 / 2 - l sum_k pi_k log pi_k`` with pi the mean of u over the
    queries, the labels being fixed; the second term is the description length of the classes
    that are used. In turns (algorithm 1): ``u_n = softmax_k(-|w_k - z_n|^2 / 2 + l / T v_k)``,
    ``v_k = log pi_k + 1``, and ``w_k`` the mean of the shots and, weighted by u, of the queries.
    With n = N K + T points, products of all pairs are taken once: O(n^2 (D + steps N)); where
    n > D, O(steps n N D).

    Parameters
    ----------
    penalty : float >= 0
        Price of using a class, per query: l / T. 1, the paper's choice, makes l the number of
        queries and u the posterior of a Gaussian mixture with shares pi; 0 is soft k-means from the
        shots.
    steps : int >= 1
        Most rounds of the three updates; fewer where nothing changes any more.
    scaling : {"range", "none"}
        "range" divides every feature by its range over the queries, as the authors' program does.
        Without it distances of unit-length features are so small next to ``log pi`` that all
        queries join one class.
    dimensions : int >= 1, or None
        Squared distances are multiplied by this over D, the number of features. They grow with D
        and the price of a class does not, so that with few features all queries join one class as
        well; 512 is the authors' D, at which nothing changes. None leaves the distances as they
        are, as their program does.
    center : {"none", "base", "support", "all", "each"}
        What is subtracted from all features, which then get unit length (CL2N): nothing, as in the
        paper; the mean of the base classes, of the class means, or of all shots and queries; or
        from the shots the mean of their class means and from the queries theirs.
    preset : {"none", "paper"}
        "paper" is the authors' program, whose distances are as they are: dimensions None.
    """

    references = ("martin2022towards",)
    tags = HeadTags(shift_invariant=True, scale_invariant=True)

    def __init__(
        self,
        penalty: float = 1.0,
        steps: int = 1000,
        scaling: Literal["range", "none"] = "range",
        dimensions: int | None = 512,
        center: QueryCenter = "none",
        preset: Preset = "none",
    ) -> None:
        self.penalty = penalty
        self.steps = steps
        self.scaling = scaling
        self.dimensions = dimensions
        self.center = center
        self.preset = preset

    @property
    def uses(self) -> frozenset[str]:
        """All queries together; no assumption on their shares. Base classes if `center` says so."""
        return frozenset({"queries"}) | uses_of_center(self.center)

    def fit(self, support: Support) -> Self:
        """Keep the shots; what is learned depends on the queries."""
        with_preset(self, PAPER, "head.paddle")  # or an error
        expect_number("head.paddle.penalty", self.penalty, 0)
        expect_repeats("head.paddle.steps", self.steps)
        expect_choice("head.paddle.scaling", self.scaling, ("range", "none"))
        if self.dimensions is not None:
            expect_positive_int("head.paddle.dimensions", self.dimensions)
        check_query_center(self.center, support, "head.paddle")
        self.support_ = support
        return self

    def scores(self, query: Query) -> Tensor:
        """Log answers (E, T, N), up to what is common to the classes of a query."""
        support, query = centred(self.support_, query, self.center, "head.paddle")
        shots, queries = support.features, query.features
        centre = support.means().mean(1)[:, None]
        scale = spread(query) if self.scaling == "range" else torch.ones_like(centre)
        dimensions = with_preset(self, PAPER, "head.paddle").dimensions
        if dimensions is not None:
            scale = scale * (shots.shape[-1] / dimensions) ** 0.5
        points = torch.cat([shots.flatten(1, 2) - centre, queries - centre], 1) / scale
        N, K = shots.shape[1:3]
        one_hot = torch.eye(N, dtype=points.dtype, device=points.device).repeat_interleave(K, 1)
        labels = one_hot * support.mask.flatten(1, 2)[:, None]
        learning = query.learning_mask[:, None]
        return cluster(products(points), labels, learning, self.penalty, self.steps).mT


def spread(query: Query) -> Tensor:
    """Range (E, 1, D) of every feature over queries to learn from; 1 where it does not vary."""
    absent = ~query.learning_mask[..., None]
    if query.features.shape[1] == 0:
        return query.features.new_ones(len(query.features), 1, query.features.shape[2])
    most = query.features.masked_fill(absent, -torch.inf).amax(1, keepdim=True)
    width = most - query.features.masked_fill(absent, torch.inf).amin(1, keepdim=True)
    return torch.where(width > 0, width, torch.ones_like(width))  # no query: -inf


def products(points: Tensor) -> Callable[[Tensor], Tensor]:
    """Function from weights (E, N, n) to ``weights points points'`` (E, N, n).

    The dot products of all points with centres that are weighted sums of points.
    """
    if points.shape[1] > points.shape[2]:
        return lambda weights: weights @ points @ points.mT
    gram = points @ points.mT
    return lambda weights: weights @ gram


def cluster(
    product: Callable[[Tensor], Tensor], labels: Tensor, mask: Tensor, penalty: float, steps: int
) -> Tensor:
    """Algorithm 1 for all episodes.

    Parameters
    ----------
    product : callable
        See ``products``.
    labels : Tensor of shape (E, N, S)
        One-hot classes of the S shots; zero in the padding.
    mask : Tensor of shape (E, 1, T), bool
        Which queries to learn from.
    penalty, steps : float, int

    Returns
    -------
    Tensor of shape (E, N, T)
        What the last answers are the softmax of.
    """
    E, N, S = labels.shape
    here = mask.to(labels.dtype)
    number = here.sum(-1, keepdim=True).clamp_min(1)
    answers = here.expand(E, N, -1) * 0
    bonus = labels.new_zeros(E, N, 1)
    for step in range(steps):
        before = answers
        joined = torch.cat([labels, answers], -1)
        weights = joined / joined.sum(-1, keepdim=True)
        dots = product(weights)
        z = dots[..., S:] - (weights * dots).sum(-1, keepdim=True) / 2 + bonus
        answers = z.softmax(1) * here
        bonus = penalty * (answers.sum(-1, keepdim=True) / number + LOG_FLOOR).log()
        if step % CHECK == CHECK - 1 and settled(answers, before):
            break
    return z


def settled(answers: Tensor, before: Tensor) -> bool:
    """Whether a step changed nothing but digits that are rounding."""
    least = STILL * torch.finfo(answers.dtype).eps
    return answers.numel() == 0 or bool((answers - before).abs().max() < least)
