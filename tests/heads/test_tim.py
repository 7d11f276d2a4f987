"""TIM against easyfsl, and against automatic differentiation of the paper's formulas."""

import pytest
import torch
from torch.nn.functional import normalize

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Query, Support
from fewshot.heads.ncm import NCM
from fewshot.heads.tim import TIM

WAYS, QUERIES = 5, 8


def draw(shots=5, dim=40, episodes=3, spread=1.0, counts=(QUERIES,) * WAYS):
    """Unit-length support (E, N, K, D), queries (E, T, D) and their classes (T,), float64."""
    rng = torch.Generator().manual_seed(shots)
    means = torch.randn(episodes, WAYS, 1, dim, generator=rng, dtype=torch.float64)

    def around(number):
        noise = torch.randn(episodes, WAYS, number, dim, generator=rng, dtype=torch.float64)
        return normalize(means + spread * noise, dim=-1)

    query = around(max(counts))
    kept = torch.cat([query[:, c, :number] for c, number in enumerate(counts)], 1)
    return around(shots), kept, torch.arange(WAYS).repeat_interleave(torch.tensor(counts))


@pytest.mark.parametrize("shots", [1, 5])
@pytest.mark.parametrize("lr", [1e-4, 1e-2])
def test_agrees_with_easyfsl(shots, lr):
    methods = pytest.importorskip("easyfsl.methods")
    support, query, _ = draw(shots)
    scores = (
        TIM(learning_rate=lr, preset="easyfsl").fit(Support.of(support)).scores(Query.of(query))
    )
    for e in range(len(support)):
        reference = methods.TIM(fine_tuning_lr=lr)
        labels = torch.arange(WAYS).repeat_interleave(shots)
        reference.process_support_set(support[e].flatten(0, 1), labels)
        torch.testing.assert_close(scores[e], 10 * reference(query[e]), rtol=1e-6, atol=1e-6)


def paper(support, query, steps, lr, weights, temperature):
    """Equations 1 to 3 for one episode, differentiated by torch."""
    labels = torch.arange(WAYS).repeat_interleave(support.shape[1])
    shots = support.flatten(0, 1)
    w = support.mean(1).clone().requires_grad_()
    adam = torch.optim.Adam([w], lr=lr)

    def logits(points):
        return -temperature / 2 * torch.cdist(points, w).square()

    for _ in range(steps):
        p = logits(query).softmax(1)
        share = p.mean(0)
        cross = torch.nn.functional.cross_entropy(logits(shots), labels)
        loss = weights[0] * cross + weights[1] * (share * share.log()).sum()
        loss = loss - weights[2] * (p * p.log()).sum(1).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return logits(query).log_softmax(1).detach()


def test_euclidean_form_is_the_papers():
    support, query, _ = draw()
    head = TIM(30, 1e-3, 0.1, 1.0, 0.1, 15.0, "euclidean").fit(Support.of(support))
    scores = head.scores(Query.of(query)).log_softmax(-1)
    for e in range(len(support)):
        expected = paper(support[e], query[e], 30, 1e-3, (0.1, 1.0, 0.1), 15.0)
        torch.testing.assert_close(scores[e], expected, rtol=1e-6, atol=1e-6)


def test_unequal_shots_and_padded_queries_are_those_of_easyfsl_without_them():
    methods = pytest.importorskip("easyfsl.methods")
    support, query, _ = draw(4, episodes=1)
    mask = torch.ones(1, WAYS, 4, dtype=torch.bool)
    mask[0, 1, 1:] = mask[0, 3, 2:] = False
    there = torch.arange(query.shape[1])[None] % 3 > 0
    head = TIM(preset="easyfsl").fit(Support.of(support, mask))
    scores = head.scores(Query.of(query, there))
    reference = methods.TIM()
    labels = torch.arange(WAYS).repeat_interleave(4)[mask.flatten()]
    reference.process_support_set(support[mask], labels)
    torch.testing.assert_close(scores[there], 10 * reference(query[there]), rtol=1e-6, atol=1e-6)


def test_the_papers_settings():
    paper = TIM(1000, 1e-4, 0.1, 1.0, 0.1, 15.0, "euclidean")
    support, query, _ = draw(2, episodes=1)
    scores = [
        head.fit(Support.of(support)).scores(Query.of(query)).softmax(-1)
        for head in (TIM(preset="paper"), paper, TIM(), TIM(preset="easyfsl"))
    ]
    assert torch.equal(scores[0], scores[1])
    # Ten times fewer and larger steps end nearby; easyfsl's do not.
    near, far = ((one - scores[1]).abs().mean() for one in scores[2:])
    assert near < 0.02
    assert far > 5 * near
    with pytest.raises(FewshotError, match=r"head\.tim\.preset: .* 'easyfsl', got 'easy'"):
        TIM(preset="easy").fit(Support.of(support))


@pytest.mark.parametrize("shots", [1, 5])
def test_the_default_gains_over_small_steps_of_cosines(shots):
    """On features above zero, as after a ReLU and an average, with balanced queries."""
    rng = torch.Generator().manual_seed(shots)
    means = torch.randn(40, 5, 1, 64, generator=rng)

    def around(number):
        features = means + 2.5 * torch.randn(40, 5, number, 64, generator=rng)
        return features.relu()

    support, query = Support.of(around(shots)), Query.of(around(15).flatten(1, 2))
    truth = torch.arange(5).repeat_interleave(15)
    right = {
        preset: (TIM(preset=preset).fit(support).predict(query) == truth).double().mean(-1)
        for preset in ("none", "easyfsl")
    }
    gain = right["none"] - right["easyfsl"]
    assert gain.mean() - 2 * gain.std() / 40**0.5 > 0.02


def test_draws_answers_towards_equal_shares():
    """Better than class means where queries are balanced, worse where they are not."""
    head = TIM(100, 1e-2, 0.1, 1.0, 0.1, 15.0, "euclidean")
    gains = []
    for counts in ((12,) * 5, (36, 18, 4, 2, 0)):
        support, query, truth = draw(2, 60, 40, 2.2, counts)
        right = [
            (one.fit(Support.of(support)).predict(Query.of(query)) == truth).double().mean()
            for one in (head, NCM())
        ]
        gains.append(float(right[0] - right[1]))
    assert gains[0] > 0.05
    assert gains[1] < 0


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_without_queries_and_with_zeros(similarity):
    support, query, _ = draw()
    head = TIM(similarity=similarity).fit(Support.of(support))
    assert head.scores(Query.of(query[:, :0])).shape == (3, 0, WAYS)
    masked = Query.of(query, torch.zeros(query.shape[:2], dtype=torch.bool))
    assert bool(head.scores(masked).isfinite().all())
    zero = TIM(similarity=similarity).fit(Support.of(torch.zeros_like(support)))
    assert bool(zero.scores(Query.of(torch.zeros_like(query))).isfinite().all())


def test_no_step_is_nearest_class_mean_by_direction():
    support, query, _ = draw()
    head = TIM(steps=0, preset="easyfsl").fit(Support.of(support))
    scores = head.scores(Query.of(query))
    expected = 10 * normalize(query, dim=-1) @ normalize(support.mean(2), dim=-1).mT
    torch.testing.assert_close(scores, expected)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("steps", 1.5), ("learning_rate", 0), ("support_weight", -1), ("temperature", 0),
     ("similarity", "cosin")],
)  # fmt: skip
def test_bad_parameters(setting, value):
    with pytest.raises(FewshotError, match=rf"head\.tim\.{setting}: .* got"):
        TIM(**{setting: value}).fit(Support.of(draw()[0]))
