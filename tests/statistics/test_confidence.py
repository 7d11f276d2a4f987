"""Calibration errors of probabilities of labels."""

from itertools import pairwise

import numpy as np
import pytest

from fewshot.exceptions import FewshotError
from fewshot.statistics.confidence import (
    calibration_error_draws,
    calibration_error_interval,
    expected_calibration_error,
    reliability,
)


def labels(count=400, over=0.0, seed=0):
    """Probabilities that are right so often, less `over`."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.3, 1.0, count)
    return confidence, rng.uniform(size=count) < confidence - over


def slow_error(confidence, right, edges):
    total = 0.0
    for low, high in pairwise(edges):
        inside = [i for i, c in enumerate(confidence) if low <= c < high]
        if inside:
            gap = np.mean([confidence[i] for i in inside]) - np.mean([right[i] for i in inside])
            total += len(inside) / len(confidence) * abs(gap)
    return total


def test_bins_of_equal_width_match_the_definition():
    confidence, right = labels()
    edges = [*np.arange(10) / 10, 1.01]
    error = expected_calibration_error(confidence, right, 10, "width")
    assert error == pytest.approx(slow_error(confidence, right, edges))


def test_bins_of_equal_mass_match_the_definition():
    confidence, right = labels(count=420)
    ordered = np.sort(confidence)
    edges = [*ordered[::28], 2.0]  # 15 bins of 28
    assert expected_calibration_error(confidence, right) == pytest.approx(
        slow_error(confidence, right, edges)
    )
    assert reliability(confidence, right).sizes.tolist() == [28] * 15


def test_equal_probabilities_are_in_the_same_bin_whatever_their_order():
    confidence = np.array([0.9] * 6 + [0.5] * 4)
    right = np.array([True, True, True, True, True, False, True, False, False, False])
    order = np.random.default_rng(0).permutation(10)
    error = 0.6 * abs(0.9 - 5 / 6) + 0.4 * abs(0.5 - 1 / 4)
    for equal in ("mass", "width"):
        assert expected_calibration_error(confidence, right, equal=equal) == pytest.approx(error)
        shuffled = expected_calibration_error(confidence[order], right[order], equal=equal)
        assert shuffled == pytest.approx(error)


def test_certainty_is_in_the_last_bin():
    sure, right = np.ones(5), np.array([True, True, True, True, False])
    assert expected_calibration_error(sure, right, equal="width") == pytest.approx(0.2)


@pytest.mark.parametrize("over", [0.0, 0.1, 0.2])
def test_overconfidence_is_the_error(over):
    confidence, right = labels(40_000, over)
    assert expected_calibration_error(confidence, right) == pytest.approx(over, abs=0.01)


def test_draws_of_single_labels_match_errors_of_drawn_labels_in_the_bins_of_all():
    confidence, right = labels(60)
    drawn = calibration_error_draws(confidence, right, np.arange(60), bins=3, draws=4, seed=5)
    times = np.random.default_rng(5).multinomial(60, np.full(60, 1 / 60), size=4)
    edges = [*np.sort(confidence)[::20], 2.0]
    expected = []
    for row in times:
        kept = np.repeat(np.arange(60), row)
        expected.append(slow_error(confidence[kept], right[kept], edges))
    assert drawn == pytest.approx(expected)


def test_intervals_are_wider_where_labels_of_a_task_are_alike():
    confidence, right = labels(2000, 0.1)
    alone = calibration_error_interval(confidence, right, np.arange(2000))
    order = np.lexsort((confidence, right))
    alike = calibration_error_interval(confidence[order], right[order], np.arange(2000) // 50)
    assert alone["lower"] < alone["mean"] < alone["upper"]
    assert alone["mean"] == pytest.approx(alike["mean"])
    assert alike["upper"] - alike["lower"] > 1.5 * (alone["upper"] - alone["lower"])


@pytest.mark.parametrize(
    ("confidence", "right"),
    [
        (np.array([]), np.array([])),
        (np.array([0.5, 0.5]), np.array([True])),
        (np.array([1.5]), np.array([True])),
        (np.array([np.nan]), np.array([True])),
    ],
)
def test_what_are_no_probabilities_is_refused(confidence, right):
    with pytest.raises(FewshotError, match="confidence"):
        expected_calibration_error(confidence, right)
