"""Transferability scores against the formulas of their papers, written out with D x D matrices."""

import math

import numpy as np
import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.statistics import TRANSFER_SCORES, gbc, h_score, logme, transrate

SCALE_FREE = ("logme", "h_score", "gbc")


def tasks(E=3, N=4, K=5, D=12, separation=1.0, seed=0, uneven=False):
    """Gaussian classes (E, N, K, D); with `uneven` classes of 2 to K images, padding not zero."""
    rng = np.random.default_rng(seed)
    features = separation * rng.normal(size=(E, N, 1, D)) + rng.normal(size=(E, N, K, D))
    mask = np.ones((E, N, K), bool)
    if uneven:
        mask = np.arange(K) < rng.integers(2, K + 1, (E, N, 1))
    return torch.from_numpy(features), torch.from_numpy(mask)


def images_of(features, mask):
    """Features (M, D) and labels (M,) of one task."""
    labels = np.arange(len(mask))[:, None].repeat(mask.shape[1], 1)
    real = mask.numpy()
    return features.numpy()[real], labels[real]


def evidence(F, y, alpha, beta):
    """Log evidence of a Bayesian linear model, by the density of y: N(0, I/beta + FF'/alpha)."""
    C = np.eye(len(F)) / beta + F @ F.T / alpha
    return -0.5 * (
        len(F) * math.log(2 * math.pi) + np.linalg.slogdet(C)[1] + y @ np.linalg.solve(C, y)
    )


def slow_logme(F, labels):
    """The paper's iteration from alpha = beta = 1 with its D x D matrix, until it stands still."""
    scores = []
    M, D = F.shape
    for c in np.unique(labels):
        y = (labels == c).astype(float)
        alpha = beta = 1.0
        spectrum = np.linalg.eigvalsh(F.T @ F).clip(0)
        for _ in range(3000):
            before = np.array([alpha, beta])
            m = beta * np.linalg.solve(alpha * np.eye(D) + beta * F.T @ F, F.T @ y)
            gamma = np.sum(beta * spectrum / (alpha + beta * spectrum))
            alpha = min(gamma / (m @ m), 1e8)  # infinite where the features explain nothing
            beta = (M - gamma) / np.sum((F @ m - y) ** 2)
            if np.allclose(before, [alpha, beta], rtol=1e-10, atol=0):
                break
        A = alpha * np.eye(D) + beta * F.T @ F
        m = beta * np.linalg.solve(A, F.T @ y)
        L = M / 2 * math.log(beta) + D / 2 * math.log(alpha) - M / 2 * math.log(2 * math.pi)
        L -= beta / 2 * np.sum((F @ m - y) ** 2) + alpha / 2 * m @ m
        L -= 0.5 * np.linalg.slogdet(A)[1]
        assert evidence(F, y, alpha, beta) == pytest.approx(L)
        scores.append(L / M)
    return np.mean(scores)


def slow_h_score(F, labels):
    """Trace of the inverse of scikit-learn's Ledoit-Wolf covariance times that of class means."""
    from sklearn.covariance import LedoitWolf

    fitted = LedoitWolf().fit(F)
    means = np.stack([F[labels == c].mean(0) for c in labels])
    between = np.cov(means, rowvar=False, bias=True)
    return np.trace(np.linalg.inv(fitted.covariance_) @ between) * (1 - fitted.shrinkage_)


def slow_transrate(F, labels, eps=1e-4):
    def rate(Z):
        return np.linalg.slogdet(np.eye(Z.shape[1]) + Z.T @ Z / (len(Z) * eps))[1] / 2

    Z = F - F.mean(0)
    return rate(Z) - np.mean([rate(Z[labels == c]) for c in np.unique(labels)])


def slow_gbc(F, labels, components=64):
    """Bhattacharyya distances from full covariance matrices of spherical Gaussians."""
    from sklearn.decomposition import PCA

    Z = PCA(min(components, F.shape[1], len(F) - 1)).fit_transform(F)
    d = Z.shape[1]
    classes = [Z[labels == c] for c in np.unique(labels)]
    spheres = [np.eye(d) * X.var(0, ddof=1).mean() for X in classes]
    score = 0.0
    for i, (X, S) in enumerate(zip(classes, spheres, strict=True)):
        for j, (Y, T) in enumerate(zip(classes, spheres, strict=True)):
            if i != j:
                gap, both = X.mean(0) - Y.mean(0), (S + T) / 2
                logs = [np.linalg.slogdet(each)[1] for each in (both, S, T)]
                distance = gap @ np.linalg.solve(both, gap) / 8 + (logs[0] - sum(logs[1:]) / 2) / 2
                score -= math.exp(-distance)
    return score


SLOW = {"logme": slow_logme, "h_score": slow_h_score, "transrate": slow_transrate, "gbc": slow_gbc}


@pytest.mark.parametrize("name", TRANSFER_SCORES)
@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("D", [3, 12, 90], ids=lambda D: f"D={D}")
def test_as_the_paper_has_it(name, D, uneven):
    """With more images than dimensions, and with fewer; classes alike in size, and not."""
    features, mask = tasks(D=D, K=6, separation=1.5 / D**0.25, uneven=uneven)
    scores = TRANSFER_SCORES[name].function(features, mask)
    assert scores.shape == (3,) and scores.dtype == torch.float64
    expected = [SLOW[name](*images_of(x, m)) for x, m in zip(features, mask, strict=True)]
    assert scores.tolist() == pytest.approx(expected, rel=2e-5, abs=1e-9)


def test_gbc_keeps_the_leading_components():
    features, mask = tasks(E=1, N=5, K=20, D=120, separation=0.3)
    assert gbc(features, mask).item() == pytest.approx(slow_gbc(*images_of(features[0], mask[0])))


def test_logme_is_the_largest_evidence():
    """Of a grid of alpha and beta none has more, for the mean over the classes."""
    features, mask = tasks(E=1, N=3, K=4, D=30)
    F, labels = images_of(features[0], mask[0])
    grid = 2.0 ** np.arange(-14, 15)
    best = [
        max(evidence(F, (labels == c).astype(float), a, b) for a in grid for b in grid)
        for c in range(3)
    ]
    score = logme(features, mask).item()
    assert np.mean(best) / len(F) <= score + 1e-9
    assert score == pytest.approx(np.mean(best) / len(F), abs=0.02)  # the grid is coarse


@pytest.mark.parametrize("name", TRANSFER_SCORES)
def test_better_separated_classes_score_higher(name):
    score = TRANSFER_SCORES[name].function
    means = [score(*tasks(E=20, separation=s, D=40)).mean() for s in (0.1, 0.5, 1.0)]
    assert means[0] < means[1] < means[2]


@pytest.mark.parametrize("name", TRANSFER_SCORES)
def test_neither_padding_nor_order_matters(name):
    score = TRANSFER_SCORES[name].function
    features, mask = tasks(K=4, D=30, uneven=True)
    expected = score(features, mask)
    wider = torch.cat([features, torch.full_like(features, 1e6)], 2)
    more = torch.cat([mask, torch.zeros_like(mask)], 2)
    torch.testing.assert_close(score(wider, more), expected)
    torch.testing.assert_close(score(features.flip(1), mask.flip(1)), expected)
    torch.testing.assert_close(score(features.flip(2), mask.flip(2)), expected)
    alone = torch.cat([score(x[None], m[None]) for x, m in zip(features, mask, strict=True)])
    torch.testing.assert_close(alone, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", TRANSFER_SCORES)
def test_scale_matters_to_transrate_alone(name):
    score = TRANSFER_SCORES[name].function
    features, mask = tasks(D=30)
    same = torch.allclose(score(1e3 * features, mask), score(features, mask), rtol=1e-6)
    assert same == (name in SCALE_FREE)


@pytest.mark.parametrize("name", TRANSFER_SCORES)
def test_rotations_do_not_matter(name):
    score = TRANSFER_SCORES[name].function
    features, mask = tasks(D=30)
    rotation = torch.linalg.qr(torch.randn(30, 30, generator=torch.Generator().manual_seed(0),
                                           dtype=torch.float64)).Q  # fmt: skip
    torch.testing.assert_close(score(features @ rotation, mask), score(features, mask), rtol=1e-4,
                               atol=1e-6)  # fmt: skip


def test_ranges():
    features, mask = tasks(E=50, N=4, K=3, D=2000, separation=0.5)
    scores = {name: score.function(features, mask) for name, score in TRANSFER_SCORES.items()}
    assert all(bool(values.isfinite().all()) for values in scores.values())
    assert bool(((scores["h_score"] >= 0) & (scores["h_score"] <= 3)).all())
    assert bool((scores["transrate"] >= 0).all())
    assert bool(((scores["gbc"] >= -12) & (scores["gbc"] <= 0)).all())


@pytest.mark.parametrize("counts", [(1, 1, 1, 1), (3, 1, 3, 3)])
def test_without_a_second_image_of_a_class_gbc_is_undefined(counts):
    """In that task only; the others see how far apart the images are."""
    features, mask = tasks(E=2, K=3, D=30)
    mask[1] = torch.arange(3) < torch.tensor(counts)[:, None]
    for name, score in TRANSFER_SCORES.items():
        values = score.function(features, mask)
        assert values.isnan().tolist() == [False, name == "gbc"]
    assert "one image" in TRANSFER_SCORES["gbc"].undefined


def test_at_one_shot_they_say_how_far_apart_the_images_are():
    features, mask = tasks(E=1, N=5, K=1, D=30)
    near = features.mean(1, keepdim=True) + 0.01 * features
    for score in (logme, transrate):
        assert score(near, mask) < score(features, mask)
    assert h_score(near, mask).item() == pytest.approx(h_score(features, mask).item())


def test_copies_of_an_image_have_no_variance():
    features, mask = tasks(E=1, K=3, D=30)
    features = features.float()
    features[0, 0] = features[0, 0, :1]
    assert bool(gbc(features, mask).isnan().all())
    assert bool(logme(features, mask).isfinite().all())


@pytest.mark.parametrize("constant", [0.0, 0.3])
def test_images_that_are_all_the_same(constant):
    features, mask = tasks(E=1, D=30)
    features = torch.full_like(features, constant)
    assert bool(h_score(features, mask).isnan().all() & gbc(features, mask).isnan().all())
    assert transrate(features, mask).item() == pytest.approx(0)
    # The best model of y from one number, here the same for all images: nothing or a constant.
    p, M = 1 / 4, 20
    if not constant:
        null = -0.5 * (math.log(2 * math.pi * p) + 1)
        assert logme(features, mask).item() == pytest.approx(null, abs=1e-6)
    else:
        assert logme(features, mask).item() > -0.5 * (math.log(2 * math.pi * p) + 1) + 1 / M


def test_features_of_other_shapes_are_refused():
    features, mask = tasks()
    for bad in ((features[0], mask), (features, mask[:, :2]), (features, mask & False)):
        for score in TRANSFER_SCORES.values():
            with pytest.raises(FewshotError, match=r"\(E, N, K, D\)"):
                score.function(*bad)
