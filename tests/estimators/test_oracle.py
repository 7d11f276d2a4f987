"""The oracles: nearer to the truth than the estimator, and dumb without queries."""

import numpy as np
import pytest
import torch

from fewshot.episodes import sample_episodes
from fewshot.estimators import estimators
from fewshot.estimators.base import ErrorEstimator
from fewshot.estimators.gaussian import Gaussian
from fewshot.estimators.oracle import (
    NEEDS_QUERIES,
    Oracle,
    OracleEstimator,
    OracleSigma,
)
from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.heads.base import Support
from fewshot.heads.ncm import NCM
from fewshot.tasks.engine import episodes as judging

CPU = torch.device("cpu")
ORACLES = ("oracle", "oracle_sigma")


def anisotropic(E=40, N=4, K=5, Q=400, D=60, seed=0):
    """Support (E, N, K, D) and queries (E, N, Q, D) that vary most where classes differ."""
    rng = np.random.default_rng(seed)
    stretch = np.concatenate([np.full(6, 3.0), np.full(D - 6, 0.7)])
    width = rng.uniform(0.6, 1.4, size=(E, N, 1, 1))
    means = 1.2 * stretch * rng.normal(size=(E, N, 1, D))
    x = means + width * stretch * rng.normal(size=(E, N, K + Q, D))
    return (Support.of(torch.from_numpy(part)) for part in (x[:, :, :K], x[:, :, K:]))


def actual(support, queries):
    means = support.means()
    scores = queries.features @ means[:, None].mT - means.square().sum(-1)[:, None, None] / 2
    return (scores.argmax(-1) != torch.arange(means.shape[1])[:, None]).double().mean((1, 2))


def slow_oracle(support, queries, sigma_only, samples=40_000):
    """One episode: isotropic queries in the span of the support's means."""
    rng = np.random.default_rng(0)
    m, true_means = support.mean(1), queries.mean(1)
    basis = np.linalg.qr((m[1:] - m[0]).T)[0]
    points = centres = (m - m.mean(0)) @ basis
    if sigma_only:
        from sklearn.manifold import smacof

        D, K = m.shape[1], support.shape[1]
        sigma2 = queries.var(1, ddof=1).mean(-1)
        d = np.linalg.norm(points[:, None] - points, axis=-1)
        noise = D * (sigma2[:, None] + sigma2) / K
        corrected = (d - np.divide(noise, d, out=np.zeros_like(d), where=d > 0)).clip(0)
        points = centres = smacof(
            corrected, n_components=points.shape[1], init=points, n_init=1, max_iter=50, eps=0,
            normalized_stress=False,
        )[0]  # fmt: skip
    else:
        centres = (true_means - m.mean(0)) @ basis
    error = 0.0
    for c in range(len(m)):
        sigma = (queries[c] @ basis).var(0, ddof=1).mean() ** 0.5
        draws = centres[c] + sigma * rng.normal(size=(samples, points.shape[1]))
        nearest = ((draws[:, None] - points) ** 2).sum(-1).argmin(1)
        error += np.mean(nearest != c) / len(m)
    return error


@pytest.mark.parametrize("kind", [Oracle, OracleSigma])
def test_agrees_with_a_slow_transcription(kind):
    support, queries = anisotropic(E=6, Q=40)
    fast = kind(samples=4096).predict_knowing(support, NCM().fit(support), queries).error
    for e in range(6):
        x, y = support.features[e].numpy(), queries.features[e].numpy()
        slow = slow_oracle(x, y, kind is OracleSigma)
        assert float(fast[e]) == pytest.approx(slow, abs=0.015)


@pytest.mark.parametrize("shots", [2, 5])
def test_nearer_to_the_truth_than_the_estimator(shots):
    support, queries = anisotropic(K=shots)
    head = NCM().fit(support)
    truth = actual(support, queries)

    def miss(prediction):
        return float((prediction.error - truth).abs().mean())

    estimate = miss(Gaussian(variance="features").predict(support, head))
    sigma = miss(OracleSigma().predict_knowing(support, head, queries))
    oracle = miss(Oracle().predict_knowing(support, head, queries))
    assert oracle < sigma < estimate
    assert oracle < 0.03


def test_one_shot_is_no_obstacle():
    support, queries = anisotropic(K=1)
    truth = actual(support, queries)
    head = NCM().fit(support)
    assert (Oracle().predict_knowing(support, head, queries).error - truth).abs().mean() < 0.06
    assert bool(OracleSigma().predict_knowing(support, head, queries).error.isfinite().all())
    # The authors' oracle classifies by the true means: another classifier than the one judged.
    ideal = Oracle("queries").predict_knowing(support, head, queries).error
    assert float((truth - ideal).mean()) > 0.05


def test_the_ideal_classifier_does_not_depend_on_the_support():
    support, queries = anisotropic(E=5)
    other = Support.of(support.features + 1.0)
    first, second = (
        Oracle("queries").predict_knowing(s, NCM().fit(s), queries).error for s in (support, other)
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", ORACLES)
def test_without_queries_there_is_no_number(name):
    support, _ = anisotropic(E=3, Q=1)
    oracle = estimators.create(name)
    assert isinstance(oracle, OracleEstimator) and isinstance(oracle, ErrorEstimator)
    prediction = oracle.predict(support, NCM().fit(support))
    assert bool(prediction.error.isnan().all()) and prediction.error.shape == (3,)
    assert prediction.reason == NEEDS_QUERIES
    assert "upper bound, not an estimate" in estimators[name].summary


@pytest.mark.parametrize("name", ORACLES)
def test_padding_single_queries_and_classes_without(name):
    support, queries = anisotropic(E=4, Q=20)
    head = NCM().fit(support)
    oracle = estimators.create(name)
    mask = queries.mask.clone()
    mask[:, 1, 12:] = False
    mask[1, 0, 1:] = False  # one query: the variance of the others
    mask[2, :, 1:] = False  # one each: no variance
    mask[3, 2] = False  # none
    zeroed = queries.features.masked_fill(~mask[..., None], 0.0)
    prediction = oracle.predict_knowing(support, head, Support(zeroed, mask))
    assert prediction.error.isnan().tolist() == [False, False, True, True]
    assert "no query" in prediction.reason
    padded = Support(
        torch.cat([zeroed, torch.zeros_like(zeroed)], 2),
        torch.cat([mask, torch.zeros_like(mask)], 2),
    )
    again = oracle.predict_knowing(support, head, padded)
    torch.testing.assert_close(again.error, prediction.error, equal_nan=True)
    each = [
        oracle.predict_knowing(s, NCM().fit(s), q).error
        for s, q in ((support[e : e + 1], padded[e : e + 1]) for e in range(4))
    ]
    torch.testing.assert_close(torch.cat(each), prediction.error, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("oracle", "classifier", "both"), ("oracle", "samples", 0),
        ("oracle_sigma", "distances", "table"), ("oracle_sigma", "samples", "x"),
        ("oracle_sigma", "iterations", -1),
    ],
)  # fmt: skip
def test_bad_settings_are_named(name, parameter, value):
    with pytest.raises(FewshotError, match=rf"^estimator\.{name}\.{parameter}: expected"):
        estimators.create(name, **{parameter: value})


def bank_and_episodes(queries, sizes=(9, 14, 20, 12, 16, 11), dim=12):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    features = rng.normal(size=(len(sizes), dim))[labels] + rng.normal(size=(len(labels), dim))
    bank = make_bank(features, labels)
    return bank, sample_episodes(bank.labels, 4, 3, queries, 30)


@pytest.mark.parametrize("queries", [4, "all"])
def test_the_engine_gives_oracles_the_queries_of_their_episode(monkeypatch, queries):
    bank, drawn = bank_and_episodes(queries)
    named = {name: estimators.create(name) for name in ("gaussian", *ORACLES)}
    got = judging.predicted_errors(bank, drawn, NCM(), named, device=CPU, threads=2)
    x = torch.from_numpy(bank.features)
    for e in range(30):
        rows = torch.from_numpy(drawn.query_rows(e, e + 1))
        queries_of_episode = Support.of(x[rows.clamp_min(0)], rows >= 0)
        support = Support.of(x[torch.from_numpy(drawn.support[e : e + 1])])
        for name in ORACLES:
            alone = (
                named[name].predict_knowing(support, NCM().fit(support), queries_of_episode).error
            )
            assert got[name].error[e] == pytest.approx(float(alone), abs=1e-9)
    for setting in ("QUERY_BYTES", "SUPPORT_BYTES"):
        monkeypatch.setattr(judging, setting, 5000)
    seen = []
    again = judging.predicted_errors(
        bank, drawn, NCM(), named, device=CPU, threads=2, progress=seen.append
    )
    assert list(again) == list(named) and sum(seen) == 30
    for name in named:
        np.testing.assert_allclose(again[name].error, got[name].error, atol=1e-9)
        assert set(got[name].reasons) == {None} and got[name].seconds > 0


def test_the_engine_loads_no_query_without_an_oracle(monkeypatch):
    bank, drawn = bank_and_episodes("all")
    calls = []
    rows = type(drawn).query_rows
    monkeypatch.setattr(
        type(drawn), "query_rows", lambda *arguments: calls.append(arguments) or rows(*arguments)
    )
    named = {"gaussian": Gaussian()}
    judging.predicted_errors(bank, drawn, NCM(), named, device=CPU, threads=1)
    assert not calls
    # Their presence changes nothing for the others.
    named["oracle"] = Oracle()
    first, second = (
        judging.predicted_errors(bank, drawn, NCM(), named_estimators, device=CPU, threads=1)[
            "gaussian"
        ]
        for named_estimators in ({"gaussian": Gaussian()}, named)
    )
    assert calls
    np.testing.assert_array_equal(first.error, second.error)
