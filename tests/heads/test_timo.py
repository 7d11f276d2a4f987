"""TIMO against its formulas: discriminant analysis with full matrices, an episode at a time."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from fewshot.exceptions import FewshotError
from fewshot.heads import TIMO, Context, Query, Support, ZeroShot
from fewshot.heads.timo import ALPHAS

E, N, K, D, SCALE = 3, 4, 3, 10, 50.0


def draw(shots=K, noise=0.7, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    means = normal(E, N, D)
    features = normalize(means[:, :, None] + noise * normal(E, N, shots, D), dim=-1)
    query = normalize(means[:, :, None] + noise * normal(E, N, 6, D), dim=-1)
    text = normalize(means + normal(E, N, D), dim=-1)
    return features, Context(text, SCALE), Query.of(query.flatten(1, 2))


def slow_analysis(shots, text):
    """w (N, D) and b (N,) of lists of shots (K_c, D) and texts (N, D), by the precision matrix."""
    samples = []
    for x, t in zip(shots, text, strict=True):
        mean = normalize(x.mean(0), dim=0)
        samples.append(torch.cat([((mean @ t) * t)[None], x]))
    means = torch.stack([x.mean(0) for x in samples])
    deviations = torch.cat([x - m for x, m in zip(samples, means, strict=True)])
    n, dim = deviations.shape
    covariance = deviations.T.cov()
    precision = dim * torch.linalg.inv((n - 1) * covariance + covariance.trace() * torch.eye(dim))
    weights = means @ precision
    return weights, -(weights * means).sum(-1) / 2


@pytest.mark.parametrize("alpha", [1.0, 300.0])
def test_agrees_with_the_formulas(alpha):
    features, context, query = draw()
    mask = torch.ones(E, N, K, dtype=torch.bool)
    mask[1, 2, 1:] = False
    scores = TIMO(alpha).fit(Support.of(features, mask, context)).scores(query)
    for e in range(E):
        shots = [x[m] for x, m in zip(features[e], mask[e], strict=True)]
        weights, biases = slow_analysis(shots, context.text[e])
        x = query.features[e]
        expected = alpha * x @ context.text[e].T + x @ weights.T + biases
        expected = (expected - expected.mean(-1, keepdim=True)) * SCALE / alpha
        got = scores[e] - scores[e].mean(-1, keepdim=True)
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)


def test_the_search_holds_out_the_jth_shots():
    features, context, _ = draw(noise=1.0, seed=4)
    head = TIMO().fit(Support.of(features, context=context))
    for e in range(E):
        mistakes = []  # (alphas, held-out shots)
        for alpha in ALPHAS:
            wrong = []
            for j in range(K):
                rest = [x[[k for k in range(K) if k != j]] for x in features[e]]
                weights, biases = slow_analysis(rest, context.text[e])
                x = features[e, :, j]
                scores = x @ context.text[e].T + (x @ weights.T + biases) / alpha
                wrong += (scores.argmax(-1) != torch.arange(N)).tolist()
            mistakes.append(wrong)
        best = min(mistakes, key=sum)
        close = []
        for wrong in mistakes:
            above = [a - b for a, b in zip(wrong, best, strict=True)]
            count = N * K + 4  # two more for either side
            excess = sum(above) / count
            variance = (sum(a * a for a in above) + 4) / count - excess**2
            close.append(excess <= math.sqrt(variance / count))
        assert float(head.alpha_[e]) == ALPHAS[close.index(True)]


def test_one_shot_stays_near_the_names():
    features, context, query = draw(shots=1)
    head = TIMO().fit(Support.of(features, context=context))
    assert head.alpha_.tolist() == [1e4] * E
    fixed = TIMO(1e4).fit(Support.of(features, context=context))
    assert torch.equal(head.scores(query), fixed.scores(query))


def test_it_learns_from_shots_where_names_say_little():
    features, context, query = draw(shots=16, noise=0.4, seed=1)
    generator = torch.Generator().manual_seed(2)
    text = context.text + torch.randn(E, N, D, generator=generator, dtype=torch.float64)
    support = Support.of(features, context=Context(text, SCALE))
    truth = torch.arange(N).repeat_interleave(6)
    right = [
        float((head.fit(support).predict(query) == truth).double().mean())
        for head in (TIMO(), ZeroShot())
    ]
    assert right[0] > right[1] + 0.1


@pytest.mark.parametrize("alpha", [0, -1, "best", None])
def test_bad_settings_are_refused(alpha):
    features, context, _ = draw()
    with pytest.raises(FewshotError, match=r"^head\.timo\.alpha: expected a number > 0"):
        TIMO(alpha).fit(Support.of(features, context=context))
