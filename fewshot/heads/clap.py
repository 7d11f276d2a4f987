"""Linear probes that start from class names: the plain one, and CLAP, which holds on to them."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number, expect_repeats
from fewshot.heads.base import LinearForm, LinearHead, Support
from fewshot.heads.solvers.text_weight import zero_shot_confidence
from fewshot.heads.solvers.training import (
    Parameters,
    Shots,
    cross_entropy_gradient,
    descend,
    shots_of,
    through_unit_length,
)
from fewshot.heads.solvers.transforms import unit_length
from fewshot.heads.tags import HeadTags


class ZSLP(LinearHead):
    """Linear probe of cosines whose class vectors start as the text vectors (ZS-LP).

    Silva-Rodriguez, Hajimiri, Ben Ayed and Dolz, "A Closer Look at the Few-Shot Adaptation of Large
    Vision-Language Models", CVPR 2024. The score of an image f is

        s f . w_c / |w_c|,   w_c = r t_c at the start

    with s the scale of the dual encoder, t_c the unit text vector of class c and r its length in
    training. Cross-entropy of the shots moves w by gradient descent with momentum 0.9, the rate
    falling to 0 along a cosine. Images are taken at unit length; without that, a query's scores are
    multiplied by its length, which changes no decision.

    Parameters
    ----------
    text_length : float > 0
        Length r of the text vectors in training. Scores do not depend on it, but a step turns w by
        an angle in 1 / r^2. The authors' program trains the text vectors of CLIP as the encoder
        gives them, before they are brought to unit length, and no bank of features knows that
        length; 10 is its order of magnitude, at which one shot could still undo the text. At 1,
        what that program does with vectors of unit length, a step is 400 times as long as at 20.
    learning_rate : float >= 0
        Of the first step; the authors' 0.1.
    steps : int >= 0
        Steps, each on all shots; the authors' 300 epochs. Their batches of 256 hold all shots of
        most episodes.

    Notes
    -----
    Fixed hyper-parameters, none chosen on queries. O(steps N^2 K D) per episode.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
        Zero.
    """

    references = ("silva2024closer",)
    tags = HeadTags(scale_invariant=True, check_with={"steps": 20})

    name = "zs_lp"

    def __init__(
        self, text_length: float = 20.0, learning_rate: float = 0.1, steps: int = 300
    ) -> None:
        self.text_length = text_length
        self.learning_rate = learning_rate
        self.steps = steps

    @property
    def uses(self) -> frozenset[str]:
        """Class names."""
        return frozenset({"text"})

    @torch.no_grad()
    def fit(self, support: Support) -> Self:
        """Train the class vectors on the shots."""
        expect_number(f"head.{self.name}.text_length", self.text_length, 0, above=True)
        expect_number(f"head.{self.name}.learning_rate", self.learning_rate, 0)
        expect_repeats(f"head.{self.name}.steps", self.steps, minimum=0)
        shots = shots_of(support, self.name)
        start, penalty = self.text_length * shots.text, self._penalty(shots)

        def gradient(parameters: Parameters) -> Parameters:
            vectors = parameters["vectors"]
            slope = cosine_gradient(vectors, shots)
            if penalty is not None:
                slope.addcmul_(penalty, vectors - start, value=2)
            return {"vectors": slope}

        trained = descend(
            gradient, {"vectors": start}, steps=self.steps, learning_rate=self.learning_rate
        )
        self.weights_ = shots.logit_scale * unit_length(trained["vectors"])
        self.biases_ = torch.zeros_like(self.weights_[..., 0])
        return self

    def linear(self) -> LinearForm:
        """Weights that follow the shots of all classes."""
        return LinearForm(self.weights_, self.biases_, None)

    def _penalty(self, shots: Shots) -> Tensor | None:
        """What the squared distance of a class vector from its text costs: (E, N, 1) or None."""


class CLAP(ZSLP):
    """ZS-LP whose class vectors pay for leaving their text: class-adaptive linear probe.

    Silva-Rodriguez, Hajimiri, Ben Ayed and Dolz, "A Closer Look at the Few-Shot Adaptation of Large
    Vision-Language Models", CVPR 2024: to the mean cross-entropy of the shots comes

        1 / N sum_c a_c |w_c - r t_c|^2

    where a_c is the mean probability that the zero-shot classifier gives to class c on the shots of
    c. Names that say little leave their class free. The penalty is that of an augmented Lagrangian
    whose multipliers keep their first value, so that no validation images are needed.

    Parameters
    ----------
    text_length : float > 0
        As in `ZSLP`; the penalty grows with its square.
    learning_rate : float >= 0
        Of the first step; the authors' 0.1.
    steps : int >= 0
        Steps, each on all shots; the authors' 300 epochs.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
        Zero.
    multipliers_ : Tensor of shape (E, N)
        a_c, in [0, 1].
    """

    references = ("silva2024closer",)
    name = "clap"

    def _penalty(self, shots: Shots) -> Tensor:
        multipliers = zero_shot_confidence(shots)
        self.multipliers_ = multipliers[..., 0]
        return multipliers / multipliers.shape[1]


def cosine_gradient(vectors: Tensor, shots: Shots) -> Tensor:
    """Gradient (E, N, D) of the mean cross-entropy of ``s f . w_c / |w_c|`` with respect to w."""
    weights = shots.logit_scale * unit_length(vectors)
    slope = cross_entropy_gradient(weights @ shots.features.mT, shots) @ shots.features
    return through_unit_length(shots.logit_scale * slope, vectors)
