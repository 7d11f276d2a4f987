"""Tip-Adapter and Tip-Adapter-F against the paper, one episode at a time, with torch's AdamW."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize, one_hot

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.tip_adapter import ALPHAS, BETAS, TipAdapter
from fewshot.heads.tip_adapter_f import TipAdapterF

E, N, K, D, SCALE = 3, 4, 3, 10, 20.0
LABELS = torch.arange(N).repeat_interleave(K)


def draw(seed=0):
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(E, N, 1, D, generator=generator, dtype=torch.float64)
    shots = means + torch.randn(E, N, K, D, generator=generator, dtype=torch.float64)
    query = means + torch.randn(E, N, 6, D, generator=generator, dtype=torch.float64)
    text = means[:, :, 0] + torch.randn(E, N, D, generator=generator, dtype=torch.float64)
    return shots, Context(normalize(text, dim=-1), SCALE), query.flatten(1, 2)


def slow_scores(query, keys, labels, text, alpha, beta):
    """Scores (T, N): the zero-shot logits and ``alpha exp(-beta (1 - x F')) L``."""
    affinity = torch.exp(-beta * (1 - query @ keys.T))
    return SCALE * query @ text.T + alpha * affinity @ one_hot(labels, N).double()


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 5.5), (3.0, 1.0), (0, 2.0)])
def test_agrees_with_the_formula(alpha, beta):
    shots, context, query = draw()
    mask = torch.ones(E, N, K, dtype=torch.bool)
    mask[1, 2, 1:] = False
    head = TipAdapter(alpha, beta).fit(Support.of(shots, mask, context))
    scores = head.scores(Query.of(query))
    for e in range(E):
        kept = mask[e].flatten()
        keys, x = normalize(shots[e].flatten(0, 1)[kept], dim=-1), normalize(query[e], dim=-1)
        expected = slow_scores(x, keys, LABELS[kept], context.text[e], alpha, beta)
        torch.testing.assert_close(scores[e], expected)


def test_the_search_takes_a_shot_out_of_the_cache():
    shots, context, _ = draw(2)
    head = TipAdapter("search", "search").fit(Support.of(shots, context=context))
    for e in range(E):
        x = normalize(shots[e].flatten(0, 1), dim=-1)
        losses = {}
        for beta in [*BETAS[::5], float(head.beta_[e])]:
            for alpha in [*ALPHAS[::5], float(head.alpha_[e])]:
                rows = []
                for i in range(N * K):
                    rest = torch.arange(N * K) != i
                    rows.append(
                        slow_scores(x[i : i + 1], x[rest], LABELS[rest], context.text[e], alpha,
                                    beta)
                    )  # fmt: skip
                scores = torch.cat(rows)
                mistakes = int((scores.argmax(-1) != LABELS).sum())
                losses[alpha, beta] = (mistakes, float(cross_entropy(scores, LABELS)))
        least = min(losses.values())
        found = losses[float(head.alpha_[e]), float(head.beta_[e])]
        assert found[0] == least[0]
        assert found[1] <= least[1] + 1e-9


@pytest.mark.parametrize(("epochs", "rate"), [(20, 0.001), (7, 0.05)])
def test_training_agrees_with_adamw_and_autograd(epochs, rate):
    shots, context, query = draw(1)
    mask = torch.ones(E, N, K, dtype=torch.bool)
    mask[1, 2, 1:] = False
    head = TipAdapterF(epochs=epochs, learning_rate=rate).fit(Support.of(shots, mask, context))
    scores = head.scores(Query.of(query))
    for e in range(E):
        kept = mask[e].flatten()
        x, labels = normalize(shots[e].flatten(0, 1)[kept], dim=-1), LABELS[kept]
        keys = torch.nn.Parameter(x.clone())
        optimizer = torch.optim.AdamW([keys], lr=rate, eps=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        for _ in range(epochs):
            optimizer.zero_grad()
            cross_entropy(
                slow_scores(x, keys, labels, context.text[e], 1.0, 5.5), labels
            ).backward()
            optimizer.step()
            schedule.step()
        trained = head.keys_[e].flatten(0, 1)[kept]
        torch.testing.assert_close(trained, keys.data, rtol=1e-7, atol=1e-9)
        unit = normalize(query[e], dim=-1)
        expected = slow_scores(unit, keys.data, labels, context.text[e], 1.0, 5.5)
        torch.testing.assert_close(scores[e], expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("make", [TipAdapter, TipAdapterF])
def test_bad_parameters_and_no_text(make):
    shots, context, _ = draw()
    name = make.name
    with pytest.raises(FewshotError, match=f"head={name}: this head reads class names"):
        make().fit(Support.of(shots))
    cases = [
        ({"alpha": -1}, "alpha: expected a number >= 0, got -1. Or 'search'"),
        ({"beta": 0}, "beta: expected a number > 0, got 0. Or 'search'"),
        ({"beta": "seek"}, "beta: expected a number > 0, got 'seek'"),
    ]
    if make is TipAdapterF:
        cases.append(({"epochs": 0}, "epochs: expected an integer >= 1"))
        cases.append(({"learning_rate": 0}, "learning_rate: expected a number > 0"))
    for parameters, message in cases:
        with pytest.raises(FewshotError) as caught:
            make(**parameters).fit(Support.of(shots, context=context))
        assert str(caught.value).startswith(f"head.{name}.{message}")
