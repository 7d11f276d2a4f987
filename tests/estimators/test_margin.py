"""`margin`: exact for two ways, unbiased margins, true errors of simulated Gaussians."""

import numpy as np
import pytest
import torch
from scipy import stats

from fewshot.estimators.base import BaseClasses
from fewshot.estimators.margin import (
    Margin,
    margin_means,
    projected_scatter,
)
from fewshot.estimators.winning import rivals
from fewshot.heads.base import Support
from fewshot.heads.lda import LDA
from fewshot.heads.ncm import NCM
from fewshot.heads.soft_kmeans import SoftKMeans


def gaussian_supports(episodes, ways, shots, dim=30, seed=0, spread=1.0):
    """Class means (E, N, D), a covariance root (D, D) and supports drawn from them."""
    rng = np.random.default_rng(seed)
    root = np.diag(np.geomspace(1.5, 0.2, dim)) * spread
    means = rng.normal(size=(episodes, ways, dim)) * 0.5
    shots = means[:, :, None] + rng.normal(size=(episodes, ways, shots, dim)) @ root
    return means, root, torch.from_numpy(shots)


def true_error(head, means, root, rng, samples=4000):
    """Error of a fitted head on the population, by sampling it."""
    E, N, D = means.shape
    noise = rng.normal(size=(samples, D)) @ root
    wrong = np.zeros(E)
    for n in range(N):
        x = torch.from_numpy(means[:, n, None] + noise)
        scores = torch.baddbmm(head.biases_[:, None], x, head.weights_.mT)
        wrong += (scores.argmax(-1) != n).double().mean(-1).numpy() / N
    return wrong


def test_two_ways_equal_the_normal_cdf():
    _, _, features = gaussian_supports(50, 2, 4)
    head = NCM().fit(Support.of(features))
    predicted = Margin().predict(Support.of(features), head).error.numpy()
    m = features.mean(2).numpy()
    deviations = features.numpy() - m[:, :, None]
    for e in range(50):
        w = m[e, 0] - m[e, 1]
        flat = deviations[e].reshape(8, -1)
        variance = np.sum((flat @ w) ** 2) / 6
        mean = w @ w / 2 - np.sum(flat**2) / 6 / 4
        assert predicted[e] == pytest.approx(stats.norm.cdf(-mean / variance**0.5), abs=1e-6)


def test_estimated_margins_are_unbiased():
    rng = np.random.default_rng(1)
    means, root, _ = gaussian_supports(1, 3, 3)
    draws = means[:, :, None] + rng.normal(size=(20_000, 3, 3, 30)) @ root
    support = Support.of(torch.from_numpy(draws))
    head = NCM().fit(support)
    form = head.linear()
    trace, scatter = projected_scatter(support, form.weights)
    estimated = rivals(margin_means(support, form, trace))
    at_truth = torch.baddbmm(
        form.biases[:, None], torch.from_numpy(means).expand(20_000, 3, 30), form.weights.mT
    )
    own_scores = at_truth.diagonal(dim1=-2, dim2=-1)
    truth = rivals(own_scores[..., None] - at_truth)
    gap = (estimated - truth).mean(0)
    error = (estimated - truth).std(0) / 20_000**0.5
    assert bool((gap.abs() < 4 * error).all())
    assert float(trace.mean()) == pytest.approx(np.trace(root @ root), rel=0.01)
    expected = form.weights @ torch.from_numpy(root @ root) @ form.weights.mT
    assert float(scatter.mean()) == pytest.approx(float(expected.mean()), abs=0.05)


@pytest.mark.parametrize("ways", [2, 5])
def test_approaches_the_true_error_of_gaussians(ways):
    miss = []
    for shots in (3, 10, 60):
        means, root, features = gaussian_supports(150, ways, shots, spread=1.3, seed=1)
        support = Support.of(features)
        head = NCM().fit(support)
        truth = true_error(head, means, root, np.random.default_rng(2))
        predicted = Margin().predict(support, head).error.numpy()
        miss.append(np.abs(predicted - truth).mean())
    assert miss[0] > miss[1] > miss[2]
    assert miss[2] < 0.03
    assert stats.spearmanr(predicted, truth).statistic > 0.8


def test_knows_hard_episodes_from_easy_ones_at_one_shot():
    predicted, truth = [], []
    for spread in (0.3, 0.45, 0.6):
        means, root, features = gaussian_supports(100, 4, 1, spread=spread)
        support = Support.of(features)
        head = NCM().fit(support)
        base = BaseClasses(covariance=lambda root=root: torch.from_numpy(root @ root))
        predicted.append(Margin().fit(base).predict(support, head).error.mean())
        truth.append(true_error(head, means, root, np.random.default_rng(3)).mean())
    np.testing.assert_allclose(predicted, truth, atol=0.05)
    assert predicted[0] < predicted[1] < predicted[2]


def test_one_shot_without_base_classes_has_a_reason():
    _, _, features = gaussian_supports(3, 4, 1)
    support = Support.of(features)
    for head in (NCM(), LDA()):
        prediction = Margin().predict(support, head.fit(support))
        assert bool(prediction.error.isnan().all())
        assert "one shot" in prediction.reason


def test_one_shot_asks_for_base_classes_only_where_they_would_do():
    support = Support.of(gaussian_supports(3, 5, 1)[2])
    alone, with_base = (
        Margin(),
        Margin().fit(BaseClasses(covariance=lambda: torch.eye(30).double())),
    )
    reasons = {
        name: alone.predict(support, head.fit(support)).reason
        for name, head in {"lda": LDA(), "soft_kmeans": SoftKMeans()}.items()
    }
    assert "base classes" in reasons["lda"]
    assert "base classes" not in reasons["soft_kmeans"]
    prediction = with_base.predict(support, SoftKMeans().fit(support))
    assert bool(prediction.error.isnan().all())
    assert prediction.reason == reasons["soft_kmeans"]
    assert with_base.predict(support, LDA().fit(support)).error.isfinite().all()


def test_lda_is_judged_by_held_out_scores():
    means, root, features = gaussian_supports(100, 4, 6, spread=1.2)
    support = Support.of(features)
    head = LDA().fit(support)
    truth = true_error(head, means, root, np.random.default_rng(4))
    predicted = Margin().predict(support, head).error.numpy()
    assert abs((predicted - truth).mean()) < 0.05
    assert stats.spearmanr(predicted, truth).statistic > 0.3
