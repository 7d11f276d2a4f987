"""Repeated stratified k-fold cross-validation error of the shots."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.estimators.base import ErrorEstimator, Prediction
from fewshot.estimators.held_out import (
    misclassified,
    packed,
    pattern_mask,
    select_shots,
    shot_positions,
    uniform_draws,
)
from fewshot.estimators.tags import EstimatorTags
from fewshot.exceptions import expect_positive_int, expect_repeats
from fewshot.heads.base import Head, Support


class KFold(ErrorEstimator):
    """Fraction of shots that are misclassified by the head fitted without their fold.

    Kohavi, "A Study of Cross-Validation and Bootstrap for Accuracy Estimation and Model
    Selection", IJCAI 1995. The shots of every class are assigned at random to the folds; each fold
    in turn is classified by the head refitted on the others. Mean over the classes, then over the
    repeats with new partitions.

    Parameters
    ----------
    folds : int >= 2
        Number of folds. A class with fewer shots has as many folds as shots and is complete in the
        others, so that it always keeps one.
    repeats : int >= 1
        Number of partitions.
    seed : int >= 0
        Seed of the partitions. They depend on the repeat and on the positions of class and shot,
        not on the batch: all episodes with the same shots per class share them.

    Notes
    -----
    Undefined if a class has one shot. Less pessimistic with more folds, as the refitted head has
    ``K - ceil(K / folds)`` shots or one more. With as many folds as shots it is the
    stratified leave-one-out error, averaged over which shots are left out together.
    """

    references = ("kohavi1995study",)
    tags = EstimatorTags(
        order_tolerance=0.06, scale_invariant=True, at_one_shot=False, without_base=True
    )

    def __init__(self, folds: int = 5, repeats: int = 10, seed: int = 0) -> None:
        self.folds = folds
        self.repeats = repeats
        self.seed = seed

    def predict(self, support: Support, head: Head) -> Prediction:
        """Return the cross-validation errors (E,)."""
        expect_positive_int("estimator.kfold.folds", self.folds, minimum=2)
        expect_repeats("estimator.kfold.repeats", self.repeats)
        expect_positive_int("estimator.kfold.seed", self.seed, minimum=0)
        defined = (support.counts > 1).all(-1)
        reason = "cross-validation needs two shots of every class"
        if not bool(defined.any()):
            return Prediction.undefined(support, reason)
        share = cross_validation_error(head, packed(support), self.folds, self.repeats, self.seed)
        return Prediction.of(share, defined, reason)


def cross_validation_error(
    head: Head, support: Support, folds: int, repeats: int, seed: int
) -> Tensor:
    """Mean over repeats and classes of the fraction of misclassified held-out shots: (E,)."""
    dealt = fold_numbers(support, folds, repeats, seed)
    numbers = torch.arange(min(folds, dealt.shape[-1]), device=dealt.device)
    held = (dealt[:, None] == numbers.view(-1, 1, 1, 1)).flatten(0, 1)  # every fold of every repeat
    wrong = torch.zeros_like(support.counts)
    for train, test in zip(
        shot_positions(~held & pattern_mask(support)), shot_positions(held), strict=True
    ):
        refitted = head.clone().fit(select_shots(support, *train))
        wrong += misclassified(refitted, select_shots(support, *test).features, test[1]).sum(-1)
    return (wrong / support.counts).mean(-1) / repeats


def fold_numbers(support: Support, folds: int, repeats: int, seed: int) -> Tensor:
    """Fold of every shot in every repeat.

    Parameters
    ----------
    support : Support
        With the shots of every class before the padding.
    folds, repeats, seed : int

    Returns
    -------
    Tensor of shape (R, E or 1, N, K), int64
        In 0..min(K_c, folds) - 1, sizes differing by one at most; -1 for padding and for the only
        shot of a class. The same for all episodes, (R, 1, N, K), if none has padding.
    """
    mask = pattern_mask(support)
    counts = mask.sum(-1, keepdim=True)
    draws = uniform_draws(seed, repeats, support).masked_fill(~mask, 2.0)
    # Shots are assigned to folds in turn, in the order of their draws, padding last.
    dealt = draws.argsort(-1).argsort(-1) % counts.clamp_max(folds)
    return dealt.masked_fill(~mask | (counts < 2), -1)
