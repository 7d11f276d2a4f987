"""Published estimators of the error from unlabelled images."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from fewshot.estimators.base import ErrorEstimator, Prediction, reserved
from fewshot.estimators.held_out import packed, pattern_mask, select_shots, shot_positions
from fewshot.estimators.kfold import fold_numbers
from fewshot.estimators.label_free_scores import (
    average_confidence,
    disagreement,
    matrix_norm,
    negative_entropy,
    nuclear_norm,
    share_below,
    softrun,
    transport_cost,
)
from fewshot.estimators.loo import held_out_error
from fewshot.estimators.probabilities import HeadProbabilities, held_out_confidence
from fewshot.estimators.tags import EstimatorTags
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import expect_choice, expect_number, expect_positive_int, expect_repeats
from fewshot.heads.base import Head, Query, Support

NO_UNLABELLED = "it needs unlabelled images of the episode"
NEEDS_TWO = "it needs two shots of every class"
NOT_HELD_OUT = (
    "one shot of every class: confidences are relative to those of the shots, as none can be held "
    "out"
)


class LabelFree(ErrorEstimator):
    """Base class of estimators that need unlabelled images.

    Attributes
    ----------
    needs_two_shots : bool
        Whether it is undefined where a class has one shot.
    """

    unlabelled = "needed"
    needs_two_shots: bool = False

    def predict(self, support: Support, head: Head) -> Prediction:
        """Return no number: there are no unlabelled images."""
        return Prediction.undefined(support, NO_UNLABELLED)

    def predict_with(self, support: Support, head: Head, unlabelled: Unlabelled) -> Prediction:
        """Return the score as an error (E,), with NaN for episodes without images."""
        self._check()
        present = unlabelled.mask.any(-1)
        defined = present
        if self.needs_two_shots:
            defined = present & (support.counts > 1).all(-1)
        reason = NEEDS_TWO if bool(present.all()) else NO_UNLABELLED
        if not bool(defined.any()):
            return Prediction.undefined(support, reason)
        error, doubtful = self._errors(support, head, unlabelled)
        error = error.clamp(0.0, 1.0).to(support.features.dtype)
        doubtful = doubtful & defined & error.isfinite()
        return Prediction.of(error, defined, reason, **reserved([(NOT_HELD_OUT, doubtful)]))

    def _check(self) -> None:
        """Raise FewshotError if a parameter is not allowed."""

    @abstractmethod
    def _errors(
        self, support: Support, head: Head, unlabelled: Unlabelled
    ) -> tuple[Tensor, Tensor]:
        """Errors (E,), and which episodes (E,), bool, have no held-out shots to fit to."""


class _OfProbabilities(LabelFree):
    """Base class of estimators that are a function of class probabilities."""

    tags = EstimatorTags(scale_invariant=True, at_one_shot=True, without_base=True)

    def _errors(
        self, support: Support, head: Head, unlabelled: Unlabelled
    ) -> tuple[Tensor, Tensor]:
        outputs = HeadProbabilities.of(support, head, unlabelled)
        return self._of(outputs, support, unlabelled.mask), ~outputs.fitted

    @abstractmethod
    def _of(self, outputs: HeadProbabilities, support: Support, mask: Tensor) -> Tensor:
        """Errors (E,) of what the head says of images with a mask (E, U)."""


class AverageConfidence(_OfProbabilities):
    """1 - mean largest probability of the unlabelled images.

    Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples
    in Neural Networks", ICLR 2017; the error if probabilities are calibrated. Scores become
    probabilities by a temperature that is fitted to held-out shots
    (:mod:`fewshot.estimators.probabilities`).
    """

    def _of(self, outputs: HeadProbabilities, support: Support, mask: Tensor) -> Tensor:
        return 1 - average_confidence(outputs.unlabelled, mask)


class DifferenceOfConfidences(_OfProbabilities):
    """Error of held-out shots plus what confidence falls from them to the unlabelled images.

    Guillory et al., "Predicting with Confidence on Unseen Distributions", ICCV 2021. The held-out
    shots (of each class in turn, the classes alike) are the labelled data that the paper has from
    the training distribution.

    Notes
    -----
    Undefined if a class has one shot. The head that is judged on held-out shots has one shot of
    every class fewer than the one that is judged on the unlabelled images.
    """

    tags = EstimatorTags(scale_invariant=True, at_one_shot=False, without_base=True)
    needs_two_shots = True

    def _of(self, outputs: HeadProbabilities, support: Support, mask: Tensor) -> Tensor:
        fall = held_out_confidence(outputs.held_out, support) - average_confidence(
            outputs.unlabelled, mask
        )
        return held_out_error(outputs.scores, support).double() + fall


class AverageThresholdedConfidence(_OfProbabilities):
    """Share of unlabelled images below a threshold that fits the held-out shots.

    Garg et al., "Leveraging Unlabeled Data to Predict Out-of-Distribution Performance", ICLR 2022.
    The share of held-out shots with a confidence below the threshold is their error.

    Parameters
    ----------
    score : {"negative_entropy", "max_confidence"}
        Confidence of an image: ATC-NE of the paper, which it recommends, or ATC-MC.

    Notes
    -----
    Undefined if a class has one shot; coarse with few shots.
    """

    tags = EstimatorTags(scale_invariant=True, at_one_shot=False, without_base=True)
    needs_two_shots = True

    def __init__(self, score: str = "negative_entropy") -> None:
        self.score = score

    def _check(self) -> None:
        expect_choice("estimator.atc.score", self.score, ("negative_entropy", "max_confidence"))

    def _of(self, outputs: HeadProbabilities, support: Support, mask: Tensor) -> Tensor:
        each = support.mask.double() / support.counts.double()[..., None]
        weights = each / each.shape[1]  # classes count alike
        ways = torch.arange(each.shape[1], device=each.device)
        wrong = outputs.scores.argmax(-1) != ways[:, None]
        # In float64, as is the sum of weights that it is compared with.
        error = (weights * wrong).sum((1, 2))
        finite = held_out_error(outputs.scores, support).isfinite()
        return share_below(
            self._confidence(outputs.unlabelled),
            mask,
            self._confidence(outputs.held_out).flatten(1),
            weights.flatten(1),
            torch.where(finite, error, torch.nan),
        )

    def _confidence(self, probabilities: Tensor) -> Tensor:
        if self.score == "max_confidence":
            return probabilities.amax(-1)
        return negative_entropy(probabilities)


class ConfidenceOptimalTransport(_OfProbabilities):
    """Wasserstein distance of probability vectors from one-hot labels with equal shares.

    COT of Lu et al., "Characterizing Out-of-Distribution Error via Optimal Transport", NeurIPS
    2023. Unlike the average confidence it notices that a class wins too often; it takes classes for
    equally frequent among the unlabelled images.
    """

    def _of(self, outputs: HeadProbabilities, support: Support, mask: Tensor) -> Tensor:
        return transport_cost(outputs.unlabelled, mask)


class NuclearNorm(_OfProbabilities):
    """1 - normalised nuclear norm of the matrix of probabilities.

    Deng et al., "Confidence and Dispersity Speak: Characterizing Prediction Matrix for Unsupervised
    Accuracy Estimation", ICML 2023. Low where images are certain and the classes win equally often.
    """

    def _of(self, outputs: HeadProbabilities, support: Support, mask: Tensor) -> Tensor:
        return 1 - nuclear_norm(outputs.unlabelled, mask)


class MaNo(_OfProbabilities):
    """1 - matrix norm of normalised logits, in units of its largest value.

    Xie et al., "MaNo: Exploiting Matrix Norm for Unsupervised Accuracy Estimation Under
    Distribution Shifts", NeurIPS 2024. Their score lies in [1 / N, N^(-1/p)] for N classes; it is
    divided by N^(-1/p) here, so that certain decisions have an error of 0. The logits are scores
    over the temperature, with mean zero over the classes, as scores of heads have no zero.

    Parameters
    ----------
    order : float >= 1
        p of the norm.
    threshold : float >= 0
        Mean cross-entropy above which logits are normalised by softmax, and by a polynomial below.
    """

    def __init__(self, order: float = 4.0, threshold: float = 5.0) -> None:
        self.order = order
        self.threshold = threshold

    def _check(self) -> None:
        expect_number("estimator.mano.order", self.order, 1.0, 100.0)
        expect_number("estimator.mano.threshold", self.threshold, 0.0)

    def _of(self, outputs: HeadProbabilities, support: Support, mask: Tensor) -> Tensor:
        normalised = softrun(outputs.logits, mask, self.threshold)
        largest = normalised.shape[-1] ** (-1 / self.order)
        return 1 - matrix_norm(normalised, mask, self.order) / largest


class GeneralizationDisagreement(LabelFree):
    """Share of unlabelled images on which heads fitted on two halves of the support disagree.

    Jiang et al., "Assessing Generalization of SGD via Disagreement", ICLR 2022 (generalization
    disagreement equality). The mean over several random halvings of the shots of every class.

    Parameters
    ----------
    splits : int >= 1
        Number of halvings; the head is fitted twice for each.
    seed : int >= 0
        Seed of the halvings. They depend on the number of the split and on the positions of class
        and shot, not on the batch.

    Notes
    -----
    Undefined if a class has one shot. Heads fitted on half of the shots disagree more than heads
    fitted on all of them err.
    """

    tags = EstimatorTags(
        order_tolerance=0.1, scale_invariant=True, at_one_shot=False, without_base=True
    )
    needs_two_shots = True

    def __init__(self, splits: int = 10, seed: int = 0) -> None:
        self.splits = splits
        self.seed = seed

    def _check(self) -> None:
        expect_repeats("estimator.gde.splits", self.splits)
        expect_positive_int("estimator.gde.seed", self.seed, minimum=0)

    def _errors(
        self, support: Support, head: Head, unlabelled: Unlabelled
    ) -> tuple[Tensor, Tensor]:
        error = half_disagreement(head, packed(support), unlabelled, self.splits, self.seed)
        return error, torch.zeros_like(error, dtype=torch.bool)


def half_disagreement(
    head: Head, support: Support, unlabelled: Unlabelled, splits: int, seed: int
) -> Tensor:
    """Mean over splits of the disagreement of clones of `head` fitted on two halves: (E,).

    The support has the shots of every class before the padding. The only shot of a class is in both
    halves.
    """
    halves = fold_numbers(support, 2, splits, seed)
    single = (halves < 0) & pattern_mask(support)
    query = Query(unlabelled.features, unlabelled.mask)
    total = torch.zeros(len(support.features), dtype=torch.float64, device=halves.device)
    for selections in zip(
        *(shot_positions((halves == half) | single) for half in (0, 1)), strict=True
    ):
        first, second = (
            head.clone().fit(select_shots(support, *selected)).predict(query)
            for selected in selections
        )
        total += disagreement(first, second, unlabelled.mask)
    return total / splits
