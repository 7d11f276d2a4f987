"""The prior of classes: shrinkage against scikit-learn, variances against known ones."""

import numpy as np
import pytest
import torch
from sklearn.covariance import OAS

from fewshot.estimators.moments import (
    ClassPrior,
    Moments,
    interpolate,
    shrink,
    smooth,
)


@pytest.mark.parametrize("samples", [10, 50, 1000])
def test_shrinkage_is_that_of_scikit_learn(samples):
    # scikit-learn leaves out the terms in 2 / D of the paper's equation.
    D = 150
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, D)) * np.geomspace(2, 0.1, D)
    theirs = OAS(assume_centered=True).fit(x)
    empirical = x.T @ x / samples
    ours = shrink(torch.from_numpy(empirical), samples).numpy()
    scale = np.abs(theirs.covariance_ - empirical).max()
    np.testing.assert_allclose(ours, theirs.covariance_, atol=0.03 * scale)
    assert np.trace(ours) == pytest.approx(np.trace(empirical))


def test_shrinkage_is_the_equation():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 6))
    S, n, p = x.T @ x / 12, 12, 6
    square, trace = np.trace(S @ S), np.trace(S)
    rho = ((1 - 2 / p) * square + trace**2) / ((n + 1 - 2 / p) * (square - trace**2 / p))
    expected = (1 - min(rho, 1)) * S + min(rho, 1) * trace / p * np.eye(p)
    np.testing.assert_allclose(shrink(torch.from_numpy(S), n), expected)


def test_shrinkage_of_a_multiple_of_the_identity_and_of_nothing():
    eye = torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(shrink(3 * eye, 10), 3 * eye)
    torch.testing.assert_close(shrink(0 * eye, 10), 0 * eye)
    identity = torch.ones(1, 1, dtype=torch.float64)
    torch.testing.assert_close(shrink(identity, 5), identity)


@pytest.mark.parametrize("classes", [40, 400])
def test_recovers_known_variances(classes):
    D, images = 60, 20
    rng = np.random.default_rng(2)
    basis = np.linalg.qr(rng.normal(size=(D, D)))[0]
    within, between = np.geomspace(4, 0.02, D), np.geomspace(1, 0.01, D)
    mu = rng.normal(size=D)
    means = mu + (rng.normal(size=(classes, D)) * np.sqrt(between + within / images)) @ basis.T
    x = (rng.normal(size=(classes * (images - 1), D)) * within**0.5) @ basis.T
    moments = Moments(
        torch.from_numpy(means),
        torch.full((classes,), float(images)).double(),
        torch.from_numpy(x.T @ x / len(x)),
    )
    prior = ClassPrior.of(moments)
    assert bool((prior.within.diff() <= 0).all())
    torch.testing.assert_close(prior.basis.mT @ prior.basis, torch.eye(D, dtype=torch.float64))
    np.testing.assert_allclose(prior.mean, means.mean(0))
    # Shrinkage may lift the smallest; the rest is there within a third.
    top = slice(0, D * 2 // 3)
    np.testing.assert_allclose(prior.within[top], within[top], rtol=0.33)
    ratio = np.log(prior.between.numpy()[top] / between[top])
    assert np.abs(ratio).mean() < (0.35 if classes == 40 else 0.2)
    assert abs(ratio.mean()) < 0.2
    W = (prior.basis * prior.within) @ prior.basis.mT
    expected = shrink(moments.covariance, classes * (images - 1))
    torch.testing.assert_close(W, expected)


def test_classes_without_difference_leave_almost_no_variance_between():
    D = 30
    rng = np.random.default_rng(3)
    means = torch.from_numpy(rng.normal(size=(50, D)) / 10**0.5)  # W / n and nothing else
    moments = Moments(means, torch.full((50,), 10.0).double(), torch.eye(D, dtype=torch.float64))
    between = ClassPrior.of(moments).between
    assert bool((between > 0).all())
    assert float(between.mean()) < 0.03


def test_smoothing_by_hand():
    within = torch.tensor([8.0, 8.0, 4.0, 4.0, 4.0, 1.0], dtype=torch.float64)
    raw = torch.tensor([4.0, 2.0, 3.0, 0.0, -1.5, -5.0], dtype=torch.float64)
    # Groups of 2, 3 and the rest; the last is not positive: a thousandth of 1.
    expected = torch.tensor([3.0, 3.0, 0.5, 0.5, 0.5, 1e-3], dtype=torch.float64)
    torch.testing.assert_close(smooth(raw, within), expected)


def test_interpolation_is_numpys():
    rng = np.random.default_rng(4)
    places = np.sort(rng.normal(size=6))[::-1].copy()
    logs, x = rng.normal(size=6), rng.normal(size=40) * 2
    expected = np.exp(np.interp(x, places[::-1], logs[::-1]))
    interpolated = interpolate(*(torch.from_numpy(a) for a in (x, places, logs)))
    np.testing.assert_allclose(interpolated, expected)
    alone = interpolate(torch.from_numpy(x), torch.tensor([0.0]), torch.tensor([1.0]))
    np.testing.assert_allclose(alone, np.e, rtol=1e-6)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 50])
@pytest.mark.parametrize("classes", [1, 2, 5])
def test_few_classes_and_dimensions_give_positive_numbers(classes, dimensions):
    rng = np.random.default_rng(5)
    moments = Moments(
        torch.from_numpy(rng.normal(size=(classes, dimensions))),
        torch.full((classes,), 2.0).double(),
        torch.zeros(dimensions, dimensions).double(),
    )
    prior = ClassPrior.of(moments)
    assert prior.between.shape == (dimensions,)
    assert bool((prior.between > 0).all() & prior.within.isfinite().all())
