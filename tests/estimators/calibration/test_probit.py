"""Fractional probit regression against SciPy's minimiser."""

import numpy as np
import pytest
from scipy.optimize import check_grad, minimize
from scipy.special import ndtr

from fewshot.estimators.calibration import probit
from fewshot.estimators.calibration.probit import fit_probit


def data(fractional, seed=0, M=300):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(M, 2))
    p = ndtr(-0.8 + x @ np.array([0.9, -0.4]))
    y = rng.binomial(8, p) / 8 if fractional else rng.binomial(1, p).astype(float)
    return x, y, rng.uniform(0.1, 1.0, M)


def minimised(x, y, weight, prior, precision, extra):
    """Minus the penalised quasi-likelihood, whose slope in p is (y - p) / (p (1 - p) + extra)."""
    design = np.column_stack([np.ones(len(x)), x])
    s = np.sqrt(1 + 4 * extra)
    low, high = (1 - s) / 2, (1 + s) / 2  # roots of p (1 - p) + extra

    def loss(b):
        p = ndtr(np.clip(design @ b, -7, 7))
        like = (y - low) / s * np.log(p - low) - (y - high) / s * np.log(high - p)
        return -(weight * like).sum() + (precision * (b - prior) ** 2).sum() / 2

    def slope(b):
        eta = np.clip(design @ b, -7, 7)
        p = ndtr(eta)
        density = np.exp(-(eta**2) / 2) / np.sqrt(2 * np.pi)
        score = weight * density * (y - p) / (p * (1 - p) + extra)
        return -design.T @ score + precision * (b - prior)

    assert check_grad(loss, slope, prior + 0.1) < 1e-3
    return minimize(loss, prior, jac=slope, method="BFGS", options={"gtol": 1e-9}).x


@pytest.mark.parametrize("extra", [0.0, probit.EXTRA_VARIANCE])
@pytest.mark.parametrize("fractional", [False, True])
@pytest.mark.parametrize("precision", [[0.01, 0.01, 0.01], [0.3, 3.0, 30.0]])
def test_agrees_with_a_minimiser(monkeypatch, precision, fractional, extra):
    monkeypatch.setattr(probit, "EXTRA_VARIANCE", extra)
    x, y, weight = data(fractional)
    prior = np.array([-0.2, 0.5, 0.5])
    ours = fit_probit(x, y, weight, prior, np.array(precision))
    theirs = minimised(x, y, weight, prior, np.array(precision), extra)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_recovers_the_coefficients_of_many_errors():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5000, 1))
    y = rng.binomial(50, ndtr(-1 + 0.6 * x[:, 0])) / 50
    b = fit_probit(x, y, np.ones(5000), np.zeros(2), np.full(2, 1e-3))
    np.testing.assert_allclose(b, [-1, 0.6], atol=0.02)


def test_no_weight_leaves_the_prior_and_more_weight_leaves_less_of_it():
    x, y, weight = data(fractional=True)
    prior, precision = np.array([1.0, -1.0, 1.0]), np.ones(3)
    free = fit_probit(x, y, 1e3 * weight, prior, precision)
    gaps = [
        np.abs(fit_probit(x, y, w * weight, prior, precision) - free).max()
        for w in (0.0, 0.01, 0.1, 10.0)
    ]
    np.testing.assert_allclose(fit_probit(x, y, 0 * weight, prior, precision), prior)
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3]


@pytest.mark.parametrize("y", [0.0, 1.0, "separable"])
@pytest.mark.parametrize("precision", [1e-3, 3.0])
def test_separable_errors_give_finite_coefficients(y, precision):
    x = np.linspace(-3, 3, 200)[:, None]
    y = (x[:, 0] > 0).astype(float) if y == "separable" else np.full(200, y)
    b = fit_probit(x, y, np.full(200, 10.0), np.zeros(2), np.full(2, precision))
    assert np.isfinite(b).all()
    np.testing.assert_allclose(ndtr(b[0] + x[:, 0] * b[1])[[0, -1]], y[[0, -1]], atol=0.02)


def test_far_covariates_do_not_overflow():
    rng = np.random.default_rng(2)
    x = 1e3 * rng.normal(size=(100, 2))
    b = fit_probit(x, rng.uniform(size=100), np.ones(100), np.zeros(3), np.ones(3))
    assert np.isfinite(b).all()
