"""A Gaussian for every class that stays near what its text says until there are images of it."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.exceptions import expect_bool, expect_number, expect_repeats
from fewshot.heads.presets import Preset
from fewshot.heads.solvers.anchored_mixture import (
    AnchoredEpisodes,
    AnchoredHead,
    log_likelihood,
    squared_deviations,
    usable_variances,
)
from fewshot.heads.solvers.transforms import unit_length
from fewshot.heads.tags import HeadTags

PAPER = {"alpha": 1.0, "temper": 50.0}


class StatA(AnchoredHead):
    r"""StatA: the mixture of TransCLIP with a statistical anchor, for any number of classes in use.

    Zanella, Fuchs, De Vleeschouwer and Ben Ayed, "Realistic Test-Time Adaptation of Vision-Language
    Models", CVPR 2025. The assignments z are those of `TransCLIP`, the classes have variances of
    their own, and the divergence of every Gaussian from one that the text gives,
    ``N(text_c, S0)``, is added to what is minimised, alpha times. With n_c the number of queries
    whose largest z is c, x_c and S_c the mean, of unit length, and variances of the queries
    weighted by z, and ``b_c = n_c / (n_c + alpha)``,

        m_c = b_c x_c + (1 - b_c) text_c, to unit length
        V_c = b_c S_c + (1 - b_c) (S0 + (text_c - m_c)^2)

    S0 are the variances around the texts under the zero-shot probabilities, one for all classes. A
    class that no query is of stays where its text is. The method is zero-shot. Shots, where there
    are some, are images whose z is known: they count in n_c, x_c and S_c as queries do, and pull
    the queries that are their neighbours, as in TransCLIP. Not in the paper.
    O(T^2 D) for the neighbours, of which blocks are held, and O(steps T N D).

    Parameters
    ----------
    alpha : float > 0, or None
        Images that the text of a class counts as; 1 in the paper, under which a few wrong answers
        are enough to move a class to the images of another. None: as many as a class has on
        average, T over the number of classes that the zero-shot probabilities speak of,
        ``1 / sum_c pi_c^2`` with pi their mean.
    laplacian : float >= 0
        Weight of the agreement of neighbours, times the authors'.
    temper : float > 0
        What log-likelihoods are divided by, as dimensions are not independent; 50 in the authors'
        program.
    soft : bool
        Take the sum of z for n_c, the authors' alternative.
    steps : int >= 1
        Updates of the Gaussians; 10 as the authors have it.
    preset : {"none", "paper"}
        "paper": ``alpha=1`` and ``temper=50``.
    """

    references = ("zanella2025realistic",)
    tags = HeadTags(scale_invariant=True, check_with={"steps": 3})

    name = "stata"
    paper = PAPER

    def __init__(
        self,
        alpha: float | None = None,
        laplacian: float = 1.0,
        temper: float = 100.0,
        soft: bool = False,
        steps: int = 10,
        preset: Preset = "none",
    ) -> None:
        self.alpha = alpha
        self.laplacian = laplacian
        self.temper = temper
        self.soft = soft
        self.steps = steps
        self.preset = preset

    def _assignments(self, episodes: AnchoredEpisodes) -> Tensor:
        text, points = episodes.text, episodes.points
        shares = episodes.zero_shot.exp()
        spread = squared_deviations(episodes.queries, shares * episodes.learnable, text)
        around_text = usable_variances(spread.sum(1, keepdim=True) / episodes.number)
        means, variances = text, around_text.expand_as(text)
        for step in range(self.steps + 1):
            likelihood = log_likelihood(episodes.queries, means, variances) / self.temper
            logits = episodes.assigned(likelihood, shares, 1.0, self.laplacian)
            if step == self.steps:
                break
            shares = logits.softmax(-1)
            weights = torch.cat([shares * episodes.learnable, episodes.labels], 1)
            share = self._share_of_images(shares, episodes)
            means = unit_length(share * unit_length(weights.mT @ points) + (1 - share) * text)
            spread = squared_deviations(points, weights, means)
            within = spread / weights.sum(1)[..., None].clamp_min(torch.finfo(spread.dtype).tiny)
            anchor = around_text + (text - means).square()
            variances = usable_variances(share * within + (1 - share) * anchor)
        return logits

    def _share_of_images(self, shares: Tensor, episodes: AnchoredEpisodes) -> Tensor:
        """b_c, the weight of the images beside the text: (E, N, 1)."""
        counted = shares
        if not self.soft:
            best = shares.argmax(-1, keepdim=True)
            counted = torch.zeros_like(shares).scatter_(2, best, 1.0)
        count = (counted * episodes.learnable).sum(1) + episodes.labels.sum(1)
        alpha: float | Tensor = (episodes.number / episodes.effective_classes)[..., 0]
        if self.alpha is not None:
            alpha = self.alpha
        return (count / (alpha + count))[..., None]

    def _check_parameters(self) -> None:
        if self.alpha is not None:
            expect_number("head.stata.alpha", self.alpha, 0, above=True)
        expect_number("head.stata.laplacian", self.laplacian, 0)
        expect_number("head.stata.temper", self.temper, 0, above=True)
        expect_bool("head.stata.soft", self.soft)
        expect_repeats("head.stata.steps", self.steps)
