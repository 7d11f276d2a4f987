"""Linear discriminant analysis of pixels."""

from __future__ import annotations

import torch

from fewshot.exceptions import expect_number
from fewshot.tasks.segmentation.heads.base import LinearMap, MomentHead, absent_never
from fewshot.tasks.segmentation.moments import Moments


class PixelLDA(MomentHead):
    """Gaussians of one covariance around the class means of the support's pixels (Fisher 1936).

    The covariance S of tokens around their class means is shrunk towards a multiple of the
    identity, ``(1 - a) S + a tr(S) / D I``, and a class scores
    ``m' S^-1 x - m' S^-1 m / 2 + tau log(share)``, with its mean m and its share of the annotated
    pixels.

    Parameters
    ----------
    shrinkage : float in (0, 1]
        a; 0.03 to 0.3 do about the same.
    tau : float >= 0
        Exponent of the classes' shares of the pixels: 1 for those of the support, 0 for equal ones.
    """

    references = ("fisher1936use",)

    def __init__(self, shrinkage: float = 0.1, tau: float = 1.0) -> None:
        expect_number("shrinkage", shrinkage, 0, 1, above=True)
        expect_number("tau", tau, 0)
        self.shrinkage, self.tau = shrinkage, tau

    def from_moments(self, moments: Moments) -> LinearMap:
        """Weights ``S^-1 m`` and biases."""
        means, total = moments.means(), moments.counts.sum().clamp_min(1e-300)
        covariance = moments.covariance()
        shrunk = (1 - self.shrinkage) * covariance
        shrunk.diagonal().add_(self.shrinkage * moments.level(covariance))
        # What is common to all classes is left out: float32 scores keep their digits.
        centre = moments.sums.sum(0) / total
        factor = torch.linalg.cholesky(shrunk)
        weights = torch.cholesky_solve((means - centre).mT, factor).mT
        shares = (moments.counts / total).clamp_min(1e-300)
        biases = -(weights * (means + centre)).sum(1) / 2 + self.tau * shares.log()
        return absent_never(weights, biases, moments.counts)
