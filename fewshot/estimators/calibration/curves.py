"""Learning curves: what further shots make of an error and of its prediction interval."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from fewshot.estimators.calibration.calibrated import check_shots
from fewshot.estimators.calibration.intervals import LEVEL, spread

# Power of K / K' by which the deviation of the error with K shots from its prediction shrinks: a
# part of it is the luck of these images, which counts less and less among more.
RELIEF = 0.05
TINY = 1e-9  # power or slope that is taken for 0, as quotients by it are rounded off
LARGEST = 10.0  # number that a curve of a file may have


class Curve(ABC):
    """Decrease of an error with the shots.

    Attributes
    ----------
    shots : ndarray of shape (S,)
        Ascending; the numbers of shots, or the least and the largest, that it was fitted on.
    """

    shots: NDArray

    @abstractmethod
    def error(self, error: NDArray | float, now: NDArray | float, then: NDArray | float) -> NDArray:
        """Error with `then` shots of tasks whose error with `now` shots is `error`."""

    @abstractmethod
    def spread(self, error: NDArray, now: float, then: NDArray | float) -> NDArray:
        """Standard deviation over data sets of what `error` returns."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Its numbers."""

    def _key(self) -> tuple[Any, ...]:
        """What makes it the curve that it is."""
        return type(self), *(np.asarray(value).tobytes() for value in vars(self).values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Curve) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def bounds(
        self,
        numbers: tuple[float, float, float],
        now: float,
        then: NDArray | float,
        level: float = LEVEL,
    ) -> tuple[NDArray, NDArray, NDArray]:
        """Predicted error with `then` shots, and its lower and upper bounds.

        Parameters
        ----------
        numbers : tuple of float
            Predicted error with `now` shots, lower and upper bound.
        now : float
        then : float or ndarray of shape (S,)
            Not below `now`. At `now` the result is `numbers`.
        level : float
            Nominal coverage of the bounds.

        Notes
        -----
        The distances of the bounds keep their size in standard deviations
        :func:`~fewshot.estimators.calibration.intervals.spread`, up to `RELIEF`; that of the curve
        is added in quadrature.
        """
        error_now, lower_now, upper_now = numbers
        then = np.asarray(then, dtype=np.float64)
        later = self.error(error_now, now, then)
        scale = spread(later)
        kept = (now / then) ** RELIEF / float(spread(np.array(error_now)))
        further = float(ndtri(0.5 + level / 2)) * self.spread(later, now, then)
        below = np.hypot(kept * (error_now - lower_now) * scale, further)
        above = np.hypot(kept * (upper_now - error_now) * scale, further)
        ends = later, np.clip(later - below, 0, 1), np.clip(later + above, 0, 1)
        same = then == now  # exactly, where rounding would make them differ
        error, lower, upper = (np.where(same, *pair) for pair in zip(numbers, ends, strict=True))
        return error, lower, upper


@dataclass(frozen=True, eq=False)
class TaskCurve(Curve):
    r"""Curve of a task, which depends on its error: hard tasks gain less from further shots.

    With z the probit of the error and ``w(K) = -K^-power / power``, which is log K for power 0,
    ``dz / dw = -(level - slope z)``, so that from K to K' shots

    ``z' = z - (level - slope z) (exp(slope (w(K') - w(K))) - 1) / slope``.

    The distance of z from ``level / slope`` grows by a factor, as the distance of Gaussian classes
    in units of their spread does when the noise of the class means shrinks. For power > 0 the error
    has a limit. From K to K' to K'' shots is the same as from K to K''.

    Attributes
    ----------
    shots : ndarray of shape (2,)
        Least and largest number that it was fitted on.
    power : float >= 0
    level : float >= 0
    slope : float >= 0
    deviation : float >= 0
        Between data sets, of the error with more shots: in units of ``sqrt(e (1 - e))`` and of the
        difference of w.
    """

    shots: NDArray
    power: float
    level: float
    slope: float
    deviation: float

    def time(self, now: NDArray | float, then: NDArray | float) -> NDArray:
        """``w(then) - w(now)``: how far it is on the scale of the curve."""
        return elapsed(self.power, *(np.asarray(shots, dtype=np.float64) for shots in (now, then)))

    def error(self, error: NDArray | float, now: NDArray | float, then: NDArray | float) -> NDArray:
        """Error with `then` shots; 0 and 1 stay what they are."""
        error = np.asarray(error, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            z = ndtri(error)
            rate = np.maximum(self.level - self.slope * z, 0.0)
            later: NDArray = ndtr(z - rate * grown(self.slope, self.time(now, then)))
        return np.where((error <= 0) | (error >= 1), error, later)

    def spread(self, error: NDArray, now: float, then: NDArray | float) -> NDArray:
        """Standard deviation over data sets, proportional to the difference of w."""
        deviation: NDArray = self.deviation * self.time(now, then) * np.sqrt(error * (1 - error))
        return deviation

    def to_json(self) -> dict[str, Any]:
        """Its numbers, rounded."""
        values = {key: round(float(getattr(self, key)), 5) for key in _NUMBERS}
        return {"shots": self.shots.tolist(), **values}


def elapsed(power: float, now: NDArray, then: NDArray) -> NDArray:
    """``(now^-power - then^-power) / power``; the logarithm of then / now for power 0."""
    ratio: NDArray = np.log(then / now)
    return now**-power * -np.expm1(-power * ratio) / power if power > TINY else ratio


def grown(slope: float, time: NDArray) -> NDArray:
    """``(exp(slope time) - 1) / slope``; `time` for slope 0."""
    growth: NDArray = np.expm1(slope * time) / slope if slope > TINY else time
    return growth


@dataclass(frozen=True, eq=False)
class SharedCurve(Curve):
    """Decrease on the probit scale that is the same for all tasks, of calibrators of format 1.

    Attributes
    ----------
    shots : ndarray of shape (S,)
        Ascending.
    change : ndarray of shape (S,)
        Mean over data sets of probit(error) minus that at the first number of shots.
    deviation : ndarray of shape (S - 1,)
        Standard deviation over data sets of the change from each number to the next.
    """

    shots: NDArray
    change: NDArray
    deviation: NDArray

    def step(self, now: NDArray | float, then: NDArray | float) -> tuple[NDArray, NDArray]:
        """Return mean and standard deviation of the change from `now` to `then` shots, now <= then.

        Linear in log shots, with the last slope beyond the last number. Deviations of steps add
        up: a data set whose error falls slowly does so at all shots.
        """
        x = np.log(np.append(self.shots, self.shots[-1] ** 2))
        last = (self.change[-1] - self.change[-2]) / (x[-2] - x[-3])
        # More shots never hurt: where the mean of few data sets rose, it is held.
        change = np.append(self.change, self.change[-1] + last * (x[-1] - x[-2]))
        change = np.minimum.accumulate(change)
        spent = np.concatenate([[0.0], np.cumsum(self.deviation)])
        slope = self.deviation[-1] / (x[-2] - x[-3])
        spent = np.append(spent, spent[-1] + slope * (x[-1] - x[-2]))
        at = np.log(np.asarray(then, dtype=np.float64))
        before = np.log(now)
        mean = np.interp(at, x, change) - np.interp(before, x, change)
        return mean, np.interp(at, x, spent) - np.interp(before, x, spent)

    def error(self, error: NDArray | float, now: NDArray | float, then: NDArray | float) -> NDArray:
        """Error with `then` shots."""
        later: NDArray = ndtr(ndtri(np.asarray(error, dtype=np.float64)) + self.step(now, then)[0])
        return later

    def spread(self, error: NDArray, now: float, then: NDArray | float) -> NDArray:
        """Standard deviation on the probit scale times the density there."""
        density = np.exp(-(ndtri(error) ** 2) / 2) / np.sqrt(2 * np.pi)
        deviation: NDArray = self.step(now, then)[1] * density
        return deviation

    def to_json(self) -> dict[str, Any]:
        """Its numbers, rounded."""
        return {key: np.round(getattr(self, key), 5).tolist() for key in _ARRAYS}


_NUMBERS = ("power", "level", "slope", "deviation")
_ARRAYS = ("shots", "change", "deviation")


def curve_from_json(content: dict[str, Any]) -> Curve:
    """A curve of a calibrator's file, of either format.

    Raises
    ------
    KeyError, TypeError, ValueError
        Numbers that are missing or make no curve.
    """
    return _shared(content) if "change" in content else _of_tasks(content)


def _of_tasks(content: dict[str, Any]) -> TaskCurve:
    shots = np.array(content["shots"], dtype=np.float64)
    numbers = [float(content[key]) for key in _NUMBERS]
    inside = all(0 <= number <= LARGEST for number in numbers)  # False for NaN
    if shots.shape != (2,) or not np.isfinite(shots).all() or not inside:
        raise ValueError(
            f"a curve is not two numbers of shots and {', '.join(_NUMBERS)} from 0 to {LARGEST:g}"
        )
    check_shots(shots)
    return TaskCurve(shots, *numbers)


def _shared(content: dict[str, Any]) -> SharedCurve:
    curve = SharedCurve(*(np.array(content[key], dtype=np.float64) for key in _ARRAYS))
    S = len(curve.shots)
    shapes = curve.change.shape == (S,) and curve.deviation.shape == (S - 1,) and S > 2
    if shapes and (curve.deviation < 0).any():
        raise ValueError("a curve has a negative deviation")
    if not shapes or not all(np.isfinite(getattr(curve, key)).all() for key in _ARRAYS):
        raise ValueError("a curve is not finite numbers for three numbers of shots or more")
    check_shots(curve.shots)
    return curve
