"""Gaussian discriminant analysis against the paper's formulas, one episode at a time."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.gda import ALPHAS, GDA
from fewshot.heads.ncm import NCM

SCALE = 20.0


def draw(shots, dim=12, ways=4, episodes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(episodes, ways, 1, dim, generator=generator, dtype=torch.float64)
    noise = torch.randn(episodes, ways, shots + 6, dim, generator=generator, dtype=torch.float64)
    every = normalize(means + 1.5 * noise, dim=-1)
    text = means[:, :, 0] + torch.randn(means[:, :, 0].shape, generator=generator).double()
    context = Context(normalize(text, dim=-1), SCALE)
    return every[:, :, :shots], context, every[:, :, shots:].flatten(1, 2)


def analysis(shots, labels, queries):
    """w_c . x + b_c with the estimate of Kubokawa and Srivastava, by an explicit inverse."""
    ways, dim = labels.max() + 1, shots.shape[1]
    means = np.stack([shots[labels == c].mean(0) for c in range(ways)])
    deviations = np.concatenate([shots[labels == c] - means[c] for c in range(ways)])
    covariance = np.cov(deviations.T)
    ridge = np.trace(covariance) * np.eye(dim)
    precision = dim * np.linalg.inv((len(shots) - 1) * covariance + ridge)
    biases = -np.log(ways) - np.diag(means @ precision @ means.T) / 2
    return queries @ precision @ means.T + biases


def relative(scores):
    return scores - scores.mean(-1, keepdims=True)


@pytest.mark.parametrize(("shots", "dim"), [(2, 30), (5, 12), (20, 6)])
@pytest.mark.parametrize(("text", "alpha"), [("classes", 1.0), ("classes", 0.1), ("none", 7.0)])
def test_agrees_with_the_formulas(shots, dim, text, alpha):
    support, context, query = draw(shots, dim)
    head = GDA(text, alpha).fit(Support.of(support, context=context))
    scores = head.scores(Query.of(query)).numpy()
    labels = np.repeat(np.arange(4), shots)
    for e in range(3):
        expected = analysis(support[e].flatten(0, 1).numpy(), labels, query[e].numpy())
        if text == "classes":
            expected = SCALE * query[e].numpy() @ context.text[e].numpy().T + alpha * expected
        np.testing.assert_allclose(relative(scores[e]), relative(expected), rtol=1e-9, atol=1e-9)


def test_unequal_shots():
    support, context, query = draw(6)
    mask = torch.ones(3, 4, 6, dtype=torch.bool)
    mask[:, 0, 1:] = mask[:, 2, 4:] = False
    head = GDA("none").fit(Support.of(support, mask, context))
    scores, kept = head.scores(Query.of(query)).numpy(), mask[0].flatten().numpy()
    labels = np.repeat(np.arange(4), 6)[kept]
    for e in range(3):
        expected = analysis(support[e].flatten(0, 1).numpy()[kept], labels, query[e].numpy())
        np.testing.assert_allclose(relative(scores[e]), relative(expected), rtol=1e-9, atol=1e-9)


def test_one_shot_is_nearest_class_mean_on_the_scale_of_the_features():
    support, _, query = draw(1)
    gda, ncm = (h.fit(Support.of(support)).scores(Query.of(query)) for h in (GDA("none"), NCM()))
    centred = support - support.mean(1, keepdim=True)
    variance = centred.square().mean((1, 2, 3))[:, None, None]
    np.testing.assert_allclose(relative(gda.numpy()), relative((ncm / variance).numpy()))


@pytest.mark.parametrize("alike", ["shots of a class", "all shots"])
def test_identical_shots(alike):
    support, context, query = draw(1)
    first = support if alike == "shots of a class" else support[:, :1]
    copies = first.expand(3, 4, 5, 12).clone()
    scores = GDA(alpha=0.1).fit(Support.of(copies, context=context)).scores(Query.of(query))
    zero_shot = SCALE * query @ context.text.mT
    if alike == "all shots":  # which say nothing
        torch.testing.assert_close(scores, zero_shot)
    else:
        one = GDA(alpha=0.1).fit(Support.of(support, context=context)).scores(Query.of(query))
        np.testing.assert_allclose(relative(scores.numpy()), relative(one.numpy()))


def test_the_search_holds_shots_out():
    support, context, _ = draw(4, seed=3, episodes=8)
    found = GDA(alpha="search").fit(Support.of(support, context=context)).alpha_
    assert len(set(found.tolist())) > 1
    labels = np.repeat(np.arange(4), 3)
    for e in range(8):
        shots, losses = support[e].numpy(), []
        for alpha in ALPHAS:
            mistakes, entropy = 0, 0.0
            for k in range(4):
                rest, held = np.delete(shots, k, 1).reshape(12, -1), shots[:, k]
                scores = SCALE * held @ context.text[e].numpy().T
                scores = scores + alpha * analysis(rest, labels, held)
                mistakes += (scores.argmax(-1) != np.arange(4)).sum()
                rows = torch.from_numpy(scores)
                entropy += float(torch.nn.functional.cross_entropy(rows, torch.arange(4)))
            losses.append((mistakes, entropy))
        assert found[e] == ALPHAS[losses.index(min(losses))]


def test_one_shot_leaves_nothing_to_search_with():
    support, context, _ = draw(1)
    found = GDA(alpha="search").fit(Support.of(support, context=context)).alpha_
    assert found.tolist() == [0.1] * 3


def test_text_is_needed_unless_it_is_left_out():
    support, context, _ = draw(2)
    with pytest.raises(FewshotError, match="head=gda: this head reads class names"):
        GDA().fit(Support.of(support))
    GDA("none").fit(Support.of(support))
    assert GDA().uses == {"text"}
    assert GDA("none").uses == set()
    for parameters, message in (
        ({"text": "some"}, r"head\.gda\.text: expected one of 'classes', 'none', got 'some'"),
        ({"alpha": -1}, r"head\.gda\.alpha: expected a number >= 0, got -1\. Or 'search'"),
    ):
        with pytest.raises(FewshotError, match=message):
            GDA(**parameters).fit(Support.of(support, context=context))
