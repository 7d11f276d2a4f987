"""The .632+ bootstrap error of the shots."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.estimators.base import ErrorEstimator, Prediction
from fewshot.estimators.held_out import (
    class_mean,
    misclassified,
    packed,
    pattern_mask,
    select_shots,
    uniform_draws,
)
from fewshot.estimators.tags import EstimatorTags
from fewshot.exceptions import expect_positive_int, expect_repeats
from fewshot.heads.base import Head, Support


class Bootstrap632(ErrorEstimator):
    r""".632+ bootstrap: error on seen and unseen shots, weighted by the degree of overfitting.

    Efron and Tibshirani, "Improvements on Cross-Validation: The .632+ Bootstrap Method", JASA
    1997. With ``a`` the error of the head on its own shots, ``b`` the leave-one-out bootstrap
    error (each shot classified by the heads refitted on the resamples without it) and ``g`` the
    no-information error, if features were independent of classes,

    - ``b' = min(b, g)``,
    - relative overfitting rate ``R = (b' - a) / (g - a)`` in [0, 1], 0 unless ``b', g > a``,
    - weight ``w = .632 / (1 - .368 R)`` and prediction ``(1 - w) a + w b'``.

    Classes are resampled separately, so that none is lost, and have equal weights in all three
    errors. So ``g = sum_l p_l (1 - q_l)``, of class shares p_l = 1 / N and shares of answers q_l,
    is 1 - 1 / N for any answers.

    Parameters
    ----------
    resamples : int >= 1
        Bootstrap resamples per episode.
    seed : int >= 0
        Seed of the resamples. They depend on the index of the resample and on the position and
        shots of the class, not on the batch.

    Notes
    -----
    Undefined where a class has one shot, and where no resample leaves a shot of some class out
    (a resample of two shots does so half the time: not with the default number).

    Too pessimistic for few shots: resamples of two or three are often one shot several times, and
    the weight, made for larger samples, shifts to the error on unseen shots as that grows.
    """

    references = ("efron1997improvements",)
    tags = EstimatorTags(order_tolerance=0.06, at_one_shot=False, without_base=True)

    def __init__(self, resamples: int = 50, seed: int = 0) -> None:
        self.resamples = resamples
        self.seed = seed

    def predict(self, support: Support, head: Head) -> Prediction:
        """Return the .632+ errors (E,)."""
        expect_repeats("estimator.bootstrap632.resamples", self.resamples)
        expect_positive_int("estimator.bootstrap632.seed", self.seed, minimum=0)
        defined = (support.counts > 1).all(-1)
        reason = "the bootstrap needs two shots of every class and resamples without one of them"
        if not bool(defined.any()):
            return Prediction.undefined(support, reason)
        support = packed(support)
        unseen, observed = leave_one_out_bootstrap(head, support, self.resamples, self.seed)
        apparent = class_mean(misclassified(head, support.features, support.mask), support)
        error = combine(apparent, unseen, support.mask.shape[1])
        return Prediction.of(error, defined & observed, reason)


def leave_one_out_bootstrap(
    head: Head, support: Support, resamples: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Leave-one-out bootstrap error (E,), and whether it is defined (E,), bool.

    The error of a shot is over the resamples without it; that of a class is the mean over its
    shots that some resample leaves out.
    """
    mask = pattern_mask(support)
    counts = mask.sum(-1, keepdim=True)
    shots = torch.arange(mask.shape[-1], device=mask.device)
    wrong = torch.zeros_like(support.mask, dtype=support.features.dtype)
    trials = torch.zeros_like(mask, dtype=support.features.dtype)
    for draws in uniform_draws(seed, resamples, support):
        positions = (draws * counts).long()  # (E or 1, N, K)
        drawn = ((positions[..., None] == shots) & mask[..., None]).any(-2)
        left_out = mask & ~drawn
        refitted = head.clone().fit(select_shots(support, positions, mask))
        wrong += misclassified(refitted, support.features, left_out)
        trials += left_out
    held_out_shots = (trials > 0).sum(-1)
    error = ((wrong / trials.clamp_min(1)).sum(-1) / held_out_shots.clamp_min(1)).mean(-1)
    return error, (held_out_shots > 0).all(-1)


def combine(apparent: Tensor, unseen: Tensor, ways: int) -> Tensor:
    """Combine the errors on seen and on unseen shots (E,) to the .632+ error (E,)."""
    no_information = 1 - 1 / ways
    unseen = unseen.clamp_max(no_information)
    overfits = unseen > apparent
    room = torch.where(overfits, no_information - apparent, 1.0)
    rate = torch.where(overfits, (unseen - apparent) / room, 0.0)
    weight = 0.632 / (1 - 0.368 * rate)
    return (1 - weight) * apparent + weight * unseen
