"""Predicted mean IoU in words and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fewshot.units import percent

if TYPE_CHECKING:
    from fewshot.tasks.segmentation.estimators.base import SegmentationPrediction


def prediction_text(predicted: SegmentationPrediction, level: float) -> str:
    """One paragraph: the predicted mean IoU of new images, its interval, and reservations."""
    notes = "".join(f" Note: {reason}." for reason in predicted.reservations)
    if math.isnan(predicted.miou):
        return f"No mIoU can be predicted.{notes}"
    return (
        f"Predicted mIoU of further images like the annotated ones: {percent(predicted.miou)} % "
        f"({interval_text(predicted.lower, predicted.upper)}, {100 * level:.0f} % interval), from "
        f"leaving each of these out in turn.{notes}"
    )


def interval_text(lower: float, upper: float) -> str:
    """``42.0 to 51.3 %``; a dash where there is none."""
    if math.isnan(lower) or math.isnan(upper):
        return "-"
    return f"{percent(lower)} to {percent(upper)} %"


def prediction_facts(
    predicted: SegmentationPrediction, classnames: Sequence[str], level: float
) -> dict[str, Any]:
    """The prediction as JSON: shares in [0, 1], null where nothing is known."""
    of_classes = zip(
        classnames, predicted.iou, predicted.class_lower, predicted.class_upper, strict=True
    )
    return {
        "miou": _number(predicted.miou),
        "lower": _number(predicted.lower),
        "upper": _number(predicted.upper),
        "level": level,
        "pixel_error": _number(predicted.pixel_error),
        "classes": [
            {
                "class": name,
                "iou": _number(iou),
                "lower": _number(lower),
                "upper": _number(upper),
                "reservation": predicted.class_reservations.get(c),
            }
            for c, (name, iou, lower, upper) in enumerate(of_classes)
        ],
        "reservations": list(predicted.reservations),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
