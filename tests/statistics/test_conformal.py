"""Conformal quantiles: against counting, MAPIE, and the coverage that they promise."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin

from fewshot.statistics import conformal_quantile
from fewshot.statistics.conformal import pooled_weights, weighted_quantile, weighted_tail

LEVELS = st.floats(0.01, 0.99)
SCORES = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=25)


def slow_quantile(scores, level):
    """The smallest score that at least (n + 1) `level` scores do not exceed."""
    wanted = (len(scores) + 1) * level - 1e-9
    reached = [s for s in scores if sum(other <= s for other in scores) >= wanted]
    return min(reached, default=math.inf)


@given(SCORES, LEVELS)
@settings(max_examples=50, deadline=None)
def test_quantile_is_the_smallest_score_that_enough_others_do_not_exceed(scores, level):
    assert float(conformal_quantile(torch.tensor(scores), level)) == slow_quantile(scores, level)


@pytest.mark.parametrize(("level", "least"), [(0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_fewest_scores_that_can_promise_a_level(level, least):
    scores = torch.arange(float(least))
    assert conformal_quantile(scores, level) == least - 1
    assert conformal_quantile(scores[1:], level) == torch.inf


def test_quantile_of_a_batch_is_that_of_every_row():
    scores = torch.rand(3, 4, 20, generator=torch.Generator().manual_seed(0))
    rows = [[conformal_quantile(row, 0.8) for row in block] for block in scores]
    torch.testing.assert_close(conformal_quantile(scores, 0.8), torch.tensor(rows))


@pytest.mark.parametrize("level", [0.7, 0.8, 0.9])
def test_a_new_score_is_below_the_quantile_as_often_as_promised(level):
    draws = torch.rand(4000, 21, generator=torch.Generator().manual_seed(1)).log()
    covered = draws[:, 20] <= conformal_quantile(draws[:, :20], level)
    promised = math.ceil(21 * level - 1e-9) / 21  # exact where no two scores are equal
    assert abs(float(covered.double().mean()) - promised) < 4 * (0.25 / 4000) ** 0.5


def test_quantile_is_that_of_mapie():
    mapie = pytest.importorskip("mapie.classification")

    class Identity(ClassifierMixin, BaseEstimator):
        """Gives the features back as probabilities."""

        def fit(self, X, y):
            self.classes_, self.fitted_ = np.unique(y), True
            return self

        def predict_proba(self, X):
            return X

        def predict(self, X):
            return X.argmax(1)

    rng = np.random.default_rng(0)
    X = rng.dirichlet(np.ones(3), 40)
    y = np.array([rng.choice(3, p=row) for row in X])
    levels, new = [0.75, 0.9, 0.95], rng.dirichlet(np.ones(3), 200)
    reference = mapie.SplitConformalClassifier(
        Identity().fit(X, y), confidence_level=levels, conformity_score="lac", prefit=True
    ).conformalize(X, y)
    sets = reference.predict_set(np.concatenate([new, X]))[1]
    scores = torch.from_numpy(1 - X[np.arange(40), y])
    for i, level in enumerate(levels):
        threshold = 1 - float(conformal_quantile(scores, level))
        np.testing.assert_array_equal(sets[..., i], np.concatenate([new, X]) >= threshold - 1e-12)


@given(SCORES, LEVELS)
@settings(max_examples=50, deadline=None)
def test_weighted_quantile_is_the_quantile_of_scores_that_are_repeated(scores, level):
    values, weights = torch.tensor(scores), torch.arange(1.0, len(scores) + 1)
    repeated = values.repeat_interleave(weights.int())
    wanted = level * len(repeated) - 1e-9 * len(repeated)
    slow = min(float(v) for v in repeated if int((repeated <= v).sum()) >= wanted)
    assert float(weighted_quantile(values, weights, level)) == slow


@given(SCORES)
@settings(max_examples=50, deadline=None)
def test_weighted_quantile_grows_with_the_level(scores):
    values = torch.tensor(scores)
    found = [
        float(weighted_quantile(values, torch.ones_like(values), t / 10)) for t in range(1, 10)
    ]
    assert found == sorted(found)


def test_quantile_without_weight_is_infinite():
    assert weighted_quantile(torch.empty(0), torch.empty(0), 0.9) == torch.inf
    assert weighted_quantile(torch.ones(2), torch.zeros(2), 0.9) == torch.inf


def test_scores_from_elsewhere_count_as_the_pseudo_count():
    weights = pooled_weights(torch.tensor([1.0, 2.0, 0.0]), 4, 6.0)
    torch.testing.assert_close(weights, torch.tensor([1.0, 2.0, 0.0, 1.5, 1.5, 1.5, 1.5]))
    few, many = torch.zeros(2), torch.zeros(2000)
    others = torch.ones(10)
    for own, expected in ((few, 1.0), (many, 0.0)):
        weights = pooled_weights(torch.ones_like(own), len(others), 20.0)
        assert weighted_quantile(torch.cat([own, others]), weights, 0.9) == expected


@given(SCORES, st.lists(st.integers(-1, 10).map(float), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_tail_is_the_share_of_weight_as_large(scores, points):
    values, weights = torch.tensor(scores).double(), torch.arange(1.0, len(scores) + 1).double()
    slow = [float(weights[values >= point].sum() / weights.sum()) for point in points]
    tail = weighted_tail(values, weights, torch.tensor(points).double())
    torch.testing.assert_close(tail, torch.tensor(slow).double())


def test_tail_of_nan_is_zero_and_without_weight_one():
    points = torch.tensor([torch.nan, 0.5])
    assert weighted_tail(torch.zeros(3), torch.ones(3), points).tolist() == [0.0, 0.0]
    assert weighted_tail(torch.empty(0), torch.empty(0), points).tolist() == [1.0, 1.0]
