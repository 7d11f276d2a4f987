"""ZS-LP and CLAP against the paper's loss, one episode at a time, by autograd and torch's SGD."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.clap import CLAP, ZSLP

E, N, K, D, SCALE = 3, 4, 5, 10, 30.0


def draw(noise=1.0):
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(E, N, 1, D, generator=generator, dtype=torch.float64)
    shots = means + torch.randn(E, N, K, D, generator=generator, dtype=torch.float64)
    mask = torch.ones(E, N, K, dtype=torch.bool)
    mask[1, 0, 2:] = mask[2, 3, 1:] = False
    text = means[:, :, 0] + noise * torch.randn(E, N, D, generator=generator, dtype=torch.float64)
    return Support.of(shots, mask, Context(normalize(text, dim=-1), SCALE))


def episode(support, e):
    labels, kept = torch.arange(N)[:, None].expand(N, K), support.mask[e]
    return normalize(support.features[e][kept], dim=-1), labels[kept], support.context.text[e]


def confidence(images, labels, text):
    """Mean probability of the own class by the text, for every class."""
    probabilities = (SCALE * images @ text.T).softmax(1)
    return torch.stack([probabilities[labels == c, c].mean() for c in range(N)])


def slow_probe(images, labels, text, length, learning_rate, steps, penalty):
    start = length * text
    vectors = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([vectors], learning_rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        loss = cross_entropy(SCALE * images @ normalize(vectors, dim=1).T, labels)
        loss = loss + (penalty * (vectors - start).square().sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return SCALE * normalize(vectors.detach(), dim=1)


@pytest.mark.parametrize("length", [1.0, 3.0])
@pytest.mark.parametrize("kind", [ZSLP, CLAP])
def test_agrees_with_the_paper(kind, length):
    support = draw()
    head = kind(length, 0.02, 15).fit(support)
    for e in range(E):
        images, labels, text = episode(support, e)
        penalty = torch.zeros(N)
        if kind is CLAP:
            penalty = confidence(images, labels, text)
            torch.testing.assert_close(head.multipliers_[e], penalty)
        expected = slow_probe(images, labels, text, length, 0.02, 15, penalty)
        torch.testing.assert_close(head.weights_[e], expected)


@pytest.mark.parametrize("kind", [ZSLP, CLAP])
def test_without_steps_it_is_zero_shot(kind):
    support = draw()
    for head in (kind(steps=0), kind(learning_rate=0.0)):
        torch.testing.assert_close(head.fit(support).weights_, SCALE * support.context.text)


def test_clap_stays_nearer_to_text_that_fits_and_leaves_text_that_does_not():
    support = draw(noise=0.2)
    misled = Support.of(
        support.features, support.mask, Context(support.context.text.roll(1, 1), SCALE)
    )
    for given, holds in ((support, True), (misled, False)):
        text = SCALE * given.context.text
        plain, held = (kind(5.0, 0.1, 100).fit(given).weights_ - text for kind in (ZSLP, CLAP))
        if holds:
            assert held.norm() < 0.8 * plain.norm()
        else:
            assert held.norm() > 0.85 * plain.norm()


@pytest.mark.parametrize("kind", [ZSLP, CLAP])
def test_learns_the_shots_where_text_misleads(kind):
    support = draw()
    misled = Support.of(
        support.features, support.mask, Context(support.context.text.roll(1, 1), SCALE)
    )
    queries, truth = Query.of(support.features.flatten(1, 2)), torch.arange(N).repeat_interleave(K)
    right = (kind(3.0).fit(misled).predict(queries) == truth)[support.mask.flatten(1)]
    assert right.double().mean() > 0.9


@pytest.mark.parametrize("kind", [ZSLP, CLAP])
@pytest.mark.parametrize(
    ("setting", "value"),
    [("text_length", 0), ("text_length", "long"), ("learning_rate", -1), ("steps", 1.5)],
)
def test_bad_settings_name_themselves(kind, setting, value):
    with pytest.raises(FewshotError, match=rf"^head\.{kind.name}\.{setting}: expected"):
        kind(**{setting: value}).fit(draw())


@pytest.mark.parametrize("kind", [ZSLP, CLAP])
def test_features_without_text_are_refused(kind):
    support = draw()
    with pytest.raises(FewshotError, match=rf"^head={kind.name}: .*class names"):
        kind().fit(Support.of(support.features, support.mask))
