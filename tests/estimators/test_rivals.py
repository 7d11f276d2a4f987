"""Division of the errors of a class among its rivals."""

import numpy as np
import pytest
import torch

from fewshot.estimators.calibration.covariates import standardised
from fewshot.estimators.rivals import blended_margins, shares_of_rivals, with_decisions


def case(ways=6, seed=0, episodes=2):
    """Standardised margins, distances, shots and errors of random episodes."""
    rng = np.random.default_rng(seed)
    z = torch.from_numpy(rng.normal(1.5, 1.0, (episodes, ways, ways)))
    means = torch.from_numpy(rng.normal(size=(episodes, ways, 8)))
    counts = torch.from_numpy(rng.integers(1, 6, (episodes, ways))).double()
    errors = torch.from_numpy(rng.uniform(0.01, 0.7, (episodes, ways)))
    return z, torch.cdist(means, means), counts, errors


def off_diagonal(shares):
    return shares - torch.diag_embed(shares.diagonal(dim1=-2, dim2=-1))


@pytest.mark.parametrize("ways", [2, 3, 40])
@pytest.mark.parametrize("margins", [True, False], ids=["margins", "distances"])
def test_rows_sum_to_one_and_miss_by_the_errors(ways, margins):
    z, distances, counts, errors = case(ways)
    blend = blended_margins(z if margins else None, distances, counts, errors)
    shares = shares_of_rivals(blend, errors)
    assert bool((shares >= 0).all())
    torch.testing.assert_close(shares.sum(-1), torch.ones_like(errors))
    torch.testing.assert_close(1 - shares.diagonal(dim1=-2, dim2=-1), errors)


@pytest.mark.parametrize("error", [0.0, 1e-9, 1 - 1e-9, 1.0])
def test_extreme_errors_stay_shares(error):
    z = case()[0] * 30
    errors = torch.full(z.shape[:2], error, dtype=torch.float64)
    shares = shares_of_rivals(z, errors)
    torch.testing.assert_close(shares.sum(-1), torch.ones_like(errors))
    torch.testing.assert_close(1 - shares.diagonal(dim1=-2, dim2=-1), errors)


def test_follows_a_permutation_of_the_classes():
    z, distances, counts, errors = case()
    decided = off_diagonal(case(seed=1)[0].abs())
    order = torch.tensor([3, 0, 5, 1, 4, 2])

    def shares(*given):
        z, distances, counts, errors, decided = given
        divided = shares_of_rivals(blended_margins(z, distances, counts, errors), errors)
        return with_decisions(divided, decided)

    first = shares(z, distances, counts, errors, decided)
    pairs = (x[:, order][:, :, order] for x in (z, distances, decided))
    z, distances, decided = pairs
    second = shares(z, distances, counts[:, order], errors[:, order], decided)
    torch.testing.assert_close(second, first[:, order][:, :, order])


def test_the_nearer_rival_gets_more_and_equal_ones_the_same():
    errors = torch.full((1, 3), 0.3, dtype=torch.float64)
    z = torch.tensor([[[0.0, 1.0, 2.0], [1.5, 0.0, 1.5], [2.0, 1.0, 0.0]]])
    shares = shares_of_rivals(z, errors)[0]
    assert shares[0, 1] > 2 * shares[0, 2]
    assert float(shares[1, 0]) == pytest.approx(0.15)


@pytest.mark.parametrize("separation", [1.0, 2.0, 3.0])
def test_agrees_with_monte_carlo(separation):
    rng = np.random.default_rng(3)
    means = separation * rng.normal(size=(6, 5))
    biases = -(means**2).sum(1) / 2
    scores = means @ means.T + biases  # nearest class mean, unit covariance
    margins = np.diag(scores)[:, None] - scores
    images = means[:, None] + rng.normal(size=(6, 40_000, 5))
    answers = (images @ means.T + biases).argmax(-1)
    expected = np.stack([np.bincount(row, minlength=6) / 40_000 for row in answers])
    z = standardised(*(torch.from_numpy(x)[None] for x in (margins, means @ means.T)))
    errors = torch.from_numpy(1 - expected.diagonal())[None]
    shares = shares_of_rivals(z, errors)[0].numpy()
    np.testing.assert_allclose(shares, expected, atol=0.05)
    off = ~np.eye(6, dtype=bool)
    assert np.corrcoef(shares[off], expected[off])[0, 1] > 0.96


def test_many_shots_count_more_than_distances_and_single_ones_nothing():
    z, distances, _, errors = case()
    far = blended_margins(z, distances, torch.full_like(errors, 1e9), errors)
    off = ~torch.eye(z.shape[-1], dtype=torch.bool)
    torch.testing.assert_close(far[:, off], z[:, off])
    counts = torch.full_like(errors, 5.0)
    counts[:, 2] = 1.0
    changed = z.clone()
    changed[:, 2] = 7.0
    before, after = (blended_margins(x, distances, counts, errors) for x in (z, changed))
    torch.testing.assert_close(before, after)
    ratio = before[:, 2] / distances[:, 2].clamp_min(1e-9)
    torch.testing.assert_close(ratio[:, [0, 1, 3]], ratio[:, [4]].expand(-1, 3))


def test_decisions_outweigh_the_shots_when_they_are_many():
    errors = torch.full((1, 3), 0.2, dtype=torch.float64)
    shares = shares_of_rivals(torch.ones(1, 3, 3), errors)
    decided = torch.tensor([[[50.0, 1000.0, 0.0], [0.0, 80.0, 0.0], [1.0, 1.0, 3.0]]])
    updated = with_decisions(shares, decided)[0]
    assert updated[0, 1] > 0.198
    torch.testing.assert_close(updated[1:], shares[0, 1:])  # nothing new, and an even split
    torch.testing.assert_close(updated.diagonal(), shares[0].diagonal())


def test_class_means_without_any_distance_are_an_even_split():
    errors = torch.full((1, 4), 0.3, dtype=torch.float64)
    blend = blended_margins(None, torch.zeros(1, 4, 4), torch.ones(1, 4), errors)
    shares = shares_of_rivals(blend, errors)[0]
    assert bool((off_diagonal(shares) - 0.1 * (1 - torch.eye(4)) < 1e-9).all())
