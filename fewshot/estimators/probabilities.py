"""Class probabilities of unlabelled images from the scores of any head."""

from __future__ import annotations

import math
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
    held = support.mask & (support.counts > 1)[..., None]
    ways = torch.arange(held.shape[1], device=held.device)
    labels = ways[:, None].expand(held.shape[1:])
    temperature = fit_temperature(held_out.flatten(1, 2), labels.flatten(), held.flatten(1))
    fitted = held.flatten(1).any(-1)
    if not bool(fitted.all()):
        temperature = torch.where(fitted, temperature, margin_temperature(head, support))
    on_unlabelled = logits(scores, temperature)
    return HeadProbabilities(
        on_unlabelled,
        on_unlabelled.softmax(-1),
        probabilities(held_out.flatten(1, 2), temperature).view_as(held_out),
        held_out,
        fitted,
    )


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
    scores = scores.double().masked_fill(~mask[..., None], 0.0)
    scores = scores - scores.mean(-1, keepdim=True)
    unit = scores.abs().amax((1, 2))
    z = (scores / unit.clamp_min(torch.finfo(unit.dtype).tiny)[:, None, None]).mT.contiguous()
    shots = mask.sum(-1)
    right = torch.gather(z, 1, labels.expand(len(z), 1, -1))[:, 0]
    wanted = (right * mask).sum(-1) * shots / (shots + 1)
    low, high = (torch.full_like(unit, math.log(bound)) for bound in RANGE)
    for _ in range(STEPS):
        middle = (low + high) / 2
        p = (z * middle.exp()[:, None, None]).softmax(1)
        too_flat = (p * z).sum((1, 2)) < wanted  # absent shots have scores of zero
        low, high = torch.where(too_flat, middle, low), torch.where(too_flat, high, middle)
    return torch.where(unit == 0, 1.0, unit / ((low + high) / 2).exp())


def margin_temperature(head: Head, support: Support) -> Tensor:
    """Temperature (E,), float64, from the margins of the shots that the head was fitted on.

    `MARGIN_SHARE` of the mean difference between the score of a shot for its class and its mean
    score for the others. Confidences then say how far unlabelled images are from the decision
    boundary compared with the shots. Where that is not positive, the standard deviation of scores
    within a shot takes its place; 1 where that is zero.
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
    share = torch.where(margin > 0, margin, deviation)
    return torch.where(share > 0, MARGIN_SHARE * share * unit, torch.ones_like(unit) + 0 * unit)


def held_out_confidence(probabilities: Tensor, support: Support) -> Tensor:
    """Mean over classes of the mean largest probability of held-out shots (E, N, K, N): (E,)."""
    confidence = probabilities.amax(-1)
    return class_mean(torch.where(support.mask, confidence, 0.0), support)
