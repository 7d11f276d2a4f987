"""Intervals of IoU over annotated images that come in clusters."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.cluster.hierarchy import fcluster, linkage

from fewshot.tasks.segmentation.measures import class_iou, mean_over_classes


def clusters(descriptors: NDArray) -> NDArray[np.int64]:
    """Numbers (S,) of about sqrt(S) clusters of images, by Ward's method.

    At least two, unless all descriptors are equal.

    Images of a support are seldom independent: frames of one drive, slides of one patient. Left
    out one by one they would seem to be, and the interval would be too narrow.

    Parameters
    ----------
    descriptors : ndarray of shape (S, D)
        Of S images.
    """
    count = len(descriptors)
    if count < 3:
        return np.arange(count)
    wanted = max(2, round(math.sqrt(count)))
    return np.asarray(fcluster(linkage(descriptors, "ward"), wanted, "maxclust"), dtype=np.int64)


def jackknife(counts: NDArray, labels: NDArray, first: int = 0) -> tuple[float, NDArray, int]:
    """Standard errors of mean IoU and of every class's IoU, and the number of clusters.

    The jackknife over clusters of images (Tukey 1958): each is left out of the sums once. NaN for a
    class that a single cluster shows, and where there is a single one.

    Parameters
    ----------
    counts : ndarray of shape (S, 3, N)
    labels : ndarray of shape (S,)
        Cluster of every image.
    first : int
        The first class that is in the mean.
    """
    numbers, place = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(numbers), *counts.shape[1:]))
    np.add.at(sums, place, counts)
    without = class_iou(counts.sum(0) - sums)  # (G, N)
    factor = (len(numbers) - 1) / len(numbers)
    of_mean = _squares(mean_over_classes(without[:, first:])[:, None])[0]
    shown = (sums[:, 1] > 0).sum(0) > 1
    return (
        math.sqrt(factor * of_mean) if len(numbers) > 1 else math.nan,
        np.where(shown, np.sqrt(factor * _squares(without)), np.nan),
        len(numbers),
    )


def _squares(values: NDArray) -> NDArray:
    """Sums of squares (N,) of values (G, N) around their means, without NaN."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0)
    mean = filled.sum(0) / np.maximum(known.sum(0), 1)
    return np.asarray((np.where(known, values - mean, 0) ** 2).sum(0))


def half_width(error: NDArray | float, gap: NDArray | float, groups: int, level: float) -> NDArray:
    """Half the width of an interval of predicted IoU.

    Two things are unknown: what other images would show, with the jackknife's standard `error` over
    `groups` clusters and Student's t; and how much a head fitted on all images differs from those
    that lack some, for which a quarter of the `gap` between its IoU on its own images and the
    predicted one counts as one standard error.

    Parameters
    ----------
    error : float or ndarray
        Standard error of the jackknife.
    gap : float or ndarray
        IoU by resubstitution minus the predicted one.
    groups : int
    level : float
        Nominal coverage.
    """
    tail = (1 + level) / 2
    t, z = stats.t.ppf(tail, max(1, groups - 1)), stats.norm.ppf(tail)
    return np.sqrt((t * np.asarray(error)) ** 2 + (z * np.asarray(gap) / 4) ** 2)
