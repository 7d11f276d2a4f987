"""LDA with base classes against its formula with matrices in full."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.covariance import oas

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.incremental_lda import IncrementalLDA, shrink
from fewshot.heads.labelled import LabelledBatch, LabelledEpisodes
from fewshot.heads.ncm import NCM
from fewshot.heads.solvers.sufficient_statistics import SufficientStatistics


def draw(ways, shots, dim, episodes=4, seed=0, base=60):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(dim, dim)) / dim**0.5 * np.geomspace(2, 0.2, dim)
    means = rng.normal(size=(episodes, ways, 1, dim)) + 2
    support = means + rng.normal(size=(episodes, ways, shots, dim)) @ mixing
    query = means + rng.normal(size=(episodes, ways, 12, dim)) @ mixing
    return support, query.reshape(episodes, -1, dim), rng.normal(size=(base, dim)) @ mixing


def relative(scores):
    return scores - scores.mean(-1, keepdims=True)


def slow(support, mask, query, base, images, shrinkage):
    """One episode with every matrix in full: (T, N)."""
    dim = support.shape[-1]
    kept = [x[m] for x, m in zip(support, mask, strict=True)]
    scatter = sum((x - x.mean(0)).T @ (x - x.mean(0)) for x in kept)
    freedom = sum(len(x) - 1 for x in kept)

    def shrunk(covariance):
        target = np.trace(covariance) / dim * np.eye(dim)
        return (1 - shrinkage) * covariance + shrinkage * target

    if base is None:
        covariance = shrunk(scatter / freedom)
    else:
        covariance = (images * shrunk(base) + scatter) / (images + freedom)
    inverse = np.linalg.inv(covariance)
    means = np.stack([x.mean(0) for x in kept])
    return query @ inverse @ means.T - np.einsum("nd,de,ne->n", means, inverse, means) / 2


@pytest.mark.parametrize(("ways", "shots", "dim"), [(5, 5, 40), (3, 1, 12), (3, 20, 6)])
@pytest.mark.parametrize("with_base", [True, False])
@pytest.mark.parametrize("shrinkage", [0.2, 1])
def test_agrees_with_the_formula(ways, shots, dim, with_base, shrinkage):
    if shots == 1 and not with_base:
        pytest.skip("nearest class mean")
    support, query, images = draw(ways, shots, dim)
    base = np.cov(images.T) if with_base else None
    mask = np.ones(support.shape[:3], dtype=bool)
    mask[1:, 0, 2:] = False
    context = (
        Context(base_covariance=torch.from_numpy(base), base_images=60) if with_base else Context()
    )
    given = Support.of(torch.from_numpy(support), torch.from_numpy(mask), context)
    scores = IncrementalLDA(shrinkage).fit(given).scores(Query.of(torch.from_numpy(query))).numpy()
    for e in range(4):
        expected = slow(support[e], mask[e], query[e], base, 60, shrinkage)
        np.testing.assert_allclose(relative(scores[e]), relative(expected), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(("count", "dim"), [(9, 20), (200, 5)])
def test_shrinkage_agrees_with_scikit_learn(count, dim):
    x = np.random.default_rng(0).normal(size=(count, dim)) * np.geomspace(1, 0.1, dim)
    expected, intensity = oas(x)
    assert 0 < intensity < 1
    got = shrink(torch.from_numpy(np.cov(x.T, bias=True)), count, "auto")
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-15)


def test_shrinkage_of_the_supports_agrees_with_scikit_learn():
    support, query, _ = draw(2, 6, 20)
    support[:, 1] = support[:, :1, 0] + 5  # a class of copies: all deviations are of one class
    given = Support.of(torch.from_numpy(support[:, :1].repeat(2, 1)))
    weights = IncrementalLDA().fit(given).weights_
    assert not bool(weights.any())  # equal classes
    shots = torch.from_numpy(np.stack([support[:, 0], support[:, 0] + 1.0], 1))
    head = IncrementalLDA().fit(Support.of(shots))
    for e in range(4):
        x = support[e, 0] - support[e, 0].mean(0)
        covariance = x.T @ x / 5
        trace, squared = np.trace(covariance), (covariance**2).sum()
        g = min(1, (squared + trace**2) / (11 * (squared - trace**2 / 20)))  # 10 degrees
        shrunk = (1 - g) * covariance + g * trace / 20 * np.eye(20)
        expected = np.linalg.solve(shrunk, np.full(20, 0.5))
        np.testing.assert_allclose(head.weights_[e, 1], expected, rtol=1e-8)
    assert head.scores(Query.of(torch.from_numpy(query))).isfinite().all()


def test_one_shot_without_base_classes_is_nearest_class_mean():
    support, query, _ = (torch.from_numpy(one) for one in draw(4, 1, 10))
    for shots in (support, support.expand(-1, -1, 3, -1).clone()):
        given = Support.of(shots)
        one, other = (h.fit(given).scores(Query.of(query)) for h in (IncrementalLDA(), NCM()))
        np.testing.assert_allclose(relative(one.numpy()), relative(other.numpy()), atol=1e-9)


def test_base_classes_help():
    support, query, images = (torch.from_numpy(one) for one in draw(5, 2, 30, 100, base=400))
    context = Context(base_covariance=images.T.cov(), base_images=400)
    truth = torch.arange(5).repeat_interleave(12)
    right = [
        (head.fit(Support.of(support, None, known)).predict(Query.of(query)) == truth)
        .double()
        .mean()
        for head, known in (
            (IncrementalLDA(), context),
            (IncrementalLDA(), Context()),
            (NCM(), context),
        )
    ]
    assert right[0] > max(right[1:]) + 0.02


def few_base_images(dim=60, ways=5, shots=1, episodes=40, classes=20, images=6, seed=0):
    """Classes alike where images differ little, and few base images for their dimensions.

    Returns support, query and truth of novel classes; labelled episodes are of the base classes.
    """
    generator = torch.Generator().manual_seed(seed)
    spread = torch.logspace(0, -1.5, dim, dtype=torch.float64)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64) * spread

    means = normal(classes, 1, dim) * spread
    deviations = normal(classes, images, dim).flatten(0, 1)
    context = Context(base_mean=means.mean((0, 1)), base_images=classes * images)
    context = replace(context, base_covariance=deviations.T @ deviations / len(deviations))

    def drawn():
        centres = normal(episodes, ways, 1, dim) * spread
        features = centres + normal(episodes, ways, shots + 8, dim)
        support = Support.of(features[:, :, :shots], None, context)
        return support, Query.of(features[:, :, shots:].flatten(1, 2))

    truth = torch.arange(ways).repeat_interleave(8).expand(episodes, -1)
    known = LabelledEpisodes(lambda: [LabelledBatch(*drawn(), truth)])
    support, query = drawn()
    return support, query, truth, known


@pytest.mark.parametrize("shots", [1, 2])
@pytest.mark.parametrize("with_episodes", [False, True])
@pytest.mark.parametrize("factor", [1.0, 1000.0])
def test_few_base_images_cost_nothing(shots, with_episodes, factor):
    support, query, truth, known = few_base_images(shots=shots)
    if with_episodes:
        support = replace(support, context=replace(support.context, base_episodes=known))

    def accuracy(head):
        base = support.context.base_covariance * factor**2
        context = replace(support.context, base_covariance=base)
        if with_episodes:
            made = [scaled(batch, factor) for batch in known]
            context = replace(context, base_episodes=LabelledEpisodes(lambda: made))
        scaled_support = Support.of(support.features * factor, None, context)
        answers = head.fit(scaled_support).predict(Query.of(query.features * factor))
        return (answers == truth).double().mean(-1)

    gain = accuracy(IncrementalLDA()) - accuracy(NCM())
    assert float(gain.mean()) >= -2 * float(gain.std()) / len(gain) ** 0.5
    if shots == 1:
        assert float((accuracy(IncrementalLDA("oracle")) - accuracy(NCM())).mean()) < -0.04


def scaled(batch, factor):
    """The same episodes at another scale."""
    context = batch.support.context
    context = replace(context, base_covariance=context.base_covariance * factor**2)
    features = batch.support.features * factor
    return LabelledBatch(
        Support.of(features, None, context), Query.of(batch.query.features * factor), batch.labels
    )


def test_base_classes_choose_the_covariance_where_it_helps():
    support, query, images = (torch.from_numpy(one) for one in draw(5, 1, 30, 60, base=90))
    context = Context(base_covariance=images.T.cov(), base_images=90)
    truth = torch.arange(5).repeat_interleave(12).expand(60, -1)
    batch = LabelledBatch(Support.of(support[30:], None, context), Query.of(query[30:]), truth[30:])
    known = replace(context, base_episodes=LabelledEpisodes(lambda: [batch]))
    right = [
        (IncrementalLDA().fit(Support.of(support[:30], None, c)).predict(Query.of(query[:30])))
        for c in (known, context)
    ]
    chosen, fixed = ((answers == truth[:30]).double().mean() for answers in right)
    assert chosen > fixed + 0.02


def test_every_share_has_the_scores_of_its_covariance_in_full(monkeypatch):
    support, _, _, known = few_base_images(dim=12, shots=3, episodes=3, images=3)
    tried = {}

    def record(episodes, shares, scores):
        for batch in episodes:
            tried.update(zip(shares, scores(batch), strict=True))
            tried["batch"] = batch
        return shares[0]

    monkeypatch.setattr("fewshot.heads.incremental_lda.choose_on_base", record)
    context = replace(support.context, base_episodes=known)
    IncrementalLDA().fit(replace(support, context=context))
    batch = tried.pop("batch")
    base, images = support.context.base_covariance.numpy(), support.context.base_images
    shrunk = shrink(torch.from_numpy(base), images, "oracle").numpy()
    for h, scores in tried.items():
        mixed = (1 - h) * shrunk + h * np.trace(base) / 12 * np.eye(12)
        for e in range(3):
            kept = batch.support.features[e].numpy()
            scatter = sum((x - x.mean(0)).T @ (x - x.mean(0)) for x in kept)
            covariance = (images * mixed + (1 - h) * scatter) / (images + 10)
            inverse, means = np.linalg.inv(covariance), kept.mean(1)
            expected = batch.query.features[e].numpy() @ inverse @ means.T
            expected = expected - np.einsum("nd,de,ne->n", means, inverse, means) / 2
            np.testing.assert_allclose(relative(scores[e].numpy()), relative(expected), rtol=1e-6)


def test_the_identity_of_the_paper():
    support, query, images = (torch.from_numpy(one) for one in draw(3, 2, 8, episodes=1))
    context = Context(base_covariance=images.T.cov(), base_images=60)
    for known in (context, Context()):
        got = IncrementalLDA(preset="paper").fit(Support.of(support, None, known))
        kept = support[0].numpy()
        scatter = sum((x - x.mean(0)).T @ (x - x.mean(0)) for x in kept)
        if known.base_images:
            base = context.base_covariance.numpy() + np.eye(8)
            covariance = (60 * base + scatter) / 63
        else:
            covariance = scatter / 3 + np.eye(8)
        inverse, means = np.linalg.inv(covariance), kept.mean(1)
        expected = query[0].numpy() @ inverse @ means.T
        expected = expected - np.einsum("nd,de,ne->n", means, inverse, means) / 2
        scores = got.scores(Query.of(query))[0].numpy()
        np.testing.assert_allclose(relative(scores), relative(expected), rtol=1e-7, atol=1e-9)
        assert got.uses == {"base"}


def test_features_that_carry_gradients():
    support, query, _, known = few_base_images(episodes=2)
    context = replace(support.context, base_episodes=known)
    for given in (support, replace(support, context=context), replace(support, context=Context())):
        traced = replace(given, features=given.features.clone().requires_grad_())
        scores = IncrementalLDA().fit(traced).scores(query)
        assert torch.equal(scores.detach(), IncrementalLDA().fit(given).scores(query))


def test_shots_are_further_images_of_the_base_statistics():
    support, query, images = (torch.from_numpy(one) for one in draw(3, 5, 8, episodes=1))
    base = SufficientStatistics.empty(2, 8).update(images, torch.arange(60) % 2)
    shots = SufficientStatistics.empty(3, 8).update(
        support[0].flatten(0, 1), torch.arange(3).repeat_interleave(5)
    )
    context = Context(base_covariance=base.covariance(), base_images=base.freedom)
    head = IncrementalLDA(1e-13).fit(Support.of(support, None, context))
    # Novel classes are numbers 2 to 4 of a classifier that has seen both.
    merged = base.merge(SufficientStatistics(*moved(shots, 2)))
    inverse = torch.linalg.inv(merged.covariance())
    means = merged.means()[2:]
    expected = query[0] @ inverse @ means.T - ((means @ inverse) * means).sum(-1) / 2
    got = head.scores(Query.of(query))[0]
    np.testing.assert_allclose(relative(got.numpy()), relative(expected.numpy()), rtol=1e-7)


def moved(statistics, places):
    """The same for class numbers that begin later."""
    counts, sums, moment = statistics
    before = SufficientStatistics.empty(places, len(moment))
    return torch.cat([before.counts, counts]), torch.cat([before.sums, sums]), moment


@pytest.mark.parametrize("shrinkage", [0, 1.1, "oas", None])
def test_bad_shrinkage(shrinkage):
    match = r"head\.incremental_lda\.shrinkage: expected a number in \(0, 1\], got"
    with pytest.raises(FewshotError, match=match):
        IncrementalLDA(shrinkage).fit(Support.of(torch.ones(1, 2, 1, 3)))
