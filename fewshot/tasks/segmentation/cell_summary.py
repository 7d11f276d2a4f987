"""What the summary of a cell says of its classes and its estimators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fewshot.tasks.segmentation.cell_inputs import CellInputs
from fewshot.tasks.segmentation.estimators.base import SegmentationPrediction
from fewshot.tasks.segmentation.judging import Judged
from fewshot.tasks.segmentation.measures import (
    class_iou,
    miou,
    miou_by_class,
    pixel_accuracy,
)
from fewshot.tasks.segmentation.resampling import student_half
from fewshot.tasks.segmentation.schema import (
    ClassSummary,
    EstimatorSummary,
)


def confusion_shares(judged: Judged) -> list[list[float]] | None:
    """Shares of the pixels of a true class (rows) by predicted class, all draws together."""
    if judged.confusions is None:
        return None
    total = judged.confusions.sum(0).astype(float)
    shares = total / np.maximum(total.sum(1, keepdims=True), 1)
    return [[round(float(value), 6) for value in row] for row in shares]


def episodic_miou(inputs: CellInputs, totals: NDArray) -> float:
    """`miou_by_class` of the episodes, from their counts (E, 3, N)."""
    classes = np.stack(
        [np.argsort(np.where(row > 0, row, len(row) + 1))[: inputs.drawn.ways - 1]
         for row in inputs.drawn.labels]
    )  # fmt: skip
    return miou_by_class(totals, classes)


def class_summaries(
    inputs: CellInputs,
    totals: NDArray,
    predictions: Sequence[dict[str, SegmentationPrediction]],
    main: str | None,
) -> list[ClassSummary]:
    """A class over the draws that have it, in order of the data set's classes."""
    iou, images = class_iou(totals), (inputs.annotated_pixels > 0).sum(1)
    pixels = totals[:, 1]
    places: dict[str, list[tuple[int, int]]] = {}
    for e in range(len(totals)):
        for n, name in enumerate(inputs.names(e)):
            places.setdefault(name, []).append((e, n))
    summaries = []
    for name, members in places.items():
        e, n = np.array(members).T
        values = iou[e, n]
        mean, half = _mean_half(values[np.isfinite(values)])
        said = [predictions[i][main].iou[j] for i, j in members] if main is not None else []
        summaries.append(
            ClassSummary(
                name=name,
                iou=mean,
                lower=None if mean is None or half is None else mean - half,
                upper=None if mean is None or half is None else mean + half,
                share=float(pixels[e, n].sum() / max(1, pixels[e].sum())),
                support_images=float(images[e, n].mean()),
                predicted=_mean(np.array(said, dtype=float)),
            )
        )
    return summaries


def _mean_half(values: NDArray) -> tuple[float | None, float | None]:
    """Mean and half the width of Student's interval over draws; None where undefined."""
    if not len(values):
        return None, None
    if len(values) == 1:
        return float(values[0]), None
    variance = float(values.var(ddof=1)) / len(values)
    return float(values.mean()), student_half(variance, len(values) - 1)


def _mean(values: NDArray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def estimator_summary(
    name: str,
    inputs: CellInputs,
    totals: NDArray,
    predictions: Sequence[dict[str, SegmentationPrediction]],
) -> EstimatorSummary:
    """How near an estimator came to the actual counts (E, 3, N) of the draws."""
    said = [by_name[name] for by_name in predictions]
    actual, actual_iou = miou(totals, inputs.drawn.first), class_iou(totals)
    predicted = np.array([p.miou for p in said])
    lower, upper = np.array([p.lower for p in said]), np.array([p.upper for p in said])
    inside = (lower <= actual) & (actual <= upper)
    has = np.isfinite(lower) & np.isfinite(actual)
    iou = np.stack([p.iou for p in said])
    errors = np.array([p.pixel_error for p in said]) - (1 - pixel_accuracy(totals))
    reservations = [r for p in said for r in p.reservations]
    return {
        "predicted_miou": _mean(predicted),
        "mae": _mean(np.abs(predicted - actual)),
        "bias": _mean(predicted - actual),
        "coverage": float(inside[has].mean()) if has.any() else None,
        "width": _mean(upper - lower),
        "class_correlation": _correlation(iou.ravel(), actual_iou.ravel()),
        "class_mae": _mean(np.abs(iou - actual_iou).ravel()),
        "pixel_error_bias": _mean(errors),
        "level": inputs.level if has.any() else None,
        "reservations": list(dict.fromkeys(reservations)),
    }


def _correlation(first: NDArray, second: NDArray) -> float | None:
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < 3 or first[known].std() == 0 or second[known].std() == 0:
        return None
    return float(np.corrcoef(first[known], second[known])[0, 1])
