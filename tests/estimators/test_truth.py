"""Every estimator against the true error of the fitted head, on Gaussians that are known."""

import functools

import numpy as np
import pytest
import torch
from scipy.stats import norm, spearmanr

from fewshot.estimators import estimators
from fewshot.estimators.base import BaseClasses
from fewshot.estimators.calibration.calibrated import Calibrated
from fewshot.estimators.margin import margins_of
from fewshot.estimators.moments import Moments
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.estimators.winning import winning_probability
from fewshot.heads import heads
from fewshot.heads.base import Support, linear_scores

D, WAYS, EPISODES, BASE_EPISODES, CLASSES = 24, 4, 150, 250, 60
CLASSES_OF = {name: estimators[name].load() for name in estimators}
UNLABELLED = [name for name, kind in CLASSES_OF.items() if kind.unlabelled == "needed"]
SLOW = pytest.mark.slow  # of eight cases a second each
NAMES = [
    name for name, kind in CLASSES_OF.items() if not kind.sees_queries and name not in UNLABELLED
]


def variances(kind):
    """Within and between classes, per dimension."""
    if kind == "isotropic":
        return np.ones(D), np.full(D, 0.2)
    return np.geomspace(4.0, 0.05, D), np.geomspace(2.0, 0.04, D)


def true_errors(means, within, head):
    """Errors (E,) of a fitted linear head on N(means_c, diag(within)), by integration."""
    form = head.linear()
    margins = margins_of(linear_scores(means, form.weights, form.biases))
    scatter = (form.weights * torch.from_numpy(within)) @ form.weights.mT
    return 1 - winning_probability(margins, scatter, points=1024)


def draw(kind, shots, episodes, members, class_means, seed):
    within, _ = variances(kind)
    rng = np.random.default_rng(seed)
    means = class_means[members]
    x = means[:, :, None] + within**0.5 * rng.normal(size=(episodes, WAYS, shots, D))
    unlabelled = means[:, :, None] + within**0.5 * rng.normal(size=(episodes, WAYS, 15, D))
    return (
        torch.from_numpy(means),
        Support.of(torch.from_numpy(x)),
        Unlabelled.of(torch.from_numpy(unlabelled).flatten(1, 2)),
    )


@functools.cache
def episodes(kind, head, shots):
    """Supports, the fitted head, its true errors; what base classes say; unlabelled images."""
    within, between = variances(kind)
    rng = np.random.default_rng(0)
    base_means, novel_means = rng.normal(size=(2, CLASSES, D)) * between**0.5
    members = [
        np.stack([rng.permutation(CLASSES)[:WAYS] for _ in range(n)])
        for n in (BASE_EPISODES, EPISODES)
    ]
    truths, supports, fitted, unlabelled = [], [], [], []
    for i, (classes, means) in enumerate(zip(members, (base_means, novel_means), strict=True)):
        mu, support, others = draw(kind, shots, len(classes), classes, means, seed=i)
        unlabelled.append(others)
        fitted.append(heads.create(head).fit(support))
        truths.append(true_errors(mu, within, fitted[-1]))
        supports.append(support)
    moments = Moments(
        torch.from_numpy(base_means),
        torch.full((CLASSES,), 1e4).double(),
        torch.from_numpy(np.diag(within)),
    )
    base = BaseClasses(
        moments=lambda: moments,
        map=lambda function: function(supports[0], fitted[0]),
        errors_by_class=truths[0],
        members=torch.from_numpy(members[0]),
        map_unlabelled=lambda function: function(supports[0], fitted[0], unlabelled[0]),
    )
    return supports[1], fitted[1], truths[1].mean(-1).numpy(), base, unlabelled[1]


@functools.cache
def predicted(name, kind, head, shots, **parameters):
    """Predicted and true errors and the prediction; several tests look at the same ones."""
    support, fitted, truth, base, _ = episodes(kind, head, shots)
    prediction = estimators.create(name, **parameters).fit(base).predict(support, fitted)
    return prediction.error.numpy(), truth, prediction


def test_the_truth_is_what_sampling_finds():
    support, head, *_ = episodes("anisotropic", "lda", 5)
    rng = np.random.default_rng(5)
    within, between = variances("anisotropic")
    means = torch.from_numpy(rng.normal(size=(len(support.features), WAYS, D)) * between**0.5)
    wrong = torch.zeros(means.shape[:2], dtype=torch.float64)
    noise = torch.from_numpy(rng.normal(size=(8000, D)) * within**0.5)
    for n in range(WAYS):
        scores = linear_scores(means[:, n, None] + noise, head.weights_, head.biases_)
        wrong[:, n] = (scores.argmax(-1) != n).double().mean(-1)
    torch.testing.assert_close(true_errors(means, within, head), wrong, atol=0.025, rtol=0)
    assert float((true_errors(means, within, head) - wrong).abs().mean()) < 0.004


# Estimator, least and largest mean bias, largest mean absolute error as a share of that of the
# mean true error (which knows the answer on average). Wide enough for another draw of the classes,
# too narrow for a factor of two in any variance or correction.
LEARNERS = {
    "auto": (-0.045, 0.045, 1.05),
    "auto_support": (-0.045, 0.045, 1.05),
    "constant": (-0.045, 0.045, 1.15),
    "stack": (-0.045, 0.045, 1.1),
    "davies_bouldin": (-0.045, 0.045, 1.1),
    "empirical_bayes": (-0.05, 0.04, 1.1),
}
MANY_SHOTS = {
    **LEARNERS,
    "margin": (-0.01, 0.035, 1.2),
    "margin_t": (-0.03, 0.02, 1.1),
    "loo": (-0.015, 0.03, 1.45),
    "kfold": (-0.005, 0.04, 1.35),
    "bootstrap632": (-0.015, 0.03, 1.3),
}
FIVE_SHOTS = {
    **LEARNERS,
    "margin": (0.0, 0.12, 3.8),
    "margin_t": (-0.02, 0.07, 2.2),
    "loo": (0.02, 0.1, 2.8),
    "kfold": (0.015, 0.09, 2.6),
    "bootstrap632": (0.015, 0.09, 2.5),
}


@pytest.mark.parametrize("head", ["ncm", "lda"])
@pytest.mark.parametrize("kind", ["isotropic", "anisotropic"])
@pytest.mark.parametrize("shots", [5, 15])
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=SLOW) if n == "stack" else n for n in sorted(set(NAMES) - {"gaussian"})],
)
def test_bias_and_error(name, shots, kind, head, ours):
    least, most, share = (FIVE_SHOTS if shots == 5 else MANY_SHOTS)[name]
    error, truth, _ = predicted(name, kind, head, shots)
    gap = error - truth
    assert least < gap.mean() < most
    assert np.abs(gap).mean() < share * np.abs(truth - truth.mean()).mean() + 0.002
    if name != "constant":
        assert spearmanr(error, truth).statistic > 0.35


@pytest.mark.parametrize("head", ["ncm", "lda"])
@pytest.mark.parametrize("kind", ["isotropic", "anisotropic"])
@pytest.mark.parametrize("name", UNLABELLED)
def test_calibrated_scores_of_unlabelled_images(name, kind, head):
    """Calibrated on other classes they know the episode, each better than the mean error."""
    support, fitted, truth, base, unlabelled = episodes(kind, head, 5)
    calibrated = Calibrated({name: estimators.create(name)}).fit(base)
    error = calibrated.predict_with(support, fitted, unlabelled).error.numpy()
    gap = error - truth
    assert abs(gap.mean()) < 0.03
    assert np.abs(gap).mean() < 0.97 * np.abs(truth - truth.mean()).mean()
    assert spearmanr(error, truth).statistic > 0.35


@pytest.mark.parametrize("kind", ["isotropic", "anisotropic"])
@pytest.mark.parametrize(
    ("settings", "isotropic_only"),
    [({"covariance": "full"}, False), ({"covariance": "shared"}, True), ({}, True)],
)
def test_gaussian_models_nearest_class_mean(settings, isotropic_only, kind):
    """A full covariance suits any Gaussian; one variance for all dimensions, isotropic ones."""
    error, truth, _ = predicted("gaussian", kind, "ncm", 15, **settings)
    assert abs((error - truth).mean()) < 0.022
    error, truth, _ = predicted("gaussian", kind, "ncm", 15, iterations=0, **settings)
    assert (error - truth).mean() < -0.03  # distances that nobody corrected
    everywhere = predicted("gaussian", kind, "ncm", 15, variance="features", **settings)[0]
    if isotropic_only and kind == "anisotropic":
        assert (everywhere - truth).mean() < -0.04  # means differ where classes vary most


@pytest.mark.parametrize("head", ["ncm", "lda"])
@pytest.mark.parametrize("kind", ["isotropic", "anisotropic"])
@pytest.mark.parametrize("shots", [1, 2])
def test_few_shots_with_base_classes(shots, kind, head, ours):
    """Where nothing but base classes helps: as good as their mean error, which is very good."""
    for name in ("auto", "empirical_bayes", "constant"):
        error, truth, prediction = predicted(name, kind, head, shots)
        assert abs((error - truth).mean()) < 0.05
        assert np.abs(error - truth).mean() < 1.2 * np.abs(truth - truth.mean()).mean()
        assert prediction.fallback is None or prediction.fallback.double().mean() < 0.02


@pytest.mark.parametrize("head", ["ncm", "lda"])
@pytest.mark.parametrize("kind", ["isotropic", "anisotropic"])
def test_held_out_shots_are_pessimistic_at_two_shots(kind, head):
    """The head that is judged has one shot of some classes."""
    for name in ("loo", "bootstrap632"):
        error, truth, _ = predicted(name, kind, head, 2)
        assert (error - truth).mean() > 0.08
    loo, kfold = (predicted(name, kind, head, 2)[0].mean() for name in ("loo", "kfold"))
    assert loo > kfold  # which leaves one of every class out, so that they stay balanced


@pytest.mark.parametrize(
    "name", ["auto", "constant", pytest.param("stack", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("kind", ["isotropic", "anisotropic"])
def test_intervals_cover(name, kind, ours):
    """All episodes share one draw of the classes, so that coverage itself varies."""
    covered = []
    for head in ("ncm", "lda"):
        for shots in (2, 5, 15):
            _, truth, prediction = predicted(name, kind, head, shots)
            inside = (prediction.lower.numpy() <= truth) & (truth <= prediction.upper.numpy())
            covered.append(inside.mean())
    assert 0.82 < np.mean(covered) < 0.97
    assert min(covered) > 0.7


def test_margin_of_two_ways_is_a_normal_cdf_of_estimated_moments():
    support, *_ = episodes("anisotropic", "ncm", 5)
    two = Support.of(support.features[:30, :2])
    fitted = heads.create("ncm").fit(two)
    error = estimators.create("margin").predict(two, fitted).error
    x = two.features.numpy()
    for e in range(30):
        m = x[e].mean(1)
        deviations = (x[e] - m[:, None]).reshape(-1, D)
        w = m[0] - m[1]
        variance = ((deviations @ w) ** 2).sum() / 8
        margin = w @ w / 2 - (deviations**2).sum() / 8 / 5
        assert float(error[e]) == pytest.approx(norm.cdf(-margin / variance**0.5), abs=1e-6)


@pytest.mark.parametrize("kind", ["isotropic", "anisotropic"])
def test_heavy_tails_are_chosen_by_the_base_classes(kind):
    """Student-t classes get few degrees of freedom, Gaussian ones at many shots many."""
    base = episodes(kind, "ncm", 15)[3]
    gaussian = estimators.create("margin_t").fit(base)
    assert gaussian.freedom_ >= 4
    rng = np.random.default_rng(7)
    within, between = variances(kind)
    scale = np.sqrt(rng.chisquare(2.5, size=(120, WAYS, 15, 1)) / 0.5)
    means = 1.6 * rng.normal(size=(120, WAYS, 1, D)) * between**0.5
    x = means + within**0.5 * rng.normal(size=(120, WAYS, 15, D)) / scale
    heavy = Support.of(torch.from_numpy(x))
    judged = heads.create("ncm").fit(heavy)
    queries = np.sqrt(rng.chisquare(2.5, size=(4000, 1)) / 0.5)
    noise = torch.from_numpy(within**0.5 * rng.normal(size=(4000, D)) / queries)
    wrong = torch.zeros(120, WAYS, dtype=torch.float64)
    for n in range(WAYS):
        points = torch.from_numpy(means[:, n]) + noise
        scores = linear_scores(points, judged.weights_, judged.biases_)
        wrong[:, n] = (scores.argmax(-1) != n).double().mean(-1)
    base_classes = BaseClasses(errors_by_class=wrong, map=lambda f: f(heavy, judged))
    tailed = estimators.create("margin_t").fit(base_classes)
    assert tailed.freedom_ < gaussian.freedom_
    normal, heavier = (
        float((estimator.predict(heavy, judged).error - wrong.mean(-1)).abs().mean())
        for estimator in (estimators.create("margin"), tailed)
    )
    assert heavier < normal
