"""Calibrators: known maps, scikit-learn, and what may be read back."""

import json

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from sklearn.isotonic import IsotonicRegression

from fewshot.estimators.calibration.calibrators import (
    CALIBRATORS,
    Isotonic,
    Offset,
    Ridge,
    Slope,
    from_json,
    probit,
)
from fewshot.exceptions import FewshotError


def episodes(B=400, P=1, seed=0):
    rng = np.random.default_rng(seed)
    return np.clip(rng.beta(2, 5, size=(B, P)), 0.01, 0.9)


def test_offset_is_the_mean_excess():
    p = episodes()
    weight = np.linspace(0, 1, len(p))
    assert Offset.fit(p, p[:, 0] - 0.07).shift == pytest.approx(0.07)
    noise = np.random.default_rng(1).normal(size=len(p)) / 50
    expected = -(weight * noise).sum() / weight.sum()
    assert Offset.fit(p, p[:, 0] + noise, weight).shift == pytest.approx(expected)
    assert Offset(0.3)(np.array([[0.2], [0.9]])) == pytest.approx([0, 0.6])
    assert np.isnan(Offset(0.3)(np.array([[np.nan]]))).all()


@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 1.0), (0.4, 0.6), (-0.5, 1.3)])
def test_slope_recovers_a_known_map(intercept, slope):
    p = episodes()
    actual = ndtr(intercept + slope * ndtri(p[:, 0]))
    slope_map = Slope.fit(p, actual)
    # The prior at the identity holds it back a little.
    assert slope_map.slope == pytest.approx(slope, abs=0.02)
    assert slope_map.intercept == pytest.approx(intercept, abs=0.02)
    np.testing.assert_allclose(slope_map(p), actual, atol=0.005)
    assert abs(slope_map.slope - 1) <= abs(slope - 1) + 1e-6


def test_slope_does_not_invert_noise():
    p = np.full((50, 1), 0.2)
    calibrator = Slope.fit(p, np.random.default_rng(0).uniform(0.2, 0.4, 50))
    assert calibrator(p).mean() == pytest.approx(0.3, abs=0.02)
    assert 0 < calibrator.slope < 1.5  # one prediction says nothing of the slope: the prior's


@pytest.mark.parametrize("weighted", [False, True])
def test_isotonic_is_that_of_scikit_learn(weighted):
    rng = np.random.default_rng(2)
    p = episodes()
    actual = np.clip(p[:, 0] ** 2 + 0.1 * rng.normal(size=len(p)), 0, 1)
    weight = rng.uniform(0.1, 2, len(p)) if weighted else None
    model = IsotonicRegression(out_of_bounds="clip").fit(p[:, 0], actual, sample_weight=weight)
    new = np.linspace(0, 1, 300)[:, None]
    calibrated = Isotonic.fit(p, actual, weight)(new)
    np.testing.assert_allclose(calibrated, model.predict(new[:, 0]), atol=1e-9)
    assert (np.diff(calibrated) >= 0).all()
    assert np.isnan(Isotonic.fit(p, actual)(np.array([[np.nan]]))).all()


def test_ridge_recovers_a_known_map():
    p = episodes(P=3)
    eta = -0.4 + 0.7 * ndtri(p[:, 0]) + 0.3 * ndtri(p[:, 1])  # the third has no say
    actual = ndtr(eta)
    ridge = Ridge.fit(p, actual)
    np.testing.assert_allclose(ridge(p), actual, atol=0.04)
    assert np.abs(ridge(p) - actual).mean() < 0.15 * np.abs(actual - actual.mean()).mean()
    b = np.array(ridge.coefficients[1:]) / ridge.scale
    assert b[0] > b[1] > 3 * abs(b[2])
    other = np.linspace(0, 1, len(p))  # weights count: only the easier half has any
    easy = actual < np.median(actual)
    lower = Ridge.fit(p, actual, np.where(easy, other, 0)).coefficients
    assert lower != ridge.coefficients


def test_ridge_of_estimators_that_say_the_same_is_the_mean():
    p = np.full((40, 2), 0.3)
    actual = np.linspace(0.1, 0.3, 40)
    assert Ridge.fit(p, actual)(p).mean() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("method", CALIBRATORS)
def test_stays_an_error_everywhere(method):
    p = episodes()
    calibrator = CALIBRATORS[method].fit(p, np.clip(1.5 * p[:, 0], 0, 1))
    assert calibrator.method == method
    extremes = calibrator(np.array([[0.0], [1e-9], [0.5], [1.0]]))
    assert ((extremes >= 0) & (extremes <= 1)).all()
    assert np.isnan(calibrator(np.array([[np.nan]]))).all()


@pytest.mark.parametrize("method", CALIBRATORS)
def test_json_and_back(method):
    p = episodes()
    calibrator = CALIBRATORS[method].fit(p, p[:, 0] ** 1.3)
    again = from_json(json.loads(json.dumps(calibrator.to_json())))
    assert again == calibrator
    np.testing.assert_array_equal(again(p), calibrator(p))


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"method": "magic"},
        {"method": "offset"},
        {"method": "offset", "shift": float("nan")},
        {"method": "offset", "shift": "0.1"},
        {"method": "offset", "shift": [0.1, 0.2]},
        {"method": "slope", "intercept": 0.0, "slope": float("inf")},
        {"method": "slope", "intercept": 0.0, "slope": 1.0, "more": 1.0},
        {"method": "isotonic", "predicted": [0.1, 0.2], "actual": [0.1]},
        {"method": "isotonic", "predicted": [0.2, 0.1], "actual": [0.1, 0.2]},
        {"method": "isotonic", "predicted": [], "actual": []},
        {"method": "ridge", "centre": [0.0], "scale": [0.0], "coefficients": [0.0, 1.0]},
        {"method": "ridge", "centre": [0.0], "scale": [1.0], "coefficients": [0.0]},
        {"method": "ridge", "centre": 0.0, "scale": 1.0, "coefficients": [0.0, 1.0]},
        {"method": "ridge", "centre": [[0.0]], "scale": [[1.0]], "coefficients": [0.0, 1.0]},
    ],
)
def test_anything_else_is_refused_when_it_is_read(content):
    with pytest.raises(ValueError, match=r"."):
        from_json(content)


def test_one_estimator_at_a_time():
    for kind in (Offset, Slope, Isotonic):
        with pytest.raises(FewshotError, match=r"takes one estimator, got 2\. Use ridge"):
            kind.fit(episodes(P=2), np.full(400, 0.1))


def test_probit_of_certainty_is_finite():
    assert np.isfinite(probit([0.0, 1.0])).all()
    assert probit(0.5) == pytest.approx(0)
