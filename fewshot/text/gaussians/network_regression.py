"""Regression by a network of two layers, trained on a CPU in seconds."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import torch
from torch import Generator, Tensor
from torch.nn.functional import batch_norm, gelu, linear, mse_loss

from fewshot.exceptions import FewshotError

LEARNED = ("inner", "scale", "shift", "outer", "outer_bias")


class Regressor(NamedTuple):
    """Linear, BatchNorm, GELU, dropout, Linear, from standardised inputs to standardised targets.

    The first linear map is without the bias that it has in the paper: BatchNorm takes it away.

    Attributes
    ----------
    inner : Tensor of shape (H, P)
    scale, shift, running_mean, running_variance : Tensor of shape (H,)
        Of BatchNorm.
    outer : Tensor of shape (D, H)
    outer_bias : Tensor of shape (D,)
    inputs_mean, inputs_spread : Tensor of shape (P,), float64
    targets_mean, targets_spread : Tensor of shape (D,), float64
        Over the classes it is fitted on. Spreads are 0 where all classes are alike: such an input
        is ignored, and such a target is predicted as it is.
    """

    inner: Tensor
    scale: Tensor
    shift: Tensor
    outer: Tensor
    outer_bias: Tensor
    running_mean: Tensor
    running_variance: Tensor
    inputs_mean: Tensor
    inputs_spread: Tensor
    targets_mean: Tensor
    targets_spread: Tensor

    @classmethod
    def initial(cls, inputs: Tensor, targets: Tensor, width: int, generator: Generator) -> Self:
        """Untrained, for inputs (C, P) and targets (C, D): H = width P, weights of torch's Linear.

        Drawn by hand, as modules draw theirs from the global random state.
        """
        P, H, D = inputs.shape[1], width * inputs.shape[1], targets.shape[1]

        def draw(shape: tuple[int, ...], fan_in: int) -> Tensor:
            return (2 * torch.rand(shape, generator=generator) - 1) / math.sqrt(fan_in)

        inner, outer, outer_bias = draw((H, P), P), draw((D, H), H), draw((D,), H)
        scales = _mean_and_spread(inputs) + _mean_and_spread(targets)
        ones, zeros = torch.ones(H), torch.zeros(H)
        return cls(inner, ones, zeros, outer, outer_bias, zeros.clone(), ones.clone(), *scales)

    def outputs(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Standardised targets (B, D) of standardised inputs (B, P).

        With a `mask` (B, H), which the hidden values are multiplied with, as in training:
        BatchNorm goes by the batch and remembers.
        """
        hidden = batch_norm(
            linear(inputs, self.inner),
            self.running_mean,
            self.running_variance,
            self.scale,
            self.shift,
            training=mask is not None,
        )
        hidden = gelu(hidden) if mask is None else gelu(hidden) * mask
        return linear(hidden, self.outer, self.outer_bias)

    def predict(self, inputs: Tensor) -> Tensor:
        """Targets (M, D), float64, of inputs (M, P)."""
        standard = _standardised(inputs.double(), self.inputs_mean, self.inputs_spread)
        return self.targets_mean + self.targets_spread * self.outputs(standard).double()


def train(
    inputs: Tensor,
    targets: Tensor,
    generator: Generator,
    *,
    epochs: int,
    batch: int,
    learning_rate: float,
    weight_decay: float,
    dropout: float,
    width: int,
) -> Regressor:
    """Fit a network to inputs (C, P) and targets (C, D), float64, by AdamW on the squared error.

    A tenth of the rows, two or more, is held out, and the epoch with the lowest squared error on
    them is the one that is kept. Batches are of equal size, `batch` or fewer: in a remainder of a
    few rows, BatchNorm would go by noise.

    Raises
    ------
    FewshotError
        No epoch has a finite error.
    """
    model = Regressor.initial(inputs, targets, width, generator)
    inputs = _standardised(inputs, model.inputs_mean, model.inputs_spread)
    targets = _standardised(targets, model.targets_mean, model.targets_spread)
    order = torch.randperm(len(inputs), generator=generator)
    tenth = max(2, round(len(inputs) / 10))
    held, training = order[:tenth], order[tenth:]
    learned = [getattr(model, name).requires_grad_() for name in LEARNED]
    # Fused is by far the fastest of torch's own on a processor.
    optimiser = torch.optim.AdamW(learned, learning_rate, weight_decay=weight_decay, fused=True)
    best, kept = math.inf, None
    for _ in range(epochs):
        shuffled = training[torch.randperm(len(training), generator=generator)]
        for rows in shuffled.tensor_split(math.ceil(len(training) / batch)):
            _step(model, optimiser, inputs[rows], targets[rows], dropout, generator)
        with torch.no_grad():
            error = float(mse_loss(model.outputs(inputs[held]), targets[held]))
        if error < best:
            best, kept = error, Regressor(*(value.detach().clone() for value in model))
    if kept is None:
        problem = f"training at {learning_rate:g} gave errors that are not finite"
        remedy = "Lower it, and look for text vectors and features that are not finite."
        raise FewshotError("text.learning_rate", problem, remedy)
    return kept


def _step(
    model: Regressor,
    optimiser: torch.optim.Optimizer,
    inputs: Tensor,
    targets: Tensor,
    dropout: float,
    generator: Generator,
) -> None:
    """One step on standardised inputs (B, P) and targets (B, D); the model changes in place."""
    drawn = torch.rand(len(inputs), len(model.inner), generator=generator)
    mask = (drawn >= dropout).float() / (1 - dropout)
    with torch.enable_grad():
        loss = mse_loss(model.outputs(inputs, mask), targets)
        optimiser.zero_grad()
        loss.backward()
    optimiser.step()


def _mean_and_spread(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (D,) of values (C, D); 0 if constant up to rounding."""
    mean, spread = values.mean(0), values.std(0)
    return mean, spread * (spread > torch.finfo(torch.float32).eps * mean.abs())


def _standardised(values: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    """Values (C, D) in units of their spread, float32; 0 where that is 0."""
    return torch.where(spread == 0, 0.0, (values - mean) / spread).float()
