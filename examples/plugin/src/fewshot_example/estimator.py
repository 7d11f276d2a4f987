"""Resubstitution error."""

import torch

from fewshot.estimators import ErrorEstimator, Prediction
from fewshot.estimators.tags import EstimatorTags
from fewshot.heads import Head, Query, Support


class Resubstitution(ErrorEstimator):
    """Share of the shots that the fitted head gets wrong, smoothed (Laplace's rule).

    Too low, as the head has seen the shots: the example is about the interface.

    Parameters
    ----------
    pseudo_counts : float >= 0
        Right and wrong answers that are added to those of the shots, one half each.
    """

    tags = EstimatorTags(at_one_shot=True, without_base=True)

    def __init__(self, pseudo_counts: float = 1.0) -> None:
        self.pseudo_counts = pseudo_counts

    def predict(self, support: Support, head: Head) -> Prediction:
        """Classify the shots as if they were queries."""
        ways, shots = support.mask.shape[1:]
        query = Query(support.features.flatten(1, 2), support.mask.flatten(1, 2))
        labels = torch.arange(ways, device=support.mask.device).repeat_interleave(shots)
        wrong = ((head.predict(query) != labels) & query.mask).sum(-1)
        number = query.mask.sum(-1)
        error = (wrong + self.pseudo_counts / 2) / (number + self.pseudo_counts)
        return Prediction(error.to(support.features.dtype))
