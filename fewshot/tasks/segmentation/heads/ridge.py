"""Ridge regression of the class indicators of pixels."""

from __future__ import annotations

import torch

from fewshot.exceptions import expect_number
from fewshot.tasks.segmentation.heads.base import LinearMap, MomentHead, absent_never
from fewshot.tasks.segmentation.moments import Moments


class Ridge(MomentHead):
    """Least squares on 1 for the class of a pixel and 0 for the others, with a penalty on weights.

    Hoerl and Kennard, "Ridge Regression", Technometrics 1970. With the mean u and the covariance S
    of all annotated pixels' tokens, the mean m, the share p of a class, and the penalty a,

        w = p (S + a tr(S) / D I)^-1 (m - u)        b = p - w' u

    which is scikit-learn's ``Ridge(alpha=a tr(S) / D n)`` on tokens weighted by their n pixels. The
    intercept is not penalised.

    Parameters
    ----------
    penalty : float > 0
        a, in units of the mean variance of a feature.
    """

    def __init__(self, penalty: float = 0.1) -> None:
        expect_number("penalty", penalty, 0, above=True)
        self.penalty = penalty

    def from_moments(self, moments: Moments) -> LinearMap:
        """Weights and biases by one Cholesky factorisation."""
        total = moments.counts.sum().clamp_min(torch.finfo(torch.float64).tiny)
        shares, centre = moments.counts / total, moments.sums.sum(0) / total
        covariance = moments.total_covariance()
        covariance.diagonal().add_(self.penalty * moments.level(covariance))
        cross = moments.sums / total - torch.outer(shares, centre)
        weights = torch.cholesky_solve(cross.mT, torch.linalg.cholesky(covariance)).mT
        return absent_never(weights, shares - weights @ centre, moments.counts)
