"""Ridge regression of the class indicators of pixels."""

from __future__ import annotations

import torch

from fewshot.exceptions import expect_number
from fewshot.tasks.segmentation.heads.base import LinearMap, MomentHead, absent_never
from fewshot.tasks.segmentation.moments import Moments


class Ridge(MomentHead):
    """Least squares on 1 for the class of a pixel and 0 for the others, with a penalty on weights.

    Hoerl and Kennard, "Ridge Regression", Technometrics 1970. With the means m, the shares p of the
    classes' pixels to the power tau, summing to one, the mean u of all classes by these shares, and
    the covariance S: that within classes plus that of the means by these shares,

        w = p (S + a tr(S) / D I)^-1 (m - u)        b = p - w' u

    At tau = 1 that is scikit-learn's ``Ridge(alpha=a tr(S) / D n)`` on tokens weighted by their n
    pixels, which leaves rare classes to others. At tau = 0 all classes count alike. The intercept
    is not penalised.

    Parameters
    ----------
    penalty : float > 0
        a, in units of the mean variance of a feature.
    tau : float >= 0
        Exponent of the classes' shares of the pixels.
    """

    references = ("hoerl1970ridge",)

    def __init__(self, penalty: float = 0.1, tau: float = 0.0) -> None:
        expect_number("penalty", penalty, 0, above=True)
        expect_number("tau", tau, 0)
        self.penalty, self.tau = penalty, tau

    def from_moments(self, moments: Moments) -> LinearMap:
        """Weights and biases by one Cholesky factorisation."""
        present = moments.counts > 0
        shares = (moments.counts / moments.counts.max().clamp_min(1)).pow(self.tau) * present
        shares = shares / shares.sum().clamp_min(torch.finfo(torch.float64).tiny)
        means = moments.means()
        centre = shares @ means
        between = (means - centre) * shares.sqrt()[:, None]
        covariance = moments.covariance() + between.mT @ between
        covariance.diagonal().add_(self.penalty * moments.level(covariance))
        cross = shares[:, None] * (means - centre)
        weights = torch.cholesky_solve(cross.mT, torch.linalg.cholesky(covariance)).mT
        return absent_never(weights, shares - weights @ centre, moments.counts)
