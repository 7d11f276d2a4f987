"""Measures of segmentation from pixels by class: pure functions.

``counts`` has three numbers for every class along its last two axes (..., 3, N): pixels that are of
the class and predicted so, pixels that are of it, and pixels that are predicted so; ignored pixels
are in none of them.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray


def counts_of(confusions: NDArray) -> NDArray:
    """Counts (..., 3, N) of confusions (..., N, N), by true and predicted class."""
    diagonal = np.diagonal(confusions, axis1=-2, axis2=-1)
    return np.stack([diagonal, confusions.sum(-1), confusions.sum(-2)], -2)


def class_iou(counts: NDArray) -> NDArray:
    """Intersection over union (..., N) in [0, 1]; NaN for classes that the truth does not have."""
    both, truth, predicted = (counts[..., i, :].astype(float) for i in range(3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(truth > 0, both / (truth + predicted - both), np.nan)


def class_dice(counts: NDArray) -> NDArray:
    """Dice coefficient (..., N), twice the intersection over the sum; NaN as in `class_iou`."""
    both, truth, predicted = (counts[..., i, :].astype(float) for i in range(3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(truth > 0, 2 * both / (truth + predicted), np.nan)


def mean_over_classes(values: NDArray) -> NDArray:
    """Mean (...) of values (..., N) over the classes that have one; NaN where none has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, -1)


def miou(counts: NDArray, first: int = 0) -> NDArray:
    """Mean IoU (...) over the classes in the truth, from class `first` on.

    In episodes of some classes the first one is the background, which is not in the mean.
    """
    return mean_over_classes(class_iou(counts)[..., first:])


def dice(counts: NDArray, first: int = 0) -> NDArray:
    """Mean Dice coefficient (...) over the classes in the truth, from class `first` on."""
    return mean_over_classes(class_dice(counts)[..., first:])


def pixel_accuracy(counts: NDArray) -> NDArray:
    """Share (...) of pixels whose class is predicted; NaN without pixels."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return counts[..., 0, :].sum(-1) / counts[..., 1, :].sum(-1).astype(float)


def fb_iou(counts: NDArray, background: int) -> NDArray:
    """Mean IoU (...) of foreground and background, all other classes taken together.

    Pixels of which neither truth nor prediction is background are foreground in both.
    """
    both, truth, predicted = (counts[..., i, background].astype(float) for i in range(3))
    total = counts[..., 1, :].sum(-1).astype(float)
    front = np.stack([total - truth - predicted + both, total - truth, total - predicted], -1)
    back = np.stack([both, truth, predicted], -1)
    return miou(np.stack([back, front], -1))


def miou_by_class(counts: NDArray, classes: NDArray) -> float:
    """Mean over classes of the IoU of pixels summed over the episodes of a class.

    The definition of PFENet and HSNet, for episodes of foreground classes (E, N - 1); the other one
    is the mean of every episode's own mIoU. The background is in neither.

    Parameters
    ----------
    counts : ndarray of shape (E, 3, N)
        Class 0 is the background.
    classes : ndarray of shape (E, N - 1), int
        The data set's numbers of classes 1 to N - 1.
    """
    numbers = np.unique(classes)
    totals = np.zeros((3, len(numbers)))
    for way in range(classes.shape[1]):
        place = np.searchsorted(numbers, classes[:, way])
        np.add.at(totals.T, place, counts[:, :, way + 1])
    return float(miou(totals))
