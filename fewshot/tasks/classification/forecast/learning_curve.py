"""The learning curve of a task, and how many images an error takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewshot.estimators.calibration.curves import Curve
from fewshot.exceptions import expect, expect_number, expect_positive_int

MORE = (1, 5, 10, 20)
# Curves are followed to so many times the largest number of shots that they were fitted on.
BEYOND = 2
# Errors below were too rare to measure when curves were fitted: a few hundred images each.
MEASURED = 0.005
TOO_SMALL = (
    f"errors below {100 * MEASURED:g} % were too rare where curves were measured: the numbers of "
    "images are extrapolated"
)


@dataclass(frozen=True)
class CurvePoint:
    """Predicted error after `more` further images of every class.

    Attributes
    ----------
    more : int
    error, lower, upper : float
        Bounds of the prediction interval at that number of images.
    """

    more: int
    error: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Target:
    """How many images per class an error takes.

    Attributes
    ----------
    error : float
        What is aimed at, in (0, 1).
    images : int or None
        Images per class in all, those at hand included; None where the curve does not get there
        within `most`.
    fewest, enough : int or None
        The same of the lower and of the upper bound of the curve: from `fewest` on the target is
        possible, with `enough` it is nearly sure. None where that bound does not get there.
    most : int
        Images per class up to which the curve was followed.
    reached : bool
        Whether the images at hand are enough already.
    note : str or None
        What the number cannot say, as of a target below what the interval can tell from nothing.
    """

    error: float
    images: int | None
    fewest: int | None
    enough: int | None
    most: int
    reached: bool
    note: str | None = None


@dataclass(frozen=True)
class LearningCurve:
    """Predicted error of a task after further images: the prediction now, and a curve from there.

    Attributes
    ----------
    curve : Curve
    shots : float
        Images per class at hand; their harmonic mean if classes differ.
    numbers : tuple of float
        Predicted error now, its lower and its upper bound.
    level : float
        Nominal coverage of the bounds.
    """

    curve: Curve
    shots: float
    numbers: tuple[float, float, float]
    level: float

    @property
    def most(self) -> int:
        """Images per class up to which it is followed."""
        return max(round(BEYOND * float(self.curve.shots[-1])), round(self.shots))

    def points(self, more: Iterable[int]) -> tuple[CurvePoint, ...]:
        """Predicted errors after so many further images per class, ascending.

        Raises
        ------
        FewshotError
            A number below 1, or that is none.
        """
        steps = sorted(set(checked_steps(more)))
        if not steps:
            return ()
        then = self.shots + np.array(steps, dtype=np.float64)
        bounds = self.curve.bounds(self.numbers, self.shots, then, self.level)
        rows = zip(steps, *(values.tolist() for values in bounds), strict=True)
        return tuple(CurvePoint(*row) for row in rows)

    def reach(self, error: float) -> Target:
        """Smallest numbers of images per class with which error and bounds are at most `error`.

        Raises
        ------
        FewshotError
            A target that is not between 0 and 1.
        """
        check_share("target", error)
        at_hand = round(self.shots)
        more = np.arange(max(self.most - at_hand, 0) + 1)
        bounds = self.curve.bounds(self.numbers, self.shots, self.shots + more, self.level)
        images, fewest, enough = (_first(values <= error, at_hand) for values in bounds)
        note = None if error >= MEASURED else TOO_SMALL
        return Target(error, images, fewest, enough, self.most, images == at_hand, note)


def check_share(argument: str, value: object) -> None:
    """Raise unless `value` is a number between 0 and 1, neither of them.

    Raises
    ------
    FewshotError
    """
    remedy = "A share: 0.05 is 5 %."
    expect_number(argument, value, 0, 1, above=True, remedy=remedy)
    expect(value != 1, argument, f"expected a number in (0, 1), got {value}", remedy)


def checked_steps(more: Iterable[int]) -> list[int]:
    """Numbers of further images per class.

    Raises
    ------
    FewshotError
        A number below 1, or that is none.
    """
    steps = list(more)
    for step in steps:
        expect_positive_int("more", step, remedy="It counts further images of every class.")
    return steps


def _first(enough: NDArray, at_hand: int) -> int | None:
    """Images per class of the first that is enough; None if none is."""
    return at_hand + int(enough.argmax()) if enough.any() else None
