"""Region proportion regularised inference: a classifier adapted to every query image."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.exceptions import expect_number, expect_repeats
from fewshot.tasks.segmentation.heads.base import NEVER, DenseHead, DenseSupport

TINY = 1e-10  # share of a class that logarithms do not go below


class RePRI(DenseHead):
    """Foreground against background, adapted to the unlabelled tokens of each query image.

    Boudiaf et al., "Few-Shot Segmentation Without Meta-Learning: A Good Transductive Inference Is
    All You Need?", CVPR 2021 (arXiv 2012.06166). A prototype w and a threshold b give a token x the
    probability ``sigmoid(t cos(w, x) - b)`` of the foreground. From the mean of the foreground's
    tokens and the query's mean ``t cos``, gradient steps lower

        cross-entropy of the support + (entropy of the query + KL(share | expected share)) / K

    with the share of the foreground in the query. The one that is expected is that before the
    first step, and from `proportion_step` on the one reached there, with 1 added to the weight of
    its term. Class 0 is the background, class 1 the foreground; K is the number of images.

    Parameters
    ----------
    temperature : float > 0
        t.
    steps : int >= 1
    learning_rate : float > 0
    proportion_step : int >= 1

    Notes
    -----
    The defaults are the paper's. Against the authors' program: no token of a query is left out
    because the truth ignores its pixels, and a support token counts by its pixels of both classes.
    A query costs ``steps`` passes over its tokens and those of the support.

    Attributes
    ----------
    tokens_ : Tensor of shape (R, D)
        Annotated tokens at unit length.
    labels_ : Tensor of shape (R, 2)
        Shares of all annotated pixels.
    prototype_ : Tensor of shape (D,)
    present_ : Tensor of shape (2,), bool
    """

    references = ("boudiaf2021few",)
    unit_length = True
    cheap_to_refit = True
    only_ways = 2

    def __init__(
        self,
        temperature: float = 20.0,
        steps: int = 50,
        learning_rate: float = 0.025,
        proportion_step: int = 10,
    ) -> None:
        expect_number("temperature", temperature, 0, above=True)
        expect_repeats("steps", steps)
        expect_number("learning_rate", learning_rate, 0, above=True)
        expect_repeats("proportion_step", proportion_step)
        self.temperature, self.steps = temperature, steps
        self.learning_rate, self.proportion_step = learning_rate, proportion_step

    def fit(self, support: DenseSupport, seed: int = 0) -> Self:
        """Keep the support's tokens, and the mean of the foreground's; `seed` is not used.

        Raises
        ------
        FewshotError
            There are not two classes.
        """
        self.check_ways(support.ways)
        tokens, labels = support.annotated()
        self.tokens_ = self.prepared(tokens)
        total = labels.sum(0).double()
        self.labels_ = labels / total.sum().clamp_min(1).float()
        self.prototype_ = (
            self.labels_[:, 1] @ self.tokens_ / self.labels_[:, 1].sum().clamp_min(TINY)
        )
        self.present_ = total > 0
        self.weight_ = 1 / len(support.images)
        return self

    def scores(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Probabilities (T, 2) of background and foreground."""
        queries = self.prepared(tokens)
        if bool(self.present_.all()):
            foreground = self._adapted(queries)
        else:
            foreground = torch.full_like(queries[:, 0], 0.5)
        scores = torch.stack([1 - foreground, foreground], 1)
        return scores.masked_fill(~self.present_, NEVER)

    def _adapted(self, queries: Tensor) -> Tensor:
        """Probabilities (T,) of the foreground after the last step."""
        prototype = self.prototype_
        bias = self._cosines(queries, prototype).mean()
        expected = (self._cosines(queries, prototype) - bias).sigmoid().mean()
        proportion_weight = self.weight_
        for step in range(1, self.steps + 1):
            of_support = self._support_slope(self._cosines(self.tokens_, prototype) - bias)
            of_query = query_slope(
                self._cosines(queries, prototype) - bias, expected, self.weight_, proportion_weight
            )
            slope = of_support @ self.tokens_ + of_query @ queries
            direction = normalize(prototype, dim=0)
            slope = slope - (slope @ direction) * direction  # of a cosine
            slope = self.temperature * slope / prototype.norm().clamp_min(TINY)
            prototype = prototype - self.learning_rate * slope
            bias = bias + self.learning_rate * (of_support.sum() + of_query.sum())
            if step == self.proportion_step:
                expected = (self._cosines(queries, prototype) - bias).sigmoid().mean()
                proportion_weight += 1
        return (self._cosines(queries, prototype) - bias).sigmoid()

    def _cosines(self, tokens: Tensor, prototype: Tensor) -> Tensor:
        """Cosines (T,) times the temperature."""
        return self.temperature * (tokens @ normalize(prototype, dim=0))

    def _support_slope(self, logits: Tensor) -> Tensor:
        """Derivative (R,) of the cross-entropy of the support by the logits."""
        return logits.sigmoid() * self.labels_.sum(1) - self.labels_[:, 1]


def query_slope(
    logits: Tensor, expected: Tensor, entropy_weight: float, proportion_weight: float
) -> Tensor:
    """Derivative (T,) of entropy and proportion of a query by the foreground's logits (T,).

    ``a mean h(p_t) + b KL(mean p_t | expected)``, with h the entropy of a token's two classes and
    KL the divergence of their shares in the query from those that are expected, a scalar in (0, 1).
    """
    shares = logits.sigmoid()
    share = shares.mean().clamp(TINY, 1 - TINY)
    expected = expected.clamp(TINY, 1 - TINY)
    pull = (share / expected).log() - ((1 - share) / (1 - expected)).log()
    slope = proportion_weight * pull - entropy_weight * logits
    return slope * shares * (1 - shares) / len(logits)
