"""Estimators whose predictions are calibrated: single ones, or a stack of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.estimators.base import (
    BaseClasses,
    CalibrationSettings,
    ErrorEstimator,
    Prediction,
    reserved,
)
from fewshot.estimators.calibration.calibrators import (
    CALIBRATORS,
    METHODS,
    Calibrator,
    from_json,
)
from fewshot.estimators.calibration.intervals import (
    GRID,
    LEVEL,
    Residuals,
    check_level,
    new_classes,
)
from fewshot.estimators.tags import EstimatorTags
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import expect, expect_choice
from fewshot.heads.base import Head, Support

if TYPE_CHECKING:
    from fewshot.estimators.calibration.transferred import General


NO_UNLABELLED_BASE = "the base-class episodes have no unlabelled images"
NO_UNLABELLED = "it was calibrated with unlabelled images, and these episodes have none"


class Calibrated(ErrorEstimator):
    """Calibrate estimators on base-class episodes, and measure their intervals there.

    Estimators that see unlabelled images are calibrated on base-class episodes with unlabelled
    images. Those that can do without are calibrated without where the base-class episodes have
    none, and then see none in other episodes either.

    Parameters
    ----------
    inner : mapping of str to ErrorEstimator
    method : {"offset", "slope", "isotonic", "ridge"}
        All but "ridge" take one estimator.
    level : float
        Nominal coverage of the interval, in (0, 0.99].

    Attributes
    ----------
    calibrator_ : Calibrator or None
    residuals_ : Residuals or None
        None without predictions on base classes, for the reason in ``reason_``.
    with_unlabelled_ : bool
        Whether it was calibrated with unlabelled images.
    """

    calibrates_itself = True

    def __init__(
        self, inner: Mapping[str, ErrorEstimator], method: str = "slope", level: float = LEVEL
    ) -> None:
        self.unlabelled = what_they_do(inner.values())
        self.inner = inner
        self.method = method
        self.level = level

    def fit(self, base: BaseClasses) -> Self:
        """Fit the estimators, then the calibrator on their predictions for base-class episodes."""
        super().fit(base)
        expect_choice("calibration.method", self.method, METHODS)
        check_level("calibration.level", self.level)
        for estimator in self.inner.values():
            estimator.fit(base)
        self.calibrator_: Calibrator | None = None
        self.residuals_: Residuals | None = None
        self.reason_ = base.reason
        self.with_unlabelled_ = self.unlabelled != "ignored" and base.has_unlabelled
        if self.unlabelled == "needed" and base.errors is not None and not base.has_unlabelled:
            self.reason_ = NO_UNLABELLED_BASE
            return self
        if not self.with_unlabelled_ and not base.has_episodes:
            return self
        assert base.errors is not None
        raw, reasons = self._predict_base(base)
        actual = base.errors.double().numpy()
        defined = np.isfinite(raw).all(-1)
        self.reason_ = f"undefined on base classes: {'; '.join(reasons)}"
        if defined.any():
            self.calibrator_ = CALIBRATORS[self.method].fit(raw[defined], actual[defined])
            predicted = np.where(defined, self.calibrator_(raw), np.nan)
            self.residuals_ = Residuals.of(predicted, actual, inflation(predicted, base))
        return self

    def predict(self, support: Support, head: Head) -> Prediction:
        """Return calibrated errors (E,) with their intervals."""
        if getattr(self, "with_unlabelled_", False):
            return Prediction.undefined(support, NO_UNLABELLED)
        return self._calibrated(support, self._predict_inner(support, head))

    def predict_with(self, support: Support, head: Head, unlabelled: Unlabelled) -> Prediction:
        """Return calibrated errors (E,) with their intervals."""
        if not getattr(self, "with_unlabelled_", False):
            return self.predict(support, head)
        return self._calibrated(support, self._predict_inner(support, head, unlabelled))

    def _predict_inner(
        self, support: Support, head: Head, unlabelled: Unlabelled | None = None
    ) -> list[Prediction]:
        inner = self.inner.values()
        if unlabelled is None:
            return [estimator.predict(support, head) for estimator in inner]
        return [estimator.predict_with(support, head, unlabelled) for estimator in inner]

    def _calibrated(self, support: Support, predictions: list[Prediction]) -> Prediction:
        calibrator = getattr(self, "calibrator_", None)
        if calibrator is None or self.residuals_ is None:
            return Prediction.undefined(support, getattr(self, "reason_", self.base_.reason))
        stacked = np.stack(
            [prediction.error.double().cpu().numpy() for prediction in predictions], -1
        )
        reason = next((prediction.reason for prediction in predictions if prediction.reason), None)
        return bounded(
            support, stacked, calibrator, self.residuals_, self.level, reason, predictions
        )

    def calibration_label(self) -> str:
        """Return the method."""
        return self.method

    def add_to(self, calibrator: General, name: str, head: str, shots: int) -> General:
        """Return `calibrator` with the fitted one for this estimator and head, if there is one."""
        fitted, residuals = getattr(self, "calibrator_", None), getattr(self, "residuals_", None)
        if fitted is None or residuals is None:
            return calibrator
        steps = Steps(np.array([float(shots)]), [fitted], [residuals])
        return replace(calibrator, others={**calibrator.others, name: {head: steps}})

    def _predict_base(self, base: BaseClasses) -> tuple[NDArray, list[str]]:
        reasons: dict[str, None] = {}

        def raw_errors(
            support: Support, head: Head, unlabelled: Unlabelled | None = None
        ) -> Tensor:
            predictions = self._predict_inner(support, head, unlabelled)
            reasons.update(
                dict.fromkeys(prediction.reason for prediction in predictions if prediction.reason)
            )
            return torch.stack([prediction.error.double() for prediction in predictions], -1)

        on_episodes = base.map_unlabelled if self.with_unlabelled_ else base.map
        return on_episodes(raw_errors).numpy(), list(reasons)


class Stack(Calibrated):
    """Several estimators as one: probit regression of the error on their probits.

    Parameters
    ----------
    of : sequence of str
        Names of estimators, with their default settings; at least one, and not "stack".
    level : float in (0, 0.99]
        Nominal coverage of the interval.
    """

    references = ("papke1996econometric",)
    tags = EstimatorTags(at_one_shot=False, without_base=False, has_interval=True)

    def __init__(
        self, of: Sequence[str] = ("margin", "loo", "davies_bouldin"), level: float = LEVEL
    ) -> None:
        from fewshot.estimators import estimators

        self.of = of
        listed = not isinstance(of, str) and len(tuple(of)) > 0
        expect(listed, "estimator.stack.of", f"expected a list of estimators, got {of!r}")
        for name in of:
            expect(name != "stack", "estimator.stack.of", "a stack cannot hold a stack")
        super().__init__({name: estimators.create(name) for name in of}, "ridge", level)

    def configured(self, settings: CalibrationSettings) -> Self:
        """Return it with the level of the run, unless its level is not the default."""
        return self.with_params(level=settings.level) if self.level == LEVEL else self

    def add_to(self, calibrator: General, name: str, head: str, shots: int) -> General:
        """Return `calibrator` as it is: its calibrators are those of single estimators."""
        return calibrator


class Transferred(ErrorEstimator):
    """An estimator with calibrators that were fitted on other data sets.

    Parameters
    ----------
    inner : ErrorEstimator
    steps : Steps
    level : float
        Nominal coverage of the interval, in (0, 0.99].
    """

    calibrates_itself = True

    def __init__(self, inner: ErrorEstimator, steps: Steps, level: float = LEVEL) -> None:
        self.unlabelled = inner.unlabelled
        self.inner = inner
        self.steps = steps
        self.level = level

    def fit(self, base: BaseClasses) -> Self:
        """Fit the estimator; the calibrators are fixed."""
        super().fit(base)
        check_level("calibration.level", self.level)
        self.inner.fit(base)
        return self

    def calibration_label(self) -> str:
        """Return "datasets"."""
        return "datasets"

    def predict(self, support: Support, head: Head) -> Prediction:
        """Return calibrated errors (E,) with their intervals."""
        return self._calibrated(support, self.inner.predict(support, head))

    def predict_with(self, support: Support, head: Head, unlabelled: Unlabelled) -> Prediction:
        """Return calibrated errors (E,) with their intervals."""
        return self._calibrated(support, self.inner.predict_with(support, head, unlabelled))

    def _calibrated(self, support: Support, prediction: Prediction) -> Prediction:
        raw = prediction.error.double().cpu().numpy()[:, None]
        nearest = self.steps.nearest(float(support.typical_shots.mean()))
        calibrator, residuals = self.steps.calibrators[nearest], self.steps.residuals[nearest]
        return bounded(
            support, raw, calibrator, residuals, self.level, prediction.reason, [prediction]
        )


@dataclass(frozen=True, eq=False)
class Steps:
    """A calibrator and residuals for each of several numbers of shots.

    Attributes
    ----------
    shots : ndarray of shape (S,)
    calibrators : list of S Calibrator
    residuals : list of S Residuals
    """

    shots: NDArray
    calibrators: list[Calibrator]
    residuals: list[Residuals]

    def nearest(self, shots: float) -> int:
        """Return the index of the nearest number of shots, by ratio."""
        return int(np.abs(np.log(self.shots / shots)).argmin())

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as JSON types."""
        return {
            "shots": self.shots.tolist(),
            "calibrators": [calibrator.to_json() for calibrator in self.calibrators],
            "residuals": [
                np.round(residuals.quantiles, 5).tolist() for residuals in self.residuals
            ],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Steps:
        """Create from the output of :meth:`to_json`; ValueError if it is invalid."""
        shots = np.array(content["shots"], dtype=np.float64)
        calibrators = [from_json(calibrator) for calibrator in content["calibrators"]]
        residuals = np.array(content["residuals"], dtype=np.float64)
        if residuals.shape != (len(shots), len(GRID)) or len(calibrators) != len(shots):
            raise ValueError("calibrators and residuals do not go with the shots")
        check_shots(shots)
        if not np.isfinite(residuals).all() or (np.diff(residuals) < 0).any():
            raise ValueError("residuals are not finite or do not ascend")
        return cls(shots, calibrators, [Residuals(row) for row in residuals])


def what_they_do(estimators: Iterable[ErrorEstimator]) -> str:
    """Return what estimators together do with unlabelled images, as `ErrorEstimator.unlabelled`."""
    each = {estimator.unlabelled for estimator in estimators}
    return next((do for do in ("needed", "used") if do in each), "ignored")


def check_shots(shots: NDArray) -> None:
    """Raise ValueError unless `shots` is a non-empty vector of ascending positive numbers."""
    if shots.ndim != 1 or len(shots) == 0 or not (shots > 0).all() or (np.diff(shots) <= 0).any():
        raise ValueError("shots are not ascending positive numbers")


def bounded(
    support: Support,
    raw: NDArray,
    calibrator: Calibrator,
    residuals: Residuals,
    level: float,
    reason: str | None = None,
    predictions: Sequence[Prediction] = (),
) -> Prediction:
    """Calibrate raw errors (E, P) and add their intervals.

    Reservations of the raw `predictions` apply to the calibrated prediction as well.
    """
    defined = np.isfinite(raw).all(-1)
    error = np.where(defined, calibrator(raw), np.nan)
    columns = (error, *residuals.interval(error, level), residuals.bands(error))
    calibrated, lower, upper, bands = (
        torch.from_numpy(column).to(support.features) for column in columns
    )
    return Prediction(
        calibrated,
        None if defined.all() else reason,
        lower,
        upper,
        bands,
        **reserved(
            (reservation, episodes & calibrated.isfinite())
            for prediction in predictions
            for reservation, episodes in prediction.by_reservation().items()
        ),
    )


def inflation(predicted: NDArray, base: BaseClasses) -> float:
    """Ratio of the width of residuals on other classes to that on these, for predictions (B,)."""
    if base.errors_by_class is None or base.members is None:
        return 1.0
    by_class = base.errors_by_class.double().numpy()
    expected = np.broadcast_to(predicted[:, None], by_class.shape)
    return new_classes(predicted, by_class, base.members.numpy(), expected)
