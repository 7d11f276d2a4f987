"""Margins under a prior: against dense matrices, and on classes drawn from the prior."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

import fewshot
from fewshot.estimators.base import BaseClasses
from fewshot.estimators.empirical_bayes import EmpiricalBayes, agrees, posterior_margins
from fewshot.estimators.margin import Margin
from fewshot.estimators.moments import ClassPrior, Moments
from fewshot.exceptions import FewshotError
from fewshot.heads.base import Head, Support
from fewshot.heads.lda import LDA
from fewshot.heads.ncm import NCM

D = 24


def make_prior(seed=0, dim=D, separation=1.0):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    within = np.geomspace(3.0, 0.05, dim)
    between = separation * np.geomspace(1.0, 0.02, dim)
    mean = rng.normal(size=dim)
    return ClassPrior(*(torch.from_numpy(a) for a in (mean, basis, within, between)))


def dense(prior):
    """W and B."""
    basis = prior.basis
    return (basis * prior.within) @ basis.mT, (basis * prior.between) @ basis.mT


def draw_episodes(prior, episodes, ways, shots, seed=0):
    """Class means (E, N, D) from the prior, and supports."""
    rng = np.random.default_rng(seed)
    basis = prior.basis.numpy()
    D = len(basis)
    means = (
        prior.mean.numpy()
        + (rng.normal(size=(episodes, ways, D)) * prior.between.numpy() ** 0.5) @ basis.T
    )
    noise = (rng.normal(size=(episodes, ways, shots, D)) * prior.within.numpy() ** 0.5) @ basis.T
    return torch.from_numpy(means), Support.of(torch.from_numpy(means[:, :, None] + noise))


def true_errors(head, means, covariance, samples=3000, seed=9):
    """Errors (E,) of a fitted linear head on Gaussian classes with one covariance."""
    root = np.linalg.cholesky(covariance.numpy())
    noise = np.random.default_rng(seed).normal(size=(samples, len(root))) @ root.T
    wrong = torch.zeros(len(means), dtype=torch.float64)
    for n in range(means.shape[1]):
        x = means[:, n, None] + torch.from_numpy(noise)
        scores = torch.baddbmm(head.biases_[:, None], x, head.weights_.mT)
        wrong += (scores.argmax(-1) != n).double().mean(-1) / means.shape[1]
    return wrong.numpy()


def base_classes(prior, classes=400):
    """Base classes with the moments of a prior."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=(classes, len(prior.mean))) * prior.between.numpy() ** 0.5
    means = prior.mean + torch.from_numpy(z) @ prior.basis.mT
    moments = Moments(means, torch.full((classes,), 1e4).double(), dense(prior)[0])
    return BaseClasses(moments=lambda: moments)


@pytest.mark.parametrize("head", [NCM(), LDA()])
@pytest.mark.parametrize("nu", [0.5, 8.0])
def test_posterior_margins_equal_dense_matrices(head, nu):
    prior = make_prior()
    W, B = (a.numpy() for a in dense(prior))
    _, full = draw_episodes(prior, 5, 3, 6)
    counts = [6, 1, 3]
    mask = (torch.arange(6) < torch.tensor(counts)[:, None]).expand(5, 3, 6)
    support = Support.of(full.features, mask.clone())
    form = head.fit(support).linear()
    margins, scatter_of = posterior_margins(prior, support, form, nu)
    scatter = scatter_of(slice(0, 3))
    assert torch.equal(scatter_of(slice(1, 2)), scatter[:, 1:2])
    mu0 = prior.mean.numpy()
    for e in range(5):
        w, b = form.weights[e].numpy(), form.biases[e].numpy()
        for c, K in enumerate(counts):
            x = full.features[e, c, :K].numpy()
            A = B @ np.linalg.inv(B + W / K)
            mean = mu0 + A @ (x.mean(0) - mu0)
            deviations = x - x.mean(0)
            Sigma = (nu * W + deviations.T @ deviations) / (nu + K - 1)
            scores = w @ mean + b
            np.testing.assert_allclose(margins[e, c], scores[c] - scores, atol=1e-9)
            np.testing.assert_allclose(scatter[e, c], w @ (Sigma + B - A @ B) @ w.T, atol=1e-9)


def test_two_ways_are_normal_cdfs():
    prior = make_prior()
    _, support = draw_episodes(prior, 20, 2, 3)
    head = NCM().fit(support)
    base = base_classes(prior)
    margins, scatter_of = posterior_margins(base.moments.prior, support, head.linear(), 8.0)
    predicted = EmpiricalBayes().fit(base).predict(support, head)
    assert predicted.fallback is None
    for e in range(20):
        wrong = [
            norm.cdf(-margins[e, c, 1 - c] / np.sqrt(S[0, 0] + S[1, 1] - 2 * S[0, 1]))
            for c, S in enumerate(scatter_of(slice(0, 2))[e].numpy())
        ]
        assert float(predicted.error[e]) == pytest.approx(np.mean(wrong), abs=1e-6)


@pytest.mark.parametrize("head", [NCM(), LDA()])
@pytest.mark.parametrize("shots", [1, 2, 8])
def test_small_bias_on_classes_drawn_from_the_prior(shots, head):
    prior = make_prior(separation=2.0)
    means, support = draw_episodes(prior, 150, 4, shots)
    truth = true_errors(head.fit(support), means, dense(prior)[0])
    predicted = EmpiricalBayes().fit(base_classes(prior)).predict(support, head)
    assert predicted.fallback is None or float(predicted.fallback.double().mean()) < 0.02
    gap = predicted.error.numpy() - truth
    assert truth.mean() > 0.07
    assert abs(gap.mean()) < 0.02
    # Nearer to the truth than the mean error, which knows the answer on average.
    assert np.abs(gap).mean() < 0.9 * np.abs(truth - truth.mean()).mean()


def test_better_than_margin_at_few_shots():
    prior = make_prior(separation=2.0)
    means, support = draw_episodes(prior, 150, 4, 2)
    head = NCM().fit(support)
    truth = true_errors(head, means, dense(prior)[0])
    bayes, margin = (
        np.abs(
            estimator.fit(base_classes(prior)).predict(support, head).error.numpy() - truth
        ).mean()
        for estimator in (EmpiricalBayes(), Margin())
    )
    assert bayes < 0.8 * margin


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_shots_of_another_space_disagree(shots):
    prior = make_prior()
    _, support = draw_episodes(prior, 60, 5, shots)
    assert float(agrees(prior, support).double().mean()) > 0.95
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(D, D)))[0]
    rotated = Support.of(support.features @ torch.from_numpy(rotation))
    assert float(agrees(prior, rotated).double().mean()) < 0.05


def test_agreement_of_every_episode_is_its_own():
    prior = make_prior()
    _, support = draw_episodes(prior, 8, 4, 3)
    features = support.features.clone()
    features[::2] = features[::2].flip(-1)
    mask = support.mask.clone()
    mask[2, 1:, 1:] = mask[5:7, :, 1:] = False
    mixed = Support.of(features, mask)
    each = torch.cat([agrees(prior, mixed[e : e + 1]) for e in range(8)])
    assert torch.equal(agrees(prior, mixed), each)
    assert len(set(each.tolist())) == 2


def test_margin_answers_for_a_disagreeing_episode_and_the_prediction_says_so():
    prior = make_prior()
    _, support = draw_episodes(prior, 12, 4, 4)
    features = support.features.clone()
    rotation = torch.from_numpy(np.linalg.qr(np.random.default_rng(3).normal(size=(D, D)))[0])
    features[3:6] = features[3:6] @ rotation
    mixed = Support.of(features)
    head = NCM().fit(mixed)
    base = base_classes(prior)
    prediction = EmpiricalBayes().fit(base).predict(mixed, head)
    assert prediction.fallback.nonzero().ravel().tolist() == [3, 4, 5]
    assert prediction.fallback_reason == (
        "margin answered: the shots disagree with the base classes"
    )
    margin = Margin().fit(base).predict(mixed, head).error
    torch.testing.assert_close(prediction.error[3:6], margin[3:6])
    assert not torch.allclose(prediction.error[:3], margin[:3])


def bank(classes=30, images=30, rotate=False, seed=0):
    """Base classes from one prior, novel ones from the same or in rotated features."""
    prior = make_prior(seed, separation=2.0)
    _, support = draw_episodes(prior, 1, classes, images, seed)
    features = support.features[0].clone()
    if rotate:
        rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(D, D)))[0]
        features[: classes // 2] = features[: classes // 2] @ torch.from_numpy(rotation)
    labels = np.repeat(np.arange(classes), images)
    split = np.where(labels < classes // 2, "base", "novel")
    return features.flatten(0, 1), labels, split


@pytest.mark.parametrize("shots", [1, 5])
def test_rows_record_the_fallback(shots):
    """The evidence check at work: base classes in rotated features mislead nobody."""
    results = {
        rotate: fewshot.evaluate(
            *bank(rotate=rotate),
            shots=shots,
            episodes=40,
            estimators=["empirical_bayes", "margin"],
        )
        for rotate in (False, True)
    }
    for rotate, result in results.items():
        rows = result.predictions.query("estimator == 'empirical_bayes'")
        margin = result.predictions.query("estimator == 'margin'")["predicted_error"]
        summary = result.summary["estimators"]["empirical_bayes"]
        fell_back = rows["reason"].notna()
        assert rows["predicted_error"].notna().all()
        assert summary["fallbacks"] == fell_back.sum()
        if rotate:
            assert fell_back.mean() > 0.9
            assert rows["reason"].dropna().str.startswith("margin answered: the shots").all()
            fell = fell_back.to_numpy()
            np.testing.assert_array_equal(
                rows["predicted_error"].to_numpy()[fell], margin.to_numpy()[fell]
            )
        else:
            assert fell_back.mean() < 0.1
            assert summary["mae"] < result.summary["estimators"]["margin"]["mae"]


class Opaque(Head):
    """Nearest class mean that does not show its weights."""

    def fit(self, support):
        self.inner_ = NCM().fit(support)
        return self

    def scores(self, query):
        return self.inner_.scores(query)


def test_other_heads_and_no_base_classes_are_answered_by_margin():
    prior = make_prior()
    _, support = draw_episodes(prior, 6, 3, 4)
    for head, base, why in (
        (Opaque(), base_classes(prior), "this head is not linear in its queries"),
        (NCM(), BaseClasses(), "no prior"),
    ):
        prediction = EmpiricalBayes().fit(base).predict(support, head.fit(support))
        assert bool(prediction.fallback.all()) and why in prediction.fallback_reason
        expected = Margin().predict(support, head).error
        torch.testing.assert_close(prediction.error, expected)


def test_one_shot_without_base_classes_has_a_reason_and_no_fallback():
    _, support = draw_episodes(make_prior(), 6, 3, 1)
    prediction = EmpiricalBayes().predict(support, NCM().fit(support))
    assert bool(prediction.error.isnan().all()) and "one shot" in prediction.reason
    assert not bool(prediction.fallback.any())


def test_mistakes():
    prior = make_prior()
    _, support = draw_episodes(make_prior(dim=10), 3, 3, 4)
    head = NCM().fit(support)
    with pytest.raises(FewshotError, match="expected base classes of 10 dimensions, got 24"):
        EmpiricalBayes().fit(base_classes(prior)).predict(support, head)
    for bad in ({"nu": -1}, {"nu": "many"}, {"nu": float("nan")}, {"nu": True}, {"points": 0}):
        with pytest.raises(FewshotError, match=rf"empirical_bayes\.{next(iter(bad))}"):
            EmpiricalBayes(**bad).predict(support, head)
