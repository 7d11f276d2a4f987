"""Covariates against loops with SciPy."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from fewshot.estimators.base import NO_BASE, BaseClasses
from fewshot.estimators.calibration import covariates
from fewshot.estimators.calibration.covariates import BASE_FREEDOM, Evidence, risk
from fewshot.estimators.calibration.regimes import SUPPORT_ALONE
from fewshot.estimators.davies_bouldin import davies_bouldin_index
from fewshot.estimators.held_out import stratified_scores
from fewshot.estimators.moments import Moments
from fewshot.heads.base import Query, Support
from fewshot.heads.lda import LDA
from fewshot.heads.ncm import NCM
from fewshot.heads.ridge import Ridge

E, N, K, D = 5, 4, 6, 15


def slow_risk(margins, scatter):
    """One episode: margins (N, N), covariance of the scores (N, N, N) with the class of x first."""
    risks = np.empty(len(margins))
    for c in range(len(margins)):
        right = 1.0
        for j in range(len(margins)):
            if j != c:
                S = scatter[c]
                right *= norm.cdf(margins[c, j] / np.sqrt(S[c, c] + S[j, j] - 2 * S[c, j]))
        risks[c] = np.clip(norm.ppf(1 - right), -6, 4)
    return risks


def slow_parts(shots, covariance=None, share=1.0):
    """Margins and score covariance of nearest class mean, `shots` a list of (K_c, D) arrays."""
    means = np.array([x.mean(0) for x in shots])
    deviations = np.concatenate([x - x.mean(0) for x in shots])
    S = deviations.T @ deviations / max(1, sum(len(x) - 1 for x in shots))
    if covariance is not None:
        S = share * S + (1 - share) * covariance
    margins = np.array(
        [
            [((m - o) ** 2).sum() / 2 - np.trace(S) / len(x) for o in means]
            for m, x in zip(means, shots, strict=True)
        ]
    )
    return margins, np.broadcast_to(means @ S @ means.T, (len(means),) * 3)


def draw(shots=(K,) * N, seed=0, spread=1.0, dim=D):
    rng = np.random.default_rng(seed)
    stretch = np.geomspace(2, 0.2, dim)
    x = rng.normal(size=(E, N, 1, dim)) + spread * stretch * rng.normal(
        size=(E, N, max(shots), dim)
    )
    mask = np.broadcast_to(np.arange(max(shots)) < np.array(shots)[:, None], x.shape[:3])
    support = Support.of(torch.from_numpy(x), torch.from_numpy(mask.copy()))
    return support, [[x[e, c, :k] for c, k in enumerate(shots)] for e in range(E)]


def base_of(seed=5):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(D, D)) / 4
    moments = Moments(
        torch.from_numpy(rng.normal(size=(12, D))),
        torch.full((12,), 20.0).double(),
        torch.from_numpy(root @ root.T + 0.3 * np.eye(D)),
    )
    return BaseClasses(moments=lambda: moments)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_risk_equals_a_loop(scale, monkeypatch):
    rng = np.random.default_rng(0)
    margins = scale * rng.normal(size=(E, N, N))
    root = rng.normal(size=(E, N, N, 6))
    scatter = root @ root.transpose(0, 1, 3, 2)

    def scatter_of(classes):
        return torch.from_numpy(scatter[:, classes])

    of_classes = risk(torch.from_numpy(margins), scatter_of).numpy()
    monkeypatch.setattr(covariates, "SCATTER_VALUES", 1)  # a class at a time
    np.testing.assert_array_equal(risk(torch.from_numpy(margins), scatter_of), of_classes)
    shared = risk(torch.from_numpy(margins), torch.from_numpy(scatter[:, 0])).numpy()
    for e in range(E):
        np.testing.assert_allclose(of_classes[e], slow_risk(margins[e], scatter[e]), atol=1e-6)
        same = np.broadcast_to(scatter[e, :1], (N, N, N))
        np.testing.assert_allclose(shared[e], slow_risk(margins[e], same), atol=1e-6)


def test_risk_of_two_ways_is_minus_the_margin_over_its_deviation():
    margins = torch.tensor([[[0.0, 1.5], [-0.3, 0.0]]], dtype=torch.float64)
    scatter = torch.tensor([[[2.0, 0.5], [0.5, 1.0]]], dtype=torch.float64)
    expected = torch.tensor([[-1.5 / 2**0.5, 0.3 / 2**0.5]], dtype=torch.float64)
    torch.testing.assert_close(risk(margins, scatter), expected)


def test_risk_without_spread_is_decided_by_the_sign():
    margins = torch.tensor([[[0.0, 1.0], [-1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    risks = risk(margins, torch.zeros(2, 2, 2))
    assert risks.tolist() == [[-6.0, 4.0], [pytest.approx(0, abs=1e-9)] * 2]


@pytest.mark.parametrize("shots", [(K,) * N, (6, 2, 1, 3)])
def test_closed_form_covariates_equal_a_loop(shots):
    support, episodes = draw(shots)
    base = base_of()
    covariance = base.covariance.numpy()
    evidence = Evidence(support, NCM().fit(support), base)
    freedom = sum(shots) - N
    share = freedom / (freedom + BASE_FREEDOM)
    for e, episode in enumerate(episodes):
        for name, parts in (
            ("risk", slow_parts(episode)),
            ("risk_blended", slow_parts(episode, covariance, share)),
            ("risk_base", slow_parts(episode, covariance, 0.0)),
        ):
            np.testing.assert_allclose(getattr(evidence, name)[e], slow_risk(*parts), atol=1e-6)
    assert np.ptp(evidence.risk.numpy()) > 0.3


def test_held_out_risk_equals_a_loop_and_single_shots_get_the_average():
    shots = (6, 4, 1, 3)
    support, _ = draw(shots)
    head = LDA().fit(support)
    risks = Evidence(support, head, NO_BASE).risk.numpy()
    scores = stratified_scores(head, support).numpy()
    for e in range(E):
        class_scores = [scores[e, c, :k] for c, k in enumerate(shots)]
        margins = np.full((N, N), np.nan)
        deviations = []
        for c in (0, 1, 3):
            mean = class_scores[c].mean(0)
            margins[c] = mean[c] - mean
            deviations.append(class_scores[c] - mean)
        margins[2] = np.nanmean(margins, 0)
        flat = np.concatenate(deviations)
        S = np.broadcast_to(flat.T @ flat / (sum(shots) - N), (N, N, N))
        np.testing.assert_allclose(risks[e], slow_risk(margins, S), atol=1e-6)


def test_overlap_is_the_terms_of_the_davies_bouldin_index():
    support, _ = draw()
    overlap = Evidence(support, NCM().fit(support), NO_BASE).overlap
    torch.testing.assert_close(overlap.exp().mean(-1), davies_bouldin_index(support))
    # A class with one shot gets the mean spread of the others.
    support, episodes = draw((6, 3, 1, 4))
    overlap = Evidence(support, NCM().fit(support), NO_BASE).overlap
    for e, episode in enumerate(episodes):
        m = [x.mean(0) for x in episode]
        s = [np.linalg.norm(x - x.mean(0), axis=1).mean() for x in episode]
        s[2] = (s[0] + s[1] + s[3]) / 3
        expected = [
            max((s[c] + s[j]) / np.linalg.norm(m[c] - m[j]) for j in range(N) if j != c)
            for c in range(N)
        ]
        np.testing.assert_allclose(overlap[e].exp(), expected)


@pytest.mark.parametrize("regime", SUPPORT_ALONE)
def test_covariates_are_free_of_units(regime):
    head = LDA() if "held" in regime else NCM()
    support, _ = draw((1,) * N if "one" in regime else (K,) * N)
    base = base_of()
    covariates = Evidence(support, head.fit(support), base).stack(SUPPORT_ALONE[regime])
    assert covariates.shape == (E, N, len(SUPPORT_ALONE[regime]))
    moments = base.moments
    scaled = Moments(50 * moments.means, moments.counts, 2500 * moments.covariance)
    larger = Support.of(50 * support.features)
    again = Evidence(larger, head.fit(larger), BaseClasses(moments=lambda: scaled))
    # LDA's Ledoit-Wolf shrinkage standardises, so that it changes as little.
    torch.testing.assert_close(again.stack(SUPPORT_ALONE[regime]), covariates, rtol=1e-6, atol=1e-6)


def test_closer_classes_have_larger_covariates():
    near, far = (draw(spread=spread)[0] for spread in (2.0, 0.5))
    base = base_of()
    for name in ("risk", "risk_blended", "overlap"):
        near_values, far_values = (
            getattr(Evidence(s, NCM().fit(s), base), name) for s in (near, far)
        )
        assert bool((near_values.mean(-1) > far_values.mean(-1)).all())


@pytest.mark.parametrize("counts", [(7, 7, 7), (7, 2, 1)])
def test_several_shots_held_out_together_equal_a_loop(counts):
    rng = np.random.default_rng(2)
    features = torch.from_numpy(rng.normal(size=(2, 3, 7, 9)))
    mask = torch.arange(7) < torch.tensor(counts)[:, None]
    support = Support.of(features, mask.expand(2, 3, 7).clone())
    head = Ridge().fit(support)
    scores = stratified_scores(head, support, 3)
    for e in range(2):
        for fold in range(3):
            rest = mask.clone()
            rest[:, fold::3] &= torch.tensor(counts)[:, None] == 1
            alone = Support.of(features[e : e + 1], rest[None])
            fitted = Ridge().fit(alone)
            for c in range(3):
                for k in range(fold, 7, 3):
                    if not mask[c, k] or counts[c] == 1:
                        assert scores[e, c, k].isnan().all()
                        continue
                    expected = fitted.scores(Query.of(features[e : e + 1, c, k : k + 1]))[0, 0]
                    torch.testing.assert_close(scores[e, c, k], expected)
    every = stratified_scores(head, support)
    assert not torch.allclose(every.nan_to_num(), scores.nan_to_num())
    torch.testing.assert_close(stratified_scores(head, support, 7), every, equal_nan=True)
