"""APE against its formulas, a pair of vectors at a time."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from fewshot.exceptions import FewshotError
from fewshot.heads import APE, Context, Query, Support, TipAdapter, ZeroShot

E, N, K, D, SCALE = 2, 3, 3, 8, 20.0


def draw(noise=1.0):
    generator = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    means = normal(E, N, D)
    shots = means[:, :, None] + noise * normal(E, N, K, D)
    query = means[:, :, None] + noise * normal(E, N, 5, D)
    mask = torch.ones(E, N, K, dtype=torch.bool)
    mask[1, 0, 1:] = False
    text = normalize(means + normal(E, N, D), dim=-1)
    return Support.of(shots, mask, Context(text, SCALE)), Query.of(query.flatten(1, 2))


def slow_channels(text, shots, number, weight):
    """The channels that the paper keeps, of texts (N, D) and a list of shots (K_c, D) per class."""
    samples = [torch.cat([t[None], k]) for t, k in zip(text, shots, strict=True)]
    products = []
    for i, first in enumerate(samples):
        for j, second in enumerate(samples):
            if i != j:
                products += [a * b for a in first for b in second]
    similarity = torch.stack(products).mean(0)
    criterion = -weight * similarity + (1 - weight) * text.var(0)
    return sorted(criterion.argsort(descending=True)[:number].tolist())


def slow_scores(text, shots, query, channels, alpha, beta, gamma):
    def cut(x):
        return normalize(x[..., channels], dim=-1)

    rows = []
    for x in query:
        row = []
        for c, keys in enumerate(shots):
            cache = 0.0
            for key in keys:
                p = (cut(text) @ cut(key)).softmax(0)[c]
                weight = math.exp(gamma * math.log2((1 + 1e-6) / (float(p) + 1e-6)))
                cache += weight * math.exp(-beta * (1 - float(cut(key) @ cut(x))))
            row.append(SCALE * float(text[c] @ x) + alpha * cache)
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, 6),
        ({"alpha": 2.0, "beta": 5.0, "gamma": 0.5, "channels": 0.4, "similarity": 0.2}, 3),
        ({"channels": 1, "gamma": 0, "similarity": 1}, 8),
        ({"channels": 0.01}, 1),
    ],
)
def test_agrees_with_the_formulas(settings, kept):
    support, query = draw()
    head = APE(**settings).fit(support)
    scores = head.scores(query)
    for e in range(E):
        text = support.context.text[e]
        shots = [
            normalize(x[m], dim=-1)
            for x, m in zip(support.features[e], support.mask[e], strict=True)
        ]
        channels = slow_channels(text, shots, kept, head.similarity)
        assert head.channels_[e].tolist() == channels
        x = normalize(query.features[e], dim=-1)
        expected = slow_scores(text, shots, x, channels, head.alpha, head.beta, head.gamma)
        torch.testing.assert_close(scores[e], expected)


def test_without_refinement_it_is_tip_adapter():
    support, query = draw()
    head = APE(alpha=1.0, beta=5.5, gamma=0.0, channels=1.0)
    expected = TipAdapter().fit(support).scores(query)
    torch.testing.assert_close(head.fit(support).scores(query), expected)


def test_channels_that_all_classes_share_are_left_out():
    """Half of the channels are the same for all images and names: only noise for a cache."""
    generator = torch.Generator().manual_seed(0)
    text = torch.randn(1, 10, 16, generator=generator)
    shots = text[:, :, None] + 0.5 * torch.randn(1, 10, 2, 16, generator=generator)
    common = torch.full((1, 10, 2, 16), 3.0)
    features = torch.cat([shots, common], -1)
    text = torch.cat([text, common[:, :, 0]], -1)
    head = APE(channels=0.5).fit(Support.of(features, context=Context(text)))
    assert head.channels_[0].tolist() == list(range(16))


def test_shots_make_up_for_names_that_say_little():
    generator = torch.Generator().manual_seed(1)
    means = torch.randn(20, 5, 1, 30, generator=generator)
    shots, query = (means + 0.5 * torch.randn(20, 5, n, 30, generator=generator) for n in (8, 10))
    text = means[:, :, 0] + 3 * torch.randn(20, 5, 30, generator=generator)
    support = Support.of(shots, context=Context(text, 5.0))
    truth = torch.arange(5).repeat_interleave(10)
    right = [
        float((head.fit(support).predict(Query.of(query.flatten(1, 2))) == truth).double().mean())
        for head in (APE(), ZeroShot())
    ]
    assert right[0] > right[1] + 0.1


@pytest.mark.parametrize(
    ("setting", "value"),
    [("alpha", -1), ("beta", 0), ("gamma", -0.1), ("channels", 0), ("channels", 1.5),
     ("similarity", 2), ("alpha", "much")],
)  # fmt: skip
def test_bad_settings_are_refused(setting, value):
    with pytest.raises(FewshotError, match=rf"^head\.ape\.{setting}: expected a number"):
        APE(**{setting: value}).fit(draw()[0])


def test_without_names_there_is_nothing_to_refine():
    support, _ = draw()
    with pytest.raises(FewshotError, match=r"^head=ape: this head reads class names"):
        APE().fit(Support.of(support.features))
