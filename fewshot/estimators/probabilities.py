"""Class probabilities of unlabelled images from the scores of any head."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.estimators.held_out import class_mean, stratified_scores
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.heads.base import Head, Query, Support

# Inverse temperatures are sought in this range, times 1 / (largest centred score).
RANGE = (1e-2, 1e4)
STEPS = 40
# Temperature in units of the mean margin of the shots, where none can be held out. New images have
# smaller margins than the shots that made the classifier. On CLIP features of photographs (5 ways,
# one shot) the mean confidence missed the accuracy by 3 points with 1/16 and by 9 with 1/8.
MARGIN_SHARE = 1 / 16


@dataclass(frozen=True, eq=False)
class HeadProbabilities:
    """Probabilities by a fitted head of unlabelled images and held-out shots, in float64.

    Attributes
    ----------
    logits : Tensor of shape (E, U, N)
        Scores over the temperature, with mean zero over the classes.
    unlabelled : Tensor of shape (E, U, N)
        Probabilities, rows that sum to 1; any in the padding.
    held_out : Tensor of shape (E, N, K, N)
        Probabilities of every shot by the head refitted without it; NaN where it cannot be left
        out.
    scores : Tensor of shape (E, N, K, N)
        Scores of the held-out shots, as the head gives them.
    fitted : Tensor of shape (E,), bool
        Whether the temperature was fitted to held-out shots; if not, it is a share of the margins
        of the shots under the head that was fitted on them.
    """

    logits: Tensor
    unlabelled: Tensor
    held_out: Tensor
    scores: Tensor
    fitted: Tensor

    @classmethod
    def of(cls, support: Support, head: Head, unlabelled: Unlabelled) -> HeadProbabilities:
        """Compute them once for a head, its support and the unlabelled images.

        Raises
        ------
        FewshotError
            A largest score is NaN or infinite.
        """
        key = ("probabilities", id(head), id(support))
        if key not in unlabelled.memory:
            made = _of(support, head, unlabelled)
            unlabelled.memory[key] = (head, support, made)  # so that their ids stay theirs
        probabilities: HeadProbabilities = unlabelled.memory[key][2]
        return probabilities


def _of(support: Support, head: Head, unlabelled: Unlabelled) -> HeadProbabilities:
    scores = unlabelled.scores(head).masked_fill(~unlabelled.mask[..., None], 0.0)
    held_out = stratified_scores(head, support)
    temperature, fitted = held_out_temperature(support, head)
    on_unlabelled = logits(scores, temperature)
    return HeadProbabilities(
        on_unlabelled,
        on_unlabelled.softmax(-1),
        probabilities(held_out.flatten(1, 2), temperature).view_as(held_out),
        held_out,
        fitted,
    )


def held_out_temperature(support: Support, head: Head) -> tuple[Tensor, Tensor]:
    """Temperature (E,), float64, of a fitted head from its support alone.

    Returns
    -------
    temperature : Tensor of shape (E,), float64
        By `fit_temperature` of held-out shots; by `margin_temperature` where none can be left out.
    fitted : Tensor of shape (E,), bool
        Whether any shot could be left out.
    """
    held = support.mask & (support.counts > 1)[..., None]
    ways = torch.arange(held.shape[1], device=held.device)
    labels = ways[:, None].expand(held.shape[1:]).flatten()
    scores = stratified_scores(head, support).flatten(1, 2)
    temperature = fit_temperature(scores, labels, held.flatten(1))
    fitted = held.flatten(1).any(-1)
    if not bool(fitted.all()):
        temperature = torch.where(fitted, temperature, margin_temperature(head, support))
    return temperature, fitted


def logits(scores: Tensor, temperature: Tensor) -> Tensor:
    """Scores (E, R, N), less their mean over the classes, over temperatures (E,): float64."""
    scores = scores.double()
    return (scores - scores.mean(-1, keepdim=True)) / temperature[:, None, None]


def probabilities(scores: Tensor, temperature: Tensor) -> Tensor:
    """Softmax over the classes of scores (E, R, N) over temperatures (E,): float64."""
    return logits(scores, temperature).softmax(-1)


def fit_temperature(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    r"""Temperature with the largest likelihood of the labels of held-out shots.

    Temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017), with
    labels smoothed as if n shots had been n + 1, the last of all classes alike: few shots that are
    all right would otherwise ask for a temperature of zero. (Platt, "Probabilistic Outputs for
    Support Vector Machines", 1999, smooths two classes for the same reason.) With scores z_i that
    sum to zero over the classes and their softmax p_i at the inverse temperature b, the likelihood
    is concave in b with the maximum at

    .. math:: \sum_i p_i \cdot z_i = \frac{n}{n + 1} \sum_i z_{i y_i},

    which is found by bisection.

    Parameters
    ----------
    scores : Tensor of shape (E, R, N)
        Any where the mask is False.
    labels : Tensor of shape (R,), int64
    mask : Tensor of shape (E, R), bool

    Returns
    -------
    Tensor of shape (E,), float64
        In the units of the scores; 1 where all scores of each shot are equal, or where there is no
        shot. NaN where a score is not finite.
    """
    z, unit = _unit_scores(scores.double().masked_fill(~mask[..., None], 0.0))
    z = z.mT.contiguous()
    shots = mask.sum(-1)
    right = torch.gather(z, 1, labels.expand(len(z), 1, -1))[:, 0]
    wanted = (right * mask).sum(-1) * shots / (shots + 1)

    def too_flat(inverse: Tensor) -> Tensor:
        p = (z * inverse[:, None, None]).softmax(1)
        return (p * z).sum((1, 2)) < wanted  # absent shots have scores of zero

    return _bisected(too_flat, unit)


def matched_temperature(scores: Tensor, weights: Tensor, confidence: Tensor) -> Tensor:
    r"""Temperature at which the mean largest probability of images is `confidence`.

    An inverse temperature b of scores z_i, with largest entries m_i, solves

    .. math:: \sum_i w_i / \sum_j \exp(b (z_{ij} - m_i)) = c,

    whose left side grows with b; by bisection.

    Parameters
    ----------
    scores : Tensor of shape (E, R, N)
        Any where the weight is 0.
    weights : Tensor of shape (E, R)
        Of the images, with the sum 1.
    confidence : Tensor of shape (E,)
        Between 1 / N and 1. Where the images cannot have it, as too many have several largest
        scores, the temperature is the end of the range that is nearest to it.

    Returns
    -------
    Tensor of shape (E,), float64
        In the units of the scores; 1 where all scores of each image are equal. NaN where a score is
        not finite.
    """
    weights, confidence = weights.double(), confidence.double()
    z, unit = _unit_scores(scores.double().masked_fill((weights == 0)[..., None], 0.0))
    below = (z - z.amax(-1, keepdim=True)).mT.contiguous()

    def too_flat(inverse: Tensor) -> Tensor:
        largest = 1 / (below * inverse[:, None, None]).exp_().sum(1)
        return (largest * weights).sum(-1) < confidence

    return _bisected(too_flat, unit)


def _unit_scores(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (E, R, N) less their mean over the classes, over the largest of an episode (E,)."""
    centred = scores - scores.mean(-1, keepdim=True)
    unit = centred.abs().amax((1, 2))
    return centred / unit.clamp_min(torch.finfo(unit.dtype).tiny)[:, None, None], unit


def _bisected(too_flat: Callable[[Tensor], Tensor], unit: Tensor) -> Tensor:
    """Temperature (E,) at the inverse (E,), in units, from which on nothing is too flat."""
    low, high = (torch.full_like(unit, math.log(bound)) for bound in RANGE)
    for _ in range(STEPS):
        middle = (low + high) / 2
        flat = too_flat(middle.exp())
        low, high = torch.where(flat, middle, low), torch.where(flat, high, middle)
    return torch.where(unit == 0, 1.0, unit / ((low + high) / 2).exp())


def margin_temperature(head: Head, support: Support) -> Tensor:
    """Temperature (E,), float64: `MARGIN_SHARE` of `shot_margins`; 1 where these are zero.

    Confidences then say how far unlabelled images are from the decision boundary compared with the
    shots.
    """
    margins = shot_margins(head, support)
    return torch.where(margins == 0, 1.0, MARGIN_SHARE * margins)


def shot_margins(head: Head, support: Support) -> Tensor:
    """Mean margin (E,), float64, of the shots that the head was fitted on.

    Of a shot, the difference between its score for its class and its mean score for the others; all
    classes alike. Where the mean is not positive, the standard deviation of scores within a shot
    takes its place; 0 where all scores of each shot are equal.
    """
    scores = head.scores(Query(support.features.flatten(1, 2), support.mask.flatten(1)))
    scores = scores.double().view(*support.mask.shape, -1)
    centred = (scores - scores.mean(-1, keepdim=True)).masked_fill(~support.mask[..., None], 0.0)
    unit = centred.abs().amax((1, 2, 3))
    z = centred / unit.clamp_min(torch.finfo(unit.dtype).tiny)[:, None, None, None]
    ways = z.shape[-1]
    right = torch.diagonal(z, dim1=1, dim2=3).mT  # (E, N, K): of the class of the shot
    counts = support.counts.double()
    margin = (right.sum(-1) / counts).mean(-1) * ways / (ways - 1)
    deviation = (z.square().mean(-1).sum(-1) / counts).mean(-1).sqrt()
    return torch.where(margin > 0, margin, deviation) * unit


def held_out_confidence(probabilities: Tensor, support: Support) -> Tensor:
    """Mean over classes of the mean largest probability of held-out shots (E, N, K, N): (E,)."""
    confidence = probabilities.amax(-1)
    return class_mean(torch.where(support.mask, confidence, 0.0), support)
