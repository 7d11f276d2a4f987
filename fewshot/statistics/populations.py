"""Intervals of a mean over episodes for a population: other episodes, images or classes.

A mean over episodes depends on the episodes, on the images they were drawn from and on the
classes. With everything else held fixed, it is a U-statistic of the images and of the classes
(Hoeffding 1948), and its variance follows from how much it changes when one of them is left out
(the jackknife; Arvesen 1969). Since only some of all episodes are drawn, the noise that they add
to each such change is subtracted, and the variance of the draw added once.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.exceptions import expect
from fewshot.statistics.image_influence import image_variance

LEVEL = 0.95
POPULATIONS = ("episodes", "images", "classes")
ALL_CLASSES = "every episode has all classes"
ALL_IMAGES = "every image of a class is in each episode of that class"
ONE_EPISODE = "there is only one episode"
MOST_CLASSES = "some episodes have more than half of the classes"
RELATED = "the classes of an episode were drawn together"


def mean_interval(values: NDArray, level: float = LEVEL) -> dict[str, Any]:
    """Return the mean over episodes and its normal interval.

    The population is *episodes*: other draws from these images of these classes. Intervals for
    other images or other classes are several times as wide.

    Returns
    -------
    dict with ``mean``, ``lower``, ``upper``, ``level``, ``population``
    """
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    half = float("nan")
    if len(values) > 1:
        z = NormalDist().inv_cdf(0.5 + level / 2)
        half = z * float(values.std(ddof=1)) / len(values) ** 0.5
    return {
        "mean": mean,
        "lower": mean - half,
        "upper": mean + half,
        "level": level,
        "population": "episodes",
    }


def population_intervals(
    values: NDArray,
    classes: NDArray,
    labels: NDArray,
    support: NDArray,
    query: NDArray | None,
    level: float = LEVEL,
    *,
    impostors: bool = False,
    related: bool = False,
) -> dict[str, dict[str, Any]]:
    """Return the intervals of the mean of `values` for other episodes, images and classes.

    Parameters
    ----------
    values : ndarray of shape (E, N)
        Accuracy, error or a difference of these, of each way of each episode.
    classes : ndarray of shape (E, N)
        Class of each way; no class twice in an episode. -1 pads episodes of fewer ways, whose
        values there do not matter.
    labels : ndarray of shape (M,)
        Class of every image.
    support : ndarray of shape (E, N, K)
        Row numbers, -1 pads.
    query : ndarray of shape (E, N, Q) or None
        Row numbers, -1 pads; None when all images are queries that are not shots.
    impostors : bool
        Whether a query acts on the values of all ways, as in verification, not on its own only.
    related : bool
        Whether the classes of an episode come from a group of a taxonomy. Other classes would have
        another taxonomy, so that there is no interval for them.

    Of disjoint episodes, of which no two have an image in common, the interval for other images is
    ``mean +- t s / sqrt(E)`` with the t quantile of E - 1 degrees of freedom and the standard
    deviation s over episodes, as these are then independent draws of images (Lafargue et al.,
    TMLR 2024); it is marked as ``closed_form``.

    Returns
    -------
    dict
        By population ``episodes`` (other draws from these images), ``images`` (and other images
        of these classes) and ``classes`` (and other classes): ``mean``, ``lower``, ``upper``,
        ``level``, ``population`` and ``reason``; the bounds are None where there is a reason.

    Raises
    ------
    FewshotError
        `values` and `classes` of other shapes than (E, N).
    """
    expect(
        values.ndim == 2 and values.shape == classes.shape and len(values) > 0,
        "values",
        f"expected values and classes (E, N), got {values.shape} and {classes.shape}",
    )
    values = np.asarray(values, dtype=np.float64)
    by_episode = episode_means(values, classes)
    # Of equal ways, the mean of all values is that of the episodes, to the last digit but one.
    mean = float((values if (classes >= 0).all() else by_episode).mean())
    if len(values) == 1:
        return {
            population: _interval(mean, None, ONE_EPISODE, population, level)
            for population in POPULATIONS
        }
    draw = float(by_episode.var(ddof=1)) / len(values)
    closed = query is not None and are_disjoint(support, query)
    images = (
        0.0
        if closed
        else image_variance(values, classes, labels, support, query, impostors=impostors)
    )
    within = None if images is None else draw + max(images, 0.0)
    between = None if related else class_variance(by_episode, classes)
    # Other classes come with other images.
    total = None if between is None else max(draw + between, within or 0.0)
    degrees = len(np.unique(classes[classes >= 0])) - 1
    of_images = _interval(mean, within, ALL_IMAGES, "images", level)
    if closed:
        of_images = _interval(mean, draw, None, "images", level, len(values) - 1)
        of_images["closed_form"] = True
    return {
        "episodes": _interval(mean, draw, None, "episodes", level),
        "images": of_images,
        "classes": _interval(
            mean, total, _no_class_interval(classes, related), "classes", level, degrees
        ),
    }


def paired_intervals(
    values: NDArray, classes: NDArray, level: float = LEVEL, *, related: bool = False
) -> dict[str, dict[str, Any]]:
    """Intervals of the mean of values of episodes, where the images of each are not at hand.

    Parameters
    ----------
    values : ndarray of shape (E,)
        As differences of two heads.
    classes : ndarray of shape (E, N), int
        All classes of each episode, -1 in the padding of episodes of fewer.
    related : bool
        As in `population_intervals`.

    Returns
    -------
    dict
        By population ``episodes`` and ``classes``, as in `population_intervals`.
    """
    mean = float(values.mean())
    if len(values) == 1:
        populations = ("episodes", "classes")
        return {name: _interval(mean, None, ONE_EPISODE, name, level) for name in populations}
    draw = float(values.var(ddof=1)) / len(values)
    between = None if related else class_variance(values, classes)
    total = None if between is None else draw + between
    degrees = len(np.unique(classes[classes >= 0])) - 1
    return {
        "episodes": _interval(mean, draw, None, "episodes", level),
        "classes": _interval(
            mean, total, _no_class_interval(classes, related), "classes", level, degrees
        ),
    }


def _no_class_interval(classes: NDArray, related: bool) -> str:
    """Why there is no interval for other classes, where there is none."""
    if related:
        return RELATED
    return MOST_CLASSES if (classes < 0).any() else ALL_CLASSES


def are_disjoint(support: NDArray, query: NDArray) -> bool:
    """Whether no row is in two episodes, of row numbers (E, N, K) and (E, N, Q), -1 in the padding.

    An episode has no row twice by itself.
    """
    rows = np.concatenate([support, query], axis=-1)
    rows = rows[rows >= 0]
    return len(rows) > 0 and bool(np.bincount(rows).max() == 1)


def episode_means(values: NDArray, classes: NDArray) -> NDArray[np.float64]:
    """Mean (E,) of the values (E, N) of the classes of each episode, without padding."""
    real = classes >= 0
    if real.all():
        return np.asarray(values.mean(1), dtype=np.float64)
    means: NDArray[np.float64] = np.where(real, values, 0.0).sum(1) / real.sum(1)
    return means


def class_variance(values: NDArray, classes: NDArray) -> float | None:
    """Variance of the mean over all episodes of C classes if other classes were drawn.

    Parameters
    ----------
    values : ndarray of shape (E,)
    classes : ndarray of shape (E, N)
        Of simple random samples of the classes; -1 pads episodes of fewer than N.

    Returns
    -------
    float or None
        At least 0; None if every episode has all classes (C = N), as the effect of a class cannot
        be estimated then; of varying ways, if an episode has more than half of them.
    """
    episodes, ways = classes.shape
    if classes.dtype.kind == "i" and (classes < 0).any():  # names have no padding
        return _class_variance_of_varying_ways(values, classes)
    present, place = np.unique(classes, return_inverse=True)
    class_count = len(present)
    if class_count == ways:
        return None
    place = place.reshape(-1)
    frequency = np.bincount(place)
    spread = np.repeat(values - values.mean(), ways)
    mean = np.bincount(place, spread) / frequency
    noise = np.sum((spread - mean[place]) ** 2) / max(1, len(spread) - class_count)
    between = np.sum(mean**2 - noise * (1 / frequency - 1 / episodes))
    # Leaving class c out moves the mean by N (mean_c - mean) / (C - N).
    return max(
        0.0, float(between * (class_count - 1) / class_count * (ways / (class_count - ways)) ** 2)
    )


def _class_variance_of_varying_ways(values: NDArray, classes: NDArray) -> float | None:
    """`class_variance` where episode e has N_e of the C classes.

    Leaving class c out moves the mean of episodes with N classes by N (mean_c - mean) / (C - N),
    and that of all by the mean over the episodes of c of g_e = mean(N) (v_e - m(N_e)) / (C - N_e).
    m(N) is the value expected with N classes, here linear in N.
    """
    real = classes >= 0
    ways = real.sum(1)
    present, place = np.unique(classes[real], return_inverse=True)
    class_count = len(present)
    if 2 * ways.max() > class_count:
        return None
    slope = np.polyfit(ways, values, 1) if np.ptp(ways) > 0 else np.array([0.0, values.mean()])
    effect = ways.mean() * (values - np.polyval(slope, ways)) / (class_count - ways)
    spread = np.broadcast_to(effect[:, None], classes.shape)[real]
    frequency = np.bincount(place)
    mean = np.bincount(place, spread) / frequency
    noise = np.sum((spread - mean[place]) ** 2) / max(1, len(spread) - class_count)
    between = np.sum(mean**2 - noise * (1 / frequency - 1 / len(values)))
    return max(0.0, float(between * (class_count - 1) / class_count))


def _interval(
    mean: float,
    variance: float | None,
    reason: str | None,
    population: str,
    level: float,
    degrees: float = np.inf,
) -> dict[str, Any]:
    interval: dict[str, Any] = {"mean": mean, "lower": None, "upper": None, "level": level}
    interval |= {"population": population, "reason": None if variance is not None else reason}
    if variance is not None:
        half = half_width(variance, level, degrees)
        interval |= {"lower": mean - half, "upper": mean + half}
    return interval


def half_width(variance: float, level: float, degrees: float = np.inf) -> float:
    """Half the width of the t interval of a mean with this variance."""
    from scipy.special import ndtri, stdtrit

    tail = 0.5 + level / 2
    quantile = stdtrit(degrees, tail) if np.isfinite(degrees) else ndtri(tail)
    return float(quantile * variance**0.5)


# Levels at which the coverage of intervals is measured.
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
