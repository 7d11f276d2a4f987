"""TaskRes against the paper's formula, one episode at a time, by autograd and torch's Adam."""

import torch
from torch.nn.functional import cross_entropy, normalize

from fewshot.heads.base import Context, Query, Support
from fewshot.heads.taskres import TaskRes

E, N, K, D = 3, 4, 5, 10


def draw(seed=0):
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(E, N, 1, D, generator=generator, dtype=torch.float64)
    noise = torch.randn(E, N, K, D, generator=generator, dtype=torch.float64)
    mask = torch.ones(E, N, K, dtype=torch.bool)
    mask[1, 0, 2:] = mask[2, 3, 1:] = False
    text = means[:, :, 0] + 1.5 * torch.randn(E, N, D, generator=generator, dtype=torch.float64)
    return Support.of(means + noise, mask, Context(normalize(text, dim=-1), 30.0))


def slow_taskres(images, labels, text, scale, alpha, learning_rate, steps):
    """Classifier weights (N, D)."""
    residual = torch.zeros_like(text).requires_grad_()
    optimizer = torch.optim.Adam([residual], learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    images = images / images.norm(dim=1, keepdim=True)
    for _ in range(steps):
        weights = text + alpha * residual
        weights = scale * weights / weights.norm(dim=1, keepdim=True)
        optimizer.zero_grad()
        cross_entropy(images @ weights.T, labels).backward()
        optimizer.step()
        schedule.step()
    weights = (text + alpha * residual).detach()
    return scale * weights / weights.norm(dim=1, keepdim=True)


def test_agrees_with_the_paper():
    support = draw()
    weights = TaskRes(0.7, 0.01, 40).fit(support).weights_
    labels = torch.arange(N)[:, None].expand(N, K)
    for e in range(E):
        kept = support.mask[e]
        expected = slow_taskres(
            support.features[e][kept], labels[kept], support.context.text[e], 30.0, 0.7, 0.01, 40
        )
        torch.testing.assert_close(weights[e], expected, rtol=1e-7, atol=1e-7)


def test_no_residual_is_zero_shot():
    support = draw()
    queries = normalize(support.features.flatten(1, 2), dim=-1)
    zero_shot = 30 * queries @ support.context.text.mT
    for head in (TaskRes(alpha=0), TaskRes(steps=0), TaskRes(learning_rate=0)):
        torch.testing.assert_close(head.fit(support).scores(Query.of(queries)), zero_shot)


def test_learns_the_shots_where_text_misleads():
    support = draw()
    misled = Support.of(
        support.features, support.mask, Context(support.context.text.roll(1, 1), 30.0)
    )
    queries, truth = Query.of(support.features.flatten(1, 2)), torch.arange(N).repeat_interleave(K)
    there = support.mask.flatten(1)
    wrong = (TaskRes(steps=0).fit(misled).predict(queries) == truth)[there].double().mean()
    right = (TaskRes(1.0, 0.05).fit(misled).predict(queries) == truth)[there].double().mean()
    assert wrong < 0.4
    assert right > 0.9


def test_one_noisy_shot_of_many_classes_does_not_spoil_good_names():
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    common = 2 * normal(1, 1, 1, 128)  # names of a dual encoder lie near each other
    names = normalize(common + normal(1, 200, 1, 128), dim=-1)
    images = normalize(names + 0.2 * normal(1, 200, 4, 128), dim=-1)
    support = Support.of(images[:, :, :1], None, Context(names[:, :, 0], 100.0))
    queries, truth = (
        Query.of(images[:, :, 1:].flatten(1, 2)),
        torch.arange(200).repeat_interleave(3),
    )
    by_names, default, paper = (
        (head.fit(support).predict(queries) == truth).double().mean()
        for head in (TaskRes(steps=0), TaskRes(), TaskRes(preset="paper"))
    )
    assert default > by_names - 0.02
    assert paper < default - 0.03
