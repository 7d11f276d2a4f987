"""The training loop against torch's own optimiser, and its gradients against autograd."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.solvers.training import (
    cross_entropy_gradient,
    descend,
    shots_of,
    through_unit_length,
    train,
)

E, N, K, D = 3, 4, 3, 7


def draw(seed=0, unequal=True, shots=K, dim=D):
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(E, N, 1, dim, generator=generator, dtype=torch.float64)
    noise = torch.randn(E, N, shots, dim, generator=generator, dtype=torch.float64)
    other = torch.randn(E, N, dim, generator=generator, dtype=torch.float64)
    mask = torch.ones(E, N, shots, dtype=torch.bool)
    if unequal:
        mask[0, 0, 1:] = mask[1, 2, 2:] = False
    text = normalize(means[:, :, 0] + other, dim=-1)
    return Support.of(means + noise, mask, Context(text, 20.0))


def test_adamw_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    start = {name: torch.randn(2, 5, generator=generator).double() for name in "ab"}
    target = torch.randn(2, 5, generator=generator).double()

    def loss(own):
        return ((own["a"] * own["b"] - target) ** 2).sum() + own["a"].square().sum() / 3

    def gradient(parameters):
        own = {name: value.clone().requires_grad_() for name, value in parameters.items()}
        return dict(zip(own, torch.autograd.grad(loss(own), list(own.values())), strict=True))

    expected = {name: value.clone().requires_grad_() for name, value in start.items()}
    settings = {"lr": 0.05, "weight_decay": 0.1, "eps": 1e-6}
    optimizer = torch.optim.AdamW(expected.values(), **settings)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30)
    for _ in range(30):
        optimizer.zero_grad()
        loss(expected).backward()
        optimizer.step()
        schedule.step()
    before = {name: value.clone() for name, value in start.items()}
    found = train(gradient, start, steps=30, learning_rate=0.05, weight_decay=0.1, epsilon=1e-6)
    for name in "ab":
        torch.testing.assert_close(found[name], expected[name].detach(), rtol=1e-9, atol=1e-9)
        assert torch.equal(start[name], before[name])
    assert torch.equal(train(gradient, start, steps=0, learning_rate=1.0)["a"], start["a"])


def test_the_same_numbers_as_momentum_of_torch():
    generator = torch.Generator().manual_seed(0)
    start, target = torch.randn(2, 2, 5, generator=generator).double()
    expected = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([expected], 0.002, momentum=0.8)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    for _ in range(20):
        optimizer.zero_grad()
        ((expected - target) ** 4).sum().backward()
        optimizer.step()
        schedule.step()

    def gradient(parameters):
        return {"a": 4 * (parameters["a"] - target) ** 3}

    before = start.clone()
    found = descend(gradient, {"a": start}, steps=20, learning_rate=0.002, momentum=0.8)["a"]
    torch.testing.assert_close(found, expected.detach(), rtol=1e-9, atol=1e-9)
    assert torch.equal(start, before)


def test_the_loss_is_the_mean_over_the_shots_of_each_episode():
    support = draw()
    shots = shots_of(support, "x")
    logits = torch.randn(E, N, N * K, generator=torch.Generator().manual_seed(1)).double()
    found = cross_entropy_gradient(logits, shots)
    truth = torch.arange(N).repeat_interleave(K)
    for e in range(E):
        there = support.mask[e].flatten()
        own = logits[e].T.clone().requires_grad_()
        cross_entropy(own[there], truth[there]).backward()
        torch.testing.assert_close(found[e].T, own.grad)


def test_gradient_through_unit_length():
    vectors = torch.randn(4, D, generator=torch.Generator().manual_seed(0)).double()
    slope = torch.arange(4.0 * D).double().view(4, D)
    own = vectors.clone().requires_grad_()
    (normalize(own, dim=-1) * slope).sum().backward()
    torch.testing.assert_close(through_unit_length(slope, vectors), own.grad)
    assert bool(through_unit_length(slope, torch.zeros(4, D)).isfinite().all())


@pytest.mark.parametrize(
    "name", ["lp_plus_plus", "clip_adapter", "taskres", "zs_lp", "clap", "cross_modal", "ss_text"]
)
def test_what_these_heads_have_in_common(name):
    head, support = heads.create(name), draw()
    assert head.uses == {"text"}
    with pytest.raises(FewshotError, match=rf"head={name}: this head reads class names.*clip"):
        head.fit(Support.of(support.features, support.mask))
    queries = Query.of(support.features.flatten(1, 2))
    answers = head.fit(support).predict(queries)
    # Only directions count, of shots and of queries, and any autograd mode will do.
    lengths = 0.5 + torch.rand(E, N, K, 1, generator=torch.Generator().manual_seed(3)).double()
    scaled = Support.of(support.features * lengths, support.mask, support.context)
    with torch.inference_mode():
        assert torch.equal(head.clone().fit(scaled).predict(queries), answers)
    assert torch.equal(head.fit(support).predict(Query.of(2 * queries.features)), answers)


@pytest.mark.parametrize(
    "name", ["lp_plus_plus", "clip_adapter", "taskres", "zs_lp", "clap", "cross_modal", "ss_text"]
)
def test_shots_of_zeros_give_finite_scores(name):
    support = draw(unequal=False)
    zeros = Support.of(torch.zeros_like(support.features), None, support.context)
    scores = heads.create(name).fit(zeros).scores(Query.of(torch.zeros(E, 2, D).double()))
    assert bool(scores.isfinite().all())


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("lp_plus_plus", {"steps": -1}),
        ("lp_plus_plus", {"initial_alpha": "much"}),
        ("taskres", {"alpha": -1}),
        ("taskres", {"learning_rate": float("nan")}),
        ("taskres", {"steps": 1.5}),
        ("clip_adapter", {"ratio": 1.5}),
        ("clip_adapter", {"reduction": 0}),
        ("clip_adapter", {"learning_rate": None}),
        ("clip_adapter", {"seed": -1}),
    ],
)
def test_bad_parameters(name, bad):
    with pytest.raises(FewshotError, match=f"head.{name}.{next(iter(bad))}: expected"):
        heads.create(name, **bad).fit(draw())
