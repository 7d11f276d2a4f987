"""Calibrators: maps from raw predictions to errors, fitted where errors are known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from fewshot.estimators.calibration.probit import fit_probit
from fewshot.exceptions import FewshotError

SOURCES = ("none", "base", "datasets")
METHODS = ("offset", "slope", "isotonic", "ridge")
# Predictions of exactly 0 or 1 have no probit.
NEAREST = 1e-4
RIDGE = 3.0


@dataclass(frozen=True)
class Calibrator(ABC):
    """A map from raw predictions (E, P) of P estimators to errors (E,) in [0, 1]."""

    method: ClassVar[str]

    @classmethod
    @abstractmethod
    def fit(cls, predicted: NDArray, actual: NDArray, weight: NDArray | None = None) -> Self:
        """Fit to predictions (B, P) and actual errors (B,), all finite, with weights (B,)."""

    @abstractmethod
    def __call__(self, predicted: NDArray) -> NDArray:
        """Return calibrated errors (E,) of predictions (E, P)."""

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as JSON types."""
        return {"method": self.method, **asdict(self)}

    def check(self) -> None:  # noqa: B027  most have nothing to check
        """Raise ValueError if parameters are inconsistent."""


@dataclass(frozen=True)
class Offset(Calibrator):
    """Subtract the mean excess: the bias correction of Bendou et al. (2023).

    Attributes
    ----------
    shift : float
        Mean predicted minus mean actual error.
    """

    shift: float
    method = "offset"

    @classmethod
    def fit(cls, predicted: NDArray, actual: NDArray, weight: NDArray | None = None) -> Offset:
        """Fit the shift."""
        return cls(float(np.average(_single_estimator(cls, predicted) - actual, weights=weight)))

    def __call__(self, predicted: NDArray) -> NDArray:
        """Return corrected errors (E,), clipped to [0, 1]."""
        return np.clip(predicted[:, 0] - self.shift, 0.0, 1.0)


@dataclass(frozen=True)
class Slope(Calibrator):
    """Slope and offset on the probit scale.

    ``Phi(intercept + slope * Phi^-1(p))``, by fractional probit regression with a weak prior at
    the identity.
    """

    intercept: float
    slope: float
    method = "slope"

    @classmethod
    def fit(cls, predicted: NDArray, actual: NDArray, weight: NDArray | None = None) -> Slope:
        """Fit intercept and slope."""
        x = probit(_single_estimator(cls, predicted))[:, None]
        b = fit_probit(x, actual, _share(actual, weight), np.array([0.0, 1.0]), np.full(2, 0.1))
        return cls(float(b[0]), float(b[1]))

    def __call__(self, predicted: NDArray) -> NDArray:
        """Calibrated errors (E,)."""
        return ndtr(self.intercept + self.slope * probit(predicted[:, 0]))


@dataclass(frozen=True)
class Isotonic(Calibrator):
    """The best non-decreasing step function, linear between its knots (scikit-learn's).

    Attributes
    ----------
    predicted, actual : tuple of float
        The knots.
    """

    predicted: tuple[float, ...]
    actual: tuple[float, ...]
    method = "isotonic"

    @classmethod
    def fit(cls, predicted: NDArray, actual: NDArray, weight: NDArray | None = None) -> Isotonic:
        """Fit the knots by pooling adjacent violators."""
        from sklearn.isotonic import IsotonicRegression

        model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        model.fit(_single_estimator(cls, predicted), actual, sample_weight=weight)
        return cls(tuple(model.X_thresholds_.tolist()), tuple(model.y_thresholds_.tolist()))

    def check(self) -> None:
        """Raise ValueError unless the knots are ascending pairs."""
        ascending = len(self.predicted) > 0 and (np.diff(self.predicted) >= 0).all()
        if len(self.predicted) != len(self.actual) or not ascending:
            raise ValueError("isotonic: the knots are not ascending pairs")

    def __call__(self, predicted: NDArray) -> NDArray:
        """Calibrated errors (E,)."""
        calibrated = np.interp(predicted[:, 0], self.predicted, self.actual)
        return np.where(np.isfinite(predicted[:, 0]), calibrated, np.nan)


@dataclass(frozen=True)
class Ridge(Calibrator):
    """A stack of estimators: probit regression on their probits, shrunk towards the mean error."""

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    method = "ridge"

    @classmethod
    def fit(cls, predicted: NDArray, actual: NDArray, weight: NDArray | None = None) -> Ridge:
        """Fit standardisation and coefficients."""
        x = probit(predicted)
        centre, scale = x.mean(0), x.std(0)
        scale = np.where(scale > 0, scale, 1.0)
        prior = np.zeros(x.shape[1] + 1)
        prior[0] = probit(np.average(actual, weights=weight))
        precision = np.array([0.1, *[RIDGE] * x.shape[1]])
        b = fit_probit((x - centre) / scale, actual, _share(actual, weight), prior, precision)
        return cls(tuple(centre.tolist()), tuple(scale.tolist()), tuple(b.tolist()))

    def check(self) -> None:
        """Raise ValueError unless lengths agree and scales are positive."""
        P = len(self.centre)
        if (len(self.scale), len(self.coefficients)) != (P, P + 1) or min(self.scale) <= 0:
            raise ValueError("ridge: centre, positive scale and coefficients do not go together")

    def __call__(self, predicted: NDArray) -> NDArray:
        """Calibrated errors (E,)."""
        z = (probit(predicted) - np.array(self.centre)) / np.array(self.scale)
        b = np.array(self.coefficients)
        return ndtr(b[0] + z @ b[1:])


CALIBRATORS: dict[str, type[Calibrator]] = {
    calibrator.method: calibrator for calibrator in (Offset, Slope, Isotonic, Ridge)
}


def from_json(content: dict[str, Any]) -> Calibrator:
    """Create a calibrator from the output of :meth:`Calibrator.to_json`.

    Raises
    ------
    ValueError
        The content is not a calibrator, or its numbers are not finite.
    """
    content = dict(content)
    kind = CALIBRATORS.get(str(content.pop("method", None)))
    if kind is None:
        raise ValueError(f"expected a method among {', '.join(CALIBRATORS)}")
    # Annotations are text: "float" or "tuple[float, ...]".
    ranks = {field.name: 0 if field.type == "float" else 1 for field in fields(kind)}
    if content.keys() != ranks.keys():
        raise ValueError(f"{kind.method} takes {', '.join(ranks)}, got {', '.join(content)}")
    values = {name: np.asarray(value, dtype=np.float64) for name, value in content.items()}
    for name, value in values.items():
        if isinstance(content[name], str) or value.ndim != ranks[name]:
            raise ValueError(f"{kind.method}: {name} is not of its shape")
        if not np.isfinite(value).all():
            raise ValueError("a calibrator's numbers must be finite")
    calibrator = kind(**{name: _plain(value) for name, value in values.items()})
    calibrator.check()
    return calibrator


def _plain(value: NDArray) -> Any:
    return tuple(value.tolist()) if value.ndim else float(value)


def probit(error: Any) -> NDArray:
    """Normal quantile of an error, clipped to be finite."""
    return ndtri(np.clip(error, NEAREST, 1 - NEAREST))


def _share(actual: NDArray, weight: NDArray | None) -> NDArray:
    """Weights normalised so that all episodes together count as a hundred Bernoulli trials."""
    weight = np.ones(len(actual)) if weight is None else weight
    return 100.0 * weight / weight.sum()


def _single_estimator(kind: type[Calibrator], predicted: NDArray) -> NDArray:
    if predicted.shape[1] != 1:
        raise FewshotError(
            "calibration.method",
            f"{kind.method!r} takes one estimator, got {predicted.shape[1]}",
            "Use ridge for a stack of them.",
        )
    return predicted[:, 0]
