"""How far probabilities of labels are from the share of labels that are right."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from fewshot.exceptions import expect, expect_choice, expect_positive_int
from fewshot.statistics.populations import LEVEL

BINS = 15
DRAWS = 1000
KINDS = ("mass", "width")


class Reliability(NamedTuple):
    """Bins of labels by their probability, from low to high.

    Attributes
    ----------
    confidence : ndarray of shape (B,)
        Mean probability in the bin; NaN where it is empty.
    accuracy : ndarray of shape (B,)
        Share of right labels in the bin; NaN where it is empty.
    sizes : ndarray of shape (B,), int
    """

    confidence: NDArray
    accuracy: NDArray
    sizes: NDArray


def reliability(
    confidence: NDArray, right: NDArray, bins: int = BINS, equal: str = "mass"
) -> Reliability:
    """Mean confidence and accuracy of bins of labels.

    Parameters
    ----------
    confidence : ndarray of shape (M,)
        Probabilities of the labels that were said, in [0, 1].
    right : ndarray of shape (M,), bool
    bins : int
    equal : {"mass", "width"}
        Whether bins have equally many labels, or are equally wide. Equal probabilities are in the
        same bin.
    """
    place = _places(confidence, right, bins, equal)
    sizes = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(place, confidence, minlength=bins) / sizes
        accuracy = np.bincount(place, right, minlength=bins) / sizes
    return Reliability(mean, accuracy, sizes)


def expected_calibration_error(
    confidence: NDArray, right: NDArray, bins: int = BINS, equal: str = "mass"
) -> float:
    r"""Mean over bins, by their size, of \|mean confidence - accuracy\|.

    Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning",
    AAAI 2015; with bins of equal mass as in Nixon et al., "Measuring Calibration in Deep Learning",
    2019. With few labels per bin it is above zero even for perfect probabilities.

    Parameters
    ----------
    confidence, right, bins, equal
        As for `reliability`.

    Raises
    ------
    FewshotError
        Shapes that do not fit, no label, probabilities outside of [0, 1].
    """
    place = _places(confidence, right, bins, equal)
    gaps = np.bincount(place, np.asarray(confidence, dtype=float) - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(place))


def calibration_error_draws(
    confidence: NDArray,
    right: NDArray,
    tasks: NDArray,
    *,
    bins: int = BINS,
    equal: str = "mass",
    draws: int = DRAWS,
    seed: int = 0,
) -> NDArray:
    """Expected calibration errors (draws,) of tasks drawn with replacement.

    The bins stay those of all labels. The same seed draws the same tasks, so that errors of two
    sets of probabilities of the same labels are paired.

    Parameters
    ----------
    confidence, right, bins, equal
        As for `reliability`.
    tasks : ndarray of shape (M,)
        Task of every label.
    draws, seed : int
    """
    place = _places(confidence, right, bins, equal)
    names, task = np.unique(tasks, return_inverse=True)
    cells = task * bins + place
    gap = np.asarray(confidence, dtype=float) - right
    gaps = np.bincount(cells, gap, minlength=len(names) * bins).reshape(-1, bins)
    sizes = np.bincount(task)
    times = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=draws
    )
    errors: NDArray = np.abs(times @ gaps).sum(-1) / (times @ sizes)
    return errors


def calibration_error_interval(
    confidence: NDArray, right: NDArray, tasks: NDArray, *, level: float = LEVEL, **options: Any
) -> dict[str, float]:
    """Expected calibration error with its interval over tasks: ``mean``, ``lower``, ``upper``.

    Percentiles of the bootstrap, moved by what its mean is above the error: drawing again adds as
    much to an error that cannot be below zero as drawing once did.

    Parameters
    ----------
    confidence, right, tasks
        As for `calibration_error_draws`, as are other options.
    level : float in (0, 1)
    """
    binning = {key: options[key] for key in ("bins", "equal") if key in options}
    error = expected_calibration_error(confidence, right, **binning)
    drawn = calibration_error_draws(confidence, right, tasks, **options)
    moved = drawn - max(float(drawn.mean()) - error, 0.0)
    lower, upper = np.quantile(moved, ((1 - level) / 2, (1 + level) / 2))
    return {"mean": error, "lower": max(float(lower), 0.0), "upper": float(upper)}


def _places(confidence: NDArray, right: NDArray, bins: int, equal: str) -> NDArray:
    """Bin (M,) of every label."""
    confidence, right = np.asarray(confidence), np.asarray(right)
    expect_positive_int("bins", bins)
    expect_choice("equal", equal, KINDS)
    expect(
        confidence.ndim == 1 and confidence.shape == right.shape and confidence.size > 0,
        "confidence",
        f"expected probabilities and whether right, both (M,), got {confidence.shape} and "
        f"{right.shape}",
    )
    inside = (confidence >= 0) & (confidence <= 1)
    expect(bool(inside.all()), "confidence", "expected probabilities in [0, 1]")
    ranks = (rankdata(confidence) - 0.5) / confidence.size
    share = confidence if equal == "width" else ranks
    places: NDArray = np.minimum((share * bins).astype(int), bins - 1)
    return places
