"""Formulas of shots and text against slow, obvious ones."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from fewshot.text.gaussians.mixing import (
    gaussian_form,
    low_rank_form,
    posterior_means,
    share_of_text,
    shrunk_variances,
)

E, N, D, R = 2, 3, 5, 2


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def positive(*shape, seed=0):
    return normal(*shape, seed=seed).exp()


@pytest.mark.parametrize("shots", [1, 3, 40])
def test_mixed_means_are_posterior_means_of_a_normal(shots):
    prior, within, doubt = normal(D), positive(D, seed=1), positive(D, seed=2)
    seen = normal(shots, D, seed=3)
    share = share_of_text(within, doubt, torch.tensor([float(shots)]))
    mixed = posterior_means(seen.mean(0), prior, share)
    at = np.linspace(-12, 12, 24001)
    for d in range(D):
        log = -((at - float(prior[d])) ** 2) / 2 / float(doubt[d])
        for x in seen[:, d].tolist():
            log -= (x - at) ** 2 / 2 / float(within[d])
        density = np.exp(log - log.max())
        assert float(mixed[d]) == pytest.approx((density * at).sum() / density.sum(), abs=1e-6)


def test_share_is_one_without_shots_and_falls_to_zero():
    shots = torch.tensor([[0.0], [1.0], [2.0], [10.0], [1e9]])
    share = share_of_text(positive(D), positive(D, seed=1), shots)
    assert share[0].tolist() == [1.0] * D
    assert bool((share.diff(dim=0) < 0).all())
    assert share[-1].max() < 1e-6
    assert posterior_means(None, shots, share) is shots


def test_variances_weigh_text_like_further_images():
    predicted, measured = positive(E, N, D), positive(E, N, D, seed=1)
    counts = torch.tensor([[[0.0], [1.0], [2.0]], [[3.0], [9.0], [1e9]]], dtype=torch.float64)
    result = shrunk_variances(predicted, measured, counts, 7.5)
    for e in range(E):
        for n in range(N):
            freedom = max(float(counts[e, n]) - 1, 0.0)
            squares = 7.5 * predicted[e, n] + freedom * measured[e, n]
            torch.testing.assert_close(result[e, n], squares / (7.5 + freedom))
    torch.testing.assert_close(result[0, :2], predicted[0, :2])  # one shot has no spread
    torch.testing.assert_close(result[1, 2], measured[1, 2], rtol=1e-6, atol=0)


def log_ratio(x, mean, origin, covariance):
    """Of densities of points x (T, D), by SciPy."""
    first, second = (multivariate_normal(m.numpy(), covariance).logpdf(x) for m in (mean, origin))
    return first - second


@pytest.mark.parametrize("per_class", [True, False])
def test_diagonal_form_gives_log_ratios(per_class):
    means, origin, x = normal(E, N, D), normal(D, seed=1), normal(7, D, seed=2)
    variances = positive(E, N if per_class else 1, D, seed=3)
    weights, biases = gaussian_form(means, origin, variances)
    for e, n in np.ndindex(E, N):
        covariance = np.diag(variances[e, n if per_class else 0].numpy())
        expected = log_ratio(x.numpy(), means[e, n], origin, covariance)
        np.testing.assert_allclose(x @ weights[e, n] + biases[e, n], expected)


def test_low_rank_form_is_that_of_the_explicit_inverse():
    means, origin, x = normal(E, N, D), normal(D, seed=1), normal(7, D, seed=2)
    variances, factor = positive(E, 1, D, seed=3), 2 * normal(D, R, seed=4)
    weights, biases = low_rank_form(means, origin, variances, factor)
    for e, n in np.ndindex(E, N):
        covariance = np.diag(variances[e, 0].numpy()) + factor.numpy() @ factor.numpy().T
        expected = np.linalg.inv(covariance) @ (means[e, n] - origin).numpy()
        np.testing.assert_allclose(weights[e, n], expected)
        ratios = log_ratio(x.numpy(), means[e, n], origin, covariance)
        np.testing.assert_allclose(x @ weights[e, n] + biases[e, n], ratios)


def test_a_factor_of_zeros_leaves_the_diagonal():
    means, origin, variances = normal(E, N, D), normal(D, seed=1), positive(E, 1, D, seed=3)
    plain = gaussian_form(means, origin, variances)
    for first, second in zip(
        low_rank_form(means, origin, variances, torch.zeros(D, R).double()), plain, strict=True
    ):
        torch.testing.assert_close(first, second)
