"""Interface of error estimators: their inputs and their predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import torch
from torch import Tensor

from fewshot.estimators.moments import Moments
from fewshot.estimators.tags import EstimatorTags
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.heads.base import Head, Support
from fewshot.registry import parameter_names

if TYPE_CHECKING:
    from fewshot.estimators.calibration.transferred import General

# With fewer base classes the covariance between them is not reliable.
ENOUGH_CLASSES = 10
NO_NUMBER = "its numbers left the range of floating point"
OnEpisodes: TypeAlias = Callable[[Support, Head], Tensor]
OnUnlabelled: TypeAlias = Callable[[Support, Head, Unlabelled], Tensor]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted errors of E episodes.

    Attributes
    ----------
    error : Tensor of shape (E,), in [0, 1]
        NaN where the estimator is undefined.
    reason : str or None
        Why errors are NaN; None if every episode has a prediction.
    lower, upper : Tensor of shape (E,), or None
        Prediction interval of the episode's error; None if the estimator has none.
    bands : Tensor of shape (2, L, E), or None
        Lower and upper bounds at the levels of ``populations.LEVELS``, to measure coverage.
    fallback : Tensor of shape (E,), bool, or None
        Episodes whose prediction has a reservation, for example from a simpler estimator.
    fallback_reason : str or None
        The reservations and their reasons.
    reservations : dict of str to Tensor of shape (E,), bool
        Episodes of each reservation if there are several; empty if `fallback` and
        `fallback_reason` suffice.
    """

    error: Tensor
    reason: str | None = None
    lower: Tensor | None = None
    upper: Tensor | None = None
    bands: Tensor | None = None
    fallback: Tensor | None = None
    fallback_reason: str | None = None
    reservations: dict[str, Tensor] = field(default_factory=dict)

    def by_reservation(self) -> dict[str, Tensor]:
        """Return the episodes (E,), bool, of every reservation."""
        if self.reservations or self.fallback is None:
            return self.reservations
        return {self.fallback_reason or "no reason was given": self.fallback}

    def __post_init__(self) -> None:
        """Replace infinite errors by NaN, with a reason."""
        finite = self.error.isfinite()
        if not bool(finite.all()):
            object.__setattr__(self, "error", torch.where(finite, self.error, torch.nan))
            object.__setattr__(self, "reason", self.reason or NO_NUMBER)

    @classmethod
    def of(cls, error: Tensor, defined: Tensor, reason: str, **others: Any) -> Prediction:
        """Create a prediction with NaN where not `defined`; with `reason` only if there are any."""
        if bool(defined.all()):
            return cls(error, **others)
        return cls(torch.where(defined, error, torch.nan), reason, **others)

    @classmethod
    def undefined(cls, support: Support, reason: str) -> Prediction:
        """Create a prediction of NaN for every episode."""
        features = support.features
        return cls(features.new_full((len(features),), torch.nan), reason)


def reserved(reservations: Iterable[tuple[str, Tensor]]) -> dict[str, Any]:
    """Return the fields of a `Prediction` for all reservations that any episode has.

    Parameters
    ----------
    reservations : iterable of (str, Tensor of shape (E,), bool)
        A reason may occur several times.
    """
    masks: dict[str, Tensor] = {}
    for reason, episodes in reservations:
        if bool(episodes.any()):
            masks[reason] = masks[reason] | episodes if reason in masks else episodes
    if not masks:
        return {}
    doubtful = torch.stack(list(masks.values())).any(0)
    return {"fallback": doubtful, "fallback_reason": "; ".join(masks), "reservations": masks}


class BaseClasses:
    """Statistics and labelled episodes of base classes of the same backbone.

    Parameters
    ----------
    errors : Tensor of shape (B,), or None
        Actual errors of the same head in base-class episodes of the same ways and shots.
    covariance : callable returning a Tensor of shape (D, D), optional
        Pooled within-class covariance of base-class features, computed on first use; that of the
        moments by default.
    moments : callable returning Moments, optional
        Their class means and covariance.
    map : callable, optional
        ``map(function)`` calls ``function(support, head)`` on batches of the B base-class
        episodes, with the head fitted, and concatenates the results: (B, ...).
    errors_by_class : Tensor of shape (B, N), optional
        Errors by class, with mean `errors`.
    members : Tensor of shape (B, N), optional
        Base classes of the episodes.
    reason : str, optional
        Why there are no errors.
    map_unlabelled : callable, optional
        As `map`, of episodes with unlabelled images, for ``function(support, head, unlabelled)``.
    folds : callable returning a sequence of BaseClasses, optional
        The base classes in parts, each with episodes of its classes alone and with moments of the
        other ones: episodes on which a prior from these moments knows as little of the classes as
        it does of novel ones. With unlabelled images; computed on first use.
    """

    def __init__(
        self,
        errors: Tensor | None = None,
        covariance: Callable[[], Tensor] | None = None,
        moments: Callable[[], Moments] | None = None,
        map: Callable[[OnEpisodes], Tensor] | None = None,
        errors_by_class: Tensor | None = None,
        members: Tensor | None = None,
        reason: str = "no base classes: the data set has no base/novel split",
        map_unlabelled: Callable[[OnUnlabelled], Tensor] | None = None,
        folds: Callable[[], Sequence[BaseClasses]] | None = None,
    ) -> None:
        if errors is None and errors_by_class is not None:
            errors = errors_by_class.mean(-1)
        self.errors = errors
        self.errors_by_class = errors_by_class
        self.members = members
        self.reason = reason
        self._covariance = covariance
        self._moments = moments
        self._map = map
        self._map_unlabelled = map_unlabelled
        self._folds = folds

    @cached_property
    def moments(self) -> Moments | None:
        """Class means and covariance; None without base classes."""
        return None if self._moments is None else self._moments()

    def without_unlabelled(self) -> BaseClasses:
        """The same episodes without their unlabelled images, and without folds."""
        return BaseClasses(
            covariance=self._covariance,
            moments=self._moments,
            map=self._map,
            errors_by_class=self.errors_by_class,
            members=self.members,
            reason=self.reason,
        )

    def with_moments(self, moments: Callable[[], Moments]) -> BaseClasses:
        """The same episodes with the moments of other classes, and without folds."""
        return BaseClasses(
            moments=moments,
            map=self._map,
            errors_by_class=self.errors_by_class,
            members=self.members,
            reason=self.reason,
            map_unlabelled=self._map_unlabelled,
        )

    @cached_property
    def folds(self) -> Sequence[BaseClasses]:
        """The base classes in parts, each with moments of the others; empty if they are too few."""
        return () if self._folds is None else self._folds()

    @cached_property
    def covariance(self) -> Tensor | None:
        """Pooled within-class covariance (D, D); None without base classes."""
        if self._covariance is not None:
            return self._covariance()
        return None if self.moments is None else self.moments.covariance

    @property
    def has_prior(self) -> bool:
        """Whether there are enough base classes for a prior of other classes."""
        return self.moments is not None and len(self.moments.means) >= ENOUGH_CLASSES

    @property
    def has_episodes(self) -> bool:
        """Whether there are base-class episodes with known errors to learn from."""
        return self.errors is not None and self._map is not None

    def map(self, function: OnEpisodes) -> Tensor:
        """Apply ``function(support, fitted head)`` to every base-class episode: (B, ...)."""
        assert self._map is not None, "no base-class episodes"
        return self._map(function)

    @property
    def has_unlabelled(self) -> bool:
        """Whether the base-class episodes have unlabelled images."""
        return self.errors is not None and self._map_unlabelled is not None

    def map_unlabelled(self, function: OnUnlabelled) -> Tensor:
        """Apply ``function(support, fitted head, unlabelled)`` to every base-class episode."""
        assert self._map_unlabelled is not None, "no base-class episodes with unlabelled images"
        return self._map_unlabelled(function)


NO_BASE = BaseClasses()


@dataclass(frozen=True)
class CalibrationSettings:
    """What a run says about the calibration of its estimators.

    Attributes
    ----------
    source : {"none", "base", "datasets"}
        Where raw estimates are calibrated.
    level : float
        Nominal coverage of prediction intervals, in (0, 0.99].
    calibrator : str or None
        Path of a calibrator that ``fewshot calibrate`` wrote; None for the one of the package.
    space : mapping
        Feature space of the run: ``backbone``, ``feature``, ``normalize``, ``dimensions``.
    """

    source: str
    level: float
    calibrator: str | None
    space: Mapping[str, Any]


class ErrorEstimator(ABC):
    """Base class of estimators of the error of a fitted head, from its support alone.

    Estimators do not receive queries or their labels, unless they say that they need them. ``fit``
    learns from base classes, if there are any; ``predict`` does not change the estimator.

    Attributes
    ----------
    tags : EstimatorTags
        Tolerances, and what it promises, for `fewshot.testing.check_estimator`.
    least_shots : int
        Number of shots of every class that it needs. With fewer it is neither fitted nor called,
        and has no prediction.
    sees_queries : bool
        Whether it needs the labelled queries, and `predict_knowing` is called in place of
        `predict`. What it predicts is an upper bound and no estimate: it is not calibrated, and
        reports mark it and leave it out of comparisons.
    unlabelled : {"ignored", "used", "needed"}
        What it does with unlabelled images of an episode. With "used" and "needed",
        `predict_with` is called where episodes have any; "needed" has no prediction without.
    calibrates_itself : bool
        Whether its predictions are calibrated as they are. If not, runs may wrap it in a
        calibrator.
    """

    tags: EstimatorTags = EstimatorTags()
    least_shots: int = 1
    sees_queries: bool = False
    unlabelled: str = "ignored"
    calibrates_itself: bool = False
    base_: BaseClasses = NO_BASE  # until fitted

    def configured(self, settings: CalibrationSettings) -> ErrorEstimator:
        """Return the unfitted estimator for a run: itself, or one with parameters from `settings`.

        For parameters that follow the run unless they are set, such as the level of intervals.

        Raises
        ------
        FewshotError
            What it was fitted on earlier does not go with `settings.space`.
        """
        return self

    def fit(self, base: BaseClasses) -> Self:
        """Fit to base classes; learned attributes end in ``_``."""
        self.base_ = base
        return self

    @abstractmethod
    def predict(self, support: Support, head: Head) -> Prediction:
        """Return the predicted errors (E,) of `head`, which is fitted on `support`."""

    def predict_knowing(self, support: Support, head: Head, queries: Support) -> Prediction:
        """Return predicted errors (E,) for an estimator with `sees_queries`.

        `queries` has features (E, N, Q, D), by way, and a mask for its padding. The default does
        not look at them.
        """
        return self.predict(support, head)

    def predict_with(self, support: Support, head: Head, unlabelled: Unlabelled) -> Prediction:
        """Return predicted errors (E,) for an estimator that sees unlabelled images.

        The default does not look at them.
        """
        return self.predict(support, head)

    def calibration_label(self) -> str:
        """Return what the fitted estimator is calibrated on or by, as in the rows; or "none"."""
        return "none"

    def add_to(self, calibrator: General, name: str, head: str, shots: int) -> General:
        """Return `calibrator` with what was learned from base classes, for other data sets.

        Parameters
        ----------
        calibrator : General
            Returned as it is if there is nothing to add: the default.
        name, head : str
            Names of this estimator and of the head in the run.
        shots : int
            Of the base-class episodes.
        """
        return calibrator

    def get_params(self) -> dict[str, Any]:
        """Return the constructor arguments by name."""
        return {name: getattr(self, name) for name in parameter_names(type(self))}

    def with_params(self, **changes: Any) -> Self:
        """Return an unfitted estimator with these constructor arguments changed."""
        return type(self)(**(self.get_params() | changes))

    def __repr__(self) -> str:
        parameters = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({parameters})"


ONE_SHOT = (
    "one shot per class shows no within-class variance and there are no base classes to take it "
    "from"
)
