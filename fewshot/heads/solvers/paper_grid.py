"""The search for the weights of text that the paper makes, on shots that are held out for it."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.heads.base import Support
from fewshot.text.gaussians.class_gaussians import ClassGaussians
from fewshot.text.gaussians.mixing import gaussian_form

VALUES = 21
MOST_TUNING = 4
# With one shot nothing can be held out.
WITHOUT_TUNING = 0.5


def grid_form(
    support: Support, gaussians: ClassGaussians, mode: str
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Linear form of the nearest mean in units of the standard deviations, both mixed with text.

    Bendou et al., arXiv 2311.14544: mu* = (1 - alpha) m + alpha g and s* the mean over the classes
    of (1 - beta) s 1 + beta sigma, where g and sigma are predicted from text and s is the standard
    deviation of the base classes, the same in every dimension. alpha and beta are those of 21 x 21
    values with the fewest mistakes on held-out shots; among equals the ones that trust text most.
    The last half of the shots of a class, four at most, are held out and stay out of m.

    Returns
    -------
    weights (E, N, D), biases (E, N), alpha (E, 1)
    """
    steps = torch.linspace(1, 0, VALUES).to(support.features)
    betas = steps[-1:] if mode == "mean" else steps
    shots = support.features.shape[2]
    train, held = split_shots(support)
    means = train.means() if shots else gaussians.means
    best = steps.new_full((len(support.features), 2), WITHOUT_TUNING if shots else 1.0)
    if held.features.shape[2]:
        mistakes = [_mistakes(means, held, gaussians, beta, steps) for beta in betas]
        order = torch.stack(mistakes, 1).flatten(1).argmin(1)  # (E,): the first of the least
        found = torch.stack([steps[order % VALUES], betas[order // VALUES]], 1)
        best = torch.where(held.mask.flatten(1).any(1)[:, None], found, best)
    alpha, beta = best[:, 0, None, None], best[:, 1, None, None]
    if mode == "mean":
        beta = torch.zeros_like(beta)
    mixed = means + alpha * (gaussians.means - means)
    weights, biases = gaussian_form(mixed, gaussians.origin, _variances(gaussians, beta))
    return weights, biases, alpha[:, 0]


def split_shots(support: Support) -> tuple[Support, Support]:
    """The shots that means are made of, and the last ones of every class, to tune on."""
    mask = support.mask
    own = mask.sum(-1, keepdim=True)
    tuning = (own // 2).clamp_max(MOST_TUNING)
    held = mask & (mask.cumsum(-1) > own - tuning)
    used = held.flatten(0, 1).any(0)  # places without any would only cost time
    train = Support.of(support.features, mask & ~held, least_shots=0)
    return train, Support(support.features[:, :, used], held[:, :, used])


def _variances(gaussians: ClassGaussians, beta: Tensor) -> Tensor:
    """Squares (E, 1, D) of the standard deviations that the classes share."""
    plain = gaussians.within.mean().sqrt()
    predicted = gaussians.variances.sqrt().mean(1, keepdim=True)
    return ((1 - beta) * plain + beta * predicted).square()


def _mistakes(
    means: Tensor, held: Support, gaussians: ClassGaussians, beta: Tensor, steps: Tensor
) -> Tensor:
    """Mistakes (E, VALUES) on held-out shots for every alpha, with one beta.

    |q - m - alpha d|^2 = |q - m|^2 - 2 alpha (q - m) . d + alpha^2 |d|^2 with d = g - m.
    """
    scale = _variances(gaussians, beta).sqrt()
    query, centre = held.features.flatten(1, 2) / scale, means / scale
    step = gaussians.means / scale - centre
    near = query @ centre.mT - centre.square().sum(-1)[:, None] / 2
    along = query @ step.mT - (centre * step).sum(-1)[:, None]
    length = step.square().sum(-1)[:, None] / 2
    scores = near[..., None] + along[..., None] * steps - length[..., None] * steps.square()
    N, Q = held.mask.shape[1:]
    truth = torch.arange(N, device=steps.device).repeat_interleave(Q)[:, None]
    wrong = (scores.argmax(2) != truth) & held.mask.flatten(1)[..., None]
    return wrong.sum(1)
