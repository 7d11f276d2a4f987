"""The linear support vector machine against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Query, Support
from fewshot.heads.svm import SVM


def draw(ways, shots, dim, episodes=3, seed=0):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(episodes, ways, 1, dim))
    support = means + 1.5 * rng.normal(size=(episodes, ways, shots, dim)) + 0.5
    query = means + 1.5 * rng.normal(size=(episodes, ways, 8, dim)) + 0.5
    return support, query.reshape(episodes, ways * 8, dim)


def reference(shots, labels, C):
    return LinearSVC(dual=False, C=C, tol=1e-10, max_iter=100_000).fit(shots, labels)


@pytest.mark.parametrize(
    ("ways", "shots", "dim", "C"),
    [(5, 5, 64, 1.0), (5, 1, 40, 1.0), (3, 4, 30, 100.0), (4, 20, 6, 0.1), (4, 30, 5, 50.0)],
)
def test_agrees_with_scikit_learn(ways, shots, dim, C):
    support, query = draw(ways, shots, dim)
    head = SVM(C).fit(Support.of(torch.from_numpy(support)))
    scores = head.scores(Query.of(torch.from_numpy(query))).numpy()
    labels = np.repeat(np.arange(ways), shots)
    for e in range(len(support)):
        expected = reference(support[e].reshape(-1, dim), labels, C)
        np.testing.assert_allclose(head.weights_[e].numpy(), expected.coef_, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            head.biases_[e].numpy(), expected.intercept_, rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            scores[e], expected.decision_function(query[e]), rtol=1e-4, atol=1e-5
        )


def test_two_classes_are_one_machine():
    support, query = draw(2, 6, 20)
    head = SVM().fit(Support.of(torch.from_numpy(support)))
    scores = head.scores(Query.of(torch.from_numpy(query))).numpy()
    np.testing.assert_allclose(scores[..., 0], -scores[..., 1], atol=1e-10)
    for e in range(3):
        expected = reference(support[e].reshape(12, 20), np.repeat([0, 1], 6), 1.0)
        np.testing.assert_allclose(
            scores[e, :, 1], expected.decision_function(query[e]), rtol=1e-5, atol=1e-6
        )


def test_unequal_shots_agree_with_scikit_learn():
    support, _ = draw(3, 6, 20)
    mask = np.ones((3, 3, 6), dtype=bool)
    mask[:, 0, 1:] = mask[:, 2, 4:] = False
    head = SVM(2.0).fit(Support.of(torch.from_numpy(support), torch.from_numpy(mask)))
    labels = np.repeat(np.arange(3), 6)
    for e in range(3):
        kept = mask[e].ravel()
        expected = reference(support[e].reshape(18, 20)[kept], labels[kept], 2.0)
        np.testing.assert_allclose(head.weights_[e].numpy(), expected.coef_, rtol=1e-5, atol=1e-6)


def test_overlapping_classes_with_a_weak_penalty_end_at_the_minimum():
    support, _ = draw(3, 40, 4, seed=5)
    head = SVM(1e3).fit(Support.of(torch.from_numpy(support)))
    rows = torch.cat([torch.from_numpy(support).flatten(1, 2), torch.ones(3, 120, 1).double()], -1)
    v = torch.cat([head.weights_, head.biases_[..., None]], -1)
    sides = 2 * torch.eye(3).double().repeat_interleave(40, 1) - 1
    hinge = (1 - sides * (v @ rows.mT)).clamp_min(0)
    gradient = v - 2e3 * (sides * hinge) @ rows
    assert float(gradient.abs().max()) < 1e-6 * 2e3 * float(hinge.sum(-1).max())


@pytest.mark.parametrize("C", [0, -1, "search", float("inf")])
def test_bad_parameters(C):
    with pytest.raises(FewshotError, match=r"head\.svm\.C: expected a number > 0, got"):
        SVM(C).fit(Support.of(torch.zeros(1, 2, 3, 4)))
