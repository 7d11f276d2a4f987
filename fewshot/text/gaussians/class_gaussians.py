"""Class Gaussians predicted from text, in the form that heads use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fewshot.text.gaussians.mixing import (
    Pool,
    gaussian_form,
    low_rank_form,
    shrunk_variances,
)

COVARIANCES = ("identity", "diagonal", "low_rank")
PRIORS = ("both", "names", "regression")
# A low-rank part leaves at least this share of every variance to the diagonal.
LEAST_DIAGONAL = 0.05


@dataclass(frozen=True, eq=False)
class ClassGaussians:
    """Predicted Gaussians of classes, and errors of such predictions on base classes.

    Attributes
    ----------
    means, variances : Tensor of shape (..., N, D)
        Predicted from text.
    origin : Tensor of shape (D,)
        Mean of the means of the base classes.
    within : Tensor of shape (D,)
        Pooled within-class variances of the base classes.
    doubt : Tensor of shape (D,)
        Residual variances of predicted means, of classes that were not learned from.
    freedom : float
        How many degrees of freedom a predicted variance is worth.
    factor : Tensor of shape (D, R)
        Main directions of the pooled covariance, near diag(within - its part) + factor factor'.
    pools : mapping of (covariance, prior) to Pool
    """

    means: Tensor
    variances: Tensor
    origin: Tensor
    within: Tensor
    doubt: Tensor
    freedom: float
    factor: Tensor
    pools: Mapping[tuple[str, str], Pool]

    @property
    def ratio(self) -> float:
        """Residual variance in units of the variance within classes, averaged over dimensions."""
        return float((self.doubt / self.within).mean())

    def to(self, *place: Any) -> ClassGaussians:
        """A copy with tensors of another dtype or on another device."""
        names = ("means", "variances", "origin", "within", "doubt", "factor")
        return replace(self, **{name: getattr(self, name).to(*place) for name in names})

    def __getitem__(self, classes: Any) -> ClassGaussians:
        """The Gaussians of some classes or episodes; shared parameters stay."""
        return replace(self, means=self.means[classes], variances=self.variances[classes])

    def common_variances(
        self, covariance: str, measured: Tensor | None, counts: Tensor | None
    ) -> Tensor:
        """Variances (E, 1, D) shared by the classes of an episode.

        Those of the classes are averaged, as one covariance keeps scores linear. "identity" is the
        mean of the pooled variances in every dimension, the same trace.

        Parameters
        ----------
        covariance : {"identity", "diagonal", "low_rank"}
        measured : Tensor of shape (E, N, D), or None
            Unbiased variances of the shots.
        counts : Tensor of shape (E, N), or None
        """
        if covariance == "identity":
            return self.within.mean().expand(len(self.means), 1, len(self.within))
        return self.own_variances(measured, counts).mean(1, keepdim=True)

    def own_variances(self, measured: Tensor | None, counts: Tensor | None) -> Tensor:
        """Variances (E, N, D) of every class, from text and from its shots if there are any."""
        if measured is None or counts is None:
            return self.variances
        return shrunk_variances(self.variances, measured, counts[..., None], self.freedom)

    def form(self, means: Tensor, variances: Tensor, covariance: str) -> tuple[Tensor, Tensor]:
        """Gaussians with these means (E, N, D) against one around the origin, as a linear form."""
        if covariance != "low_rank":
            return gaussian_form(means, self.origin, variances)
        diagonal = variances - self.factor.square().sum(1)
        diagonal = torch.maximum(diagonal, LEAST_DIAGONAL * variances)
        return low_rank_form(means, self.origin, diagonal, self.factor)
