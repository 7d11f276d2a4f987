"""LaplacianShot against easyfsl's and against what its bound updates must reach."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.laplacian_shot import LaplacianShot
from fewshot.heads.solvers.graph import nearest_neighbours, neighbour_sums, squared_distances

E, N, K, D, T = 8, 5, 3, 16, 25


def draw(seed=0):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(E, N, 1, D))
    shots = means + rng.normal(size=(E, N, K, D))
    queries = means + rng.normal(size=(E, N, T // N, D))
    return (normalize(torch.tensor(one), dim=-1) for one in (shots, queries.reshape(E, T, D)))


@pytest.mark.parametrize(("knn", "weight", "steps"), [(3, 0.7, 20), (5, 2.0, 20), (4, 1.0, 2)])
def test_agrees_with_easyfsl(knn, weight, steps):
    methods = pytest.importorskip("easyfsl.methods")
    shots, queries = (one.float() for one in draw())
    scores = LaplacianShot(knn, weight, steps).fit(Support.of(shots)).scores(Query.of(queries))
    for e in range(E):
        peer = methods.LaplacianShot(
            torch.nn.Identity(), knn=knn, lambda_regularization=weight, inference_steps=steps
        )
        peer.process_support_set(shots[e].flatten(0, 1), torch.arange(N).repeat_interleave(K))
        torch.testing.assert_close(scores[e].softmax(-1), peer(queries[e]), rtol=0, atol=1e-4)


def published(shots, queries, base_mean, weight):
    """Log assignments (T, N) of one episode, as the authors' program has them with rectification.

    CL2N, a shift of the queries, which are scored where it took them, weights by a softmax over the
    classes, means of weighted members, then 20 bound updates with two neighbours each.
    """
    shots, queries = (normalize(x - base_mean, dim=-1) for x in (shots, queries))
    means = shots.mean(1)
    queries = queries + shots.mean((0, 1)) - queries.mean(0)
    best = [int(cosine_similarity(x[None], means).argmax()) for x in queries]
    prototypes = []
    for n in range(N):
        members = [*shots[n], *(x for x, c in zip(queries, best, strict=True) if c == n)]
        weighted = [(10 * cosine_similarity(x[None], means)).softmax(0)[n] * x for x in members]
        prototypes.append(torch.stack(weighted).mean(0))
    unary = torch.stack([((x - torch.stack(prototypes)) ** 2).sum(-1) for x in queries])
    nearest = [((x - queries) ** 2).sum(-1).argsort()[1:3] for x in queries]
    y = (-unary).softmax(-1)
    for _ in range(20):
        y = torch.stack([(-unary[t] + weight * y[nearest[t]].sum(0)).softmax(0) for t in range(T)])
    return y.log()


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_the_papers_settings_are_the_authors_program(weight):
    shots, queries = draw(4)
    base_mean = torch.linspace(-0.1, 0.2, D, dtype=torch.float64)
    head = LaplacianShot(weight=weight, preset="paper")
    head.fit(Support.of(shots, None, Context(base_mean=base_mean)))
    scores = head.scores(Query.of(queries)).log_softmax(-1)
    for e in range(E):
        expected = published(shots[e], queries[e], base_mean, weight)
        # It stops when the bound changes by less than a millionth.
        torch.testing.assert_close(scores[e].exp(), expected.exp(), rtol=0, atol=1e-3)
    assert head.uses == {"queries", "query_prior", "base"}


def test_assignments_are_a_fixed_point():
    shots, queries = draw(1)
    head = LaplacianShot(weight=0.5, steps=500).fit(Support.of(shots))
    scores = head.scores(Query.of(queries))
    unary = LaplacianShot(weight=0.0).fit(Support.of(shots)).scores(Query.of(queries))
    neighbours = squared_distances(queries, queries).argsort(-1)[..., 1:3]
    for e in range(E):
        shares = scores[e].softmax(-1)
        again = unary[e] + 0.5 * shares[neighbours[e]].sum(1)
        torch.testing.assert_close(again.softmax(-1), shares, rtol=0, atol=2e-3)


def test_neighbours_and_their_sums():
    features = torch.tensor([[[0.0], [1.0], [1.5], [9.0], [1.4]]])
    mask = torch.tensor([[True, True, True, True, False]])
    rows, exists = nearest_neighbours(features, mask, 2)
    assert rows[0, :4].tolist() == [[1, 2], [2, 0], [1, 0], [2, 1]]
    assert bool(exists.all())
    sums = neighbour_sums(torch.tensor([[[1.0, 10.0, 100.0, 1000.0, 7.0]]]), rows, exists)
    assert sums[0, 0, :4].tolist() == [110.0, 101.0, 11.0, 110.0]
    few = torch.tensor([[True, True, False, False, False]])
    assert nearest_neighbours(features, few, 3)[1].sum(-1)[0, :2].tolist() == [1, 1]


def test_squared_distances():
    one, other = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    torch.testing.assert_close(
        squared_distances(one, other), torch.cdist(one, other).square(), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("number", [0, 1, 2])
def test_few_queries(number):
    shots, queries = draw()
    head = LaplacianShot().fit(Support.of(shots))
    scores = head.scores(Query.of(queries[:, :number]))
    assert scores.shape == (E, number, N)
    assert bool(scores.isfinite().all())
    masked = head.scores(Query.of(queries, torch.arange(T).expand(E, T) < number))
    torch.testing.assert_close(
        masked[:, :number].softmax(-1), scores.softmax(-1), rtol=1e-9, atol=1e-9
    )


def test_what_it_uses():
    assert LaplacianShot().uses == {"queries", "query_prior"}
    assert LaplacianShot(shift=False).uses == {"queries"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"knn": 0},
        {"weight": -1},
        {"steps": 2.5},
        {"scale": -1},
        {"weights": "all"},
        {"score_shifted": 1},
    ],
)
def test_bad_parameters(wrong):
    (name,) = wrong
    with pytest.raises(FewshotError, match=rf"head\.laplacian_shot\.{name}: expected"):
        LaplacianShot(**wrong).fit(Support.of(torch.zeros(1, 2, 1, 3)))
