"""CLIP-Adapter: a small network that moves image features."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number, expect_positive_int, expect_repeats
from fewshot.heads.base import Head, Query, Support
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

# Weights, gradient and moments of so many bytes are trained at a time on a CPU: they are read in
# every step and should stay in cache.
TRAINED_BYTES = 8 << 20


class CLIPAdapter(Head):
    """Bottleneck with a residual connection on image features, text vectors as they are.

    Gao et al., "CLIP-Adapter: Better Vision-Language Models with Feature Adapters", IJCV 2024
    (arXiv 2021), Sec. 3.2, visual adapter. With f a unit image vector, W1 (D, R), W2 (R, D) and
    r the ratio,

        A(f) = relu(relu(f W1) W2),   v = r A(f) + (1 - r) f,   score of c = s t_c . v / |v|

    with s the scale of the dual encoder. Cross-entropy of the shots moves W1 and W2 by AdamW.

    Parameters
    ----------
    ratio : float in [0, 1]
        Share r of the adapted feature; the rest is the image feature itself. The authors' program
        has 0.2.
    reduction : int >= 1
        Feature dimensions over those of the bottleneck, D / R; the paper's 4.
    learning_rate : float >= 0
        Of AdamW; falls to 0 along a cosine.
    steps : int >= 0
        Steps of AdamW, each on all shots.
    seed : int >= 0
        Of the adapter's random start, the same for every episode: uniform, bounded by 1 /
        sqrt(inputs), the default of torch's linear layers.

    Notes
    -----
    Fixed hyper-parameters, none chosen on queries (the paper searches r on validation images).
    O(steps N K D^2 / reduction) per episode, and D^2 / 2 weights each: the slowest of the heads.

    Attributes
    ----------
    first_ : Tensor of shape (E, D, R)
    second_ : Tensor of shape (E, R, D)
    text_ : Tensor of shape (E, N, D)
        Text vectors times s.
    """

    references = ("gao2024clip",)
    tags = HeadTags(scale_invariant=True, check_with={"steps": 20})

    def __init__(
        self,
        ratio: float = 0.2,
        reduction: int = 4,
        learning_rate: float = 1e-3,
        steps: int = 100,
        seed: int = 0,
    ) -> None:
        self.ratio = ratio
        self.reduction = reduction
        self.learning_rate = learning_rate
        self.steps = steps
        self.seed = seed

    @property
    def uses(self) -> frozenset[str]:
        """Class names."""
        return frozenset({"text"})

    @torch.no_grad()
    def fit(self, support: Support) -> Self:
        """Train an adapter for every episode."""
        self._check_parameters()
        shots = shots_of(support, "clip_adapter")
        episodes, _, dim = shots.features.shape
        start = initial(dim, max(1, dim // self.reduction), self.seed, shots.features)
        at_once = episodes
        if shots.features.device.type == "cpu":
            bytes_each = 4 * sum(one.nbytes for one in start.values())
            at_once = max(1, TRAINED_BYTES // bytes_each)
        parts = [self._train(part, start) for part in split(shots, at_once)]
        self.first_, self.second_ = (torch.cat([p[name] for p in parts]) for name in start)
        self.text_ = shots.logit_scale * shots.text
        return self

    def _train(self, shots: Shots, start: Parameters) -> Parameters:
        def gradient(parameters: Parameters) -> Parameters:
            return adapter_gradient(parameters, shots, self.ratio)

        each = {name: one.expand(len(shots.text), -1, -1) for name, one in start.items()}
        return train(
            gradient, each, steps=self.steps, learning_rate=self.learning_rate, weight_decay=0.01
        )

    def scores(self, query: Query) -> Tensor:
        """Scaled cosines (E, T, N) of adapted queries and text."""
        features = unit_length(query.features)
        adapted = ((features @ self.first_).relu_() @ self.second_).relu_()
        mixed = adapted.mul(self.ratio).add_(features, alpha=1 - self.ratio)
        return unit_length(mixed) @ self.text_.mT

    def _check_parameters(self) -> None:
        expect_number("head.clip_adapter.ratio", self.ratio, 0, 1)
        expect_positive_int("head.clip_adapter.reduction", self.reduction)
        expect_number("head.clip_adapter.learning_rate", self.learning_rate, 0)
        expect_repeats("head.clip_adapter.steps", self.steps, minimum=0)
        expect_positive_int("head.clip_adapter.seed", self.seed, minimum=0)


def split(shots: Shots, at_once: int) -> list[Shots]:
    """The same problem in parts of so many episodes."""
    return [shots[i : i + at_once] for i in range(0, len(shots.text), at_once)]


def initial(dim: int, width: int, seed: int, like: Tensor) -> Parameters:
    """W1 (1, D, R) and W2 (1, R, D), uniform; drawn in float64 whatever the features are."""
    generator = torch.Generator().manual_seed(seed)

    def draw(inputs: int, outputs: int) -> Tensor:
        uniform = torch.rand(1, inputs, outputs, generator=generator, dtype=torch.float64)
        return ((2 * uniform - 1) / math.sqrt(inputs)).to(like)

    return {"first": draw(dim, width), "second": draw(width, dim)}


def adapter_gradient(parameters: Parameters, shots: Shots, ratio: float) -> Parameters:
    """Gradient of the mean cross-entropy with respect to W1 (E, D, R) and W2 (E, R, D)."""
    hidden = (shots.features @ parameters["first"]).relu_()
    adapted = (hidden @ parameters["second"]).relu_()
    mixed = ratio * adapted + (1 - ratio) * shots.features
    logits = shots.logit_scale * shots.text @ unit_length(mixed).mT
    slope = shots.logit_scale * cross_entropy_gradient(logits, shots).mT @ shots.text
    slope = ratio * through_unit_length(slope, mixed) * (adapted > 0)
    inner = (slope @ parameters["second"].mT) * (hidden > 0)
    return {"first": shots.features.mT @ inner, "second": hidden.mT @ slope}
