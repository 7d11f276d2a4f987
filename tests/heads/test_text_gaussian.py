"""Gaussians from text and shots against a loop over episodes and classes."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.text_gaussian import TextGaussian
from fewshot.text.gaussians.class_gaussians import LEAST_DIAGONAL

E, N, D, T = 3, 4, 6, 5
UNEQUAL = torch.tensor([[1, 2, 5, 3], [1, 1, 1, 1], [5, 5, 2, 1]])
COVARIANCES = ("diagonal", "low_rank")


@pytest.fixture
def draw(make_gaussians):
    """Function that draws a support with K shots, or as many as a table (E, N) says; queries."""

    def drawn(shots, seed=0, ways=N):
        generator = torch.Generator().manual_seed(seed)
        means = torch.randn(E, ways, D, generator=generator, dtype=torch.float64)
        most = int(torch.as_tensor(shots).max())
        noise = torch.randn(E, ways, most, D, generator=generator, dtype=torch.float64)
        mask = torch.arange(most) < torch.as_tensor(shots).expand(E, ways)[..., None]
        text = means + torch.randn(E, ways, D, generator=generator, dtype=torch.float64)
        text = torch.nn.functional.normalize(text, dim=-1)
        context = Context(text, 10.0, gaussians=make_gaussians(means, generator))
        query = torch.randn(E, T, D, generator=generator, dtype=torch.float64)
        features = means[:, :, None] + noise
        return Support.of(features, mask, context, least_shots=0), Query.of(query)

    return drawn


def own_variances(gaussians, e, n, shots):
    """s*^2 (D,) of one class with shots (K, D)."""
    predicted = gaussians.variances[e, n].numpy()
    if len(shots) < 2:
        return predicted
    freedom = len(shots) - 1
    squares = gaussians.freedom * predicted + freedom * shots.var(0, ddof=1)
    return squares / (gaussians.freedom + freedom)


def covariance_of(gaussians, head, e, shots):
    """The covariance (D, D) that the classes of an episode share."""
    if head.mode == "mean":
        return float(gaussians.within.mean()) * np.eye(D)
    each = [own_variances(gaussians, e, n, own) for n, own in enumerate(shots)]
    variances = np.mean(each, 0)
    if head.covariance == "diagonal":
        return np.diag(variances)
    main = gaussians.factor.numpy() @ gaussians.factor.numpy().T
    left = np.maximum(variances - np.diag(main), LEAST_DIAGONAL * variances)
    return np.diag(left) + main


def expected_scores(head, support, query):
    """The formulas of the head's documentation, an episode and a class at a time."""
    gaussians, text = support.context.gaussians, support.context.text
    origin, scores = gaussians.origin.numpy(), np.zeros((E, T, support.features.shape[1]))
    for e in range(E):
        shots = [f[m].numpy() for f, m in zip(support.features[e], support.mask[e], strict=True)]
        S = covariance_of(gaussians, head, e, shots)
        counts = [len(own) for own in shots]
        K = 1 / np.mean([1 / count for count in counts]) if min(counts) else 0
        kind = "identity" if head.mode == "mean" else head.covariance
        pool = gaussians.pools[kind, head.prior]
        x, density = query.features[e].numpy(), multivariate_normal

        def above(mean, x=x, S=S, density=density):
            return density(mean, S).logpdf(x) - density(origin, S).logpdf(x)

        for n, own in enumerate(shots):
            g = gaussians.means[e, n].numpy()
            m = own.mean(0) if K else np.zeros(D)
            if head.mode == "std":
                scores[e, :, n] = above(m)
            elif head.mixing == "posterior":
                s2, tau2 = gaussians.within.numpy(), gaussians.doubt.numpy()
                alpha = (s2 / K) / (s2 / K + tau2) if K else np.ones(D)
                scores[e, :, n] = above((1 - alpha) * m + alpha * g)
            else:
                ratio = np.mean(gaussians.doubt.numpy() / gaussians.within.numpy())
                alpha = 1 / (1 + K * pool.doubt * ratio)
                prior = pool.names * x @ text[e, n].numpy()
                prior += pool.temper * pool.regression * above(g)
                scores[e, :, n] = alpha * prior + (1 - alpha) * pool.temper * above(m)
    return scores


KINDS = [("mean_std", "pooled"), ("mean", "pooled"), ("mean_std", "posterior"),
         ("mean", "posterior"), ("std", "pooled")]  # fmt: skip


@pytest.mark.parametrize(("mode", "mixing"), KINDS)
def test_scores_are_those_of_a_loop_with_densities(draw, mode, mixing):
    priors = ("both", "names", "regression") if (mode, mixing) in KINDS[:2] else ("both",)
    cases = [draw(shots) for shots in (0, 1, 3, UNEQUAL)]
    for covariance, prior in itertools.product(COVARIANCES, priors):
        head = TextGaussian(mode, mixing, prior, covariance)
        for support, query in cases:
            if support.features.shape[2] >= head.least_shots:
                found = head.fit(support).scores(query)
                expected = expected_scores(head, support, query)
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mixing", ["pooled", "posterior"])
def test_text_counts_for_less_with_every_shot(draw, mixing):
    head = TextGaussian(mixing=mixing)
    shares = [head.fit(draw(shots)[0]).share_ for shots in (0, 1, 2, 5, 20, 500)]
    assert all(share.shape == (E, 1) for share in shares)
    assert bool((torch.cat(shares, 1).diff(dim=1) < 0).all())
    assert bool((shares[0] == 1).all())
    assert shares[-1].max() < 0.02
    # Classes with few shots decide: between that of the fewest and that of the mean.
    share = head.fit(draw(UNEQUAL)[0]).share_[0]
    assert head.fit(draw(3)[0]).share_[0] < share < head.fit(draw(1)[0]).share_[0]


def test_means_of_shots_need_shots():
    assert TextGaussian(mode="std").least_shots == 1
    assert TextGaussian().least_shots == TextGaussian(mixing="grid").least_shots == 0


def test_no_episode_knows_of_another(draw):
    for mode, mixing in [*KINDS, ("mean_std", "grid"), ("mean", "grid")]:
        head = TextGaussian(mode, mixing, covariance="low_rank")
        support, query = draw(UNEQUAL)
        whole = head.fit(support).scores(query)
        for e in range(E):
            used = int(support.counts[e].max())
            alone = Support.of(
                support.features[e : e + 1, :, :used],
                support.mask[e : e + 1, :, :used],
                support.context[e : e + 1],
            )
            scores = head.clone().fit(alone).scores(Query.of(query.features[e : e + 1]))
            torch.testing.assert_close(scores, whole[e : e + 1])


VERIFIERS = [TextGaussian(mode, mixing, covariance=covariance)
             for mode, mixing in KINDS for covariance in COVARIANCES]  # fmt: skip


@pytest.mark.parametrize("shots", [0, 1, 5])
def test_verification_looks_at_one_class_only(draw, shots):
    (support, query), (others, _) = draw(shots), draw(UNEQUAL if shots else 0, seed=1)
    mask = others.mask[:, :, :shots].clone()
    features = others.features[:, :, :shots].clone()
    features[:, 0], mask[:, 0] = support.features[:, 0], support.mask[:, 0]
    text, own = others.context.text.clone(), support.context.gaussians
    text[:, 0] = support.context.text[:, 0]
    means, variances = others.context.gaussians.means, others.context.gaussians.variances
    means[:, 0], variances[:, 0] = own.means[:, 0], own.variances[:, 0]
    context = Context(text, 10.0, gaussians=replace(own, means=means, variances=variances))
    changed = Support.of(features, mask, context, least_shots=0)
    for head in VERIFIERS:
        if shots >= head.least_shots:
            first = head.fit(support).verify(query)
            second = head.fit(changed).verify(query)
            torch.testing.assert_close(first[..., 0], second[..., 0], rtol=0, atol=1e-12)
            assert bool((first[..., 1:] - second[..., 1:]).abs().amin() > 1e-6)


def test_verification_is_an_episode_of_one_class(draw):
    support, query = draw(UNEQUAL)
    for head in VERIFIERS:
        if head.covariance == "low_rank" and head.mode != "mean":
            continue  # takes the variances of base classes
        scores = head.fit(support).verify(query)
        for n in range(N):
            alone = head.clone().fit(support[:, [n]]).scores(query)
            torch.testing.assert_close(alone[..., 0], scores[..., n])


def test_verification_changes_nothing(draw):
    support, query = draw(UNEQUAL)
    for head in VERIFIERS:
        share, form = head.fit(support).share_.clone(), head.linear()
        scores = head.scores(query)
        assert not torch.equal(head.verify(query), scores)
        assert torch.equal(head.share_, share)
        assert torch.equal(head.scores(query), scores)
        again = head.linear().response
        assert again is form.response is None or torch.equal(again, form.response)


@pytest.mark.parametrize("mode", ["mean_std", "mean", "std"])
def test_response_is_how_weights_follow_the_own_mean(draw, mode):
    for covariance, shots in itertools.product(COVARIANCES, (1, 5, UNEQUAL)):
        head, (support, _) = TextGaussian(mode, covariance=covariance), draw(shots)
        form = head.fit(support).linear()
        assert form.response.shape == (E, N)
        slopes = torch.zeros(E, D, D).double()  # of the weights of class 1 along its mean
        for d in range(D):
            features = support.features.clone()
            features[:, 1, :, d] += 1.0
            moved = head.clone().fit(Support.of(features, support.mask, support.context))
            change = moved.linear().weights - form.weights
            slopes[:, d] = change[:, 1]
            assert change[:, [0, 2, 3]].abs().max() < 1e-12
        for e in range(E):
            pairs = zip(support.features[e], support.mask[e], strict=True)
            S = covariance_of(
                support.context.gaussians, head, e, [own[there].numpy() for own, there in pairs]
            )
            # Enters the margin as r tr(S): the trace of slopes with S, in units of that of S.
            expected = np.trace(slopes[e].numpy() @ S) / np.trace(S)
            if mode == "mean" or covariance == "diagonal":
                assert float(form.response[e, 1]) == pytest.approx(expected)
            else:  # tr(S) is that of the variances but for the least share of the diagonal
                assert float(form.response[e, 1]) == pytest.approx(expected, rel=0.15)


def test_no_response_where_weights_follow_otherwise(draw):
    support, _ = draw(3)
    for mixing in ("posterior", "grid"):
        assert TextGaussian(mixing=mixing).fit(support).linear().response is None
    assert not TextGaussian().fit(draw(0)[0]).linear().response.any()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"mode": "man"}, r"head\.text_gaussian\.mode: expected one of .* Did you mean 'mean'"),
        ({"mixing": "pool"}, r"head\.text_gaussian\.mixing: expected one of 'pooled'"),
        ({"prior": "name"}, r"head\.text_gaussian\.prior: expected one of 'both', 'names'"),
        ({"covariance": "identity"}, r"covariance: expected one of 'diagonal', 'low_rank'"),
    ],
)
def test_refusals(draw, setting, words):
    with pytest.raises(FewshotError, match=words):
        TextGaussian(**setting).fit(draw(1)[0])


def test_refused_without_what_it_uses(draw):
    support, query = draw(1)
    with pytest.raises(FewshotError, match="this head needs Gaussians predicted from text"):
        TextGaussian().fit(Support.of(support.features, None, Context(support.context.text)))
    bare = Support.of(support.features, None, replace(support.context, text=None))
    with pytest.raises(FewshotError, match="these features come without text vectors"):
        TextGaussian().fit(bare)
    with pytest.raises(FewshotError, match="expected pooled or posterior in verification"):
        TextGaussian(mixing="grid").fit(support).verify(query)
