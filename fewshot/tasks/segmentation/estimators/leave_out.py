"""Annotated images segmented by heads that were fitted without them, or with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fewshot.tasks.segmentation.estimators.base import (
    Held,
    SegmentationEstimator,
    SegmentationPrediction,
)
from fewshot.tasks.segmentation.estimators.jackknife import clusters, half_width, jackknife
from fewshot.tasks.segmentation.measures import class_iou, mean_over_classes, pixel_accuracy

ONE_IMAGE = "there is one annotated image: nothing can be left out"
NO_GROUPS = "the data set has no groups: set dataset.group"
ONE_GROUP = "all annotated images are of one group"
ALL_ALIKE = "no interval: all annotated images are alike"
ONE_HOLDER = "only images that are left out together show it"


class LeaveOneImageOut(SegmentationEstimator):
    """The IoU of every annotated image under the head fitted on the others, pixels summed.

    What it says is of images like the annotated ones: of new places, where images come from a few,
    it is too optimistic, and `LeaveOneGroupOut` is meant. A class that a single image shows has no
    prediction, and the mean is over the others.
    """

    references = ("stone1974cross",)

    def folds(self, images: int, groups: Sequence[str] | None) -> NDArray[np.int64] | None:
        """Every image by itself."""
        return np.arange(images) if images > 1 else None

    def predict(self, held: Held) -> SegmentationPrediction:
        """Mean IoU, IoU of every class and pixel error, with intervals over clusters of images."""
        if held.counts is None or held.folds is None:
            return SegmentationPrediction.none(held.fitted.shape[-1], self.missing)
        return _prediction(held, held.counts, clusters(held.descriptors))

    missing = ONE_IMAGE


class LeaveOneGroupOut(LeaveOneImageOut):
    """The same with all images of a group (drive, patient) left out together: new places.

    Intervals are over the groups.
    """

    references = ("stone1974cross",)
    missing = f"{NO_GROUPS}, or {ONE_GROUP}"

    def folds(self, images: int, groups: Sequence[str] | None) -> NDArray[np.int64] | None:
        """The images of every group together."""
        if groups is None or len(set(groups)) < 2:
            return None
        return np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1].astype(np.int64)

    def predict(self, held: Held) -> SegmentationPrediction:
        """Mean IoU, IoU of every class and pixel error, with intervals over groups."""
        if held.counts is None or held.folds is None:
            return SegmentationPrediction.none(held.fitted.shape[-1], self.missing)
        return _prediction(held, held.counts, held.folds)


class Resubstitution(SegmentationEstimator):
    """The IoU of the annotated images under the head fitted on them: far too good with few images.

    A warning of what people report who have no images left.
    """

    references = ()

    def predict(self, held: Held) -> SegmentationPrediction:
        """Mean IoU, IoU of every class and pixel error; no interval."""
        total = held.fitted.sum(0)
        iou = class_iou(total)
        unknown = np.full_like(iou, np.nan)
        return SegmentationPrediction(
            iou,
            unknown,
            unknown,
            miou=float(mean_over_classes(iou[held.first :])),
            pixel_error=float(1 - pixel_accuracy(total)),
        )


def _prediction(held: Held, counts: NDArray, labels: NDArray) -> SegmentationPrediction:
    total = counts.sum(0)
    alone = np.zeros(total.shape[-1], dtype=bool) if held.unknown is None else held.unknown
    iou = np.where(alone, np.nan, class_iou(total))
    fitted = np.where(alone, np.nan, class_iou(held.fitted.sum(0)))
    # Without the classes that have no prediction, in the mean and in its interval.
    known = counts * ~alone
    error, class_errors, groups = jackknife(known, labels, held.first)
    mean, fitted_mean = (float(mean_over_classes(values[held.first :])) for values in (iou, fitted))
    half = half_width(error, max(0.0, fitted_mean - mean), groups, held.level)
    halves = half_width(class_errors, np.maximum(0, fitted - iou), groups, held.level)
    reservations = []
    if alone.any():
        number = int(alone.sum())
        what = "class is" if number == 1 else "classes are"
        reservations.append(f"{number} {what} left out: {ONE_HOLDER}")
    if groups < 2:
        reservations.append(ALL_ALIKE)
    return SegmentationPrediction.within(
        iou,
        halves,
        mean,
        float(half),
        pixel_error=float(1 - pixel_accuracy(total)),
        reservations=tuple(reservations),
        class_reservations={int(c): ONE_HOLDER for c in np.flatnonzero(alone)},
    )
