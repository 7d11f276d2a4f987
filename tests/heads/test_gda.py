"""Gaussian discriminant analysis against the paper's formulas, one episode at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.gda import ALPHAS, GDA, gda_form, ridge_solve
from fewshot.heads.labelled import LabelledBatch, LabelledEpisodes
from fewshot.heads.ncm import NCM
from fewshot.heads.zero_shot import ZeroShot

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


def noisy(shots, base=0.0, episodes=60, ways=10, dim=40, seed=0, spread=6.0):
    """Good names, images of one class that differ a lot, and episodes of base classes.

    `base` is how much worse the names of base classes are.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def draw(names):
        means = normal(episodes, ways, 1, dim)
        images = normalize(means + spread * normal(episodes, ways, shots + 8, dim), dim=-1)
        text = normalize(means[:, :, 0] + names * normal(episodes, ways, dim), dim=-1)
        support = Support.of(images[:, :, :shots], None, Context(text, 40.0))
        return support, Query.of(images[:, :, shots:].flatten(1, 2))

    ways_of = torch.arange(ways).repeat_interleave(8).expand(episodes, -1)
    known = LabelledEpisodes(lambda: [LabelledBatch(*draw(base), ways_of)])
    return *draw(0.0), known


def accuracy(head, support, query):
    truth = torch.arange(support.mask.shape[1]).repeat_interleave(8)
    return (head.fit(support).predict(query) == truth).double().mean(-1)


@pytest.mark.parametrize("shots", [1, 2, 3])
@pytest.mark.parametrize("with_base", [False, True])
def test_few_noisy_shots_do_not_spoil_good_names(shots, with_base):
    support, query, known = noisy(shots)
    if with_base:
        support = replace(support, context=replace(support.context, base_episodes=known))
    by_names = accuracy(ZeroShot(), support, query)
    gain = accuracy(GDA(), support, query) - by_names
    assert float(gain.mean()) >= -2 * float(gain.std()) / 60**0.5
    if shots == 1:  # with a weight that is right for many shots
        assert float((accuracy(GDA(alpha=10.0), support, query) - by_names).mean()) < -0.05


@pytest.mark.parametrize("with_base", [False, True])
def test_many_good_shots_get_a_large_weight(with_base):
    support, query, known = noisy(5, base=3.0, spread=1.0)
    text = support.context.text.roll(1, 0)  # names of other classes
    episodes = known if with_base else None
    support = replace(support, context=Context(text, 4.0, base_episodes=episodes))
    gain = accuracy(GDA(), support, query) - accuracy(ZeroShot(), support, query)
    assert float(gain.mean()) > 0.5


def test_one_shot_without_base_classes_adds_a_twentieth_of_the_spread():
    support, _, _ = noisy(1, episodes=3, ways=4)
    head = GDA().fit(support)
    weights, biases = gda_form(support)
    for e in range(3):
        shots, spreads = support.features[e, :, 0], []
        for scores in (
            40.0 * shots @ support.context.text[e].T,
            shots @ weights[e].T + biases[e],
        ):
            others = [np.delete(row.numpy(), n) for n, row in enumerate(scores)]
            spreads.append(np.sqrt(np.mean([row.var() for row in others])))
        np.testing.assert_allclose(head.alpha_[e], 0.05 * spreads[0] / spreads[1])


def test_shots_of_base_classes_that_mislead_get_no_more_than_the_safe_weight():
    support, _, known = noisy(1)
    batch = next(iter(known))
    shots = batch.support.features.roll(1, 1)  # those of the next class
    wrong = LabelledBatch(replace(batch.support, features=shots), batch.query, batch.labels)
    safe = GDA().fit(support).alpha_
    for episodes, larger in ((wrong, False), (names_like_noise(batch), True)):
        made = LabelledEpisodes(lambda episodes=episodes: [episodes])
        context = replace(support.context, base_episodes=made)
        alpha = GDA().fit(replace(support, context=context)).alpha_
        assert bool((alpha > 2 * safe).all() if larger else (alpha <= safe).all())


def names_like_noise(batch):
    """The same episodes with names that say nothing, and shots that say all."""
    text = batch.support.context.text
    support = replace(batch.support, features=text[:, :, None], context=Context(text.roll(1, 1)))
    return LabelledBatch(support, Query.of(text.repeat_interleave(8, 1)), batch.labels)


def test_features_that_carry_gradients():
    support, query, known = noisy(2, episodes=2)
    context = replace(support.context, base_episodes=known)
    for given in (support, replace(support, context=context)):
        traced = replace(given, features=given.features.clone().requires_grad_())
        scores = GDA().fit(traced).scores(query)
        assert torch.equal(scores.detach(), GDA().fit(given).scores(query))


def test_text_is_needed_unless_it_is_left_out():
    support, context, _ = draw(2)
    with pytest.raises(FewshotError, match="head=gda: this head reads class names"):
        GDA().fit(Support.of(support))
    GDA("none").fit(Support.of(support))
    assert GDA().uses == {"text", "base_episodes"}
    assert GDA(alpha=0.1).uses == GDA(preset="paper").uses == {"text"}
    assert GDA("none").uses == set()
    for parameters, message in (
        ({"text": "some"}, r"head\.gda\.text: expected one of 'classes', 'none', got 'some'"),
        ({"alpha": -1}, r"head\.gda\.alpha: expected a number >= 0, got -1\. Or 'search'"),
    ):
        with pytest.raises(FewshotError, match=message):
            GDA(**parameters).fit(Support.of(support, context=context))


def test_many_shots_of_few_dimensions_invert_the_smaller_matrix():
    """More rows than dimensions: the other side of Woodbury's identity."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(2, 30, 5, generator=generator, dtype=torch.float64)
    right = torch.randn(2, 4, 5, generator=generator, dtype=torch.float64)
    ridge = torch.tensor([[0.3], [2.0]], dtype=torch.float64)
    inner = rows.mT @ rows + ridge[..., None] * torch.eye(5, dtype=torch.float64)
    expected = torch.linalg.solve(inner, right.mT).mT
    torch.testing.assert_close(ridge_solve(rows, ridge, right), expected)
    wide = torch.cat([rows, torch.zeros(2, 30, 40, dtype=torch.float64)], -1)
    padded = torch.cat([right, torch.zeros(2, 4, 40, dtype=torch.float64)], -1)
    torch.testing.assert_close(ridge_solve(wide, ridge, padded)[..., :5], expected)
