"""Logistic regression against scikit-learn, and the search for its penalty against a slow one."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression as Reference

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Query, Support
from fewshot.heads.logistic import LogisticRegression


def draw(ways, shots, dim, episodes=3, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(episodes, ways, 1, dim))
    support = means + spread * rng.normal(size=(episodes, ways, shots, dim)) + 2
    query = means + spread * rng.normal(size=(episodes, ways, 8, dim)) + 2
    return support, query.reshape(episodes, ways * 8, dim)


def reference(shots, labels, C, tolerance=1e-10, weights=None):
    return Reference(C=C, tol=tolerance, max_iter=20_000).fit(shots, labels, weights)


@pytest.mark.parametrize(
    ("ways", "shots", "dim", "C"),
    [
        (5, 5, 64, 1.0),
        (5, 1, 40, 1.0),
        (3, 4, 30, 100.0),
        (4, 20, 6, 0.1),
        (4, 30, 5, 50.0),
        (2, 5, 20, 1.0),
        (2, 30, 8, 3.0),
    ],
)
def test_agrees_with_scikit_learn(ways, shots, dim, C):
    support, query = draw(ways, shots, dim)
    head = LogisticRegression(C, tolerance=1e-9).fit(Support.of(torch.from_numpy(support)))
    scores = head.scores(Query.of(torch.from_numpy(query))).numpy()
    labels = np.repeat(np.arange(ways), shots)
    for e in range(len(support)):
        expected = reference(support[e].reshape(-1, dim), labels, C)
        weights, biases = head.weights_[e].numpy(), head.biases_[e].numpy()
        if ways == 2:  # scikit-learn keeps the difference only
            weights, biases = weights[1:] - weights[:1], biases[1:] - biases[:1]
            np.testing.assert_allclose(biases, expected.intercept_, rtol=1e-4, atol=1e-4)
        else:
            centred = expected.intercept_ - expected.intercept_.mean()
            own = biases - biases.mean()
            np.testing.assert_allclose(own, centred, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(weights, expected.coef_, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(scores[e].argmax(-1), expected.predict(query[e]))


def test_default_tolerance_gives_the_same_decisions_in_float32():
    support, query = draw(5, 5, 100, episodes=10, spread=2.0)
    unit = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (support, query)]
    support, query = (torch.from_numpy(x).float() for x in unit)
    for C in (1.0, 316.0):
        answers = LogisticRegression(C).fit(Support.of(support)).predict(Query.of(query)).numpy()
        for e in range(10):
            expected = reference(
                support[e].flatten(0, 1).numpy(), np.repeat(np.arange(5), 5), C
            ).predict(query[e].numpy())
            assert (answers[e] == expected).mean() >= 0.975


def test_unequal_shots_agree_with_scikit_learn():
    support, _ = draw(3, 6, 20)
    mask = np.ones((3, 3, 6), dtype=bool)
    mask[:, 0, 1:] = mask[:, 2, 4:] = False
    head = LogisticRegression(2.0, tolerance=1e-9)
    head.fit(Support.of(torch.from_numpy(support), torch.from_numpy(mask)))
    labels = np.repeat(np.arange(3), 6)
    for e in range(3):
        kept = mask[e].ravel()
        expected = reference(support[e].reshape(18, 20)[kept], labels[kept], 2.0)
        np.testing.assert_allclose(head.weights_[e].numpy(), expected.coef_, rtol=1e-4, atol=1e-4)


def test_classes_that_count_alike_agree_with_scikit_learn():
    support, _ = draw(3, 6, 20)
    mask = np.ones((3, 3, 6), dtype=bool)
    mask[:, 0, 1:] = mask[:, 2, 4:] = False
    head = LogisticRegression(2.0, tolerance=1e-9, class_weight="balanced")
    head.fit(Support.of(torch.from_numpy(support), torch.from_numpy(mask)))
    labels = np.repeat(np.arange(3), 6)
    for e in range(3):
        kept = mask[e].ravel()
        weights = 11 / (3 * np.bincount(labels[kept]))[labels[kept]]
        model = reference(support[e].reshape(18, 20)[kept], labels[kept], 2.0, weights=weights)
        np.testing.assert_allclose(head.weights_[e].numpy(), model.coef_, rtol=1e-4, atol=1e-4)
        away = model.intercept_ - model.intercept_.mean()
        np.testing.assert_allclose(head.biases_[e].numpy(), away, rtol=1e-4, atol=1e-4)


def test_with_equal_shots_classes_count_alike_anyhow():
    support = Support.of(torch.from_numpy(draw(3, 4, 10)[0]))
    alike = LogisticRegression(class_weight="balanced").fit(support)
    assert torch.equal(alike.weights_, LogisticRegression().fit(support).weights_)


def slow_loss(shots, C):
    """Mistakes, and among equals the cross-entropy, of leaving out the k-th shot of all classes."""
    ways, count, dim = shots.shape
    mistakes, entropy = 0, []
    for k in range(count):
        rest = np.delete(shots, k, 1)
        labels = np.repeat(np.arange(ways), count - 1)
        model = reference(rest.reshape(-1, dim), labels, C, 1e-6)
        scores = model.decision_function(shots[:, k])
        mistakes += (scores.argmax(-1) != np.arange(ways)).sum()
        entropy.extend(-model.predict_log_proba(shots[:, k])[np.arange(ways), np.arange(ways)])
    return mistakes, np.mean(entropy)


def test_the_search_finds_what_a_slow_bisection_finds():
    support, _ = draw(3, 3, 8, episodes=2, seed=4, spread=1.5)
    head = LogisticRegression("search", tolerance=1e-6)
    head.fit(Support.of(torch.from_numpy(support)))
    for e in range(2):
        losses = {}

        def loss(step, losses=losses, shots=support[e]):
            step = int(np.clip(step, -48, 48))
            if step not in losses:
                losses[step] = slow_loss(shots, 10 ** (step / 8))
            return losses[step]

        best = min(range(-48, 49, 16), key=loss)
        for offset in (8, 4, 2, 1):
            best = min((best, best - offset, best + offset), key=loss)
        assert head.C_[e].log10() * 8 == pytest.approx(best)


def test_without_a_second_shot_the_search_is_the_default():
    support, _ = draw(4, 1, 10)
    found = LogisticRegression("search").fit(Support.of(torch.from_numpy(support)))
    assert bool((found.C_ == 1).all())


def test_a_separable_problem_with_next_to_no_penalty_ends():
    support, query = draw(5, 5, 50)
    head = LogisticRegression(1e6).fit(Support.of(torch.from_numpy(support)))
    assert bool(head.scores(Query.of(torch.from_numpy(query))).isfinite().all())
    own = head.predict(Query.of(torch.from_numpy(support).flatten(1, 2)))
    assert bool((own == torch.arange(5).repeat_interleave(5)).all())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"C": 0}, r"head\.logistic\.C: expected a number > 0, got 0\. Or 'search'"),
        ({"C": "auto"}, r"head\.logistic\.C: expected a number > 0, got 'auto'"),
        ({"tolerance": -1}, r"head\.logistic\.tolerance: expected a number > 0"),
        (
            {"class_weight": True},
            r"head\.logistic\.class_weight: expected one of 'none', 'balanced'",
        ),
        ({"max_iterations": 0}, r"head\.logistic\.max_iterations: expected an integer >= 1"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(FewshotError, match=message):
        LogisticRegression(**parameters).fit(Support.of(torch.zeros(1, 2, 3, 4)))
