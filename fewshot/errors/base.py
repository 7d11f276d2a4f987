"""What an error estimator receives and what it gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from fewshot.heads.base import Head, Support, parameter_names


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted errors of E episodes.

    Attributes
    ----------
    error : Tensor of shape (E,), in [0, 1]
        NaN where the estimator is undefined: a number nobody could know is not made up.
    reason : str or None
        Why it is NaN there; None when every episode has a number.
    """

    error: Tensor
    reason: str | None = None

    @classmethod
    def of(cls, error: Tensor, defined: Tensor, reason: str) -> Prediction:
        """Blank the undefined episodes, and give the reason only if there are any."""
        if bool(defined.all()):
            return cls(error)
        return cls(torch.where(defined, error, torch.nan), reason)

    @classmethod
    def undefined(cls, support: Support, reason: str) -> Prediction:
        """NaN for every episode."""
        features = support.features
        return cls(features.new_full((len(features),), torch.nan), reason)


class BaseClasses:
    """What is known from base classes of the same backbone: their statistics, labels and all.

    Parameters
    ----------
    errors : Tensor of shape (B,), or None
        Actual errors of the same head in base-class episodes of the same ways and shots.
    covariance : callable returning a Tensor of shape (D, D), optional
        Pooled within-class covariance of base-class features, worked out when first needed.
    reason : str, optional
        Why there are no errors.
    """

    def __init__(
        self,
        errors: Tensor | None = None,
        covariance: Callable[[], Tensor] | None = None,
        reason: str = "no base classes: the data set has no base/novel split",
    ) -> None:
        self.errors = errors
        self.reason = reason
        self._covariance = covariance

    @cached_property
    def covariance(self) -> Tensor | None:
        """Pooled within-class covariance (D, D), None without base classes."""
        return None if self._covariance is None else self._covariance()


class ErrorEstimator(ABC):
    """Predicts the error that a fitted head will make, from its support alone.

    Queries and their labels are in nothing that it is given. ``fit`` learns from base classes,
    where there are any; ``predict`` changes nothing.
    """

    def fit(self, base: BaseClasses) -> Self:
        """Keep what the base classes have to say; attributes learned end in ``_``."""
        self.base_ = base
        return self

    @abstractmethod
    def predict(self, support: Support, head: Head) -> Prediction:
        """Predicted errors (E,) of `head`, which is fitted on `support`."""

    def get_params(self) -> dict[str, Any]:
        """Constructor arguments by name."""
        return {name: getattr(self, name) for name in parameter_names(type(self))}

    def __repr__(self) -> str:
        parameters = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({parameters})"


NO_BASE = BaseClasses()
ONE_SHOT = (
    "one shot per class shows no within-class variance and there are no base classes to take it "
    "from"
)
