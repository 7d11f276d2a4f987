"""Nearest class mean against scikit-learn and against a slow loop."""

import numpy as np
import torch
from sklearn.neighbors import NearestCentroid

from fewshot.heads.base import Query, Support
from fewshot.heads.ncm import NCM


def test_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    support = rng.normal(size=(20, 5, 3, 16)) + rng.normal(size=(20, 5, 1, 16))
    query = rng.normal(size=(20, 30, 16))
    answers = (
        NCM().fit(Support.of(torch.from_numpy(support))).predict(Query.of(torch.from_numpy(query)))
    )
    for e in range(20):
        reference = NearestCentroid().fit(support[e].reshape(15, 16), np.repeat(np.arange(5), 3))
        np.testing.assert_array_equal(answers[e], reference.predict(query[e]))


def test_scores_are_negative_half_squared_distances_up_to_a_constant():
    rng = np.random.default_rng(1)
    support, query = rng.normal(size=(2, 3, 4, 6)) + 5, rng.normal(size=(2, 7, 6)) + 5
    scores = (
        NCM().fit(Support.of(torch.from_numpy(support))).scores(Query.of(torch.from_numpy(query)))
    )
    distance = ((query[:, :, None] - support.mean(2)[:, None]) ** 2).sum(-1)
    expected = -distance / 2
    gap = scores.numpy() - expected
    np.testing.assert_allclose(gap, np.broadcast_to(gap[..., :1], gap.shape), atol=1e-10)


def test_large_common_offset_costs_no_digits_that_matter():
    rng = np.random.default_rng(2)
    support, query = rng.normal(size=(50, 5, 5, 32)), rng.normal(size=(50, 40, 32))
    near = (
        NCM().fit(Support.of(torch.from_numpy(support))).predict(Query.of(torch.from_numpy(query)))
    )
    far = (
        NCM()
        .fit(Support.of(torch.from_numpy(support + 100).float()))
        .predict(Query.of(torch.from_numpy(query + 100).float()))
    )
    assert (near == far).double().mean() > 0.998
