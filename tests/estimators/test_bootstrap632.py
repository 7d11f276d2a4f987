"""The .632+ bootstrap against a slow transcription of the paper."""

import numpy as np
import pytest
import torch

from fewshot.estimators.bootstrap632 import Bootstrap632, combine
from fewshot.exceptions import FewshotError
from fewshot.heads.base import Support
from fewshot.heads.lda import LDA
from fewshot.heads.ncm import NCM

E, N, D = 6, 4, 8


def draw(shots=5, seed=0, spread=1.5, counts=None, dim=D):
    """Random classes, of `counts` (N,) shots if given."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(E, N, 1, dim)) + spread * rng.normal(size=(E, N, shots, dim))
    mask = np.ones(x.shape[:3], dtype=bool)
    if counts is not None:
        mask[:] = np.arange(shots) < np.array(counts)[:, None]
    return Support.of(torch.from_numpy(x), torch.from_numpy(mask))


def predict(support, head=None, **parameters):
    head = (head or NCM()).fit(support)
    return Bootstrap632(**parameters).predict(support, head)


def nearest_mean(x, labels, queries):
    means = np.stack([x[labels == c].mean(0) for c in range(N)])
    return ((queries[:, None] - means) ** 2).sum(-1).argmin(1)


def slow(shots, resamples, seed):
    """One episode, `shots` a list of (K_c, D) arrays; sums over shots as the paper has them."""
    counts = [len(x) for x in shots]
    x, labels = np.concatenate(shots), np.repeat(np.arange(N), counts)
    share = np.repeat([1 / N / k for k in counts], counts)  # of a shot, classes alike
    answers = nearest_mean(x, labels, x)
    apparent = np.sum(share * (answers != labels))
    gamma = sum(
        share[i] * share[j] * (labels[i] != answers[j])
        for i in range(len(x))
        for j in range(len(x))
    )
    wrong, times = np.zeros(len(x)), np.zeros(len(x))
    for number in range(resamples):
        draws = np.random.default_rng((seed, number)).random((max(counts), N)).T
        rows = np.concatenate(
            [sum(counts[:c]) + (draws[c, :k] * k).astype(int) for c, k in enumerate(counts)]
        )
        held_out = np.setdiff1d(np.arange(len(x)), rows)
        times[held_out] += 1
        wrong[held_out] += nearest_mean(x[rows], labels[rows], x[held_out]) != labels[held_out]
    unseen = np.mean([(wrong / times)[labels == c].mean() for c in range(N)])
    unseen = min(unseen, gamma)
    rate = (unseen - apparent) / (gamma - apparent) if min(unseen, gamma) > apparent else 0
    weight = 0.632 / (1 - 0.368 * rate)
    return (1 - weight) * apparent + weight * unseen


@pytest.mark.parametrize("counts", [[5] * 4, [2] * 4, [7, 2, 4, 5]])
@pytest.mark.parametrize("spread", [0.5, 1.5, 5.0])
def test_agrees_with_the_paper(counts, spread):
    support = draw(max(counts), counts=counts, spread=spread)
    predicted = predict(support, resamples=40, seed=2)
    assert predicted.reason is None
    for e in range(E):
        shots = [support.features[e, c, :k].numpy() for c, k in enumerate(counts)]
        assert float(predicted.error[e]) == pytest.approx(slow(shots, 40, 2))


def test_weights_of_the_two_errors():
    def of(apparent, unseen, ways=4):
        values = torch.tensor([apparent]), torch.tensor([unseen])
        return float(combine(*values, ways))

    assert of(0.1, 0.1) == pytest.approx(0.1)  # no overfitting
    assert of(0.3, 0.1) == pytest.approx(0.368 * 0.3 + 0.632 * 0.1)
    assert of(0.0, 0.75) == pytest.approx(0.75)  # as bad as guessing: R = 1
    assert of(0.0, 0.9) == pytest.approx(0.75)  # worse than guessing counts as guessing
    weight = 0.632 / (1 - 0.368 * 0.5)
    assert of(0.05, 0.4) == pytest.approx((1 - weight) * 0.05 + weight * 0.4)
    assert of(0.8, 0.9) == pytest.approx(0.368 * 0.8 + 0.632 * 0.75)
    assert of(0.75, 0.75) == pytest.approx(0.75)
    assert of(0.0, 0.25, ways=2) == pytest.approx(0.25 * 0.632 / (1 - 0.368 * 0.5))


def test_an_episode_does_not_depend_on_its_batch():
    even, odd = draw(7), draw(7, counts=[7, 2, 4, 5], seed=3)
    features, mask = torch.cat([even.features, odd.features]), torch.cat([even.mask, odd.mask])
    mixed = predict(Support.of(features, mask)).error
    assert torch.equal(mixed, torch.cat([predict(even).error, predict(odd).error]))
    for e in range(2 * E):
        each = predict(Support.of(features[e : e + 1], mask[e : e + 1])).error
        assert torch.equal(each, mixed[e : e + 1])


def test_gaps_in_the_mask_are_padding():
    support = draw(6, counts=[6, 2, 4, 5])
    spread = Support.of(support.features.flip(2), support.mask.flip(2))
    packed = support.features.clone()
    for c, k in enumerate([6, 2, 4, 5]):
        packed[:, c, :k] = packed[:, c, :k].flip(1)
    same = Support.of(packed, support.mask)
    assert torch.equal(predict(spread).error, predict(same).error)


def test_order_of_classes_and_shots_matters_less_with_more_resamples():
    support = draw(5)
    other = Support.of(support.features[:, [2, 0, 3, 1]].flip(2))
    few, many = (
        (predict(support, resamples=r).error - predict(other, resamples=r).error).abs().mean()
        for r in (10, 1000)
    )
    assert many < 0.005 < few


def test_repeatable_and_the_seed_counts():
    support = draw(5)
    assert torch.equal(predict(support, seed=3).error, predict(support, seed=3).error)
    assert not torch.equal(predict(support, seed=3).error, predict(support, seed=4).error)


def test_one_shot_is_refused_per_episode():
    support = draw(3)
    mask = support.mask.clone()
    mask[0, 1, 1:] = False
    prediction = predict(Support.of(support.features, mask))
    assert prediction.error.isnan().tolist() == [True] + [False] * (E - 1)
    torch.testing.assert_close(prediction.error[1:], predict(support[1:]).error)
    assert "two shots of every class" in prediction.reason
    assert bool(predict(draw(1)).error.isnan().all())


def test_too_few_resamples_to_leave_a_shot_of_every_class_out_are_no_number():
    prediction = predict(draw(2), resamples=1)
    assert bool(prediction.error.isnan().all()) and "resamples" in prediction.reason


@pytest.mark.parametrize("head", [NCM(), LDA(), LDA(shrinkage=0.2, priors="empirical")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shots", [2, 3, 9])
def test_duplicates_and_no_variance_give_numbers(head, dtype, shots, monkeypatch):
    # argmax would hide scores that are not finite
    original = type(head).scores

    def checked(self, query):
        scores = original(self, query)
        assert bool(scores.isfinite().all())
        return scores

    monkeypatch.setattr(type(head), "scores", checked)
    support = draw(shots, dim=20)
    constant = support.features.clone()
    constant[..., :3] = 2.0
    copies = support.features[:, :, :1].expand_as(support.features)
    same = support.features[:, :1].expand_as(support.features)
    for features in (support.features, constant, copies, same):
        error = predict(Support.of(features.to(dtype)), head).error
        assert error.dtype == dtype and bool(((error >= 0) & (error <= 1)).all())


def test_lda_survives_resamples_of_one_shot_of_every_class():
    support = Support.of(draw(3, dim=60).features[:, :2])
    assert bool(predict(support, LDA(), resamples=200).error.isfinite().all())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"resamples": 0}, r"bootstrap632\.resamples: expected an integer >= 1, got 0"),
        ({"resamples": True}, r"bootstrap632\.resamples: expected an integer >= 1, got True"),
        ({"seed": -1}, r"estimator\.bootstrap632\.seed: expected an integer >= 0, got -1"),
    ],
)
def test_bad_arguments(parameters, message):
    with pytest.raises(FewshotError, match=message):
        predict(draw(), **parameters)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
@pytest.mark.parametrize("counts", [[5] * 4, [5, 2, 4, 3]])
def test_same_on_an_accelerator(counts):
    support = draw(5, counts=counts)
    moved = Support.of(support.features.cuda(), support.mask.cuda())
    torch.testing.assert_close(predict(moved).error.cpu(), predict(support).error)
