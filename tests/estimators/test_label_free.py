"""Label-free scores against obvious references, and the estimators that are made of them."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment, linprog

from fewshot.estimators import estimators
from fewshot.estimators.held_out import stratified_scores
from fewshot.estimators.label_free import (
    NEEDS_TWO,
    NO_UNLABELLED,
    NOT_HELD_OUT,
    AverageThresholdedConfidence,
    GeneralizationDisagreement,
)
from fewshot.estimators.label_free_scores import (
    average_confidence,
    disagreement,
    matrix_norm,
    negative_entropy,
    nuclear_norm,
    share_below,
    softrun,
    transport_cost,
)
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import FewshotError
from fewshot.heads.base import Query, Support
from fewshot.heads.knn import KNN
from fewshot.heads.ncm import NCM
from fewshot.testing.base_classes import draw, draw_images, unlabelled_of

NAMES = ("confidence", "doc", "atc", "gde", "cot", "nuclear_norm", "mano")
TWO_SHOTS = ("doc", "atc", "gde")


def logits_and_mask(ways=5, images=40, sharpness=2.0, episodes=6, seed=0):
    """Logits (E, U, N) of images of random classes, uneven, with some padding."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(episodes, images, ways, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, ways, (episodes, images), generator=generator) % max(1, ways - 1)
    logits.scatter_add_(2, labels[..., None], torch.full_like(logits[..., :1], 1.5))
    mask = torch.rand(episodes, images, generator=generator) < 0.8
    mask[:, :3], mask[0] = True, True
    return sharpness * logits, mask


def rows(tensor, mask):
    """Arrays of the images of every episode, without padding."""
    return [each[keep].numpy() for each, keep in zip(tensor, mask, strict=True)]


def exact_transport(p):
    """Transport cost of p (U, N) to equal shares by linear programming."""
    images, ways = p.shape
    if images % ways == 0:
        costs = np.repeat(1 - p, images // ways, 1)
        return costs[linear_sum_assignment(costs)].mean()
    of_image = np.kron(np.eye(images), np.ones(ways))
    of_class = np.kron(np.ones(images), np.eye(ways))
    equal = np.r_[np.full(images, 1 / images), np.full(ways, 1 / ways)]
    solved = linprog((1 - p).ravel(), A_eq=np.r_[of_image, of_class][:-1], b_eq=equal[:-1])
    return solved.fun


@pytest.mark.parametrize("sharpness", [0.02, 0.5, 2.0, 10.0, 50.0])
@pytest.mark.parametrize("ways", [2, 5, 12])
def test_transport_is_that_of_linear_programming(ways, sharpness):
    logits, mask = logits_and_mask(ways, 48, sharpness)
    probabilities = logits.softmax(-1)
    expected = [exact_transport(p) for p in rows(probabilities, mask)]
    cost = transport_cost(probabilities, mask)
    assert cost.numpy() == pytest.approx(expected, abs=2e-4)
    assert (cost.numpy() <= np.array(expected) + 1e-9).all()  # the dual bounds it from one side


def test_transport_of_answers_that_are_certain():
    certain = torch.eye(4, dtype=torch.float64).repeat(5, 1)
    everything = torch.ones(1, 20, dtype=torch.bool)
    assert float(transport_cost(certain[None], everything)) == pytest.approx(0, abs=1e-9)
    same = certain[:1].expand(20, 4)  # all in one class: three quarters have to move
    assert float(transport_cost(same[None], everything)) == pytest.approx(0.75, abs=1e-6)
    flat = torch.full((1, 20, 4), 0.25, dtype=torch.float64)
    assert float(transport_cost(flat, everything)) == pytest.approx(0.75, abs=1e-9)
    assert transport_cost(flat, torch.zeros(1, 20, dtype=torch.bool)).isnan().all()


def test_a_class_that_wins_too_often_costs_more_than_confidence_says():
    logits, mask = logits_and_mask(sharpness=4.0)
    logits[..., 0] += 12
    probabilities = logits.softmax(-1)
    doubt = 1 - average_confidence(probabilities, mask)
    assert (transport_cost(probabilities, mask) > doubt + 0.2).all()
    assert (transport_cost(probabilities, mask) >= doubt - 1e-9).all()


@pytest.mark.parametrize("sharpness", [0.1, 2.0, 10.0])
def test_scores_are_those_of_loops(sharpness):
    logits, mask = logits_and_mask(sharpness=sharpness)
    probabilities = logits.softmax(-1)
    confidences, entropies, norms = [], [], []
    for p in rows(probabilities, mask):
        confidences.append(np.mean([max(row) for row in p]))
        entropies.append([sum(x * math.log(x) for x in row) for row in p])
        singular = np.linalg.svd(p, compute_uv=False)
        norms.append(singular.sum() / math.sqrt(min(p.shape) * len(p)))
    assert average_confidence(probabilities, mask).numpy() == pytest.approx(confidences)
    assert nuclear_norm(probabilities, mask).numpy() == pytest.approx(norms, abs=1e-6)
    for expected, actual in zip(
        entropies, rows(negative_entropy(probabilities), mask), strict=True
    ):
        assert actual == pytest.approx(expected)


def test_nuclear_norm_of_fewer_images_than_classes():
    logits, _ = logits_and_mask(ways=12, images=3)
    mask = torch.tensor([[True, True, True], [True, True, False], [True, False, False]] * 2)
    expected = [
        np.linalg.svd(p, compute_uv=False).sum() / len(p) for p in rows(logits.softmax(-1), mask)
    ]
    assert nuclear_norm(logits.softmax(-1), mask).numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("threshold", [0.0, 2.0, 5.0])
def test_mano_is_that_of_loops(threshold):
    logits, mask = logits_and_mask(sharpness=0.3)
    logits[::2] *= 20  # episodes on both sides of the threshold
    expected, softmax_used = [], []
    for q in rows(logits, mask):
        exponential = np.exp(q)
        p = exponential / exponential.sum(-1, keepdims=True)
        softmax_used.append(-np.log(p).mean() > threshold)
        v = exponential if softmax_used[-1] else 1 + q + q * q / 2
        normalised = v / v.sum(-1, keepdims=True)
        expected.append((normalised**4).mean() ** 0.25)
    score = matrix_norm(softrun(logits, mask, threshold), mask, 4.0)
    assert score.numpy() == pytest.approx(expected)
    assert {0.0: {True}, 2.0: {False, True}, 5.0: {False, True}}[threshold] == set(softmax_used)


def plain_share_below(confidence, held_out, wrong):
    """ATC with shots that count alike and no ties: the threshold is a shot's confidence."""
    number = int(wrong.sum())
    below = np.sort(held_out)
    threshold = below[number] if number < len(below) else np.inf
    return (confidence < threshold).mean()


@pytest.mark.parametrize("wrong", range(11))
def test_average_thresholded_confidence_is_that_of_a_loop(wrong):
    generator = np.random.default_rng(wrong)
    confidence, held_out = generator.random((4, 30)), generator.random((4, 10))
    mistakes = np.arange(10) < wrong
    expected = [
        plain_share_below(c, h, mistakes) for c, h in zip(confidence, held_out, strict=True)
    ]
    share = share_below(
        torch.tensor(confidence),
        torch.ones(4, 30, dtype=torch.bool),
        torch.tensor(held_out),
        torch.full((4, 10), 0.1, dtype=torch.float64),
        torch.full((4,), wrong / 10, dtype=torch.float64),
    )
    assert share.numpy() == pytest.approx(expected)


def test_confidences_that_are_all_equal_give_the_error_of_held_out_shots():
    same = torch.full((1, 12), 0.7)
    weights = torch.full((1, 12), 1 / 12, dtype=torch.float64)
    share = share_below(same, same > 0, same, weights, torch.tensor([0.25]).double())
    assert float(share) == pytest.approx(0.25)
    # so that nearest neighbour, whose answers are equally certain, has the leave-one-out error
    support = draw(spread=2.0)
    head = KNN().fit(support)
    atc = AverageThresholdedConfidence().predict_with(support, head, unlabelled_of(draw_images()))
    loo = estimators.create("loo", fold="stratified").predict(support, head)
    assert atc.error == pytest.approx(loo.error)
    assert float(loo.error.std()) > 0.02


def test_shots_weigh_as_their_classes():
    support = draw(spread=2.0)
    mask = support.mask.clone()
    mask[:, 0, 2:] = False
    unequal = Support.of(support.features, mask, support.context)
    head, unlabelled = NCM().fit(unequal), unlabelled_of(draw_images(spread=2.0))
    scores = stratified_scores(head, unequal)
    answers = scores.argmax(-1)
    wrong = np.mean(
        [[(answers[e, n][mask[e, n]] != n).double().mean() for n in range(4)] for e in range(8)], 1
    )
    result = estimators.create("doc").predict_with(unequal, head, unlabelled).error.numpy()
    confidence = estimators.create("confidence").predict_with(unequal, head, unlabelled).error
    fall = result - wrong - confidence.numpy()  # confidence of held-out shots, less one
    inside = (result > 0) & (result < 1)
    assert inside.any()
    assert ((fall > -1) & (fall < 0))[inside].all()


def test_disagreement_is_that_of_refits_on_halves():
    support, images = draw(shots=4, spread=2.5), draw_images(spread=2.5)
    unlabelled, head = unlabelled_of(images), NCM().fit(support)
    first, second = (
        NCM().fit(Support.of(support.features[:, :, half])).predict(Query.of(unlabelled.features))
        for half in ([0, 1], [2, 3])
    )
    halves = disagreement(first, second, unlabelled.mask)
    estimate = GeneralizationDisagreement(splits=40).predict_with(support, head, unlabelled).error
    assert halves.numpy() == pytest.approx(
        [float((a != b).double().mean()) for a, b in zip(first, second, strict=True)]
    )
    assert (estimate - halves).abs().mean() < 0.15  # another halving of the same shots
    assert torch.corrcoef(torch.stack([estimate, halves]))[0, 1] > 0.5


def test_disagreement_does_not_know_the_batch():
    support, unlabelled = draw(), unlabelled_of(draw_images())
    whole = GeneralizationDisagreement(splits=1).predict_with(
        support, NCM().fit(support), unlabelled
    )
    single = GeneralizationDisagreement(splits=1).predict_with(
        support[3:4], NCM().fit(support[3:4]), unlabelled[3:4]
    )
    assert single.error == pytest.approx(whole.error[3:4])
    other = GeneralizationDisagreement(splits=1, seed=1).predict_with(
        support, NCM().fit(support), unlabelled
    )
    assert not torch.equal(other.error, whole.error)


@pytest.mark.parametrize("name", NAMES)
def test_one_shot_has_a_reservation_or_a_reason(name):
    support, unlabelled = draw(shots=1), unlabelled_of(draw_images())
    prediction = estimators.create(name).predict_with(support, NCM().fit(support), unlabelled)
    if name in TWO_SHOTS:
        assert prediction.error.isnan().all()
        assert prediction.reason == NEEDS_TWO
    else:
        assert prediction.error.isfinite().all()
        assert prediction.fallback_reason == NOT_HELD_OUT
        assert prediction.fallback.all()


@pytest.mark.parametrize("name", NAMES)
def test_episodes_of_one_shot_among_others(name):
    support, unlabelled = draw(), unlabelled_of(draw_images())
    mask = support.mask.clone()
    mask[2, :, 1:] = False  # all classes
    mask[5, 1, 1:] = False  # one of them
    mixed = Support.of(support.features, mask, support.context)
    prediction = estimators.create(name).predict_with(mixed, NCM().fit(mixed), unlabelled)
    expected = {2, 5} if name in TWO_SHOTS else set()
    assert set(prediction.error.isnan().nonzero().flatten().tolist()) == expected
    if name not in TWO_SHOTS:
        assert prediction.fallback.nonzero().flatten().tolist() == [2]


@pytest.mark.parametrize("name", NAMES)
def test_without_unlabelled_images(name):
    support = draw()
    prediction = estimators.create(name).predict(support, NCM().fit(support))
    assert prediction.error.isnan().all()
    assert prediction.reason == NO_UNLABELLED


@pytest.mark.parametrize("name", NAMES)
def test_harder_episodes_have_larger_errors(name):
    spread = torch.linspace(0.3, 5.0, 40)[:, None, None, None]
    support = draw(spread=spread, episodes=40)
    unlabelled = unlabelled_of(draw_images(spread=spread, episodes=40))
    error = estimators.create(name).predict_with(support, NCM().fit(support), unlabelled).error
    ranks = torch.stack([error.argsort().argsort().double(), torch.arange(40).double()])
    assert torch.corrcoef(ranks)[0, 1] > 0.8


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("atc", {"score": "entropy"}, r"estimator\.atc\.score: expected one of 'negative_entropy'"),
        ("gde", {"splits": 0}, r"estimator\.gde\.splits: expected an integer >= 1, got 0"),
        ("gde", {"seed": -1}, r"estimator\.gde\.seed: expected an integer >= 0, got -1"),
        ("mano", {"order": 0.5}, r"estimator\.mano\.order"),
        ("mano", {"threshold": -1.0}, r"estimator\.mano\.threshold"),
    ],
)
def test_parameters_that_are_not_allowed(name, parameters, message):
    support = draw()
    with pytest.raises(FewshotError, match=message):
        estimators.create(name, **parameters).predict_with(
            support, NCM().fit(support), unlabelled_of(draw_images())
        )


def test_the_two_confidences_of_atc_differ():
    support, unlabelled = draw(spread=3.0), unlabelled_of(draw_images(spread=3.0))
    head = NCM().fit(support)
    entropy, largest = (
        AverageThresholdedConfidence(score).predict_with(support, head, unlabelled).error
        for score in ("negative_entropy", "max_confidence")
    )
    assert not torch.equal(entropy, largest)
    assert (entropy - largest).abs().mean() < 0.2


def test_an_image_alone():
    support = draw()
    unlabelled = Unlabelled.of(draw_images()[:, 0, :1])
    for name in NAMES:
        error = estimators.create(name).predict_with(support, NCM().fit(support), unlabelled).error
        assert error.isfinite().all()
