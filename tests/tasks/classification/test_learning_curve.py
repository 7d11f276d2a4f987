"""Points of a learning curve and how many images an error takes, against slow scans."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewshot.estimators.calibration.curves import SharedCurve, TaskCurve
from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.heads import NCM
from fewshot.tasks.classification.forecast.forecast import forecast
from fewshot.tasks.classification.forecast.learning_curve import (
    MORE,
    CurvePoint,
    LearningCurve,
    Target,
)

TASK = TaskCurve(np.array([1.0, 50.0]), 0.375, 0.5, 0.15, 0.1)
SHARED = SharedCurve(np.array([1.0, 2, 20]), np.array([0.0, -0.3, -1.0]), np.array([0.1, 0.2]))


def path(curve=TASK, shots=5.0, numbers=(0.2, 0.1, 0.32)):
    return LearningCurve(curve, shots, numbers, 0.9)


def scanned(curve, error, bound):
    """Images per class of the first point whose bound is at most `error`, one after the other."""
    now = dict(zip(("error", "lower", "upper"), curve.numbers, strict=True))
    if now[bound] <= error:
        return round(curve.shots)
    for point in curve.points(range(1, curve.most - round(curve.shots) + 1)):
        if getattr(point, bound) <= error:
            return round(curve.shots) + point.more
    return None


numbers = st.tuples(*[st.floats(0.001, 0.9)] * 3).map(sorted).map(lambda v: (v[1], v[0], v[2]))


@given(st.sampled_from([TASK, SHARED]), st.sampled_from([1.0, 2.4, 5.0, 30.0, 200.0]), numbers,
       st.floats(0.001, 0.9))  # fmt: skip
def test_targets_are_those_of_a_scan(curve, shots, now, error):
    at = path(curve, shots, now)
    target = at.reach(error)
    assert target.images == scanned(at, error, "error")
    assert target.fewest == scanned(at, error, "lower")
    assert target.enough == scanned(at, error, "upper")
    assert target.reached == (now[0] <= error)


@given(numbers, st.floats(0.001, 0.9), st.floats(0.001, 0.9))
def test_smaller_errors_take_more_images(now, a, b):
    small, large = (path(numbers=now).reach(error) for error in sorted((a, b)))
    for name in ("images", "fewest", "enough"):
        if getattr(small, name) is not None:
            assert getattr(large, name) <= getattr(small, name)
    if large.images is not None:
        assert large.fewest <= large.images
        assert large.enough is None or large.enough >= large.images


def test_reached_and_out_of_reach():
    assert path().reach(0.4) == Target(0.4, 5, 5, 5, 100, True)
    far = path(numbers=(0.6, 0.5, 0.7)).reach(0.05)
    assert (far.images, far.enough, far.most, far.reached) == (None, None, 100, False)
    usual = path().reach(0.15)
    assert usual.fewest == 5 < usual.images < usual.enough
    assert usual.note is None and not usual.reached


def test_more_images_than_the_curve_is_followed_to():
    target = path(shots=300.0).reach(0.05)
    assert (target.images, target.most) == (None, 300)


def test_an_error_too_small_to_be_measured_is_said():
    note = path().reach(0.001).note
    assert note is not None and "0.5 %" in note and "\n" not in note
    assert path().reach(0.005).note is None


@pytest.mark.parametrize("error", [0, 1, -0.1, 1.5, float("nan"), "5%", None, True])
def test_what_is_no_target(error):
    with pytest.raises(FewshotError, match="target: expected a number") as caught:
        path().reach(error)
    assert "\n" not in str(caught.value)


def test_points_in_any_order():
    points = path().points([20, 1, 5, 5])
    assert [point.more for point in points] == [1, 5, 20]
    assert all(
        isinstance(value, float) for point in points for value in list(vars(point).values())[1:]
    )
    errors = [0.2, *(point.error for point in points)]
    assert errors == sorted(errors, reverse=True)
    assert all(point.lower < point.error < point.upper for point in points)
    assert path().points([]) == ()
    assert points[1] == CurvePoint(5, *[float(v) for v in TASK.bounds((0.2, 0.1, 0.32), 5, 10)])


@pytest.mark.parametrize("more", [[0], [-3], [2.5], ["5"], [True], [1, None]])
def test_what_is_no_number_of_images(more):
    with pytest.raises(FewshotError, match=r"^more: "):
        path().points(more)


def bank(images=5, classes=4):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(classes, 1, 16)) + rng.normal(size=(classes, images, 16))
    return make_bank(x.reshape(-1, 16), np.repeat(np.arange(classes), images))


def test_a_forecast_has_its_curve():
    (row,) = forecast(bank(), {"ncm": NCM()}, more=(2, 40))
    assert [point.more for point in row.outlook] == [2, 40]
    curve = row.learning_curve
    assert curve.numbers == (row.error, row.lower, row.upper) and curve.shots == 5
    assert row.outlook == curve.points((2, 40))
    assert "learning_curve" not in row.row()
    (usual,) = forecast(bank(), {"ncm": NCM()})
    assert tuple(point.more for point in usual.outlook) == MORE
    with pytest.raises(FewshotError, match=r"^more: expected"):
        forecast(bank(), {"ncm": NCM()}, more=(0,))


def test_one_shot_without_base_classes_has_none():
    (row,) = forecast(bank(images=1), {"ncm": NCM()})
    assert row.learning_curve is None and row.outlook == () and row.note
