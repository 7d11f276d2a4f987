"""What an estimator of segmentation's error receives, and what it says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fewshot.registry import parameter_names


@dataclass(frozen=True, eq=False)
class Held:
    """The S annotated images of a draw, and how they were segmented.

    Attributes
    ----------
    fitted : ndarray of shape (S, 3, N), int64
        Pixels of every class: of it and predicted so, of it, and predicted so, by
        the head fitted on all images; see `fewshot.tasks.segmentation.measures`.
    descriptors : ndarray of shape (S, D)
        Mean token of every image.
    level : float
        Nominal coverage of intervals.
    counts : ndarray of shape (S, 3, N), int64, or None
        The same by heads that were fitted without the image. None where nothing is left out.
    folds : ndarray of shape (S,), int64, or None
        Images of one number were left out together.
    unknown : ndarray of shape (N,), bool, or None
        Classes that images show which were left out together with all others that show them.
    first : int
        The first class that is in means over classes.
    """

    fitted: NDArray[np.int64]
    descriptors: NDArray[np.floating]
    level: float
    counts: NDArray[np.int64] | None = None
    folds: NDArray[np.int64] | None = None
    unknown: NDArray[np.bool_] | None = None
    first: int = 0


@dataclass(frozen=True, eq=False)
class SegmentationPrediction:
    """Predicted measures of a draw, in [0, 1]; NaN where there is nothing to say.

    Attributes
    ----------
    miou, lower, upper : float
    iou, class_lower, class_upper : ndarray of shape (N,)
    pixel_error : float
        Share of pixels of another class than predicted.
    reservations : tuple of str
        Why it should not be believed, or why there is none.
    class_reservations : mapping of int to str
        By class.
    """

    iou: NDArray[np.floating]
    class_lower: NDArray[np.floating]
    class_upper: NDArray[np.floating]
    miou: float = float("nan")
    lower: float = float("nan")
    upper: float = float("nan")
    pixel_error: float = float("nan")
    reservations: tuple[str, ...] = ()
    class_reservations: dict[int, str] = field(default_factory=dict)

    @classmethod
    def none(cls, ways: int, *reservations: str) -> SegmentationPrediction:
        """No prediction, and why."""
        unknown = np.full(ways, np.nan)
        return cls(unknown, unknown, unknown, reservations=reservations)

    @classmethod
    def within(
        cls,
        iou: NDArray[np.floating],
        halves: NDArray[np.floating],
        miou: float,
        half: float,
        **further: Any,
    ) -> SegmentationPrediction:
        """IoU (N,) and their mean, with half the widths of their intervals, cut at 0 and 1."""
        return cls(
            iou,
            (iou - halves).clip(0, 1),
            (iou + halves).clip(0, 1),
            miou=miou,
            lower=float(np.clip(miou - half, 0, 1)),
            upper=float(np.clip(miou + half, 0, 1)),
            **further,
        )


class SegmentationEstimator(ABC):
    """Predicts how well a head segments, from its annotated images alone.

    Attributes
    ----------
    sees_truth : bool
        Whether it is told the actual measures of other draws, `predict_from` being called in place
        of `predict`: no estimate, but what one is compared with.
    """

    sees_truth: ClassVar[bool] = False

    def folds(self, images: int, groups: Sequence[str] | None) -> NDArray[np.int64] | None:
        """Numbers (S,) of images that are left out together; None leaves nothing out.

        Parameters
        ----------
        images : int
            S.
        groups : sequence of S str, optional
            Their groups, where the data set has any.
        """
        return None

    @abstractmethod
    def predict(self, held: Held) -> SegmentationPrediction:
        """The measures of a draw."""

    def predict_from(self, actual: NDArray, level: float, first: int = 0) -> SegmentationPrediction:
        """The same from the actual counts (E - 1, 3, N) of the queries of the other draws."""
        raise NotImplementedError

    def get_params(self) -> dict[str, Any]:
        """Constructor arguments by name."""
        return {name: getattr(self, name) for name in parameter_names(type(self))}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
