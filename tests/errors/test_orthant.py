"""Gaussian orthant probabilities against the normal cdf and against SciPy."""

import numpy as np
import torch
from scipy import stats

from fewshot.errors.orthant import orthant_probability


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
