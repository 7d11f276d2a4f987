"""Gaussian orthant probabilities against the normal cdf and against SciPy."""

import numpy as np
import pytest
import torch
from scipy import stats

from fewshot.estimators.orthant import orthant_probability


def test_one_dimension_is_the_normal_cdf():
    mean = torch.linspace(-6, 6, 50, dtype=torch.float64)[:, None]
    variance = torch.full((50, 1, 1), 2.25, dtype=torch.float64)
    expected = stats.norm.cdf(mean[:, 0].numpy() / 1.5)
    np.testing.assert_allclose(orthant_probability(mean, variance), expected, atol=1e-7)


def test_agrees_with_scipy_in_four_dimensions():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(30, 4, 6))
    covariance = root @ root.transpose(0, 2, 1)
    mean = rng.normal(size=(30, 4)) * 2
    ours = orthant_probability(torch.from_numpy(mean), torch.from_numpy(covariance))
    theirs = [
        stats.multivariate_normal.cdf(m, cov=c, abseps=1e-6, releps=1e-6)
        for m, c in zip(mean, covariance, strict=True)
    ]
    np.testing.assert_allclose(ours, theirs, atol=4e-3)
    assert np.abs(ours.numpy() - theirs).mean() < 1e-3


def test_more_points_are_more_exact():
    covariance = torch.eye(9, dtype=torch.float64) * 0.5 + 0.5
    mean = torch.full((9,), 0.3, dtype=torch.float64)
    exact = stats.multivariate_normal.cdf(
        mean.numpy(), cov=covariance.numpy(), maxpts=2_000_000, abseps=1e-6
    )
    few, many = (abs(float(orthant_probability(mean, covariance, p)) - exact) for p in (64, 4096))
    assert many < 2e-4
    assert many < few


def test_singular_covariances():
    ones = torch.ones(3, 3, dtype=torch.float64)  # three times the same variable
    mean = torch.tensor([0.5, 0.7, 0.9], dtype=torch.float64)
    expected = stats.norm.cdf(0.5)
    assert abs(float(orthant_probability(mean, ones)) - expected) < 1e-3
    still = torch.zeros(2, 2, dtype=torch.float64)
    assert float(orthant_probability(torch.tensor([1.0, 2.0]), still)) == 1.0
    assert float(orthant_probability(torch.tensor([1.0, -2.0]), still)) == 0.0


@pytest.mark.parametrize("freedom", [2.5, 4.0, 10.0])
def test_students_t_in_one_dimension(freedom):
    mean = torch.linspace(-4, 4, 41, dtype=torch.float64)[:, None]
    variance = torch.full((41, 1, 1), 2.25, dtype=torch.float64)
    scale = 1.5 * np.sqrt((freedom - 2) / freedom)  # the variance is 2.25, not the scale
    expected = stats.t.cdf(mean[:, 0].numpy() / scale, freedom)
    probability = orthant_probability(mean, variance, freedom=freedom)
    np.testing.assert_allclose(probability, expected, atol=4e-3)
    finer = orthant_probability(mean, variance, points=4096, freedom=freedom)
    np.testing.assert_allclose(finer, expected, atol=3e-4)


@pytest.mark.parametrize("freedom", [3.0, 6.0])
def test_students_t_agrees_with_monte_carlo(freedom):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(12, 4, 6))
    mean = 2 * rng.normal(size=(12, 4)) + 1
    z = rng.normal(size=(200_000, 6))
    z /= np.sqrt(rng.chisquare(freedom, size=(200_000, 1)) / (freedom - 2))
    expected = [(m + z @ r.T > 0).all(1).mean() for m, r in zip(mean, root, strict=True)]
    covariance = root @ root.transpose(0, 2, 1)
    moments = torch.from_numpy(mean), torch.from_numpy(covariance)
    probability = orthant_probability(*moments, points=1024, freedom=freedom)
    np.testing.assert_allclose(probability, expected, atol=6e-3)
    few = orthant_probability(*moments, freedom=freedom).numpy()
    np.testing.assert_allclose(few, expected, atol=0.025)
    normal = orthant_probability(*moments).numpy()
    assert np.abs(probability.numpy() - expected).mean() < 0.3 * np.abs(normal - expected).mean()


def test_many_degrees_of_freedom_are_the_normal_distribution():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(10, 3, 5))
    covariance = torch.from_numpy(root @ root.transpose(0, 2, 1))
    mean = torch.from_numpy(rng.normal(size=(10, 3)))
    normal = orthant_probability(mean, covariance)
    np.testing.assert_allclose(
        orthant_probability(mean, covariance, freedom=1e6), normal, atol=2e-3
    )
    assert torch.equal(orthant_probability(mean, covariance, freedom=np.inf), normal)


def test_heavy_tails_have_more_far_out():
    mean = torch.full((3,), 3.5, dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    missed = [1 - float(orthant_probability(mean, eye, freedom=v)) for v in (2.5, 4, np.inf)]
    assert missed[0] > 2 * missed[2] and missed[1] > 2 * missed[2]
