"""`gaussian` against a slow transcription of the published steps."""

import numpy as np
import pytest
import torch
from sklearn.manifold import smacof

from fewshot.errors.base import BaseClasses
from fewshot.errors.gaussian import (
    Gaussian,
    nearest_point_error,
    project_means,
    scale_metrically,
    unbiased_distances,
)
from fewshot.exceptions import FewshotError
from fewshot.heads.base import Support
from fewshot.heads.ncm import NCM


def slow_prediction(x, covariance, rng, samples=40_000):
    """Steps 1 to 5 for one episode (N, K, D), one number at a time."""
    N, K, D = x.shape
    m = x.mean(1)
    basis = np.linalg.qr((m[1:] - m[0]).T)[0]
    points = (m - m.mean(0)) @ basis
    variance = np.array([x[c].var(0, ddof=1).mean() for c in range(N)])
    if covariance == "shared":
        variance[:] = variance.mean()
    elif covariance == "identity":
        variance[:] = 1.0
    wanted = np.zeros((N, N))
    for i in range(N):
        for j in range(N):
            if i != j:
                d = np.linalg.norm(points[i] - points[j])
                snr = d / np.sqrt(variance[i] + variance[j])
                wanted[i, j] = d * max(0.0, 1 - D / (K * snr**2))
    placed, _ = smacof(
        wanted, n_components=points.shape[1], init=points, n_init=1, max_iter=50, eps=0,
        normalized_stress=False,
    )  # fmt: skip
    error = 0.0
    for c in range(N):
        draws = placed[c] + variance[c] ** 0.5 * rng.normal(size=(samples, points.shape[1]))
        distance = ((draws[:, None] - placed) ** 2).sum(-1)
        error += np.mean(distance.argmin(1) != c) / N
    return error


def episodes(E=12, N=4, K=5, D=24, seed=0):
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.5, 1.5, size=(E, N, 1, 1))
    return rng.normal(size=(E, N, 1, D)) * 0.55 + scale * rng.normal(size=(E, N, K, D))


@pytest.mark.parametrize("covariance", ["free", "shared", "identity"])
def test_agrees_with_the_published_steps(covariance):
    x = episodes()
    support = Support.of(torch.from_numpy(x))
    head = NCM().fit(support)
    fast = Gaussian(covariance, samples=4096).predict(support, head).error.numpy()
    rng = np.random.default_rng(1)
    slow = [slow_prediction(one, covariance, rng) for one in x]
    assert np.std(slow) > 0.02  # there is something to agree on
    np.testing.assert_allclose(fast, slow, atol=0.02)


def test_projection_keeps_distances():
    means = torch.randn(3, 5, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points = project_means(means)
    assert points.shape == (3, 5, 4)
    torch.testing.assert_close(torch.cdist(points, points), torch.cdist(means, means))


def test_unbiased_distances_are_unbiased_along_the_estimated_direction():
    rng = np.random.default_rng(0)
    mu, K, D = np.zeros((2, 50)), 3, 50
    mu[1, 0] = 6.0
    x = mu[:, None] + rng.normal(size=(20_000, 2, K, D))
    means = x.mean(2)
    points = project_means(torch.from_numpy(means))
    trace = torch.full((20_000, 2), D / K, dtype=torch.float64)
    estimated = unbiased_distances(points, trace)[:, 0, 1].numpy()
    direction = means[:, 0] - means[:, 1]
    along = (direction * (mu[0] - mu[1])).sum(1) / np.linalg.norm(direction, axis=1)
    # Stein's identity has D - 1 where the paper has D: a difference of 1/50 of the correction.
    excess = np.linalg.norm(direction, axis=1) - along
    assert excess.mean() > 3
    assert estimated.mean() == pytest.approx(along.mean(), abs=1.1 * excess.mean() / D)


def test_scaling_reaches_distances_that_exist():
    truth = torch.randn(4, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    noise = torch.Generator().manual_seed(2)
    start = truth + 0.3 * torch.randn(4, 5, 4, dtype=torch.float64, generator=noise)
    wanted = torch.cdist(truth, truth)
    before = (torch.cdist(start, start) - wanted).abs().max()
    placed = scale_metrically(start, wanted, 300)
    after = (torch.cdist(placed, placed) - wanted).abs().max()
    assert after < 0.05 * before


def test_coinciding_points_share_their_samples():
    points = torch.zeros(1, 4, 3, dtype=torch.float64)
    error = nearest_point_error(points, torch.ones(1, 4, dtype=torch.float64), 64)
    assert float(error) == pytest.approx(0.75)


def test_one_shot():
    x = torch.from_numpy(episodes(K=1))
    support = Support.of(x)
    head = NCM().fit(support)
    prediction = Gaussian().predict(support, head)
    assert bool(prediction.error.isnan().all())
    assert "one shot" in prediction.reason
    known = Gaussian().fit(BaseClasses(covariance=lambda: torch.eye(24, dtype=torch.float64)))
    assert bool(known.predict(support, head).error.isfinite().all())


def test_unknown_covariance():
    support = Support.of(torch.randn(1, 2, 2, 3))
    with pytest.raises(FewshotError, match=r"estimator\.gaussian\.covariance"):
        Gaussian("ful").predict(support, NCM().fit(support))
