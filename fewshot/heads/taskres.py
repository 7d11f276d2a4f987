"""Task residual tuning: text vectors that move."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number, expect_repeats
from fewshot.heads.base import LinearForm, LinearHead, Support
from fewshot.heads.presets import Preset, with_preset
from fewshot.heads.solvers.training import (
    Parameters,
    Shots,
    cross_entropy_gradient,
    shots_of,
    through_unit_length,
    train,
)
from fewshot.heads.solvers.transforms import unit_length
from fewshot.heads.tags import HeadTags

PAPER = {"learning_rate": 2e-3}


class TaskRes(LinearHead):
    """Text vectors plus a residual learned from the shots.

    Yu, Lu, Jin, Chen and Wang, "Task Residual for Tuning Vision-Language Models", CVPR
    2023. With unit text vectors t_c (N, D) and residuals x_c (N, D), zero at the start, the
    classifier of class c is ``v_c = t_c + alpha x_c`` and the score of an image f

        s f . v_c / |v_c|

    with s the scale of the dual encoder. Cross-entropy of the shots moves x by Adam. Images are
    taken at unit length, as the dual encoder compares them; without that, a query's scores
    are multiplied by its length, which changes no decision.

    Parameters
    ----------
    alpha : float >= 0
        Scale of the residual that is added to the text vectors; the paper's default (it takes 1 for
        Flowers).
    learning_rate : float >= 0
        Of Adam; falls to 0 along a cosine. The default is the authors' for ImageNet; their 0.002 of
        the other data sets learns a single shot of many classes by heart.
    steps : int >= 0
        Steps of Adam, each on all shots; the authors' 100 epochs up to 4 shots (200 beyond).
    preset : {"none", "paper"}
        "paper" sets ``learning_rate=0.002``.

    Notes
    -----
    Fixed hyper-parameters, none chosen on queries. O(steps N^2 K D) per episode.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
        Zero.
    """

    references = ("yu2023task",)
    tags = HeadTags(scale_invariant=True, check_with={"steps": 20})

    def __init__(
        self,
        alpha: float = 0.5,
        learning_rate: float = 2e-4,
        steps: int = 100,
        preset: Preset = "none",
    ) -> None:
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.steps = steps
        self.preset = preset

    @property
    def uses(self) -> frozenset[str]:
        """Class names."""
        return frozenset({"text"})

    @torch.no_grad()
    def fit(self, support: Support) -> Self:
        """Learn the residuals."""
        expect_number("head.taskres.alpha", self.alpha, 0)
        expect_number("head.taskres.learning_rate", self.learning_rate, 0)
        expect_repeats("head.taskres.steps", self.steps, minimum=0)
        rate = with_preset(self, PAPER, "head.taskres").learning_rate
        shots = shots_of(support, "taskres")

        def gradient(parameters: Parameters) -> Parameters:
            return {"residual": residual_gradient(parameters["residual"], shots, self.alpha)}

        start = {"residual": torch.zeros_like(shots.text)}
        learned = train(gradient, start, steps=self.steps, learning_rate=rate)
        self.weights_ = classifier(learned["residual"], shots, self.alpha)
        self.biases_ = self.weights_.new_zeros(self.weights_.shape[:2])
        return self

    def linear(self) -> LinearForm:
        """Weights that follow the shots of all classes."""
        return LinearForm(self.weights_, self.biases_, None)


def classifier(residual: Tensor, shots: Shots, alpha: float) -> Tensor:
    """``s v_c / |v_c|`` with ``v_c = t_c + alpha x_c``: (E, N, D)."""
    moved = shots.text + alpha * residual
    return shots.logit_scale * unit_length(moved)


def residual_gradient(residual: Tensor, shots: Shots, alpha: float) -> Tensor:
    """Gradient (E, N, D) of the mean cross-entropy with respect to the residuals."""
    moved = shots.text + alpha * residual
    logits = classifier(residual, shots, alpha) @ shots.features.mT
    slope = cross_entropy_gradient(logits, shots) @ shots.features
    return alpha * shots.logit_scale * through_unit_length(slope, moved)
