"""The learning curve of a task, and how many images an error takes."""

from __future__ import annotations

from dataclasses import dataclass


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
