"""Temperatures and probabilities from scores of heads."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from fewshot.estimators.probabilities import (
    MARGIN_SHARE,
    HeadProbabilities,
    fit_temperature,
    held_out_confidence,
    margin_temperature,
    probabilities,
)
from fewshot.heads.base import Support
from fewshot.heads.knn import KNN
from fewshot.heads.ncm import NCM
from fewshot.testing.base_classes import draw, draw_images, unlabelled_of


def held_out(sharpness=1.0, episodes=5, ways=4, shots=6, seed=0):
    """Scores (E, R, N), labels (R,) and mask (E, R) with a few shots missing."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(ways).repeat_interleave(shots)
    scores = torch.randn(episodes, len(labels), ways, generator=generator, dtype=torch.float64)
    scores[:, torch.arange(len(labels)), labels] += 1.0
    mask = torch.rand(episodes, len(labels), generator=generator) < 0.8
    return sharpness * scores, labels, mask


@pytest.mark.parametrize("sharpness", [1e-30, 1.0, 1e30])
def test_the_temperature_maximises_the_likelihood_of_smoothed_labels(sharpness):
    scores, labels, mask = held_out(sharpness)
    temperature = fit_temperature(scores, labels, mask).numpy()
    for z, m, fitted in zip(scores.numpy() / sharpness, mask.numpy(), temperature, strict=True):
        n, ways = m.sum(), z.shape[-1]
        targets = (n * np.eye(ways)[labels.numpy()] + 1 / ways) / (n + 1)

        def loss(log_temperature, z=z, m=m, targets=targets):
            logits = z / np.exp(log_temperature)
            logits = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            return -(targets * logits).sum(-1)[m].sum()

        best = minimize_scalar(loss, bounds=(-4, 6), method="bounded", options={"xatol": 1e-7})
        assert fitted / sharpness == pytest.approx(np.exp(best.x), rel=1e-4)


def test_shots_that_are_all_right_leave_a_doubt():
    """Fewer of them leave more."""
    confidences = []
    for shots in (2, 10):
        labels = torch.arange(3).repeat_interleave(shots)
        scores = torch.eye(3)[labels][None]
        temperature = fit_temperature(scores, labels, torch.ones(1, 3 * shots, dtype=torch.bool))
        confidences.append(float(probabilities(scores, temperature).amax(-1).mean()))
    n = torch.tensor([6.0, 30.0])
    assert torch.tensor(confidences) == pytest.approx((n + 1 / 3) / (n + 1), rel=1e-4)


def test_scores_that_are_worse_than_chance_are_nearly_flat():
    labels = torch.tensor([0, 1])
    scores = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    temperature = fit_temperature(scores, labels, torch.ones(1, 2, dtype=torch.bool))
    assert probabilities(scores, temperature) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("value", [0.0, 3.0, -1e12])
def test_equal_scores_have_equal_probabilities(value):
    scores = torch.full((2, 4, 3), value)
    temperature = fit_temperature(scores, torch.tensor([0, 1, 2, 0]), torch.ones(2, 4).bool())
    assert temperature.tolist() == [1.0, 1.0]
    assert probabilities(scores, temperature) == pytest.approx(1 / 3)


def test_scores_that_are_no_numbers_have_no_temperature():
    scores, labels, mask = held_out()
    mask[0, 0] = True
    scores[0, 0, 0] = torch.nan
    temperature = fit_temperature(scores, labels, mask)
    assert temperature.isnan().tolist() == [True, False, False, False, False]
    scores[:, ~mask[1]] = torch.nan  # but what is not there does not matter
    assert fit_temperature(scores[1:2], labels, mask[1:2]) == pytest.approx(temperature[1:2])


def test_margins_of_the_shots_scale_the_scores_of_one_shot():
    support = draw(shots=1)
    head = NCM().fit(support)
    temperature = margin_temperature(head, support)
    for e, means in enumerate(support.features[:, :, 0]):
        distances = torch.cdist(means, means).square() / 2
        # the score of a shot for its class less that for another is half their squared distance
        assert float(temperature[e]) == pytest.approx(MARGIN_SHARE * float(distances.sum() / 12))


def test_probabilities_of_a_head():
    support, unlabelled = draw(), unlabelled_of(draw_images())
    mask = support.mask.clone()
    mask[3, :, 1:] = False
    mixed = Support.of(support.features, mask, support.context)
    head = NCM().fit(mixed)
    made = HeadProbabilities.of(mixed, head, unlabelled)
    assert HeadProbabilities.of(mixed, head, unlabelled) is made
    assert HeadProbabilities.of(support, head, unlabelled) is not made  # of other shots
    assert made.fitted.tolist() == [e != 3 for e in range(8)]
    assert made.unlabelled.sum(-1) == pytest.approx(1.0)
    assert torch.equal(made.unlabelled.argmax(-1), unlabelled.decisions(head))
    assert made.held_out[3].isnan().all()
    others = torch.arange(8) != 3
    confidence = held_out_confidence(made.held_out, mixed)[others]
    assert confidence == pytest.approx(made.held_out[others].amax(-1).mean((1, 2)))


def test_votes_of_neighbours_are_as_confident_as_held_out_shots_are_right():
    support, unlabelled = draw(spread=2.0, shots=20), unlabelled_of(draw_images(spread=2.0))
    head = KNN().fit(support)
    made = HeadProbabilities.of(support, head, unlabelled)
    right = (made.scores.argmax(-1) == torch.arange(4)[:, None]).double().mean((1, 2))
    assert made.unlabelled.amax(-1).mean(-1) == pytest.approx(right, abs=0.02)
