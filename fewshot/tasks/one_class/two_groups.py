"""The rule ``two_groups``: images of a folder as a mixture of those of a class and the others.

Three steps, none of which knows a label:

1. `log_odds` of the name of the class, and of its kinds, against a vocabulary of other names. A
   name counts by its distance from the class name, so that what hardly differs from it (a wolf from
   a dog) has hardly a say.
2. `feedback`: images that look like the probable ones gain, as documents do in relevance feedback
   (Rocchio, 1971), here with probabilities in place of a user's answers.
3. `two_groups`: a mixture of two normal distributions with one variance, fitted by EM to the
   scores of the images (Dempster, Laird and Rubin, 1977) with conjugate priors (Fraley and
   Raftery, 2007). The priors decide for folders of few images, of none or of nothing else.

Constants were chosen on ConSE with 60 classes of Caltech-101 and on CLIP ViT-B/32 with 500 of
ImageNet, which docs/one-class.md reports nothing about.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Temperature of `log_odds`, in standard deviations of the similarities with the vocabulary.
TEMPERATURE = 0.75
# Weight of `feedback`, in standard deviations of the scores, and images that do not count in it.
FEEDBACK, SHRINKAGE = 0.25, 0.5
# Means and standard deviation of the log-odds of other images and of those of the class, each worth
# so many images; images of the class and others, in thought, beside those at hand.
MEANS, DEVIATION, PSEUDO_IMAGES = (-1.5, 2.5), 1.0, 2.0
PSEUDO_COUNTS = (1.0, 4.0)
# As many for every folder, so that no decision depends on what else is computed with it.
STEPS = 100
SMALLEST = 1e-12


def nearness_weights(target: Tensor, vocabulary: Tensor, kept: Tensor) -> Tensor:
    """Weights (..., V) of the names of a vocabulary against a class: 1 less their cosine with it.

    Parameters
    ----------
    target : Tensor of shape (..., D)
        Of the class name; unit length, as all vectors.
    vocabulary : Tensor of shape (V, D)
    kept : Tensor of shape (..., V), bool
        False for names of the class itself, of its kinds and of what it is a kind of.
    """
    return (1 - target @ vocabulary.T).clamp_min(0) * kept


def log_odds(target: Tensor, names: Tensor, weights: Tensor, kinds: Tensor, mask: Tensor) -> Tensor:
    """Log-odds (..., n) of the class against the average other name.

    log (exp(s(x, t) / tau) / 2 + mean_j exp(s(x, h_j) / tau) / 2)
    - log (sum_k w_k exp(s(x, n_k) / tau) / sum_k w_k), where h_j are the kinds of the class
    (without any, exp(s(x, t) / tau) alone) and tau is `TEMPERATURE` standard deviations of
    s(x, n_k) about their mean over the names. That kinds speak for their class is after Novack et
    al., CHiLS: Zero-Shot Image Classification with Hierarchical Label Sets, ICML 2023.

    Parameters
    ----------
    target : Tensor of shape (..., n)
        Cosines s(x, t).
    names : Tensor of shape (..., n, V)
        Cosines s(x, n_k) with the vocabulary.
    weights : Tensor of shape (..., V)
        Not negative, and positive for one name at least.
    kinds : Tensor of shape (..., V), bool
        Names of kinds of the class.
    mask : Tensor of shape (..., n), bool
        False in the padding.
    """
    spread = (names - names.mean(-1, keepdim=True)).square().mean(-1)
    variance = (spread * mask).sum(-1, keepdim=True) / mask.sum(-1, keepdim=True)
    tau = TEMPERATURE * variance.sqrt().clamp_min(SMALLEST)
    share = (weights / weights.sum(-1, keepdim=True)).log()
    scaled = names / tau[..., None]
    level = (scaled + share[..., None, :]).logsumexp(-1)
    count = kinds.sum(-1)[..., None]
    kind = scaled.masked_fill(~kinds[..., None, :], -torch.inf).logsumexp(-1) - count.log()
    own = target / tau
    return torch.where(count > 0, torch.logaddexp(own, kind) - math.log(2), own) - level


def feedback(scores: Tensor, chances: Tensor, features: Tensor, mask: Tensor) -> Tensor:
    """Scores (..., n) plus the similarity of each image with the probable images of the class.

    The similarity of an image is that with the mean of the other images, weighted by `chances`,
    less that with their mean weighted by 1 - `chances`; features are centred on their mean first.
    The mean and standard deviation of the scores stay as they are.

    Parameters
    ----------
    scores, chances : Tensor of shape (..., n)
        Chances are probabilities of the class.
    features : Tensor of shape (..., n, D)
    mask : Tensor of shape (..., n), bool
        False in the padding.
    """
    centre = (features * mask[..., None]).sum(-2, keepdim=True) / _count(mask)[..., None]
    unit = torch.nn.functional.normalize(features - centre, dim=-1)
    present = mask.to(scores.dtype)
    looks = _others(unit, chances * present) - _others(unit, (1 - chances) * present)
    _, spread = _moments(scores, mask)
    mean, deviation = _moments(looks, mask)
    mixed = scores + FEEDBACK * (looks - mean) / deviation * spread
    mean, deviation = _moments(mixed, mask)
    return (mixed - mean) / deviation * spread + _moments(scores, mask)[0]


def two_groups(scores: Tensor, mask: Tensor, share: float | None = None) -> Tensor:
    """Log-odds (..., n) of the upper one of two groups of scores; they rise with the scores.

    Parameters
    ----------
    scores : Tensor of shape (..., n)
        As of `log_odds`, whose scale the priors have.
    mask : Tensor of shape (..., n), bool
        False in the padding.
    share : float in (0, 1), optional
        Of images of the class, if it is known.
    """
    positive, negative = PSEUDO_COUNTS
    if share is not None:
        positive, negative = share * sum(PSEUDO_COUNTS), (1 - share) * sum(PSEUDO_COUNTS)
    images = _count(mask)
    low, high = (torch.full_like(images, mean) for mean in MEANS)
    variance = torch.full_like(images, DEVIATION**2)
    rate = torch.full_like(images, positive / (positive + negative))
    for _ in range(STEPS):
        odds = rate.logit() + ((scores - low) ** 2 - (scores - high) ** 2) / (2 * variance)
        upper = odds.sigmoid() * mask
        lower = mask.double() - upper
        rate = (_sum(upper) + positive) / (images + positive + negative)
        low = (_sum(lower * scores) + PSEUDO_IMAGES * MEANS[0]) / (_sum(lower) + PSEUDO_IMAGES)
        high = (_sum(upper * scores) + PSEUDO_IMAGES * MEANS[1]) / (_sum(upper) + PSEUDO_IMAGES)
        high = torch.maximum(high, low + SMALLEST)
        squares = _sum(upper * (scores - high) ** 2 + lower * (scores - low) ** 2)
        prior = (low - MEANS[0]) ** 2 + (high - MEANS[1]) ** 2 + DEVIATION**2
        variance = (squares + PSEUDO_IMAGES * prior) / (images + 3 * PSEUDO_IMAGES)
    return rate.logit() + ((scores - low) ** 2 - (scores - high) ** 2) / (2 * variance)


def two_group_scores(
    evidence: Tensor, features: Tensor, mask: Tensor, share: float | None = None
) -> Tensor:
    """Log-odds (..., n) of the class after feedback; "yes" where they are above 0.

    Parameters
    ----------
    evidence : Tensor of shape (..., n)
        Of `log_odds`.
    features : Tensor of shape (..., n, D)
    mask : Tensor of shape (..., n), bool
        The images that are there.
    share : float in (0, 1), optional
    """
    evidence, features = evidence.double(), features.double()
    chances = two_groups(evidence, mask, share).sigmoid()
    return two_groups(feedback(evidence, chances, features, mask), mask, share)


def share_level(scores: Tensor, share: float) -> Tensor:
    """Threshold that round(share n) of n scores (n,) are above, one at least; fewer with ties."""
    ranked = scores.sort(descending=True).values
    count = min(max(1, round(share * len(ranked))), len(ranked))
    below = ranked[count] if count < len(ranked) else ranked[-1] - 1
    return (ranked[count - 1] + below) / 2


def _others(unit: Tensor, weights: Tensor) -> Tensor:
    """Cosines (..., n) with the weighted mean of all other images, shrunk by `SHRINKAGE`."""
    total = (unit * weights[..., None]).sum(-2, keepdim=True)
    own = weights * unit.square().sum(-1)
    return ((unit * total).sum(-1) - own) / (_sum(weights) - weights + SHRINKAGE)


def _moments(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    mean = _sum(values * mask) / _count(mask)
    variance = _sum((values - mean) ** 2 * mask) / _count(mask)
    return mean, variance.sqrt().clamp_min(SMALLEST)


def _sum(values: Tensor) -> Tensor:
    return values.sum(-1, keepdim=True)


def _count(mask: Tensor) -> Tensor:
    return mask.sum(-1, keepdim=True).double().clamp_min(1)
