"""Leave-one-out error of the shots."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.estimators.base import ErrorEstimator, Prediction
from fewshot.estimators.held_out import class_mean, leave_one_out_scores, stratified_scores
from fewshot.estimators.tags import EstimatorTags
from fewshot.exceptions import expect_choice
from fewshot.heads.base import Head, Support


class LeaveOneOut(ErrorEstimator):
    """Fraction of shots that are misclassified by the head fitted without them.

    Parameters
    ----------
    fold : {"shot", "stratified"}
        Leave out one shot of one class at a time, or the k-th shot of every class together (as
        in Bendou et al., "A Statistical Model for Predicting Generalization in Few-Shot
        Classification", 2022).

    Notes
    -----
    Undefined if a class has one shot. Too pessimistic for few shots, as the refitted head has
    K - 1 of them; and coarse: N K shots allow N K + 1 different values.
    """

    references = ("stone1974cross",)
    tags = EstimatorTags(scale_invariant=True, at_one_shot=False, without_base=True)

    def __init__(self, fold: str = "shot") -> None:
        self.fold = fold

    def predict(self, support: Support, head: Head) -> Prediction:
        """Return the leave-one-out errors (E,)."""
        expect_choice("estimator.loo.fold", self.fold, ("shot", "stratified"))
        defined = (support.counts > 1).all(-1)
        reason = "leave-one-out needs two shots of every class"
        if not bool(defined.any()):
            return Prediction.undefined(support, reason)
        held_out = leave_one_out_scores if self.fold == "shot" else stratified_scores
        return Prediction.of(held_out_error(held_out(head, support), support), defined, reason)


def held_out_error(scores: Tensor, support: Support) -> Tensor:
    """Mean over classes of the fraction of shots misclassified by scores (E, N, K, N): (E,).

    NaN for an episode in which a held-out shot has a score that is not finite.
    """
    labels = torch.arange(scores.shape[1], device=scores.device)[:, None]
    best, answers = scores.max(-1)
    error = class_mean((answers != labels) & support.mask, support)
    held = support.mask & (support.counts > 1)[..., None]
    return error.masked_fill((held & ~best.isfinite()).flatten(1).any(-1), torch.nan)
