"""Soft k-means against the formulas of the paper, one episode and one query at a time."""

import numpy as np
import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Query, Support
from fewshot.heads.ncm import NCM
from fewshot.heads.soft_kmeans import SoftKMeans

E, N, K, D, T = 4, 3, 4, 8, 9


def draw(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(E, N, K, D)), rng.normal(size=(E, T, D)), rng.random((E, N, K)) < 0.7


def slowly(shots, mask, queries, scale, steps):
    """Refined means of one episode."""
    means = np.array([shots[n][mask[n]].mean(0) for n in range(N)])
    for _ in range(steps):
        shares = np.zeros((len(queries), N))
        for t, x in enumerate(queries):
            likeness = np.exp([-scale * np.sum((x - m) ** 2) for m in means])
            shares[t] = likeness / likeness.sum()
        for n in range(N):
            total = shots[n][mask[n]].sum(0) + (shares[:, n, None] * queries).sum(0)
            means[n] = total / (mask[n].sum() + shares[:, n].sum())
    return means


@pytest.mark.parametrize(("scale", "steps"), [(0.1, 1), (0.5, 3), (0.2, 0)])
def test_agrees_with_the_formulas(scale, steps):
    shots, queries, mask = draw()
    mask[..., 0] = True
    head = SoftKMeans(scale, steps).fit(Support.of(torch.tensor(shots), torch.tensor(mask)))
    scores = head.scores(Query.of(torch.tensor(queries))).numpy()
    for e in range(E):
        means = slowly(shots[e], mask[e], queries[e], scale, steps)
        expected = -scale * ((queries[e][:, None] - means) ** 2).sum(-1)
        np.testing.assert_allclose(
            scores[e] - scores[e].mean(-1, keepdims=True),
            expected - expected.mean(-1, keepdims=True),
            atol=1e-12,
        )


def test_without_queries_it_is_nearest_class_mean():
    shots, queries, _ = draw()
    support, features = Support.of(torch.tensor(shots)), torch.tensor(queries)
    nobody = Query.of(features, torch.zeros(E, T, dtype=torch.bool))
    scores = SoftKMeans(0.5).fit(support).scores(nobody)
    assert scores.shape == (E, T, N)
    assert bool(scores.isfinite().all())
    assert SoftKMeans().fit(support).scores(Query.of(features[:, :0])).shape == (E, 0, N)
    answers = SoftKMeans(steps=0).fit(support).predict(Query.of(features))
    assert torch.equal(answers, NCM().fit(support).predict(Query.of(features)))


def test_one_query_at_a_time_gives_other_answers():
    support, features = (torch.tensor(one) for one in draw()[:2])
    head = SoftKMeans(0.1).fit(Support.of(support))
    alone = head.scores(Query.of(features[:, :1]))
    assert not torch.allclose(alone, head.scores(Query.of(features))[:, :1])
    assert head.uses == {"queries"}


@pytest.mark.parametrize("wrong", [{"scale": 0}, {"scale": "wide"}, {"steps": -1}, {"steps": 1.5}])
def test_bad_parameters(wrong):
    (name,) = wrong
    with pytest.raises(FewshotError, match=f"head.soft_kmeans.{name}: expected"):
        SoftKMeans(**wrong).fit(Support.of(torch.zeros(1, 2, 1, 3)))
