"""EM-Dirichlet against its algorithm written out with SciPy, and its parts."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import optimize, special, stats
from torch.nn.functional import normalize

from fewshot.exceptions import FewshotError
from fewshot.heads import em_dirichlet
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.em_dirichlet import EMDirichlet, dirichlet_fit, log_density
from fewshot.heads.zero_shot import ZeroShot

WAYS, DIM = 4, 24


def draw(shots=2, queries=6, episodes=3, spread=0.6):
    """Support, queries and text whose directions agree with the classes in part."""
    rng = torch.Generator().manual_seed(shots)
    text = normalize(torch.randn(episodes, WAYS, DIM, generator=rng, dtype=torch.float64), dim=-1)

    def around(number):
        noise = torch.randn(episodes, WAYS, number, DIM, generator=rng, dtype=torch.float64)
        return normalize(0.3 * text[:, :, None] + spread * noise / DIM**0.5, dim=-1)

    return around(shots), around(queries).flatten(1, 2), Context(text)


def largest_likelihood(mean_logs, start):
    """Dirichlet parameters by SciPy, in logarithms so that they stay positive."""

    def loss(t):
        a = np.exp(t)
        value = special.gammaln(a).sum() - special.gammaln(a.sum()) - ((a - 1) * mean_logs).sum()
        slope = special.digamma(a) - special.digamma(a.sum()) - mean_logs
        return value, slope * a

    done = optimize.minimize(loss, np.log(start), jac=True, method="BFGS", options={"gtol": 1e-10})
    return np.exp(done.x)


def algorithm(support, query, text, steps, use_labels=True):
    """Log posterior (T, N) of one episode, up to a constant of each query."""

    def point(x):
        p = np.exp(30 * (x @ text.T))
        return p / p.sum()

    shots = [[point(x) for x in own] for own in support]
    z = np.array([point(x) for x in query])
    u, a = z.copy(), np.ones((WAYS, WAYS))
    for _ in range(steps):
        for k in range(WAYS):
            points, weights = list(z), list(u[:, k])
            if use_labels:
                points, weights = points + shots[k], weights + [1.0] * len(shots[k])
            mean_logs = np.average(np.log(np.array(points) + 1e-15), axis=0, weights=weights)
            a[k] = largest_likelihood(mean_logs, a[k])
        v = np.log(u.mean(0) + 1e-15) + 1
        density = np.array([[stats.dirichlet(a[k]).logpdf(p) for k in range(WAYS)] for p in z])
        scores = density + v
        u = special.softmax(scores, axis=1)
    return scores


@pytest.mark.parametrize("labels", ["use", "ignore"])
def test_agrees_with_the_algorithm(labels, monkeypatch):
    monkeypatch.setattr(em_dirichlet, "CONVERGED", 0.0)  # nearly to the bottom, as SciPy
    support, query, context = draw(queries=10, episodes=2, spread=1.0)
    head = EMDirichlet(steps=2, mm_steps=2000, labels=labels, preset="paper")
    scores = head.fit(Support.of(support, None, context)).scores(Query.of(query))
    for e in range(2):
        given = (one[e].numpy() for one in (support, query, context.text))
        expected = algorithm(*given, 2, labels == "use")
        got = scores[e].log_softmax(-1).numpy()
        np.testing.assert_allclose(got, special.log_softmax(expected, axis=1), atol=1e-4, rtol=1e-3)


def test_mm_finds_the_largest_likelihood_and_never_goes_down():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.3, 20, size=(6, WAYS))
    logs = np.array([np.log(rng.dirichlet(a, 50)).mean(0) for a in truth])
    mean_logs = torch.from_numpy(logs)[:, None].expand(6, WAYS, WAYS)
    start = torch.ones(6, WAYS, WAYS, dtype=torch.float64)

    def likelihood(a):
        constant = torch.lgamma(a.sum(-1)) - torch.lgamma(a).sum(-1)
        return constant + ((a - 1) * mean_logs).sum(-1)

    path = [likelihood(dirichlet_fit(mean_logs, start, steps)) for steps in (1, 2, 3, 5, 9, 30)]
    assert all(bool((late >= early - 1e-12).all()) for early, late in pairwise(path))
    fitted = dirichlet_fit(mean_logs, start, 20_000)
    for i in range(6):
        expected = largest_likelihood(logs[i], np.ones(WAYS))
        np.testing.assert_allclose(fitted[i, 0], expected, rtol=1e-2)


def test_density_is_scipys():
    rng = np.random.default_rng(1)
    a, z = rng.uniform(0.5, 9, size=(WAYS, WAYS)), rng.dirichlet(np.ones(WAYS), 7)
    got = log_density(torch.from_numpy(np.log(z))[None], torch.from_numpy(a)[None])[0]
    for k in range(WAYS):
        np.testing.assert_allclose(got[k], stats.dirichlet(a[k]).logpdf(z.T), rtol=1e-10)


def test_shots_help():
    support, query, context = draw(4, 15, 30)
    truth = torch.arange(WAYS).repeat_interleave(15)
    given = Support.of(support, None, context)
    used, ignored = (
        (EMDirichlet(30.0, labels=one).fit(given).predict(Query.of(query)) == truth).double().mean()
        for one in ("use", "ignore")
    )
    assert used >= ignored - 0.005
    assert ignored > 0.8


def test_ignored_labels_do_not_matter():
    support, query, context = draw()
    head = EMDirichlet(labels="ignore")
    scores = head.fit(Support.of(support, None, context)).scores(Query.of(query))
    other = head.fit(Support.of(support.flip(1), None, context)).scores(Query.of(query))
    assert torch.equal(scores, other)


def test_without_queries_and_text():
    support, query, context = draw(1)
    head = EMDirichlet().fit(Support.of(support, None, context))
    assert head.scores(Query.of(query[:, :0])).shape == (3, 0, WAYS)
    masked = Query.of(query, torch.zeros(query.shape[:2], dtype=torch.bool))
    assert bool(head.scores(masked).isfinite().all())
    with pytest.raises(FewshotError, match=r"head=em_dirichlet: .*without text vectors"):
        EMDirichlet().fit(Support.of(support))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("temperature", 0), ("penalty", -1), ("steps", 0), ("mm_steps", 0), ("labels", "no")],
)
def test_bad_parameters(setting, value):
    support, _, context = draw()
    with pytest.raises(FewshotError, match=rf"head\.em_dirichlet\.{setting}: .* got"):
        EMDirichlet(**{setting: value}).fit(Support.of(support, None, context))


def test_names_that_are_right_are_not_doubted():
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    names = torch.nn.functional.normalize(2 * normal(1, 1, 1, 64) + normal(15, 10, 1, 64), dim=-1)
    images = names + 0.12 * normal(15, 10, 4, 64)
    support = Support.of(images[:, :, :1], None, Context(names[:, :, 0], 100.0))
    query, truth = Query.of(images[:, :, 1:].flatten(1, 2)), torch.arange(10).repeat_interleave(3)
    by_names, default, authors = (
        (head.fit(support).predict(query) == truth).double().mean()
        for head in (ZeroShot(), EMDirichlet(), EMDirichlet(30.0))
    )
    assert default > by_names - 0.01
    assert authors < default - 0.01
