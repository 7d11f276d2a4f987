"""SS-Text against its objective and against the papers' rules, one episode at a time."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.ss_text import SSText
from fewshot.heads.zero_shot import ZeroShot

E, N, K, D, SCALE = 3, 4, 5, 10, 30.0


def draw(image_noise=1.0, text_noise=1.0, shots=K, ways=N, dim=D, episodes=E):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    means = normal(episodes, ways, 1, dim)
    features = means + image_noise * normal(episodes, ways, shots, dim)
    text = normalize(means[:, :, 0] + text_noise * normal(episodes, ways, dim), dim=-1)
    queries = (means + normal(episodes, ways, 20, dim)).flatten(1, 2)
    return features, Context(text, SCALE), Query.of(queries)


def unequal():
    features, context, _ = draw()
    mask = torch.ones(E, N, K, dtype=torch.bool)
    mask[1, 0, 2:] = mask[2, 3, 1:] = False
    return Support.of(features, mask, context)


def episode(support, e):
    labels, kept = torch.arange(N)[:, None].expand(N, K), support.mask[e]
    return normalize(support.features[e][kept], dim=-1), labels[kept], support.context.text[e]


def minimum(images, labels, text, weights):
    """Class vectors at which the gradient of the paper's objective is zero."""
    vectors = torch.zeros_like(text).requires_grad_()
    fit = -SCALE * (images * vectors[labels]).sum() / len(images)
    hold = (weights / 2 * (vectors - text).square().sum(1)).sum()
    (slope,) = torch.autograd.grad(fit + hold, vectors)
    return -slope / weights[:, None]  # the objective is quadratic, with curvature lambda_c


RULES = {
    "total": lambda images, labels, text: torch.full((N,), 1 / len(images)),
    "shots": lambda images, labels, text: 1 / labels.bincount(),
    "confidence": lambda images, labels, text: torch.stack(
        [(SCALE * images[labels == c] @ text.T).softmax(1)[:, c].mean() for c in range(N)]
    ),
    0.3: lambda images, labels, text: torch.full((N,), 0.3),
}


@pytest.mark.parametrize("repel", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_agrees_with_the_papers(rule, repel):
    support = unequal()
    head = SSText(rule, repel).fit(support)
    for e in range(E):
        images, labels, text = episode(support, e)
        weights = RULES[rule](images, labels, text).double().clamp(min=1e-3)
        vectors = minimum(images, labels, text, weights)
        if repel:
            away = torch.stack([2 * vector - vectors.mean(0) for vector in vectors])
            vectors = vectors - away / away.norm(dim=1, keepdim=True)
        torch.testing.assert_close(head.weights_[e], SCALE * normalize(vectors, dim=1))


def test_the_preset_is_ss_text_plus():
    support = unequal()
    paper = SSText(preset="paper").fit(support)
    torch.testing.assert_close(paper.weights_, SSText("shots", repel=True).fit(support).weights_)
    total = SSText("total", preset="paper").fit(support)
    torch.testing.assert_close(total.weights_, SSText("total", repel=True).fit(support).weights_)


def test_spread_weighs_means_by_the_noise_of_their_cosines():
    support = unequal()
    head = SSText().fit(support)
    for e in range(E):
        images, labels, text = episode(support, e)
        means = torch.stack([images[labels == c].mean(0) for c in range(N)])
        squares, free = {"text": 0.0, "means": 0.0}, 0
        for c in range(N):
            others = images[labels != c]
            for name, vector in (("text", text[c]), ("means", means[c])):
                cosines = others @ vector
                squares[name] += float((cosines - cosines.mean()).square().sum())
            free += len(others) - 1
        typical = N / sum(1 / int(number) for number in labels.bincount())
        disturbed = squares["means"] + 5 * squares["text"] / free
        weight = math.sqrt(typical * squares["text"] / disturbed) / 4
        expected = SCALE * normalize(text + weight * means, dim=1)
        torch.testing.assert_close(head.weights_[e], expected)


def accuracy(head, features, context, query, mask=None):
    answers = head.fit(Support.of(features, mask, context)).predict(query)
    truth = torch.arange(features.shape[1]).repeat_interleave(20)
    return float((answers == truth).double().mean())


def test_shots_without_information_leave_zero_shot_as_it_is():
    """Where the papers' rules lose what the text knows."""
    case = draw(image_noise=30.0, text_noise=0.7, shots=1, ways=10, dim=30, episodes=40)
    zero_shot = accuracy(ZeroShot(), *case)
    assert accuracy(SSText(), *case) > zero_shot - 0.02
    assert accuracy(SSText(preset="paper"), *case) < zero_shot - 0.3


@pytest.mark.parametrize("shots", [1, 5])
def test_shots_with_information_add_to_the_text(shots):
    case = draw(image_noise=0.7, text_noise=1.5, shots=shots, ways=10, dim=30, episodes=40)
    assert accuracy(SSText(), *case) > accuracy(ZeroShot(), *case) + 0.05


def test_a_class_with_more_shots_gets_no_more_of_the_answers():
    features, context, query = draw(shots=8, ways=5, dim=30, episodes=40)
    mask = torch.ones(features.shape[:3], dtype=torch.bool)
    mask[:, 1:, 1:] = False
    answers = SSText().fit(Support.of(features, mask, context)).predict(query)
    assert abs(float((answers == 0).double().mean()) - 1 / 5) < 0.04


def test_two_classes_of_one_shot_say_nothing_of_the_noise():
    features, context, query = draw(shots=1, ways=2)
    support = Support.of(features, None, context)
    zero_shot = ZeroShot().fit(support)
    torch.testing.assert_close(SSText().fit(support).scores(query), zero_shot.scores(query))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("text_weight", 0),
        ("text_weight", "balanced"),
        ("text_weight", None),
        ("repel", 1),
        ("preset", "default"),
    ],
)
def test_bad_settings_name_themselves(setting, value):
    with pytest.raises(FewshotError, match=rf"^head\.ss_text\.{setting}: expected"):
        SSText(**{setting: value}).fit(unequal())
