"""alpha-TIM against automatic differentiation of the paper's formulas, and its limits."""

import pytest
import torch
from torch.nn.functional import normalize

from fewshot.exceptions import FewshotError
from fewshot.heads.alpha_tim import AlphaTIM, orders
from fewshot.heads.base import Query, Support
from fewshot.heads.tim import TIM

WAYS = 5


def draw(shots=5, counts=(8,) * WAYS, dim=40, episodes=3, spread=1.0):
    rng = torch.Generator().manual_seed(shots)
    means = torch.randn(episodes, WAYS, 1, dim, generator=rng, dtype=torch.float64)

    def around(number):
        noise = torch.randn(episodes, WAYS, number, dim, generator=rng, dtype=torch.float64)
        return normalize(means + spread * noise, dim=-1)

    query = around(max(counts))
    kept = torch.cat([query[:, c, :number] for c, number in enumerate(counts)], 1)
    return around(shots), kept, torch.arange(WAYS).repeat_interleave(torch.tensor(counts))


def paper(support, query, steps, lr, alpha):
    """Equations 5 and 9 for one episode, differentiated by torch."""
    labels = torch.arange(WAYS).repeat_interleave(support.shape[1])
    w = support.mean(1).clone().requires_grad_()
    adam = torch.optim.Adam([w], lr=lr)

    def logits(points):
        return -15.0 / 2 * torch.cdist(points, w).square()

    def entropy(p):
        return (1 - p.pow(alpha).sum(-1)) / (alpha - 1)

    for _ in range(steps):
        p = logits(query).softmax(1)
        cross = torch.nn.functional.cross_entropy(logits(support.flatten(0, 1)), labels)
        loss = cross - entropy(p.mean(0)) + entropy(p).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return logits(query).log_softmax(1).detach()


@pytest.mark.parametrize("alpha", [0.5, 2.0, 7.0])
def test_agrees_with_the_formulas(alpha):
    support, query, _ = draw()
    head = AlphaTIM(alpha, steps=40).fit(Support.of(support))
    scores = head.scores(Query.of(query)).log_softmax(-1)
    for e in range(len(support)):
        expected = paper(support[e], query[e], 40, 1e-3, alpha)
        torch.testing.assert_close(scores[e], expected, rtol=1e-6, atol=1e-6)


def test_order_one_is_tim_and_its_neighbours_are_near():
    support, query, _ = draw()
    queries = Query.of(query)
    tim = TIM(60, 1e-3, 1.0, 1.0, 1.0, 15.0, "euclidean").fit(Support.of(support)).scores(queries)
    for alpha, tolerance in ((1.0, 1e-9), (1.0001, 1e-2)):
        head = AlphaTIM(alpha, steps=60).fit(Support.of(support))
        torch.testing.assert_close(head.scores(queries), tim, rtol=tolerance, atol=tolerance)


def test_fewer_and_larger_steps_follow_the_authors_path():
    support, query, _ = draw(dim=30, episodes=10, spread=1.5)
    answers = [
        AlphaTIM(steps=steps, learning_rate=lr).fit(Support.of(support)).scores(Query.of(query))
        for steps, lr in ((100, 1e-3), (1000, 1e-4))
    ]
    one, other = (scores.softmax(-1) for scores in answers)
    assert (one - other).abs().mean() < 0.005
    assert (one.argmax(-1) == other.argmax(-1)).double().mean() > 0.99


def test_loses_less_than_tim_where_queries_are_imbalanced():
    support, query, truth = draw(5, (36, 18, 4, 2, 0), 60, 40, 2.2)
    right = [
        (head.fit(Support.of(support)).predict(Query.of(query)) == truth).double().mean()
        for head in (
            AlphaTIM(2.0, steps=50, learning_rate=2e-3),
            TIM(50, 2e-3, 1.0, 1.0, 1.0, 15.0, "euclidean"),
        )
    ]
    assert right[0] > right[1] + 0.02


def test_order_by_shots():
    support = torch.ones(4, 2, 6, 3)
    mask = torch.ones(4, 2, 6, dtype=torch.bool)
    mask[0, :, 1:] = mask[1, :, 5:] = mask[2, :, 3:] = False
    shots = Support.of(support, mask)
    assert orders(shots, "auto").tolist() == [2, 7, 5, 7]
    assert orders(shots, 3).tolist() == [3, 3, 3, 3]


def test_without_queries():
    support, query, _ = draw()
    head = AlphaTIM(steps=5).fit(Support.of(support))
    assert head.scores(Query.of(query[:, :0])).shape == (3, 0, WAYS)
    masked = Query.of(query, torch.zeros(query.shape[:2], dtype=torch.bool))
    assert bool(head.scores(masked).isfinite().all())


@pytest.mark.parametrize(
    ("setting", "value"),
    [("alpha", 0), ("alpha", "outo"), ("steps", -1), ("learning_rate", 0), ("temperature", -1),
     ("marginal_weight", "1")],
)  # fmt: skip
def test_bad_parameters(setting, value):
    with pytest.raises(FewshotError, match=rf"head\.alpha_tim\.{setting}: .* got"):
        AlphaTIM(**{setting: value}).fit(Support.of(draw()[0]))
