"""Disagreement of the head with a mixture fitted to shots and unlabelled images together."""

from __future__ import annotations

from typing import Self

import torch

from fewshot.estimators.base import NO_BASE, BaseClasses, ErrorEstimator, Prediction
from fewshot.estimators.calibration.unlabelled_covariates import UnlabelledEvidence
from fewshot.estimators.tags import EstimatorTags
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import expect_choice
from fewshot.heads.base import Head, Support

NOTHING = "no unlabelled images"
PRIORS = ("auto", "base", "none")


class EMDisagreement(ErrorEstimator):
    r"""Share of the unlabelled images that the head decides otherwise than a mixture.

    ``mean_c sum_i r_ic [head(x_i) != c] / sum_i r_ic``, with responsibilities r_ic of a mixture of
    the classes that is fitted to shots and unlabelled images by expectation maximisation, see
    :mod:`~fewshot.estimators.mixtures`. Uncalibrated; ``auto`` has it among its covariates.

    Parameters
    ----------
    prior : {"auto", "base", "none"}
        "base": classes have a Gaussian prior from the base classes; "none": soft k-means; "auto":
        the prior where there are enough base classes.
    """

    references = ("dempster1977maximum",)
    tags = EstimatorTags(at_one_shot=True, without_base=True)
    unlabelled = "needed"

    def __init__(self, prior: str = "auto") -> None:
        self.prior = prior

    def fit(self, base: BaseClasses) -> Self:
        """Keep the moments of the base classes."""
        expect_choice("estimator.em_disagreement.prior", self.prior, PRIORS)
        return super().fit(base)

    def predict(self, support: Support, head: Head) -> Prediction:
        """Return NaN (E,), for the reason that there are no unlabelled images."""
        return Prediction.undefined(support, NOTHING)

    def predict_with(self, support: Support, head: Head, unlabelled: Unlabelled) -> Prediction:
        """Return the disagreement (E,), all classes alike."""
        if self.prior == "base" and not self.base_.has_prior:
            return Prediction.undefined(support, "too few base classes for a prior of the classes")
        base = NO_BASE if self.prior == "none" else self.base_
        evidence = UnlabelledEvidence(support, head, base, unlabelled)
        wrong, total = evidence.disagreeing(prior=base.has_prior)
        # A class that no image is of has no error to show: the mean is over the others.
        seen = (total > 0.5).to(wrong)
        errors = wrong / total.clamp_min(1e-6) * seen
        defined = (unlabelled.counts > 0) & (seen.sum(-1) > 0)
        mean = errors.sum(-1) / seen.sum(-1).clamp_min(1)
        return Prediction.of(torch.where(defined, mean, torch.nan), defined, NOTHING)
