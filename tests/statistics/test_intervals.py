"""Which of two is larger, by the interval of their paired difference."""

import math

import pytest

from fewshot.statistics.intervals import Difference, half_width, over_seeds


@pytest.mark.parametrize(
    ("lower", "upper", "above", "below"),
    [(0.01, 0.05, True, False), (-0.05, -0.01, False, True), (-0.01, 0.05, False, False),
     (0.0, 0.05, False, False), (0.0, 0.0, False, False)],
)  # fmt: skip
def test_signs(lower, upper, above, below):
    interval = {"mean": (lower + upper) / 2, "lower": lower, "upper": upper}
    first, second = Difference.of(interval), Difference.of(interval, sign=-1)
    assert (first.above, first.below, first.clear) == (above, below, above or below)
    assert (second.above, second.below, second.clear) == (below, above, above or below)
    assert (second.mean, second.half) == (-first.mean, first.half)


def test_bounds_decide_and_not_half_the_width():
    """Bootstrap intervals are not symmetric about the mean."""
    skewed = Difference.of({"mean": 0.02, "lower": 0.005, "upper": 0.06})
    assert skewed.above and skewed.half > skewed.mean


@pytest.mark.parametrize("bound", [None, math.nan, math.inf])
def test_no_bounds_no_difference(bound):
    interval = {"mean": 0.1, "lower": bound, "upper": 0.2}
    assert half_width(interval) is None and Difference.of(interval) is None
    assert half_width(None) is None and Difference.of(None) is None
    assert Difference.of({"mean": 0.1, "lower": 0.0, "upper": 0.2}, interval).classes is None


def test_other_classes_are_a_question_of_their_own():
    interval, wide = ({"mean": 0.1, "lower": 0.1 - w, "upper": 0.1 + w} for w in (0.02, 0.2))
    assert Difference.of(interval).clear_elsewhere is None
    assert Difference.of(interval, interval).clear_elsewhere
    unclear = Difference.of(interval, wide, -1)
    assert unclear.clear and unclear.clear_elsewhere is False
    assert unclear.classes == pytest.approx(0.2)


def test_seeds_are_independent_draws_of_the_same_classes():
    joined = over_seeds([Difference.around(0.1, 0.03, 0.2), Difference.around(0.3, 0.04, 0.4)])
    assert joined.mean == pytest.approx(0.2)
    assert joined.half == pytest.approx(0.05 / 2)
    assert joined.classes == pytest.approx(0.3)
    partly = over_seeds([Difference.around(0.1, 0.03), Difference.around(0.3, 0.04, 0.4)])
    assert partly.classes is None
