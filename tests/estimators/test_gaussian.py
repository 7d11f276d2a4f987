"""`gaussian` against a slow transcription of the published steps, and against the truth."""

from functools import lru_cache

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.manifold import smacof

from fewshot.estimators.base import BaseClasses
from fewshot.estimators.gaussian import COVARIANCES, Gaussian, nearest_point_error
from fewshot.exceptions import FewshotError
from fewshot.heads.base import Support
from fewshot.heads.ncm import NCM

# scikit-learn divides by the distances in its stress, also where all are zero.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")

VARIANTS = [
    *((c, "features") for c in COVARIANCES),
    ("free", "decisions"),
    ("shared", "decisions"),
]


def slow_table(K, D, rng, pairs=4000):
    """g_K(snr): pairs of means of K shots in D dimensions, many true distances, unit variance."""
    snr, g = [], []
    for true in np.concatenate([np.linspace(0, 3, 40), np.geomspace(3.1, 300, 60)]):
        means = rng.normal(size=(pairs, 2, D)) / np.sqrt(K)
        means[:, 1, 0] += true * np.sqrt(2)
        difference = means[:, 1] - means[:, 0]
        observed = np.linalg.norm(difference, axis=1)
        along = np.abs(difference[:, 0] / observed) * true * np.sqrt(2)
        snr.append(np.mean(observed / np.sqrt(2)))
        g.append(np.mean(along / observed))
    return np.array(snr), np.array(g)


def slow_g(snr, K, D, table):
    if table is None:
        return max(0.0, 1 - D / (K * snr**2))
    return float(np.interp(snr, *table, left=0.0, right=1.0))


def slow_prediction(x, covariance, variance, rng, table=None, samples=10_000):
    """Steps 1 to 5 for one episode: shots (K_c, D) of every class; one number at a time."""
    N, D = len(x), x[0].shape[1]
    shots = np.array([len(shots_of_class) for shots_of_class in x])
    m = np.array([shots_of_class.mean(0) for shots_of_class in x])
    basis = np.linalg.qr((m[1:] - m[0]).T)[0]
    points = (m - m.mean(0)) @ basis
    sigma2 = np.array([shots_of_class.var(0, ddof=1).mean() for shots_of_class in x])
    corrected = np.zeros((N, N))
    for i in range(N):
        for j in range(N):
            if i != j:
                d = np.linalg.norm(points[i] - points[j])
                if len(set(shots)) == 1:
                    snr = d / np.sqrt(sigma2[i] + sigma2[j])
                    corrected[i, j] = d * slow_g(snr, shots[0], D, table)
                else:
                    noise = D * (sigma2[i] / shots[i] + sigma2[j] / shots[j])
                    corrected[i, j] = max(0.0, d - noise / d)
    placed, _ = smacof(
        corrected, n_components=points.shape[1], init=points, n_init=1, max_iter=50, eps=0,
        normalized_stress=False,
    )  # fmt: skip
    inside = [(shots_of_class - shots_of_class.mean(0)) @ basis for shots_of_class in x]
    if variance == "decisions":
        sigma2 = np.array(
            [
                (shots_of_class**2).sum() / (len(shots_of_class) - 1) / (N - 1)
                for shots_of_class in inside
            ]
        )
    pooled = sum(shots_of_class.T @ shots_of_class for shots_of_class in inside) / (shots.sum() - N)
    error = 0.0
    for c in range(N):
        S = {
            "free": sigma2[c] * np.eye(N - 1),
            "shared": (sigma2 * (shots - 1)).sum() / (shots.sum() - N) * np.eye(N - 1),
            "identity": np.eye(N - 1),
            "full": pooled,
        }[covariance]
        draws = rng.multivariate_normal(placed[c], S, size=samples)
        distance = ((draws[:, None] - placed) ** 2).sum(-1)
        error += np.mean(distance.argmin(1) != c) / N
    return error


def episodes(E=10, N=4, K=5, D=24, seed=0, separation=0.75):
    """Anisotropic classes of different widths."""
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.6, 1.4, size=(E, N, 1, 1))
    stretch = np.geomspace(2.5, 0.3, D)
    means = separation * rng.normal(size=(E, N, 1, D))
    return means * stretch**0.5 + scale * stretch * rng.normal(size=(E, N, K, D))


def predict(x, mask=None, base=None, **parameters):
    support = Support.of(torch.as_tensor(x), mask)
    estimator = Gaussian(**parameters)
    if base is not None:
        estimator.fit(BaseClasses(covariance=lambda: base))
    return estimator.predict(support, NCM().fit(support))


@pytest.mark.parametrize("distances", ["closed_form", "tabulated"])
@pytest.mark.parametrize(("covariance", "variance"), VARIANTS)
def test_agrees_with_the_published_steps(covariance, variance, distances):
    x = episodes()
    fast = predict(
        x, covariance=covariance, variance=variance, distances=distances, samples=4096
    ).error.numpy()
    rng = np.random.default_rng(1)
    table = slow_table(5, 24, rng) if distances == "tabulated" else None
    slow = [slow_prediction(episode, covariance, variance, rng, table) for episode in x]
    assert np.std(slow) > 0.02  # there is something to agree on
    np.testing.assert_allclose(fast, slow, atol=0.015)


@pytest.mark.parametrize(("covariance", "variance"), VARIANTS)
def test_agrees_with_the_published_steps_at_unequal_shots(covariance, variance):
    x = episodes(K=6)
    shots = [6, 2, 4, 3]
    mask = torch.arange(6) < torch.tensor(shots)[:, None]
    mask = mask.expand(len(x), 4, 6).clone()
    fast = predict(x, mask, covariance=covariance, variance=variance, samples=4096).error.numpy()
    rng = np.random.default_rng(1)
    ragged = [[episode[c, :k] for c, k in enumerate(shots)] for episode in x]
    slow = [slow_prediction(episode, covariance, variance, rng) for episode in ragged]
    np.testing.assert_allclose(fast, slow, atol=0.015)


@pytest.mark.parametrize(("covariance", "variance"), VARIANTS)
@pytest.mark.parametrize("distances", ["closed_form", "tabulated"])
@pytest.mark.parametrize("shots", [1, 3])
def test_batch_equals_loop(covariance, variance, distances, shots):
    x = episodes(K=shots)
    settings = {
        "covariance": covariance,
        "variance": variance,
        "distances": distances,
        "base": torch.eye(24).double(),
    }
    whole = predict(x, **settings).error
    each = torch.cat([predict(episode[None], **settings).error for episode in x])
    torch.testing.assert_close(each, whole, rtol=0, atol=1e-9)


@lru_cache
def isotropic(shots, ways, separation, E=250, D=40, seed=3):
    """Shots (E, N, K, D) of unit Gaussians, and the true means (N, D)."""
    rng = np.random.default_rng(seed)
    means = separation * np.eye(ways, D)
    return means[:, None] + rng.normal(size=(E, ways, shots, D)), means


@lru_cache
def mean_true_error(**settings):
    """Of `isotropic` episodes."""
    return true_errors(*isotropic(**settings), np.random.default_rng(4)).mean()


def true_errors(x, means, rng, queries=2000):
    """Errors (E,) of nearest class mean on many queries in the span of the means involved."""
    errors = []
    for episode in x:
        m = episode.mean(1)
        basis = np.linalg.qr((m[1:] - m[0]).T)[0]
        points, centres = m @ basis, means @ basis
        draws = centres[:, None] + rng.normal(size=(len(m), queries, basis.shape[1]))
        nearest = ((draws[:, :, None] - points) ** 2).sum(-1).argmin(-1)
        errors.append(np.mean(nearest != np.arange(len(m))[:, None]))
    return np.array(errors)


@pytest.mark.parametrize("distances", ["closed_form", "tabulated"])
@pytest.mark.parametrize(("covariance", "variance"), VARIANTS)
def test_unbiased_where_the_model_is_true(covariance, variance, distances):
    setting = {"shots": 8, "ways": 4, "separation": 3.0}
    x, actual = isotropic(**setting)[0], mean_true_error(**setting)
    settings = {"covariance": covariance, "variance": variance, "distances": distances}
    assert 0.05 < actual < 0.2
    assert predict(x, **settings).error.mean() == pytest.approx(actual, abs=0.012)
    # Without the correction it would be too optimistic by more than that.
    assert predict(x, iterations=0, **settings).error.mean() < actual - 0.025


def test_two_ways_against_the_normal_distribution():
    x, means = isotropic(shots=12, ways=2, separation=2.5)
    m = x.mean(2)
    direction = m[:, 0] - m[:, 1]
    length = np.linalg.norm(direction, axis=1)
    direction /= length[:, None]
    middle = m.mean(1)
    first = norm.cdf(-((means[0] - middle) * direction).sum(1))
    second = norm.cdf(((means[1] - middle) * direction).sum(1))
    assert predict(x, covariance="shared").error.mean() == pytest.approx(
        np.mean(first + second) / 2, abs=0.01
    )
    # One episode: steps 3 to 5 are a normal cdf at half the corrected distance.
    variance = x.var(2, ddof=1).mean(-1)
    corrected = (length - 40 / 12 * variance.sum(1) / length).clip(0)
    exact = norm.cdf(-corrected[:, None] / 2 / np.sqrt(variance)).mean(1)
    fast = predict(x, variance="features", samples=4096).error.numpy()
    np.testing.assert_allclose(fast, exact, atol=2e-3)


@pytest.mark.parametrize(("covariance", "variance"), VARIANTS)
def test_one_shot(covariance, variance):
    x = episodes(K=1)
    settings = {"covariance": covariance, "variance": variance}
    prediction = predict(x, **settings)
    assert bool(prediction.error.isnan().all())
    assert "one shot" in prediction.reason
    rng = np.random.default_rng(0)
    base = np.diag(np.geomspace(2.5, 0.3, 24) ** 2)
    with_base = predict(x, base=torch.from_numpy(base), samples=4096, **settings)
    assert with_base.reason is None

    # The correction and the sampling with the base covariance, by hand for one episode.
    m = x[2, :, 0]
    basis = np.linalg.qr((m[1:] - m[0]).T)[0]
    points = (m - m.mean(0)) @ basis
    d = np.sqrt(((points[:, None] - points) ** 2).sum(-1))
    excess = np.divide(2 * np.trace(base), d, out=np.zeros_like(d), where=d > 0)
    placed, _ = smacof(
        (d - excess).clip(0), n_components=3, init=points, n_init=1, max_iter=50, eps=0,
        normalized_stress=False,
    )  # fmt: skip
    inside = basis.T @ base @ basis
    S = {"full": inside, "identity": np.eye(3)}.get(covariance)
    if S is None:
        part = inside if variance == "decisions" else base
        S = np.eye(3) * np.diag(part).mean()
    wrong = 0.0
    for c in range(4):
        draws = rng.multivariate_normal(placed[c], S, size=40_000)
        wrong += np.mean(((draws[:, None] - placed) ** 2).sum(-1).argmin(1) != c) / 4
    assert 0.2 < wrong < 0.6
    assert float(with_base.error[2]) == pytest.approx(wrong, abs=0.015)


def test_one_shot_is_not_unit_variance():
    """The authors' code has 1 there: on unit-norm features every prediction is 1 - 1/N."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(5, 640))
    x = centres[:, None] + 0.5 * rng.normal(size=(20, 5, 1, 640))
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    theirs = predict(x, base=torch.eye(640).double()).error
    assert torch.allclose(theirs, torch.tensor(0.8).double())
    right = predict(x, base=torch.eye(640).double() * (0.2 / 640)).error
    assert right.max() < 0.01


def test_pooled_variance_has_one_degree_of_freedom_less_per_class():
    """The authors' NK - 1 = 7, not 4, would take 43 % off the variance of 4 classes of 2 shots."""
    x = episodes(K=2, separation=0.6)
    rng = np.random.default_rng(1)
    for variance in ("features", "decisions"):
        fast = predict(x, covariance="shared", variance=variance, samples=4096).error.numpy()
        slow = np.array([slow_prediction(episode, "shared", variance, rng) for episode in x])
        np.testing.assert_allclose(fast, slow, atol=0.015)


def test_a_class_with_one_shot_takes_the_variance_of_the_others():
    x = episodes(K=3)
    mask = torch.ones(len(x), 4, 3, dtype=torch.bool)
    mask[:, 0, 1:] = False
    mask[0, :, 1:] = False
    prediction = predict(x, mask)
    assert prediction.error.isnan().tolist() == [True] + [False] * 9
    assert "one shot" in prediction.reason
    with_base = predict(x, mask, base=torch.eye(24).double())
    assert with_base.reason is None
    # Base classes matter only where there is nothing else.
    torch.testing.assert_close(with_base.error[1:], prediction.error[1:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("distances", ["closed_form", "tabulated"])
@pytest.mark.parametrize(("covariance", "variance"), VARIANTS)
def test_degenerate_supports(covariance, variance, distances):
    settings = {"covariance": covariance, "variance": variance, "distances": distances}
    x = episodes()
    duplicates = np.repeat(x[:, :, :1], 5, axis=2)
    error = predict(duplicates, **settings).error
    assert bool(error.isfinite().all())
    if covariance != "identity":
        assert bool((error == 0).all())  # no variance, distinct classes
    same = np.repeat(x[:, :1], 4, axis=1)
    torch.testing.assert_close(
        predict(same, **settings).error, torch.full((10,), 0.75).double(), rtol=0, atol=0.02
    )
    both = np.repeat(duplicates[:, :1], 4, axis=1)
    torch.testing.assert_close(predict(both, **settings).error, torch.full((10,), 0.75).double())
    # Two classes coincide, two do not: half of the first two are lost, whatever else.
    two = 50 * np.repeat(x[:, :, :1], 5, axis=2)
    two[:, 1] = two[:, 0]
    error = predict(two, **settings).error
    torch.testing.assert_close(error, torch.full((10,), 0.25).double(), rtol=0, atol=0.01)
    zero = predict(np.zeros((3, 4, 5, 24)), **settings).error
    torch.testing.assert_close(zero, torch.full((3,), 0.75).double())


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_more_ways_than_dimensions(covariance):
    x = episodes(N=6, D=3)
    error = predict(x, covariance=covariance).error
    assert bool(((error >= 0) & (error <= 1)).all())


def test_full_sees_that_the_classes_differ_where_they_vary():
    rng = np.random.default_rng(0)
    stretch = np.ones(60)
    stretch[:3] = 6.0
    means = np.zeros((4, 60))
    means[:, :3] = 9 * rng.normal(size=(4, 3))
    x = means[:, None] + stretch * rng.normal(size=(60, 4, 8, 60))
    draws = means[:, None] + stretch * rng.normal(size=(4, 5000, 60))
    actual = []
    for episode in x:
        m = episode.mean(1)
        score = draws @ m.T - (m**2).sum(1) / 2
        actual.append(np.mean(score.argmax(-1) != np.arange(4)[:, None]))
    wrong = {
        c: abs(float(predict(x, covariance=c, variance="features").error.mean()) - np.mean(actual))
        for c in ("shared", "full")
    }
    assert wrong["full"] < 0.5 * wrong["shared"]


def test_coinciding_points_share_their_samples():
    points = torch.zeros(1, 4, 3, dtype=torch.float64)
    error = nearest_point_error(points, points, torch.ones(1, 4, dtype=torch.float64), 64)
    assert float(error) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("covariance", "ful"), ("covariance", None), ("distances", "table"), ("variance", "all"),
        ("samples", "x"), ("samples", 0), ("samples", True), ("samples", 2.5), ("samples", None),
        ("iterations", -1), ("iterations", "50"), ("iterations", 1.0),
    ],
)  # fmt: skip
def test_bad_settings_are_named(parameter, value):
    with pytest.raises(FewshotError, match=rf"^estimator\.gaussian\.{parameter}: expected") as bad:
        Gaussian(**{parameter: value})
    assert repr(value) in str(bad.value)


def test_constructor_stores_its_arguments():
    estimator = Gaussian("full", "tabulated", samples=np.int64(64))
    assert estimator.get_params() == {
        "covariance": "full", "distances": "tabulated", "variance": "decisions", "samples": 64,
        "iterations": 50,
    }  # fmt: skip
