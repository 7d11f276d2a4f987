"""LDA against scikit-learn where that is defined, and its answers where it is not."""

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf as sklearn_ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Query, Support
from fewshot.heads.lda import LDA, ledoit_wolf
from fewshot.heads.ncm import NCM


def draw(episodes, ways, shots, dim, seed=0, queries=10):
    """Anisotropic classes with one constant feature: (E, N, K, D) and (E, N * Q, D)."""
    rng = np.random.default_rng(seed)
    scale = np.geomspace(1, 0.05, dim)
    means = rng.normal(size=(episodes, ways, 1, dim)) * scale
    support = means + rng.normal(size=(episodes, ways, shots, dim)) * scale
    query = means + rng.normal(size=(episodes, ways, queries, dim)) * scale
    support[..., 0] = query[..., 0] = 0.5
    return support, query.reshape(episodes, ways * queries, dim)


def relative(scores):
    return scores - scores.mean(-1, keepdims=True)


@pytest.mark.parametrize(
    ("ways", "shots", "dim"), [(5, 5, 64), (5, 3, 40), (2, 10, 30), (3, 30, 8), (4, 20, 20)]
)
@pytest.mark.parametrize("shrinkage", ["auto", 0.3])
def test_agrees_with_scikit_learn(ways, shots, dim, shrinkage):
    support, query = draw(6, ways, shots, dim)
    head = LDA(shrinkage).fit(Support.of(torch.from_numpy(support)))
    scores = head.scores(Query.of(torch.from_numpy(query))).numpy()
    labels = np.repeat(np.arange(ways), shots)
    for e in range(6):
        reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
        reference.fit(support[e].reshape(ways * shots, dim), labels)
        expected = query[e] @ reference.coef_.T + reference.intercept_
        if ways == 2:  # scikit-learn keeps the difference only
            scores_e = scores[e][:, 1] - scores[e][:, 0]
            np.testing.assert_allclose(scores_e, expected[:, 0], rtol=1e-6, atol=1e-6)
        else:
            np.testing.assert_allclose(
                relative(scores[e]), relative(expected), rtol=1e-6, atol=1e-6
            )


def test_unequal_shots_agree_with_scikit_learn():
    support, query = draw(5, 3, 9, 25)
    mask = np.ones((5, 3, 9), dtype=bool)
    mask[:, 1, 5:] = mask[:, 2, 7:] = False
    labels = np.repeat(np.arange(3), 9)
    for priors, given in (("empirical", None), ("uniform", [1 / 3] * 3)):
        head = LDA(priors=priors).fit(Support.of(torch.from_numpy(support), torch.from_numpy(mask)))
        scores = head.scores(Query.of(torch.from_numpy(query))).numpy()
        for e in range(5):
            kept = mask[e].ravel()
            reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=given)
            reference.fit(support[e].reshape(27, 25)[kept], labels[kept])
            expected = reference.decision_function(query[e])
            np.testing.assert_allclose(
                relative(scores[e]), relative(expected), rtol=1e-6, atol=1e-6
            )


def test_intensity_agrees_with_scikit_learn():
    x = np.random.default_rng(3).normal(size=(1, 1, 7, 12))
    z = (x - x.mean(2, keepdims=True)) / x.std(2, keepdims=True)
    tensor = torch.from_numpy(x)
    means = tensor.mean(2)
    deviations = tensor - means[:, :, None]
    variance = deviations.square().mean(2)
    intensity, _ = ledoit_wolf(deviations, means, variance, torch.full((1, 1), 7.0).double())
    assert float(intensity) == pytest.approx(sklearn_ledoit_wolf(z[0, 0])[1], rel=1e-9)


def test_one_shot_is_nearest_class_mean():
    support, query = (torch.from_numpy(a) for a in draw(8, 5, 1, 30))
    lda, ncm = LDA().fit(Support.of(support)), NCM().fit(Support.of(support))
    one, other = (relative(h.scores(Query.of(query)).numpy()) for h in (lda, ncm))
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_a_class_with_one_shot_uses_the_covariance_of_the_others():
    support, query = (torch.from_numpy(a) for a in draw(8, 3, 6, 30))
    mask = torch.ones(8, 3, 6, dtype=torch.bool)
    mask[:, 0, 1:] = False
    scores = LDA().fit(Support.of(support, mask)).scores(Query.of(query))
    # The same covariance, and a first class that is the one shot repeated nowhere else.
    others = LDA().fit(Support.of(support[:, 1:])).scores(Query.of(query))
    gap = (scores[..., 2] - scores[..., 1]) - (others[..., 1] - others[..., 0])
    np.testing.assert_allclose(gap, 0, atol=1e-8)


def test_two_shots_beat_nearest_class_mean_where_scikit_learn_degenerates():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(64, 64)) / 8 * np.geomspace(1, 0.1, 64)
    means = rng.normal(size=(200, 5, 1, 64)) @ mixing * 0.7
    support = torch.from_numpy(means + rng.normal(size=(200, 5, 2, 64)) @ mixing)
    query = torch.from_numpy(means + rng.normal(size=(200, 5, 20, 64)) @ mixing).flatten(1, 2)
    truth = torch.arange(5).repeat_interleave(20)
    right = {
        type(head).__name__: float(
            (head.fit(Support.of(support)).predict(Query.of(query)) == truth).double().mean()
        )
        for head in (LDA(), NCM())
    }
    assert right["LDA"] > right["NCM"]


@pytest.mark.parametrize("bad", [{"shrinkage": 0}, {"shrinkage": "some"}, {"priors": "best"}])
def test_bad_parameters(bad):
    with pytest.raises(FewshotError, match="expected"):
        LDA(**bad).fit(Support.of(torch.randn(1, 2, 3, 4)))
