"""Prototypes that maximise the information of queries about their classes, by Adam."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from fewshot.heads.base import Query, Support
from fewshot.heads.solvers.transforms import unit_length

Similarity = Literal["cosine", "euclidean"]

SHORTEST = 1e-12  # length below which a prototype has no direction
LOG_FLOOR = 1e-12  # added to probabilities in logarithms


class Points(NamedTuple):
    """Shots, then queries, of E episodes: n = N * K + T points.

    Attributes
    ----------
    features : Tensor of shape (E, n, D)
        Of unit length; zero in the padding of the shots.
    labels : Tensor of shape (N, N * K)
        One-hot classes of the shots.
    share : Tensor of shape (E, 1, n)
        1 over the number of shots, or of queries to learn from, of the episode; 0 for others.
    """

    features: Tensor
    labels: Tensor
    share: Tensor

    @classmethod
    def of(cls, support: Support, query: Query) -> Points:
        """Join shots and queries."""
        N, K = support.mask.shape[1:]
        features = torch.cat([support.features.flatten(1, 2), query.features], 1)
        labels = torch.eye(N, dtype=features.dtype, device=features.device)
        shares = [
            mask.to(features.dtype) / mask.sum(1, keepdim=True).clamp_min(1)
            for mask in (support.mask.flatten(1, 2), query.learning_mask)
        ]
        return cls(
            unit_length(features), labels.repeat_interleave(K, 1), torch.cat(shares, 1)[:, None]
        )


class Objective(NamedTuple):
    """What is minimised: ``s CE(shots) - m H(marginal) + c H(conditional)``.

    Attributes
    ----------
    support, marginal, conditional : float
        Weights s, m and c.
    alpha : Tensor of shape (E, 1, 1), or None
        Order of the entropies of the queries; None, or 1, for Shannon's.
    """

    support: float
    marginal: float
    conditional: float
    alpha: Tensor | None = None


class Descent(NamedTuple):
    """How it is minimised: Adam (Kingma and Ba, ICLR 2015) with its usual moments."""

    steps: int
    learning_rate: float
    temperature: float
    similarity: Similarity


def logits(dots: Tensor, prototypes: Tensor, how: Descent) -> tuple[Tensor, Tensor]:
    """Logits (E, N, n) from ``prototypes . x`` (E, N, n), and squared lengths (E, N, 1).

    Cosine: ``t w . x / |w|``. Euclidean: ``-t |w - x|^2 / 2`` up to |x|^2.
    """
    squares = prototypes.square().sum(-1, keepdim=True).clamp_min(SHORTEST**2)
    if how.similarity == "cosine":
        return dots * (how.temperature * squares.rsqrt()), squares
    return (dots - squares / 2) * how.temperature, squares


def pull(by_logit: Tensor, z: Tensor, squares: Tensor, how: Descent) -> tuple[Tensor, Tensor]:
    """Gradient of logits `z` with respect to prototypes: ``factor @ x - own * prototypes``.

    Parameters
    ----------
    by_logit, z : Tensor of shape (E, N, n)
        Gradient of the objective with respect to the logits, and these.
    squares : Tensor of shape (E, N, 1)

    Returns
    -------
    factor : Tensor of shape (E, N, n)
    own : Tensor of shape (E, N, 1)
    """
    if how.similarity == "cosine":
        own = (by_logit * z).sum(-1, keepdim=True) / squares
        return by_logit * (how.temperature * squares.rsqrt()), own
    return by_logit * how.temperature, by_logit.sum(-1, keepdim=True) * how.temperature


def gradient(z: Tensor, points: Points, aim: Objective) -> Tensor:
    """Gradient (E, N, n) of the objective with respect to the logits z (E, N, n).

    With g the gradient with respect to the probabilities p, that of the logits is
    ``p (g - sum_c p_c g_c)``; additive constants of g drop out.
    """
    shots = points.labels.shape[1]
    p = z.softmax(1)
    by_logit = torch.empty_like(p)
    torch.sub(p[..., :shots], points.labels, out=by_logit[..., :shots])
    by_logit[..., :shots].mul_(points.share[..., :shots] * aim.support)
    p, share = p[..., shots:], points.share[..., shots:]
    marginal = (p * share).sum(-1, keepdim=True)
    g = entropy_gradient(p, aim.alpha).mul_(-aim.conditional)
    g += aim.marginal * entropy_gradient(marginal, aim.alpha)
    g -= (p * g).sum(1, keepdim=True)
    torch.mul(g.mul_(share), p, out=by_logit[..., shots:])
    return by_logit


def entropy_gradient(p: Tensor, alpha: Tensor | None) -> Tensor:
    """Gradient of the negative entropy of p, up to a constant: Shannon's or Tsallis's of order a.

    ``H = -sum p log p`` gives log p; ``H_a = (1 - sum p^a) / (a - 1)`` gives
    ``a p^(a - 1) / (a - 1)``.
    """
    if alpha is None:
        return (p + LOG_FLOOR).log_()
    power = alpha / (alpha - 1) * (p + LOG_FLOOR).pow(alpha - 1)
    return torch.where(alpha == 1, (p + LOG_FLOOR).log(), power)


def maximise_information(
    prototypes: Tensor, points: Points, aim: Objective, how: Descent
) -> Tensor:
    """Prototypes (E, N, D) after some steps of Adam from `prototypes`, all episodes at once."""
    w = prototypes.clone()
    mean, square = torch.zeros_like(w), torch.zeros_like(w)
    features, columns = points.features, points.features.mT
    one, two, epsilon = 0.9, 0.999, 1e-8
    for step in range(1, how.steps + 1):
        z, squares = logits(w @ columns, w, how)
        factor, own = pull(gradient(z, points, aim), z, squares, how)
        slope = factor @ features
        slope.addcmul_(own, w, value=-1)
        mean.lerp_(slope, 1 - one)
        square.mul_(two).addcmul_(slope, slope, value=1 - two)
        root = square.sqrt().mul_((1 - two**step) ** -0.5).add_(epsilon)
        w.addcdiv_(mean, root, value=-how.learning_rate / (1 - one**step))
    return w
