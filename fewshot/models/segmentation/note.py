"""What the header of a segmentation model says beside that of a classifier."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fewshot.models.header import Header
from fewshot.tasks.segmentation.estimators.base import SegmentationPrediction

KEY = "segmentation"  # of `Header.values`


@dataclass(frozen=True)
class PredictionNote:
    """Predicted measures, shares in [0, 1]; None where nothing is known.

    Attributes
    ----------
    miou, lower, upper, pixel_error : float or None
    iou, class_lower, class_upper : tuple of C float or None
    reservations : tuple of str
    class_reservations : dict of str to str
        By number of the class.
    """

    miou: float | None
    lower: float | None
    upper: float | None
    pixel_error: float | None
    iou: tuple[float | None, ...]
    class_lower: tuple[float | None, ...]
    class_upper: tuple[float | None, ...]
    reservations: tuple[str, ...] = ()
    class_reservations: dict[str, str] | None = None

    @classmethod
    def of(cls, predicted: SegmentationPrediction) -> PredictionNote:
        """The note of a prediction."""
        return cls(
            _known(predicted.miou),
            _known(predicted.lower),
            _known(predicted.upper),
            _known(predicted.pixel_error),
            tuple(map(_known, predicted.iou)),
            tuple(map(_known, predicted.class_lower)),
            tuple(map(_known, predicted.class_upper)),
            predicted.reservations,
            {str(c): reason for c, reason in predicted.class_reservations.items()},
        )

    def prediction(self) -> SegmentationPrediction:
        """The prediction of the note."""
        return SegmentationPrediction(
            _array(self.iou),
            _array(self.class_lower),
            _array(self.class_upper),
            _number(self.miou),
            _number(self.lower),
            _number(self.upper),
            _number(self.pixel_error),
            self.reservations,
            {int(c): reason for c, reason in (self.class_reservations or {}).items()},
        )


@dataclass(frozen=True)
class DenseNote:
    """How images are taken in, and what is known of the masks.

    Attributes
    ----------
    size : str
        Input of the network: "native", "short:N", "tokens:N" or "paper".
    stride : int or None
        Pixels between two tokens; None: that of the backbone.
    layers : str or tuple of int
    background : int or None
        Number of the class that is background.
    annotated : int
        Annotated images.
    level : float
        Nominal coverage of the intervals.
    requested : str
        The head that was asked for: "auto" where it was chosen.
    state : dict
        What the head has learnt beside its tensors.
    prediction : PredictionNote or None
        None where it was left out.
    """

    size: str
    stride: int | None
    layers: str | tuple[int, ...]
    background: int | None
    annotated: int
    level: float
    requested: str
    state: dict[str, Any] = field(default_factory=dict)
    prediction: PredictionNote | None = None


def noted(note: DenseNote, predicted: SegmentationPrediction | None) -> DenseNote:
    """The note with a prediction."""
    return replace(note, prediction=None if predicted is None else PredictionNote.of(predicted))


def dense_note(header: Header) -> DenseNote:
    """The note in a header that was read from a file.

    Raises
    ------
    ValueError
        There is none, or it does not fit the header: says what.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        note = TypeAdapter(DenseNote).validate_python(header.values.get(KEY))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, (KEY, *first["loc"])))
        raise ValueError(f"{place}: {first['msg']}") from None
    classes, said = len(header.classes), note.prediction
    if said and {len(said.iou), len(said.class_lower), len(said.class_upper)} != {classes}:
        raise ValueError("its prediction is of other classes")
    if note.annotated < 1 or not 0 < note.level < 1:
        raise ValueError(
            "its number of annotated images, or the level of intervals, is out of range"
        )
    if note.background is not None and not 0 <= note.background < classes:
        raise ValueError(f"its background is none of {classes} classes")
    return note


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _array(values: Iterable[float | None]) -> np.ndarray:
    return np.array([_number(value) for value in values])
