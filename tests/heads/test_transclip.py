"""TransCLIP and StatA against their formulas, written out one query and class at a time."""

import pytest
import torch
from torch.nn.functional import normalize

from fewshot.exceptions import FewshotError
from fewshot.heads import StatA, TransCLIP, ZeroShot
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.solvers import graph
from fewshot.heads.solvers.anchored_mixture import AnchoredEpisodes
from fewshot.heads.solvers.graph import affinities, most_similar, pulled

WAYS, DIM, SCALE = 4, 16, 20.0


def draw(shots=0, queries=5, episodes=2, noise=0.5, seed=0, ways=WAYS, dim=DIM, scale=SCALE):
    """Support, queries (E, T, D) and context: images lie apart from text, as in a dual encoder."""
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    text = normal(episodes, ways, dim)
    means = text[:, :, None] + 0.4 * normal(episodes, ways, 1, dim) + 2 * normal(dim)
    features = normalize(means + noise * normal(episodes, ways, shots + queries, dim), dim=-1)
    context = Context(normalize(text, dim=-1), scale)
    support = Support.of(features[:, :, :shots], None, context, least_shots=0)
    return support, features[:, :, shots:].flatten(1, 2)


def scores(head, support, query, **mask):
    return head.fit(support).scores(Query.of(query, **mask))


def neighbours(row, rows, without=None):
    """Pairs of index and cosine of the three rows nearest to `row`."""
    cosines = [(float(row @ other), i) for i, other in enumerate(rows) if i != without]
    return [(i, max(0.0, cosine)) for cosine, i in sorted(cosines, reverse=True)[:3]]


class Slow:
    """One episode: queries x, shots by class, text; and what both methods do to assignments."""

    def __init__(self, support, query, e):
        self.x, self.text = query[e], support.context.text[e]
        self.shots = [(shot, c) for c in range(WAYS) for shot in support.features[e, c]]
        self.y = (SCALE * self.x @ self.text.T).softmax(-1)

    def assigned(self, likelihood, z, text_weight, laplacian):
        n = len(self.x)
        links = [(t, *link) for t in range(n) for link in neighbours(self.x[t], self.x, t)]
        for _ in range(5):
            logits = text_weight * self.y.log() + likelihood
            for t, u, w in links:
                logits[t] += laplacian / 6 * w * z[u]
                logits[u] += laplacian / 6 * w * z[t]
            for shot, c in self.shots:
                for t, w in neighbours(shot, self.x):
                    logits[t, c] += laplacian / 6 * w
            z = logits.softmax(-1)
        return logits

    def weighted(self, z, c, weight):
        """Points with their weights in class c."""
        points = [(x, float(z[t, c])) for t, x in enumerate(self.x)]
        return points + [(shot, weight) for shot, label in self.shots if label == c]


def slow_transclip(support, query, e, gamma, text_weight, laplacian=1.0, steps=10):
    episode = Slow(support, query, e)
    shots, n = len(episode.shots), len(query[e])
    weight = 1.0 if gamma is None else 50 * gamma * n / max(1, shots)
    z, variance = episode.y, torch.full((DIM,), 1 / DIM, dtype=torch.float64)
    if shots:
        means = [sum(s for s, label in episode.shots if label == c) for c in range(WAYS)]
    else:
        best = [z[:, c].argsort(descending=True)[:8] for c in range(WAYS)]
        means = [sum(z[t, c] * query[e, t] for t in best[c]) for c in range(WAYS)]
    means = [normalize(m, dim=0) for m in means]
    for step in range(steps + 1):
        likelihood = torch.stack(
            [torch.stack([-((x - m) ** 2 / variance).sum() / 100 for m in means]) for x in query[e]]
        )
        logits = episode.assigned(likelihood, z, text_weight, laplacian)
        if step == steps:
            return logits
        z = logits.softmax(-1)
        clouds = [episode.weighted(z, c, weight) for c in range(WAYS)]
        means = [normalize(sum(w * p for p, w in cloud), dim=0) for cloud in clouds]
        pairs = [
            (w, (p - m) ** 2) for cloud, m in zip(clouds, means, strict=True) for p, w in cloud
        ]
        variance = sum(w * square for w, square in pairs) / sum(w for w, _ in pairs)


def slow_stata(support, query, e, alpha, temper, soft, steps=10):
    episode = Slow(support, query, e)
    z, text = episode.y, episode.text
    around = sum(z[t, c] * (x - text[c]) ** 2 for t, x in enumerate(query[e]) for c in range(WAYS))
    around = around / len(query[e])
    means, variances = list(text), [around] * WAYS
    for step in range(steps + 1):
        gaussians = list(zip(means, variances, strict=True))
        likelihood = torch.stack(
            [
                torch.stack([-((x - m) ** 2 / v).sum() / (2 * temper) for m, v in gaussians])
                for x in query[e]
            ]
        )
        logits = episode.assigned(likelihood, z, 1.0, 1.0)
        if step == steps:
            return logits
        z = logits.softmax(-1)
        for c in range(WAYS):
            number = z[:, c].sum() if soft else (z.argmax(-1) == c).sum()
            number = number + sum(label == c for _, label in episode.shots)
            share, cloud = number / (number + alpha), episode.weighted(z, c, 1.0)
            mean = normalize(sum(w * p for p, w in cloud), dim=0)
            means[c] = normalize(share * mean + (1 - share) * text[c], dim=0)
            within = sum(w * (p - means[c]) ** 2 for p, w in cloud) / sum(w for _, w in cloud)
            variances[c] = share * within + (1 - share) * (around + (text[c] - means[c]) ** 2)


def assert_same(got, expected):
    torch.testing.assert_close(got.log_softmax(-1), expected.log_softmax(-1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("shots", "gamma"), [(0, None), (1, 0.02), (3, 0.2), (2, None)])
def test_transclip_is_the_papers(shots, gamma):
    support, query = draw(shots)
    got = scores(TransCLIP(shot_weight=gamma, preset="paper", steps=2), support, query)
    for e in range(2):
        text_weight = 0.5 if shots else 1.0
        assert_same(got[e], slow_transclip(support, query, e, gamma, text_weight, steps=2))


@pytest.mark.parametrize(("shots", "soft"), [(0, False), (0, True), (2, False)])
def test_stata_is_the_papers(shots, soft):
    support, query = draw(shots)
    got = scores(StatA(soft=soft, preset="paper", steps=2), support, query)
    for e in range(2):
        assert_same(got[e], slow_stata(support, query, e, 1.0, 50.0, soft, steps=2))


def test_classes_that_no_query_is_of():
    """With two of 20 classes among the queries, no head falls below zero-shot."""
    support, query = draw(queries=5, episodes=40, noise=1.0, seed=1, ways=20, dim=64, scale=60.0)
    truth = torch.arange(20).repeat_interleave(5)[:10]
    zero_shot, *others = (
        (head.fit(support).predict(Query.of(query[:, :10])) == truth).double().mean()
        for head in (ZeroShot(), TransCLIP(), StatA())
    )
    assert min(others) > zero_shot + 0.005


def test_the_text_counts_by_how_unlike_the_shares_of_the_classes_are():
    support, query = draw(queries=8, scale=400.0)
    learn_from = torch.zeros(2, 4 * 8, dtype=torch.bool)
    learn_from[:, :8] = True  # of a single class
    for mask, expected in ((None, 4.0), (learn_from, 1.0)):
        episodes = AnchoredEpisodes.of(support, Query.of(query, None, mask), "stata")
        number = episodes.effective_classes[:, 0, 0]
        assert bool(((number - expected).abs() < 0.7).all())
        alpha = episodes.learnable.sum(1)[:, 0] / number
        automatic = scores(StatA(), support, query, learn_from=mask)
        for e in range(2):
            fixed = scores(StatA(float(alpha[e])), support, query, learn_from=mask)
            torch.testing.assert_close(automatic[e], fixed[e])


@pytest.mark.parametrize("head", [TransCLIP(), TransCLIP(preset="paper"), StatA()])
@pytest.mark.parametrize("shots", [0, 1])
def test_the_queries_help(head, shots):
    support, query = draw(shots, queries=12, episodes=30, noise=0.9, seed=2)
    truth = torch.arange(WAYS).repeat_interleave(12)
    right, before = (
        (one.fit(support).predict(Query.of(query)) == truth).double().mean()
        for one in (head, ZeroShot())
    )
    assert right > before + 0.005


@pytest.mark.parametrize("head", [TransCLIP(), TransCLIP(preset="paper"), StatA()])
@pytest.mark.parametrize("shots", [0, 2])
def test_rows_that_are_not_to_be_learned_from(head, shots):
    """They change nothing of the others, and know nothing of each other."""
    support, query = draw(shots, queries=8)
    learn = torch.arange(query.shape[1]) % 3 > 0
    apart = scores(head, support, query, learn_from=learn.expand(2, -1))
    alone = scores(head, support, query[:, learn])
    torch.testing.assert_close(apart[:, learn], alone)
    single = learn.clone()
    single[0] = True  # the first of those that are set apart, without the rest of them
    fewer = scores(head, support, query[:, single], learn_from=learn[single].expand(2, -1))
    torch.testing.assert_close(apart[:, 0], fewer[:, 0])
    nobody = scores(head, support, query, learn_from=torch.zeros(2, len(learn), dtype=torch.bool))
    assert bool(nobody.isfinite().all())


def test_blocks_give_the_neighbours_of_all_products(monkeypatch):
    x = normalize(torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(0)), dim=-1)
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, 3] = False
    rows, weights = most_similar(x, x, mask, 3, themselves=False)
    links = affinities(x, mask, 3)
    monkeypatch.setattr(graph, "BLOCK", 1)
    assert torch.equal(rows, most_similar(x, x, mask, 3, themselves=False)[0])
    products = (x @ x.mT).masked_fill(~mask[:, None], -9)
    products.diagonal(dim1=1, dim2=2).fill_(-9)
    assert torch.equal(rows, products.argsort(-1, descending=True)[..., :3])
    dense = torch.zeros(2, 9, 9).scatter_(2, rows, weights)
    dense = dense + (dense * mask[..., None]).mT
    values = torch.rand(2, 9, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(pulled(links, values), dense @ values)


@pytest.mark.parametrize("queries", [0, 1])
def test_hardly_any_query(queries):
    for shots in (0, 1):
        support, query = draw(shots, queries=2)
        for head in (TransCLIP(), TransCLIP(preset="paper"), StatA(), StatA(preset="paper")):
            got = scores(head, support, query[:, :queries])
            assert got.shape == (2, queries, WAYS)
            assert bool(got.isfinite().all())


@pytest.mark.parametrize(
    ("head", "setting", "value"),
    [
        (TransCLIP, "anchor", -1),
        (TransCLIP, "shot_weight", "search"),
        (TransCLIP, "text_weight", -1),
        (TransCLIP, "laplacian", float("nan")),
        (TransCLIP, "steps", 0),
        (TransCLIP, "preset", "authors"),
        (StatA, "alpha", 0),
        (StatA, "laplacian", -1),
        (StatA, "temper", 0),
        (StatA, "soft", 1),
        (StatA, "steps", 0),
        (StatA, "preset", "authors"),
    ],
)
def test_bad_parameters(head, setting, value):
    support, _ = draw(1)
    with pytest.raises(FewshotError, match=rf"head\.\w+\.{setting}: "):
        head(**{setting: value}).fit(support)


@pytest.mark.parametrize("head", [TransCLIP, StatA])
def test_without_text(head):
    with pytest.raises(FewshotError, match=r"without text vectors"):
        head().fit(Support.of(draw(1)[0].features))
