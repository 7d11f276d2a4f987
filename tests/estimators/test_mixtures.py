"""Mixtures fitted to shots and unlabelled images, against loops over images and classes."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from fewshot.estimators import mixtures
from fewshot.estimators.mixtures import (
    Images,
    disagreement,
    posterior_mixture,
    principal_components,
    soft_k_means,
)


def drawn(E=3, N=4, K=3, U=30, D=12, apart=2.0, seed=0, strangers=0):
    """Images of Gaussian classes, with padding among shots and images, and their classes."""
    rng = torch.Generator().manual_seed(seed)
    means = apart * torch.randn(E, N, D, generator=rng, dtype=torch.float64)
    shots = means[:, :, None] + torch.randn(E, N, K, D, generator=rng, dtype=torch.float64)
    labels = torch.randint(0, N, (E, U), generator=rng)
    images = means.gather(1, labels[..., None].expand(-1, -1, D))
    images = images + torch.randn(E, U, D, generator=rng, dtype=torch.float64)
    if strangers:
        other = apart * torch.randn(E, 1, D, generator=rng, dtype=torch.float64)
        images[:, :strangers] = other + torch.randn(
            E, strangers, D, generator=rng, dtype=torch.float64
        )
        labels[:, :strangers] = -1
    shot_mask = torch.ones(E, N, K, dtype=torch.bool)
    shot_mask[0, 1, 1:] = False
    mask = torch.ones(E, U, dtype=torch.bool)
    mask[1, -5:] = False
    shots, images = shots * shot_mask[..., None], images * mask[..., None]
    return Images(shots, shot_mask, images, mask), labels


def of_episode(given, e):
    """Shots by class, and images, of one episode, without padding."""
    shots = [given.shots[e, c][given.shot_mask[e, c]].numpy() for c in range(given.shots.shape[1])]
    return shots, given.images[e][given.mask[e]].numpy()


def share_outside(outside):
    share = (outside.sum() + mixtures.OUTSIDE * mixtures.OUTSIDE_WEIGHT) / (
        len(outside) + mixtures.OUTSIDE_WEIGHT
    )
    return np.clip(share, mixtures.LEAST_OUTSIDE, mixtures.MOST_OUTSIDE)


def slow_k_means(shots, images, steps=mixtures.STEPS, t=mixtures.K_MEANS_TEMPERATURE):
    """Soft k-means of one episode, image by image."""
    N, (U, d) = len(shots), images.shape
    means = [of_class.mean(0) for of_class in shots]
    variance = np.mean([min(((x - m) ** 2).sum() for m in means) for x in images]) / d
    centre = images.mean(0)
    total = np.mean([((x - centre) ** 2).sum() for x in images]) / d
    share = mixtures.OUTSIDE
    for _ in range(steps):
        r = np.zeros((U, N + 1))
        for i, x in enumerate(images):
            for c in range(N):
                density = multivariate_normal.pdf(x, means[c], variance * np.eye(d))
                r[i, c] = (1 - share) / N * density**t
            r[i, N] = share * multivariate_normal.pdf(x, centre, total * np.eye(d)) ** t
            r[i] /= r[i].sum()
        means = [
            (shots[c].sum(0) + r[:, c] @ images) / (len(shots[c]) + r[:, c].sum()) for c in range(N)
        ]
        squares = sum(((x - means[c]) ** 2).sum() for c in range(N) for x in shots[c])
        squares += sum(
            r[i, c] * ((images[i] - means[c]) ** 2).sum() for i in range(U) for c in range(N)
        )
        freedom = sum(len(of_class) for of_class in shots) - N + r[:, :N].sum()
        variance = squares / (d * freedom)
        share = share_outside(r[:, N])
    return r[:, :N]


def slow_posterior(shots, images, within, between, steps=mixtures.PRIOR_STEPS):
    """The mixture with a prior of one episode, with full covariances."""
    N, t = len(shots), min(1, mixtures.PRIOR_TEMPERATURE * 128 / len(within))
    W, B = np.diag(within), np.diag(between)
    r = np.zeros((len(images), N + 1))
    share = mixtures.OUTSIDE
    for step in range(steps + 1):
        for c in range(N):
            n = len(shots[c]) + r[:, c].sum()
            total = shots[c].sum(0) + r[:, c] @ images
            spread = np.linalg.inv(np.linalg.inv(B) + n * np.linalg.inv(W))
            mean = spread @ np.linalg.inv(W) @ total
            density = multivariate_normal.pdf(images, mean, W + spread)
            if c == 0:
                new = np.zeros_like(r)
            new[:, c] = (1 - share) / N * density**t
        new[:, N] = share * multivariate_normal.pdf(images, np.zeros(len(W)), W + B) ** t
        r = new / new.sum(1, keepdims=True)
        if step < steps:
            share = share_outside(r[:, N])
    return r[:, :N]


def test_soft_k_means_is_that_of_loops():
    given, _ = drawn(D=5, apart=0.8)
    fast = soft_k_means(given)
    for e in range(3):
        slow = slow_k_means(*of_episode(given, e))
        np.testing.assert_allclose(fast[e][given.mask[e]].numpy(), slow, atol=1e-8)
    assert float(fast[~given.mask].abs().max()) == 0


def test_the_posterior_is_that_of_full_covariances():
    given, _ = drawn(D=5, apart=0.8)
    rng = np.random.default_rng(0)
    within, between = rng.uniform(0.3, 2, 5), rng.uniform(0.1, 1, 5)
    fast = posterior_mixture(given, torch.from_numpy(within), torch.from_numpy(between))
    for e in range(3):
        slow = slow_posterior(*of_episode(given, e), within, between)
        np.testing.assert_allclose(fast[e][given.mask[e]].numpy(), slow, atol=1e-8)


def test_principal_components_keep_the_distances_of_the_leading_subspace():
    given, _ = drawn(D=40, apart=3.0)
    reduced = principal_components(given, rank=3, iterations=60)
    for e in range(3):
        shots, images = of_episode(given, e)
        every = np.concatenate([*shots, images])
        centred = every - every.mean(0)
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        projected = centred @ axes[:3].T
        expected = np.linalg.norm(projected[:, None] - projected, axis=-1)
        shots, images = of_episode(reduced, e)
        mine = np.concatenate([*shots, images])
        distances = np.linalg.norm(mine[:, None] - mine, axis=-1)
        slots = given.shot_mask[e].numel() + given.mask[e].numel()
        unit = np.sqrt(np.square(centred).sum() / slots)
        np.testing.assert_allclose(unit * distances, expected, atol=1e-3 * expected.max())


@pytest.mark.parametrize("fewer", [1, 2])
def test_fewer_images_than_components(fewer):
    given, _ = drawn(N=2, K=1, U=6, D=9)
    few = Images(given.shots, given.shot_mask, given.images[:, :fewer], given.mask[:, :fewer])
    reduced = principal_components(few)
    assert reduced.images.shape[-1] == 2 + fewer - 1
    assert bool(soft_k_means(reduced).isfinite().all())


def test_images_that_are_all_alike():
    given, _ = drawn()
    flat = Images(given.shots * 0 + 1, given.shot_mask, given.images * 0 + 1, given.mask)
    responsibilities = soft_k_means(principal_components(flat))
    assert bool(responsibilities.isfinite().all())


def test_it_labels_images_better_than_nearest_mean_of_one_shot():
    given, labels = drawn(E=40, K=1, U=60, D=30, apart=0.8)
    one_shot = torch.cdist(given.images, given.shots[:, :, 0]).argmin(-1)
    mixture = soft_k_means(principal_components(given)).argmax(-1)
    right = [(decided == labels)[given.mask].double().mean() for decided in (one_shot, mixture)]
    assert right[1] > right[0] + 0.1


def test_images_of_other_classes_are_left_outside():
    given, labels = drawn(E=20, N=4, K=5, U=60, D=20, apart=1.5, strangers=15)
    kept = soft_k_means(principal_components(given)).sum(-1)
    strangers = kept[(labels < 0) & given.mask].mean()
    members = kept[(labels >= 0) & given.mask].mean()
    assert float(strangers) < 0.35
    assert float(members) > 0.9


def test_order_of_images_and_classes_does_not_matter():
    given, _ = drawn(apart=0.8)
    order, ways = torch.randperm(30), torch.randperm(4)
    changed = Images(
        given.shots[:, ways], given.shot_mask[:, ways], given.images[:, order], given.mask[:, order]
    )
    within = torch.full((12,), 1.0, dtype=torch.float64)
    for fit in (soft_k_means, lambda images: posterior_mixture(images, within, 0.5 * within)):
        torch.testing.assert_close(fit(given)[:, order][..., ways], fit(changed))


def test_disagreement_counts_by_class():
    responsibilities = torch.tensor([[[0.9, 0.1], [0.2, 0.7], [0.0, 0.0]]])
    wrong, total = disagreement(responsibilities, torch.tensor([[0, 0, 1]]))
    torch.testing.assert_close(wrong, torch.tensor([[0.0, 0.8]]))
    torch.testing.assert_close(total, torch.tensor([[1.1, 0.8]]))
