"""A Gaussian mixture of the queries that stays near the predictions from class names."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.exceptions import expect_number, expect_repeats
from fewshot.heads.presets import Preset
from fewshot.heads.solvers.anchored_mixture import (
    TEMPER,
    AnchoredEpisodes,
    AnchoredHead,
    log_likelihood,
    squared_deviations,
    usable_variances,
)
from fewshot.heads.solvers.transforms import unit_length
from fewshot.heads.tags import HeadTags

PAPER = {"anchor": 0.0, "text_weight": None}
FEWEST = 1e-9  # images that a variance is divided by, where there is none
CONFIDENT = 8  # queries of every class that its mean begins with


class TransCLIP(AnchoredHead):
    r"""TransCLIP: assignments of all queries at once, near text, neighbours and class Gaussians.

    Zanella, Gerin and Ben Ayed, "Boosting Vision-Language Models with Transduction", NeurIPS 2024.
    With unit-length features x, zero-shot probabilities y_t and the class Gaussians ``N(m_c, S)``,
    S diagonal, the assignments z of the queries minimise, in the authors' program,

        sum_t (z_t . log z_t - l z_t . log y_t - z_t . log p_t / 50) - 1/6 sum_tu w_tu z_t . z_u

    with p_tc the density of class c, and the labels of the shots as their z; w_tu is the cosine of
    t and u where u is one of the three nearest queries of t, else 0. In turns, `steps` times: five
    updates of all z at once,
    ``z_t = softmax(l log y_t + log p_t / 50 + 1/6 sum_u (w_tu + w_ut) z_u)``; the means of the
    queries, weighted by z, and of the shots, brought to unit length; the variances around them.
    O(T^2 D) for the neighbours, of which blocks are held, and O(steps T N D).

    Parameters
    ----------
    anchor : float >= 0
        How far the text counts in the mean of its class: as ``anchor (N / M - 1)`` images at
        `text_anchors`, with M the number of classes that the zero-shot probabilities speak of,
        ``1 / sum_c pi_c^2`` with pi their mean; nothing where they speak of all alike. Not in the
        paper, which is 0: there a class that no query is of takes the queries of others, so that
        with few classes among the queries most answers are wrong.
    shot_weight : float >= 0, or None
        gamma: the shots together count 50 gamma times as much as all queries together. The authors
        choose it on validation images among 0.002, 0.01, 0.02 and 0.2. None: a shot counts as much
        as a query.
    text_weight : float >= 0, or None
        l, the weight of the zero-shot probabilities. None: 1 without shots and 1/2 with them, as in
        the paper; 1/2 costs where class names know more than a shot.
    laplacian : float >= 0
        Weight of the agreement of neighbours, times the authors'.
    steps : int >= 1
        Updates of the Gaussians; 10 as the authors have it.
    preset : {"none", "paper"}
        "paper": ``anchor=0`` and ``text_weight=None``.
    """

    references = ("zanella2024boosting",)
    tags = HeadTags(scale_invariant=True, check_with={"steps": 3})

    name = "transclip"
    paper = PAPER

    def __init__(
        self,
        anchor: float = 1.0,
        shot_weight: float | None = None,
        text_weight: float | None = 1.0,
        laplacian: float = 1.0,
        steps: int = 10,
        preset: Preset = "none",
    ) -> None:
        self.anchor = anchor
        self.shot_weight = shot_weight
        self.text_weight = text_weight
        self.laplacian = laplacian
        self.steps = steps
        self.preset = preset

    def _assignments(self, episodes: AnchoredEpisodes) -> Tensor:
        text_weight, shots = self.text_weight, episodes.shots.shape[1]
        if text_weight is None:
            text_weight = 0.5 if shots else 1.0
        points, labels, shares = episodes.points, self._weighted(episodes), episodes.zero_shot.exp()
        anchors, images = text_anchors(episodes), self._images_of_text(episodes)
        means = self._first_means(episodes, anchors)
        variances = torch.full_like(means[:, :1], 1 / means.shape[2])
        for step in range(self.steps + 1):
            likelihood = log_likelihood(episodes.queries, means, variances) / TEMPER
            logits = episodes.assigned(likelihood, shares, text_weight, self.laplacian)
            if step == self.steps:
                break
            shares = logits.softmax(-1)
            weights = torch.cat([shares * episodes.learnable, labels], 1)
            means = unit_length(weights.mT @ points + images * anchors)
            total = squared_deviations(points, weights, means)
            total = total + images * (anchors - means).square()
            number = weights.sum((1, 2), keepdim=True) + images * anchors.shape[1]
            variances = usable_variances(total.sum(1, keepdim=True) / number.clamp_min(FEWEST))
        return logits

    def _weighted(self, episodes: AnchoredEpisodes) -> Tensor:
        """The labels (E, N K, N) times what a shot counts, a query counting 1."""
        if self.shot_weight is None:
            return episodes.labels
        shots = episodes.labels.sum((1, 2), keepdim=True).clamp_min(1)
        return episodes.labels * (self.shot_weight * TEMPER * episodes.number / shots)

    def _images_of_text(self, episodes: AnchoredEpisodes) -> Tensor:
        """How many images the text of a class counts as: (E, 1, 1)."""
        return self.anchor * (episodes.text.shape[1] / episodes.effective_classes - 1)

    def _first_means(self, episodes: AnchoredEpisodes, anchors: Tensor) -> Tensor:
        """Of the shots; without any, of the confident queries, or the anchors."""
        if episodes.shots.shape[1]:
            images = self._images_of_text(episodes)
            return unit_length(episodes.labels.mT @ episodes.shots + images * anchors)
        return anchors if self.anchor > 0 else unit_length(confident_sums(episodes))

    def _check_parameters(self) -> None:
        expect_number("head.transclip.anchor", self.anchor, 0)
        if self.shot_weight is not None:
            expect_number("head.transclip.shot_weight", self.shot_weight, 0)
        if self.text_weight is not None:
            expect_number("head.transclip.text_weight", self.text_weight, 0)
        expect_number("head.transclip.laplacian", self.laplacian, 0)
        expect_repeats("head.transclip.steps", self.steps)


def text_anchors(episodes: AnchoredEpisodes) -> Tensor:
    """Where images of every class are expected before any is assigned: (E, N, D), unit length.

    Images and texts of a dual encoder lie apart. The text vector is moved by the mean, over the
    queries, of what the text vectors weighted by zero-shot probabilities do not explain,
    ``x_t - sum_c y_tc text_c``, which does not depend on which classes the queries are of.
    """
    residuals = episodes.queries - episodes.zero_shot.exp() @ episodes.text
    gap = (residuals * episodes.learnable).sum(1, keepdim=True) / episodes.number
    return unit_length(episodes.text + gap)


def confident_sums(episodes: AnchoredEpisodes) -> Tensor:
    """Sum (E, N, D) of the queries of highest zero-shot probability, weighted by it.

    The authors' initial means, up to their length; eight queries of every class, or all there are.
    """
    shares = episodes.zero_shot.exp() * episodes.learnable
    top = shares.topk(min(CONFIDENT, shares.shape[1]), 1).indices
    kept = torch.zeros_like(shares).scatter_(1, top, shares.gather(1, top))
    return kept.mT @ episodes.queries
