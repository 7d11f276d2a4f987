"""A head fitted on all labelled images of one task, and what its answers are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.heads.base import Head, Query, Support, check_scores
from fewshot.heads.fitted_linear import FittedLinear, portable
from fewshot.heads.semi_supervised import learning_from
from fewshot.tasks.classification.labelling.prediction_sets import (
    PredictionSets,
    fit_prediction_sets,
)
from fewshot.tasks.classification.labelling.probabilities import Probabilities, fit_probabilities
from fewshot.tasks.classification.labelling.strangers import Strangers, fit_strangers


@dataclass(frozen=True, eq=False)
class FittedClassifier:
    """Classes, probabilities, sets of classes and doubts of features, by a fitted head.

    Attributes
    ----------
    classnames : tuple of N str
    head : Head
        Fitted on one support (E = 1); `SemiSupervised` if it learned from unlabelled images.
    probabilities : Probabilities
    sets : PredictionSets
    strangers : Strangers
    support : Support or None
        The shots of a head whose scores are not linear, which a file keeps to fit it again.
    """

    classnames: tuple[str, ...]
    head: Head
    probabilities: Probabilities
    sets: PredictionSets
    strangers: Strangers
    support: Support | None = None

    @property
    def dim(self) -> int:
        """D, the length of the features."""
        form = self.head.linear() if self.support is None else None
        shots = form.weights if form is not None else self.support.features  # type: ignore[union-attr]
        return int(shots.shape[-1])

    def scores(self, features: Tensor) -> Tensor:
        """Scores (M, N) of features (M, D), in the units of the head.

        Raises
        ------
        FewshotError
            A largest score is NaN or infinite.
        """
        scores = self.head.scores(Query.of(features[None]))[0]
        check_scores(self.head, scores.amax(-1))
        return scores

    def predict_proba(self, features: Tensor) -> Tensor:
        """Probabilities (M, N), float64, of features (M, D)."""
        return self.probabilities.of(self.scores(features))


def fit_classifier(
    support: Support,
    head: Head,
    classnames: Sequence[str],
    error: float | None = None,
    unlabelled: Tensor | None = None,
) -> FittedClassifier:
    """Fit a head on all labelled images, and what turns its scores into probabilities.

    Parameters
    ----------
    support : Support
        Of one episode (E = 1).
    head : Head
        Unfitted.
    classnames : sequence of N str
    error : float in [0, 1], optional
        Predicted share of wrong labels among new images.
    unlabelled : Tensor of shape (U, D), optional
        Images without labels, from which a transductive head then learns in place of those that it
        classifies; other heads have no use for them.
    """
    with torch.inference_mode():
        fitted = learning_from(head.clone(), unlabelled).fit(support)
        probabilities = fit_probabilities(support, fitted, error)
        kept = portable(fitted)
        return FittedClassifier(
            tuple(classnames),
            kept,
            probabilities,
            fit_prediction_sets(support, fitted, probabilities, error),
            fit_strangers(support, error),
            None if isinstance(kept, FittedLinear) else support,
        )
