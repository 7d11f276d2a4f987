"""The interface of predictors, and moments of base classes on which they are fitted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect
from fewshot.registry import parameter_names

# Of a variance, in units of what is typical.
LEAST = 1e-3


@dataclass(frozen=True, eq=False)
class BaseMoments:
    """Moments of the features of base classes, of two images each or more.

    Attributes
    ----------
    classes : Tensor of shape (C,), int64
        Their class numbers.
    counts : Tensor of shape (C,), float64
        Images.
    means, variances : Tensor of shape (C, D), float64
        Per dimension; the variances are unbiased.
    """

    classes: Tensor
    counts: Tensor
    means: Tensor
    variances: Tensor

    @property
    def pooled(self) -> Tensor:
        """Pooled within-class variances (D,), none below a thousandth of their mean.

        A dimension that is constant in the base classes says nothing of new ones, and must not
        decide everything either.
        """
        freedom = (self.counts - 1)[:, None]
        pooled = (self.variances * freedom).sum(0) / freedom.sum()
        expect(
            bool(pooled.any()),
            "text.predictor",
            "expected images of a base class to differ, got copies only",
        )
        return pooled.clamp_min(LEAST * pooled.mean())

    def log_variances(self) -> Tensor:
        """Unbiased logarithms of the variances (C, D).

        The logarithm of a sample variance with f degrees of freedom is below that of the variance
        by log(f / 2) - digamma(f / 2) on average, for normal features. Variances below a
        thousandth of the pooled ones, as of features that are zero in nearly all images, count as
        that.
        """
        half = (self.counts - 1)[:, None] / 2
        variances = self.variances.maximum(LEAST * self.pooled)
        return variances.log() + half.log() - torch.digamma(half)


class TextPredictor(ABC):
    """Class means and log-variances from text vectors; fitted on base classes.

    ``fit`` learns attributes that end in ``_``; ``tensors`` and ``load`` carry them to a file and
    back.

    Attributes
    ----------
    held_out_means_, held_out_log_variances_ : Tensor of shape (C, D), float64
        Of the base classes, each predicted by a fit without it.
    """

    name: ClassVar[str]
    held_out_means_: Tensor
    held_out_log_variances_: Tensor

    @abstractmethod
    def fit(self, text: Tensor, moments: BaseMoments) -> Self:
        """Fit to text vectors (C, P) and moments of the same C classes."""

    @abstractmethod
    def predict(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances (M, D), float64, of classes with text vectors (M, P)."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Fitted tensors by name."""

    @abstractmethod
    def load(self, tensors: Mapping[str, Tensor]) -> Self:
        """Restore the fitted tensors from ``tensors``."""

    def get_params(self) -> dict[str, Any]:
        """Constructor arguments by name."""
        return {name: getattr(self, name) for name in parameter_names(type(self))}
