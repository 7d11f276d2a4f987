"""BD-CSPN against easyfsl's, and against its formulas where easyfsl has no setting."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.bd_cspn import BDCSPN

E, N, K, D, T = 6, 5, 4, 16, 20


def draw(seed=0):
    """Classes off the origin, so that directions and the shift matter."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(E, N, 1, D)) + 0.5
    shots = means + rng.normal(size=(E, N, K, D))
    queries = means + rng.normal(size=(E, N, T // N, D)) + 0.3
    return torch.tensor(shots), torch.tensor(queries).flatten(1, 2)


def test_agrees_with_easyfsl():
    methods = pytest.importorskip("easyfsl.methods")
    shots, queries = draw()
    scores = BDCSPN().fit(Support.of(shots)).scores(Query.of(queries))
    for e in range(E):
        peer = methods.BDCSPN(torch.nn.Identity())
        peer.process_support_set(shots[e].flatten(0, 1), torch.arange(N).repeat_interleave(K))
        torch.testing.assert_close(scores[e], peer(queries[e]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("scale", "shift"), [(10.0, True), (3.0, False), (500.0, True)])
def test_agrees_with_the_formulas(scale, shift):
    shots, queries = draw(1)
    mask = torch.rand(E, N, K, generator=torch.Generator().manual_seed(0)) < 0.6
    mask[..., 0] = True
    head = BDCSPN(scale, shift).fit(Support.of(shots, mask))
    scores = head.scores(Query.of(queries))
    for e in range(E):
        own = [shots[e, n][mask[e, n]] for n in range(N)]
        moved = queries[e] + (torch.cat(own).mean(0) - queries[e].mean(0)) * shift
        means = torch.stack([one.mean(0) for one in own])
        winner = [int(cosine_similarity(x[None], means).argmax()) for x in moved]
        for n in range(N):
            members = [*own[n], *(x for x, best in zip(moved, winner, strict=True) if best == n)]
            likeness = [scale * cosine_similarity(x, means[n], 0) for x in members]
            weights = torch.stack(likeness).softmax(0)
            prototype = (weights[:, None] * torch.stack(members)).sum(0)
            expected = cosine_similarity(queries[e], prototype[None])
            torch.testing.assert_close(scores[e, :, n], expected, rtol=1e-9, atol=1e-9)


def published(shots, labels, queries, scale):
    """Prototypes, and the shift, as the published programs form them; shots keep their labels.

    A softmax over the classes for every image, and the mean over those of a class.
    """
    shift = shots.mean(0) - queries.mean(0)
    images = torch.cat([shots, queries + shift])
    means = torch.stack([shots[labels == n].mean(0) for n in range(N)])
    prototypes = []
    for n in range(N):
        members = []
        for i, x in enumerate(images):
            cosines = cosine_similarity(x[None], means)
            belongs = labels[i] == n if i < len(shots) else cosines.argmax() == n
            if belongs:
                members.append((scale * cosines).softmax(0)[n] * x)
        prototypes.append(torch.stack(members).mean(0))
    return torch.stack(prototypes), shift


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_weights_over_classes_are_the_published_ones(metric):
    shots, queries = draw(2)
    mask = torch.rand(E, N, K, generator=torch.Generator().manual_seed(1)) < 0.6
    mask[..., 0] = True
    head = BDCSPN(10.0, weights="classes", metric=metric).fit(Support.of(shots, mask))
    scores = head.scores(Query.of(queries))
    for e in range(E):
        labels = torch.arange(N).repeat_interleave(mask[e].sum(1))
        prototypes, _ = published(shots[e][mask[e]], labels, queries[e], 10.0)
        if metric == "cosine":
            expected = cosine_similarity(queries[e][:, None], prototypes[None], dim=-1)
            torch.testing.assert_close(scores[e], expected, rtol=1e-9, atol=1e-9)
        else:
            expected = -torch.cdist(queries[e], prototypes).square()
            expected = expected - expected.mean(-1, keepdim=True)
            got = scores[e] - scores[e].mean(-1, keepdim=True)
            torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-8)


def test_the_papers_settings():
    shots, queries = draw(3)
    context = Context(base_mean=torch.full((D,), 0.4))
    named = BDCSPN(10.0, weights="classes", center="base")
    scores = [
        head.fit(Support.of(shots, None, context)).scores(Query.of(queries))
        for head in (BDCSPN(preset="paper"), named)
    ]
    assert torch.equal(*scores)
    assert BDCSPN(preset="paper").uses == {"queries", "query_prior", "base"}


def test_at_scale_ten_queries_count_only_by_the_published_weights():
    """Over the samples, a shot's cosine with its own mean outweighs those of all queries."""
    rng = torch.Generator().manual_seed(0)
    means = torch.randn(80, N, 1, 40, generator=rng)
    shots = means + 2.0 * torch.randn(80, N, 1, 40, generator=rng)
    queries = (means + 2.0 * torch.randn(80, N, 15, 40, generator=rng)).flatten(1, 2)
    truth = torch.arange(N).repeat_interleave(15)
    right = [
        (BDCSPN(10.0, weights=over).fit(Support.of(shots)).predict(Query.of(queries)) == truth)
        for over in ("classes", "samples")
    ]
    gain = right[0].double().mean(-1) - right[1].double().mean(-1)
    assert gain.mean() - 2 * gain.std() / 80**0.5 > 0.01


def test_without_queries_it_is_nearest_direction():
    shots, queries = draw()
    nobody = Query.of(queries, torch.zeros(E, T, dtype=torch.bool))
    head = BDCSPN(scale=0.0).fit(Support.of(shots))
    assert bool(head.scores(nobody).isfinite().all())
    assert head.scores(Query.of(queries[:, :0])).shape == (E, 0, N)
    alone = head.scores(Query.of(queries[:, :1], torch.zeros(E, 1, dtype=torch.bool)))
    assert bool(alone.isfinite().all())


def test_what_it_uses():
    assert BDCSPN().uses == {"queries", "query_prior"}
    assert BDCSPN(shift=False).uses == {"queries"}


@pytest.mark.parametrize(
    ("setting", "value"), [("weights", "class"), ("metric", "l2"), ("preset", "papers")]
)
def test_bad_names(setting, value):
    with pytest.raises(FewshotError, match=rf"head\.bd_cspn\.{setting}: expected one of .* got"):
        BDCSPN(**{setting: value}).fit(Support.of(torch.zeros(1, 2, 1, 3)))


@pytest.mark.parametrize("scale", [-1.0, float("nan"), "10"])
def test_bad_parameters(scale):
    with pytest.raises(FewshotError, match=r"head\.bd_cspn\.scale: expected a number >= 0, got"):
        BDCSPN(scale).fit(Support.of(torch.zeros(1, 2, 1, 3)))
