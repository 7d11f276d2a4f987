"""PADDLE against algorithm 1 written out for one episode, and what it does."""

import math

import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Query, Support
from fewshot.heads.paddle import PADDLE

WAYS = 4


def draw(shots=3, counts=(9, 7, 5, 3), dim=60, episodes=4, spread=1.0):
    rng = torch.Generator().manual_seed(shots + dim)
    means = torch.randn(episodes, WAYS, 1, dim, generator=rng, dtype=torch.float64)

    def around(number):
        noise = torch.randn(episodes, WAYS, number, dim, generator=rng, dtype=torch.float64)
        return means + spread * noise

    query = around(max(counts))
    kept = torch.cat([query[:, c, :number] for c, number in enumerate(counts)], 1)
    return around(shots), kept, torch.arange(WAYS).repeat_interleave(torch.tensor(counts))


def algorithm(shots, queries, penalty, steps):
    """Log answers (T, N) from lists of shots, one (K_c, D) per class, and queries (T, D)."""
    width = queries.amax(0) - queries.amin(0)
    shots, queries = [one / width for one in shots], queries / width
    T, N = len(queries), len(shots)
    centres = [one.mean(0) for one in shots]
    v = [0.0] * N
    for _ in range(steps):
        z = torch.zeros(T, N, dtype=torch.float64)
        for n in range(T):
            for k in range(N):
                distance = float((centres[k] - queries[n]).square().sum())
                z[n, k] = -distance / 2 + penalty * T / T * v[k]
        u = z.softmax(1)
        v = [math.log(float(u[:, k].mean()) + 1e-6) + 1 for k in range(N)]
        for k in range(N):
            total = shots[k].sum(0) + (u[:, k, None] * queries).sum(0)
            centres[k] = total / (len(shots[k]) + u[:, k].sum())
    return z.log_softmax(1)


@pytest.mark.parametrize("penalty", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("dim", [20, 60])  # fewer and more features than points
def test_agrees_with_the_algorithm(dim, penalty):
    support, query, _ = draw(dim=dim)
    mask = torch.ones(4, WAYS, 3, dtype=torch.bool)
    mask[:, 1, 2:] = mask[:, 3, 1:] = False
    there = torch.rand(query.shape[:2], generator=torch.Generator().manual_seed(0)) < 0.8
    head = PADDLE(penalty, steps=8, dimensions=None).fit(Support.of(support, mask))
    scores = head.scores(Query.of(query, there)).log_softmax(-1)
    for e in range(4):
        shots = [support[e, c][mask[e, c]] for c in range(WAYS)]
        expected = algorithm(shots, query[e][there[e]], penalty, 8)
        torch.testing.assert_close(scores[e][there[e]], expected, rtol=1e-8, atol=1e-8)


def test_stops_where_nothing_changes():
    support, query, _ = draw(spread=2.0)
    few, many = (
        PADDLE(steps=steps).fit(Support.of(support)).scores(Query.of(query)).softmax(-1)
        for steps in (200, 1000)
    )
    torch.testing.assert_close(few, many, rtol=0, atol=1e-6)


def test_penalty_leaves_absent_classes_empty():
    support, query, _ = draw(counts=(20, 20, 0, 0), dim=20, episodes=30, spread=1.6)
    absent = [
        (PADDLE(penalty).fit(Support.of(support)).predict(Query.of(query)) >= 2).double().mean()
        for penalty in (0.0, 1.0)
    ]
    assert absent[1] < absent[0]


def test_features_may_be_moved_and_stretched():
    support, query, _ = draw()
    scores = PADDLE().fit(Support.of(support)).scores(Query.of(query))
    stretch = torch.linspace(0.1, 9, 60, dtype=torch.float64)
    moved = PADDLE().fit(Support.of(support * stretch + 3)).scores(Query.of(query * stretch + 3))
    torch.testing.assert_close(moved.softmax(-1), scores.softmax(-1))


def test_copies_of_features_change_nothing():
    """The price of a class does not depend on the number of dimensions."""
    support, query, _ = draw()
    scores = PADDLE().fit(Support.of(support)).scores(Query.of(query))
    twice = PADDLE().fit(Support.of(support.repeat(1, 1, 1, 2)))
    torch.testing.assert_close(twice.scores(Query.of(query.repeat(1, 1, 2))), scores)


def test_one_query_and_none():
    support, query, _ = draw()
    head = PADDLE().fit(Support.of(support))
    assert head.scores(Query.of(query[:, :0])).shape == (4, 0, WAYS)
    assert bool(head.scores(Query.of(query[:, :1])).isfinite().all())
    masked = Query.of(query, torch.zeros(query.shape[:2], dtype=torch.bool))
    assert bool(head.scores(masked).isfinite().all())


@pytest.mark.parametrize(
    ("setting", "value"),
    [("penalty", -1), ("steps", 0), ("scaling", "rang"), ("dimensions", 0)],
)
def test_bad_parameters(setting, value):
    with pytest.raises(FewshotError, match=rf"head\.paddle\.{setting}: .* got"):
        PADDLE(**{setting: value}).fit(Support.of(draw()[0]))
