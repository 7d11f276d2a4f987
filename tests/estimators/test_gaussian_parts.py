"""The steps of `gaussian` by themselves: basis, distances, table, scaling."""

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from sklearn.manifold import smacof

from fewshot.estimators import scaling
from fewshot.estimators.decision_space import DecisionSpace
from fewshot.estimators.distances import simulated_table, tabulated, unbiased_distances
from fewshot.estimators.gaussian import symmetric_root
from fewshot.estimators.scaling import pairwise_distances, scale_metrically


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_projection_keeps_distances_and_decisions():
    means = normal(3, 5, 40) + 7
    space = DecisionSpace.of(means)
    assert space.points.shape == (3, 5, 4)
    torch.testing.assert_close(torch.cdist(space.points, space.points), torch.cdist(means, means))
    identity = torch.eye(4, dtype=torch.float64).expand(3, 4, 4)
    torch.testing.assert_close(space.basis.mT @ space.basis, identity)
    x = normal(3, 5, 6, 40, seed=1)
    inside = space.project(x - means.mean(1)[:, None, None])
    for e in range(3):
        far = torch.cdist(x[e].flatten(0, 1), means[e]).argmin(-1)
        near = torch.cdist(inside[e].flatten(0, 1), space.points[e]).argmin(-1)
        assert torch.equal(far, near)
    S = torch.diag(torch.linspace(1, 2, 40).double())
    torch.testing.assert_close(space.restrict(S), space.basis.mT @ S @ space.basis)


def test_coinciding_means_leave_columns_without_use():
    means = normal(2, 4, 10)
    means[0, 3] = means[0, 1]
    means[1] = means[1, :1]
    space = DecisionSpace.of(means)
    assert space.rank.tolist() == [2, 1]
    assert bool((space.points[1] == 0).all() and (space.basis[1] == 0).all())
    torch.testing.assert_close(
        torch.cdist(space.points, space.points), torch.cdist(means, means), rtol=0, atol=1e-7
    )


@pytest.mark.parametrize("kind", ["closed_form", "tabulated"])
@pytest.mark.parametrize(("D", "shots"), [(50, (3, 3)), (300, (5, 2))])
def test_distances_are_unbiased_along_the_estimated_direction(kind, D, shots):
    rng = np.random.default_rng(0)
    pairs, (K1, K2) = 20_000, shots
    difference = rng.normal(size=(pairs, D)) * np.sqrt(1 / K1 + 1 / K2)
    difference[:, 0] += 6.0
    length = np.linalg.norm(difference, axis=1)
    along = 6.0 * difference[:, 0] / length
    points = torch.from_numpy(np.stack([np.zeros(pairs), length], 1)[..., None])
    trace = torch.tensor([[D / K1, D / K2]], dtype=torch.float64)
    estimated = unbiased_distances(points, trace, D, kind)[:, 0, 1].numpy()
    excess = (length - along).mean()
    assert excess > 2
    # Stein's identity has D - 1 where the paper has D.
    assert estimated.mean() == pytest.approx(along.mean(), abs=0.02 + 1.1 * excess / D)


@pytest.mark.parametrize("D", [1, 2, 5, 64, 640, 4096])
def test_table_is_monotone_within_the_unit_interval(D):
    places, values = simulated_table(D)
    assert bool((places.diff() > 0).all() and (values.diff() <= 0).all())
    assert float(places[0]) == 0 and float(values[0]) == 1 and float(values[-1]) == 0
    q = torch.cat([torch.linspace(0, 3, 5001), torch.tensor([1e9, torch.inf])]).double()
    g = tabulated(q, D)
    assert bool(((g >= 0) & (g <= 1)).all() and (g.diff() <= 0).all())
    assert float(g[0]) == 1 and float(g[-1]) == 0
    torch.testing.assert_close(tabulated(places, D), values, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("D", "allowed"), [(640, 0.0012), (64, 0.012), (20, 0.04)])
def test_table_nears_the_closed_form(D, allowed):
    q = torch.linspace(0, 2, 4001).double()
    excess = tabulated(q, D) - (1 - q).clamp_min(0)
    assert float(excess.abs().max()) < allowed
    assert float(excess.min()) > -1e-9


@pytest.mark.parametrize(("K", "D"), [(2, 30), (5, 30), (10, 8)])
def test_table_agrees_with_simulated_shots_of_every_number(K, D):
    """K and the variance drop out of the table; here they are in the simulation."""
    rng = np.random.default_rng(K)
    for true in (0.5, 1.5, 4.0):
        sigma = np.array([0.7, 1.9])
        shots = sigma[:, None, None] * rng.normal(size=(20_000, 2, K, D))
        shots[:, 1, :, 0] += true * np.linalg.norm(sigma)
        means = shots.mean(2)
        difference = means[:, 1] - means[:, 0]
        observed = np.linalg.norm(difference, axis=1)
        g = np.mean(np.abs(difference[:, 0]) * true * np.linalg.norm(sigma) / observed**2)
        snr = np.mean(observed) / np.linalg.norm(sigma)
        q = torch.tensor([D / (K * snr**2)], dtype=torch.float64)
        assert float(tabulated(q, D)) == pytest.approx(g, abs=0.012)


def test_scaling_equals_scikit_learn():
    start = normal(6, 5, 4)
    distances = (pairwise_distances(start) - 1.3).clamp_min(0)
    for iterations in (1, 10, 50):
        placed = scale_metrically(start, distances, iterations)
        for e in range(6):
            slow, _ = smacof(
                distances[e].numpy(), n_components=4, init=start[e].numpy(), n_init=1,
                max_iter=iterations, eps=0, normalized_stress=False,
            )  # fmt: skip
            np.testing.assert_allclose(placed[e].numpy(), slow, atol=1e-9)


def test_scaling_reaches_distances_that_exist():
    truth = normal(4, 5, 4, seed=1)
    start = truth + 0.3 * normal(4, 5, 4, seed=2)
    distances = torch.cdist(truth, truth)
    before = (torch.cdist(start, start) - distances).abs().max()
    placed = scale_metrically(start, distances, 300)
    after = (torch.cdist(placed, placed) - distances).abs().max()
    assert after < 0.05 * before


def test_many_ways_are_scaled_by_products_of_the_same_steps(monkeypatch):
    truth = normal(2, 40, 12, seed=1)
    truth[:, 1] = truth[:, 0]  # two classes in one place
    start = truth + 0.3 * normal(2, 40, 12, seed=2)
    distances = torch.cdist(truth, truth, compute_mode="donot_use_mm_for_euclid_dist")
    products = scale_metrically(start, distances, 20)
    monkeypatch.setattr(scaling, "MATRICES", 40)
    torch.testing.assert_close(products, scale_metrically(start, distances, 20))


def test_scaling_does_not_rotate():
    """So that the covariance of the shots fits the placed points without an alignment."""
    D = 640
    means = 2 * normal(20, 5, 1, D) / D**0.5 * 5
    x = means + normal(20, 5, 5, D, seed=1)
    points = DecisionSpace.of(x.mean(2)).points
    trace = torch.full((20, 5), D / 5, dtype=torch.float64)
    placed = scale_metrically(points, unbiased_distances(points, trace, D), 50)
    moved = (placed - points).norm(dim=(1, 2)) / points.norm(dim=(1, 2))
    assert moved.min() > 0.2
    for e in range(20):
        rotation, _ = orthogonal_procrustes(placed[e].numpy(), points[e].numpy())
        angles = np.abs(np.angle(np.linalg.eigvals(rotation)))
        assert np.degrees(angles).max() < 3


def test_symmetric_root_of_singular_matrices():
    factor = normal(3, 4, 2)
    covariance = factor @ factor.mT
    root = symmetric_root(covariance)
    torch.testing.assert_close(root @ root, covariance)
    torch.testing.assert_close(root, root.mT)
