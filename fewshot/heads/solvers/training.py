"""Light training on the shots of all episodes at once: problem, gradient, AdamW and momentum.

Every tensor has a leading episode axis and no operation mixes episodes, so that a batch of episodes
is trained as each would be alone. Gradients are written out rather than recorded: that is faster on
tensors this small and works in any autograd mode.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fewshot.heads.base import Support
from fewshot.heads.solvers.transforms import length_of, unit_length
from fewshot.heads.texts import class_text

Parameters = dict[str, Tensor]
Gradient = Callable[[Parameters], Parameters]

# Adam's decay rates of the two moments, as everybody has them.
FIRST_DECAY, SECOND_DECAY = 0.9, 0.999
# Second moments start here rather than at 0, which changes nothing beside epsilon. Those of shots
# that are learned by heart would be denormal numbers, whose roots take a hundred times as long.
LEAST_MOMENT = 1e-30


@dataclass(frozen=True, eq=False)
class Shots:
    """Labelled unit vectors of E episodes, class after class, with the classes' text; S = N K.

    Attributes
    ----------
    features : Tensor of shape (E, S, D)
        Unit length; zero in the padding.
    targets : Tensor of shape (E, N, S)
        1 at the class of a shot; all zero in the padding.
    share : Tensor of shape (E, 1, S)
        Weight of a shot in the mean loss: 1 / number of shots of the episode, 0 in the padding.
    text : Tensor of shape (E, N, D)
        Unit length.
    logit_scale : float
    """

    features: Tensor
    targets: Tensor
    share: Tensor
    text: Tensor
    logit_scale: float

    def __getitem__(self, episodes: Any) -> Shots:
        """The same for a selection of episodes."""
        names = ("features", "targets", "share", "text")
        return replace(self, **{name: getattr(self, name)[episodes] for name in names})


def shots_of(support: Support, name: str) -> Shots:
    """What the head called `name` is trained on.

    Raises
    ------
    FewshotError
        The support comes without text vectors.
    """
    text = class_text(support, name)
    weight = support.mask.to(support.features.dtype)
    targets = torch.diag_embed(weight.mT).permute(0, 2, 3, 1).flatten(2)
    share = weight / weight.sum((1, 2), keepdim=True)
    return Shots(
        unit_length(support.features.flatten(1, 2)),
        targets,
        share.flatten(1)[:, None],
        text,
        support.context.logit_scale,
    )


def cross_entropy_gradient(logits: Tensor, shots: Shots) -> Tensor:
    """Gradient (E, N, S) of the mean cross-entropy of an episode with respect to its logits.

    Classes come before shots: a softmax over a last axis of five is ten times as slow.
    """
    return (logits.softmax(1) - shots.targets) * shots.share


def through_unit_length(gradient: Tensor, vectors: Tensor) -> Tensor:
    """Gradient with respect to v of a loss with this gradient with respect to v / |v|: (..., D)."""
    length = length_of(vectors)
    unit = vectors / length
    return (gradient - unit * (unit * gradient).sum(-1, keepdim=True)) / length


def train(
    gradient: Gradient,
    start: Parameters,
    *,
    steps: int,
    learning_rate: float,
    weight_decay: float = 0.0,
    epsilon: float = 1e-8,
) -> Parameters:
    """Full-batch AdamW under a cosine schedule from `learning_rate` to 0.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019; without decay it is
    Adam. The same numbers as ``torch.optim.AdamW`` with ``CosineAnnealingLR(T_max=steps)``.

    Parameters
    ----------
    gradient : callable
        From parameters to the gradient of every episode's own loss, under the same names.
    start : dict of Tensor
        Left as it is.
    """
    parameters = {name: value.clone() for name, value in start.items()}
    first = {name: torch.zeros_like(value) for name, value in start.items()}
    second = {name: torch.full_like(value, LEAST_MOMENT) for name, value in start.items()}
    for step in range(steps):
        rate = annealed(learning_rate, step, steps)
        scale = math.sqrt(1 - SECOND_DECAY ** (step + 1))
        size = rate / (1 - FIRST_DECAY ** (step + 1))
        for name, slope in gradient(parameters).items():
            first[name].lerp_(slope, 1 - FIRST_DECAY)
            second[name].mul_(SECOND_DECAY).addcmul_(slope, slope, value=1 - SECOND_DECAY)
            spread = second[name].sqrt().div_(scale).add_(epsilon)
            if weight_decay:
                parameters[name].mul_(1 - rate * weight_decay)
            parameters[name].addcdiv_(first[name], spread, value=-size)
    return parameters


def descend(
    gradient: Gradient,
    start: Parameters,
    *,
    steps: int,
    learning_rate: float,
    momentum: float = 0.9,
) -> Parameters:
    """Full-batch gradient descent with momentum, a cosine schedule from `learning_rate` to 0.

    The same numbers as ``torch.optim.SGD`` with ``CosineAnnealingLR(T_max=steps)``.

    Parameters
    ----------
    gradient : callable
        From parameters to the gradient of every episode's own loss, under the same names.
    start : dict of Tensor
        Left as it is.
    """
    parameters = {name: value.clone() for name, value in start.items()}
    velocity = {name: torch.zeros_like(value) for name, value in start.items()}
    for step in range(steps):
        rate = annealed(learning_rate, step, steps)
        for name, slope in gradient(parameters).items():
            velocity[name].mul_(momentum).add_(slope)
            parameters[name].sub_(velocity[name], alpha=rate)
    return parameters


def annealed(learning_rate: float, step: int, steps: int) -> float:
    """Rate of a step, from 0 to `steps` - 1, under a cosine schedule that ends at 0."""
    return learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
