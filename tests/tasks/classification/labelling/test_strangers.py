"""Images of none of the classes: distances against refitting, and who is taken for a stranger."""

import numpy as np
import pytest
import torch

from fewshot.heads import Support
from fewshot.models.parts import put_together, taken_apart
from fewshot.tasks.classification.labelling import strangers as module
from fewshot.tasks.classification.labelling.strangers import Strangers, fit_strangers

N, K, D = 5, 6, 30


def images(shots, seed=0, ways=N, centres_seed=7):
    """Images (ways, shots, D) of Gaussian classes that vary more in some directions."""
    centres = np.random.default_rng(centres_seed).normal(size=(ways, 1, D))
    scale = np.geomspace(2.0, 0.2, D)
    noise = np.random.default_rng(seed).normal(size=(ways, shots, D))
    return torch.from_numpy(centres + scale * noise)


def support_of(features, counts=None):
    """One task, of classes with `counts` shots."""
    mask = torch.ones(features.shape[:2], dtype=torch.bool)
    if counts is not None:
        mask = torch.arange(features.shape[1]) < torch.tensor(counts)[:, None]
    return Support.of(features[None], mask[None])


def strangers(count=200, seed=3):
    """Images of other classes."""
    return 2 * torch.from_numpy(np.random.default_rng(seed).normal(size=(count, D)))


def test_distances_of_left_out_shots_are_those_of_refitting():
    support = support_of(images(4), (4, 2, 1, 3, 2))
    features, mask = support.features[0], support.mask[0]
    shots, labels, counts = features[mask], mask.nonzero()[:, 0], mask.sum(-1).double()
    means = features.sum(1) / counts[:, None]
    scatter = module._Scatter.of(shots - means[labels], len(shots) - N)
    fast = module._left_out(shots, labels, means, counts, scatter)
    for i in torch.nonzero(counts[labels] > 1)[:, 0]:
        rest = torch.arange(len(shots)) != i
        left = counts - torch.eye(N)[labels[i]]
        centres = torch.stack([shots[rest & (labels == c)].mean(0) for c in range(N)])
        deviations = shots[rest] - centres[labels[rest]]
        within = (1 - scatter.intensity) / (scatter.freedom - 1) * deviations.mT @ deviations
        covariance = within + scatter.rest * torch.eye(D, dtype=torch.float64)
        away = shots[i] - centres
        squared = (away * torch.linalg.solve(covariance, away.mT).mT).sum(-1)
        expected = scatter.rest * squared / (1 + 1 / left)
        torch.testing.assert_close(fast[i], expected, rtol=1e-8, atol=0.0)


@pytest.mark.parametrize("wide", [True, False])
def test_whitening_makes_the_covariance_round(wide):
    deviations = images(4 if wide else 20, seed=5) - images(1, seed=5).mean(1, keepdim=True)
    deviations = deviations.flatten(0, 1)
    scatter = module._Scatter.of(deviations, len(deviations))
    shrunk = (1 - scatter.intensity) * deviations.mT @ deviations / len(deviations)
    shrunk += scatter.rest * torch.eye(D, dtype=torch.float64)
    directions = scatter.directions()
    change = torch.eye(D, dtype=torch.float64) - directions.mT @ directions
    round_ = change @ shrunk @ change
    torch.testing.assert_close(round_, scatter.rest * torch.eye(D, dtype=torch.float64))


@pytest.mark.parametrize("shots", [1, 2, 3, 10])
def test_images_of_the_classes_are_seldom_strangers_and_others_mostly_are(shots):
    fitted = fit_strangers(support_of(images(shots)))
    same = images(100, seed=1).flatten(0, 1)
    assert fitted.are_strangers(same).double().mean() < 0.12
    assert fitted.are_strangers(10 * strangers()).all()
    if shots > 1:
        assert (
            fitted.are_strangers(strangers()).double().mean() > 0.6
        )  # a fifth of them is near a class
    assert (fitted.are_strangers(same, 0.2) >= fitted.are_strangers(same, 0.01)).all()


def test_many_shots_decide_the_rate_of_alarms():
    fitted = fit_strangers(support_of(images(60)))
    same = images(400, seed=1).flatten(0, 1)
    for alarm in (0.05, 0.2):
        rate = float(fitted.are_strangers(same, alarm).double().mean())
        assert abs(rate - alarm) < 0.05


@pytest.mark.parametrize("shots", [1, 4])
@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_scale_and_place_do_not_matter(shots, factor):
    features, new = images(shots), torch.cat([strangers(20), images(5, seed=1).flatten(0, 1)])
    plain = fit_strangers(support_of(features))
    moved = fit_strangers(support_of(factor * (features + 3)))
    torch.testing.assert_close(
        plain.distances(new), moved.distances(factor * (new + 3)), rtol=1e-3, atol=0.0
    )


@pytest.mark.parametrize("counts", [(2, 2, 6, 6, 6), (1, 1, 1, 2, 2), (1, 2, 3, 4, 6)])
def test_unequal_shots(counts):
    fitted = fit_strangers(support_of(images(6), counts))
    same = images(100, seed=1)
    rates = fitted.are_strangers(same.flatten(0, 1)).view(N, -1).double().mean(-1)
    assert rates.max() < 0.3  # a class with few shots is no source of strangers
    assert fitted.are_strangers(10 * strangers()).all()


@pytest.mark.parametrize("noise", [0.0, 1e-3])
@pytest.mark.parametrize("kept", [1, 2])
def test_copies_among_the_shots_do_not_make_strangers_of_all_others(kept, noise):
    several = images(kept).repeat(1, 4, 1)
    copies = several + noise * torch.from_numpy(
        np.random.default_rng(1).normal(size=(N, 4 * kept, D))
    )
    same = images(100, seed=1).flatten(0, 1)
    assert fit_strangers(support_of(copies)).are_strangers(same).double().mean() < 0.2


def test_shots_that_are_all_alike_are_no_strangers():
    alike = torch.ones(2, 3, 4, dtype=torch.float64)
    fitted = fit_strangers(support_of(alike))
    assert not fitted.are_strangers(alike.flatten(0, 1)).any()
    assert fitted.distances(alike[0]).isfinite().all()


def test_chances_fall_with_the_distance():
    fitted = fit_strangers(support_of(images(3)))
    new = torch.cat([strangers(50), images(10, seed=2).flatten(0, 1)])
    order = fitted.distances(new).argsort()
    chances = fitted.chances(new)[order]
    assert (chances[1:] <= chances[:-1]).all()
    assert chances.min() >= 0 and chances.max() <= 1
    assert fitted.chances(new[:0]).shape == (0,)


@pytest.mark.parametrize("shots", [1, 4])
def test_it_is_written_and_read_as_a_part(shots):
    fitted = fit_strangers(support_of(images(shots)))
    again = put_together(Strangers, "strangers", *taken_apart("strangers", fitted))
    new = strangers(20)
    assert torch.equal(fitted.chances(new), again.chances(new))


def test_images_of_classes_that_overlap_may_be_farther():
    support, new = support_of(images(2)), strangers()
    easy, hard = (fit_strangers(support, error).chances(new) for error in (0.05, 0.6))
    assert (easy <= hard).all()
    assert easy.sum() < hard.sum()
