"""Statistics against those of all images at once."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from fewshot.exceptions import FewshotError
from fewshot.heads.incremental_lda import lda_weights
from fewshot.heads.solvers.sufficient_statistics import SufficientStatistics

D = 6


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, 5, size=80))
    return torch.from_numpy(rng.normal(size=(80, D)) + labels[:, None] + 3), torch.from_numpy(
        labels
    )


@pytest.fixture
def whole(images):
    return SufficientStatistics.empty(5, D).update(*images)


def same(one, other):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_moments(images, whole):
    features, labels = (one.numpy() for one in images)
    scatter = np.zeros((D, D))
    for c in range(5):
        own = features[labels == c]
        assert whole.counts[c] == len(own)
        np.testing.assert_allclose(whole.means()[c], own.mean(0))
        scatter += np.cov(own.T) * (len(own) - 1)
    np.testing.assert_allclose(whole.covariance(), scatter / 75, rtol=1e-10, atol=1e-12)
    assert whole.freedom == 75


@pytest.mark.parametrize("seed", range(3))
def test_order_of_images_and_of_merging_does_not_matter(images, whole, seed):
    order = torch.randperm(80, generator=torch.Generator().manual_seed(seed))
    features, labels = (one[order] for one in images)
    parts = [
        SufficientStatistics.empty(0, D).update(x, y)
        for x, y in zip(features.split(13), labels.split(13), strict=True)
    ]
    left = parts[0]
    for part in parts[1:]:
        left = left.merge(part)
    same(left, whole)
    right = parts[-1]
    for part in parts[-2::-1]:
        right = part.merge(right)
    same(right, whole)


def test_classes_one_after_the_other(images, whole):
    features, labels = images
    statistics = SufficientStatistics.empty(0, D)
    for c in range(5):
        statistics = statistics.update(features[labels == c], labels[labels == c])
        assert len(statistics.counts) == c + 1
    same(statistics, whole)
    one, other = lda_weights(statistics), lda_weights(whole)
    torch.testing.assert_close(one[0], other[0])
    torch.testing.assert_close(one[1], other[1])


def test_updating_changes_nothing_given(images):
    first = SufficientStatistics.empty(5, D)
    first.update(*images)
    assert all(not bool(one.any()) for one in first)
    assert first.update(torch.empty(0, D), torch.empty(0, dtype=torch.int64)) is first


def test_weights_agree_with_scikit_learn(images, whole):
    weights, biases = lda_weights(whole, 1e-9)
    scores = images[0] @ weights.T + biases
    reference = LinearDiscriminantAnalysis(solver="lsqr")
    reference.fit(*(one.numpy() for one in images))
    # It adds log priors, and its covariance is 75 / 80 of the unbiased one.
    expected = reference.decision_function(images[0].numpy()) - np.log(reference.priors_)
    expected = expected * 75 / 80
    gap = scores.numpy() - expected
    np.testing.assert_allclose(gap - gap.mean(-1, keepdims=True), 0, atol=1e-5)


def test_one_image_of_each_class_is_nearest_class_mean():
    statistics = SufficientStatistics.empty(3, D).update(torch.eye(D)[:3], torch.arange(3))
    weights, biases = lda_weights(statistics)
    assert (torch.eye(D)[:3].double() @ weights.T + biases).argmax(-1).tolist() == [0, 1, 2]


def test_errors():
    statistics = SufficientStatistics.empty(2, D)
    with pytest.raises(FewshotError, match=r"features: expected \(M, D\) = \(2, 6\), got \(2, 5\)"):
        statistics.update(torch.ones(2, 5), torch.tensor([0, 1]))
    with pytest.raises(FewshotError, match=r"labels: expected >= 0, got -1"):
        statistics.update(torch.ones(1, D), torch.tensor([-1]))
    with pytest.raises(FewshotError, match=r"statistics: expected 6 dimensions, got 4"):
        statistics.merge(SufficientStatistics.empty(2, 4))
