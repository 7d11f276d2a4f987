"""What further shots make of an error and of its interval."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.special import ndtr, ndtri

from fewshot.estimators.calibration.curves import (
    SharedCurve,
    TaskCurve,
    curve_from_json,
    elapsed,
)

CURVE = TaskCurve(np.array([1.0, 50.0]), 0.375, 0.5, 0.15, 0.1)
SHARED = SharedCurve(np.array([1.0, 2.0, 8.0]), np.array([0.0, -0.5, -0.9]), np.array([0.1, 0.3]))
shares = st.floats(0, 1)
shots = st.floats(1, 200)
numbers = st.tuples(shares, shares, shares).map(sorted).map(lambda v: (v[1], v[0], v[2]))
curves = st.builds(
    TaskCurve,
    st.just(CURVE.shots),
    st.floats(0, 1),
    st.floats(0, 2),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
) | st.just(SHARED)


@given(curves, numbers, shots, st.lists(st.floats(0, 300), min_size=2, max_size=5))
def test_more_shots_never_raise_an_error_and_bounds_contain_it(curve, now, K, steps):
    then = K + np.sort(steps)
    error, lower, upper = curve.bounds(now, K, then)
    assert (np.diff(error) <= 1e-12).all()
    assert (error <= now[0] + 1e-12).all()
    assert ((lower >= 0) & (lower <= error) & (error <= upper) & (upper <= 1)).all()


@given(curves, numbers, shots, st.sampled_from([0.5, 0.8, 0.95]))
def test_without_further_shots_nothing_changes(curve, now, K, level):
    assert curve.bounds(now, K, K, level) == pytest.approx(now, abs=1e-9)


@given(curves, shares, shares, shots, shots)
def test_the_order_of_tasks_stays(curve, a, b, K, further):
    low, high = sorted((a, b))
    assert curve.error(low, K, K + further) <= curve.error(high, K, K + further) + 1e-12


@given(curves, st.floats(1e-6, 0.99), shots, shots, shots)
def test_two_steps_are_as_one(curve, error, K, first, second):
    through = curve.error(curve.error(error, K, K + first), K + first, K + first + second)
    assert through == pytest.approx(curve.error(error, K, K + first + second), abs=1e-9)


def test_the_curve_solves_its_equation():
    def derivative(log_shots, z):
        return -np.maximum(CURVE.level - CURVE.slope * z, 0) * np.exp(-CURVE.power * log_shots)

    times = np.log([2.0, 40.0])
    solved = solve_ivp(derivative, times, [ndtri(0.3)], rtol=1e-10, atol=1e-12).y[0, -1]
    assert CURVE.error(0.3, 2, 40) == pytest.approx(ndtr(solved), rel=1e-6)


def test_hard_tasks_gain_less():
    now = np.array([0.01, 0.1, 0.3, 0.6])
    gain = ndtri(now) - ndtri(CURVE.error(now, 3, 20))
    assert (np.diff(gain) < 0).all()
    assert (gain > 0).all()


def test_the_error_has_a_limit():
    at = CURVE.error(0.3, 5, np.array([1e6, 1e9, 1e12]))
    assert at[0] > 0.02
    assert at[2] == pytest.approx(at[1], rel=0.01)
    logarithmic = TaskCurve(CURVE.shots, 0.0, 0.5, 0.0, 0.1)
    assert logarithmic.error(0.3, 5, 50) == pytest.approx(ndtr(ndtri(0.3) - 0.5 * np.log(10)))
    near = TaskCurve(CURVE.shots, 1e-9, 0.5, 1e-9, 0.1)
    assert near.error(0.3, 5, 50) == pytest.approx(logarithmic.error(0.3, 5, 50))


def test_time_from_shots():
    assert elapsed(0.5, np.array(4.0), np.array(16.0)) == pytest.approx(2 * (1 / 2 - 1 / 4))


def test_a_lower_bound_of_no_errors_stays_there():
    """Where a task may have no errors now, it may have none later."""
    for curve in (CURVE, SHARED):
        _, lower, upper = curve.bounds((0.02, 0.0, 0.1), 5, np.array([6, 10, 25]))
        assert (lower == 0).all()
        assert (np.diff(upper) < 0).all()


def test_a_larger_level_and_a_larger_deviation_are_wider():
    now, wide = (0.2, 0.1, 0.35), TaskCurve(CURVE.shots, 0.375, 0.5, 0.15, 0.4)
    at = {level: CURVE.bounds(now, 5, 20, level) for level in (0.5, 0.95)}
    assert at[0.5][1] > at[0.95][1] and at[0.5][2] < at[0.95][2]
    assert wide.bounds(now, 5, 20)[2] > CURVE.bounds(now, 5, 20)[2]


def test_bounds_keep_their_distance_in_standard_deviations():
    exact = TaskCurve(CURVE.shots, 0.375, 0.5, 0.15, 0.0)
    error, lower, upper = exact.bounds((0.2, 0.12, 0.3), 5, 10)
    scale = np.sqrt(error * (1 - error) / (0.2 * 0.8)) * 0.5**0.05
    assert (error - lower, upper - error) == pytest.approx((0.08 * scale, 0.1 * scale), rel=1e-3)


def test_curves_with_the_same_numbers_are_equal():
    for curve in (CURVE, SHARED):
        again = copy.deepcopy(curve)
        assert again == curve and hash(again) == hash(curve)
        assert replace(curve, shots=curve.shots + 1) != curve
    assert replace(CURVE, level=0.6) != CURVE != SHARED


def test_both_formats_are_read():
    for curve in (CURVE, SHARED):
        again = curve_from_json(curve.to_json())
        assert type(again) is type(curve)
        assert again.error(0.3, 2, 9) == pytest.approx(curve.error(0.3, 2, 9))


def test_steps_of_a_shared_curve():
    curve = SHARED
    assert curve.step(1, 2) == pytest.approx((-0.5, 0.1))
    assert curve.step(1, 8) == pytest.approx((-0.9, 0.4))
    assert curve.step(3, 3) == pytest.approx((0, 0))
    assert curve.step(2, 4) == pytest.approx((-0.2, 0.15))  # half of the way in log shots
    mean, deviation = curve.step(8, 32)  # with the last slope: one more factor of four
    assert (mean, deviation) == pytest.approx((-0.4, 0.3))
    near, far, both = curve.step(1, 3), curve.step(3, 20), curve.step(1, 20)
    assert np.add(near, far) == pytest.approx(both)
    assert curve.step(8, 1000) == pytest.approx(curve.step(8, 64), rel=1)  # far out: no further
    assert curve.error(0.3, 2, 8) == pytest.approx(ndtr(ndtri(0.3) - 0.4))


def test_a_shared_curve_that_rose_is_held():
    rising = SharedCurve(SHARED.shots, np.array([0.0, -0.5, -0.3]), SHARED.deviation)
    assert rising.error(0.3, 2, 8) == pytest.approx(0.3)
    assert rising.error(0.3, 1, 8) == pytest.approx(rising.error(0.3, 1, 2))
