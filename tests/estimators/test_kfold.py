"""Repeated k-fold against scikit-learn on the same folds."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NearestCentroid

from fewshot.estimators.held_out import packed
from fewshot.estimators.kfold import KFold, fold_numbers
from fewshot.exceptions import FewshotError
from fewshot.heads.base import Support
from fewshot.heads.lda import LDA
from fewshot.heads.ncm import NCM

E, N, D = 6, 4, 8
SKLEARN_LDA = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[1 / N] * N)


def draw(shots=5, episodes=E, seed=0, dim=D, counts=None):
    """Random classes; with `counts` (N,), padding that is anything but zero."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(episodes, N, 1, dim)) + 1.5 * rng.normal(size=(episodes, N, shots, dim))
    mask = np.ones(x.shape[:3], dtype=bool)
    if counts is not None:
        mask[:] = np.arange(shots) < np.array(counts)[:, None]
    return Support.of(torch.from_numpy(x), torch.from_numpy(mask))


def predict(support, head=None, **parameters):
    head = (head or NCM()).fit(support)
    return KFold(**parameters).predict(support, head)


def slow(shots, model, folds, repeats, seed):
    """One episode, `shots` a list of (K_c, D) arrays: one scikit-learn fit per fold."""
    most, errors = max(map(len, shots)), []
    for repeat in range(repeats):
        draws = np.random.default_rng((seed, repeat)).random((most, N)).T
        fold = []
        for class_shots, numbers in zip(shots, draws, strict=True):
            fold.append(np.empty(len(class_shots), dtype=int))
            for turn, k in enumerate(np.argsort(numbers[: len(class_shots)])):
                fold[-1][k] = turn % min(folds, len(class_shots))
        wrong = np.zeros(N)
        for f in range(folds):
            rows = [x[part != f] for x, part in zip(shots, fold, strict=True)]
            labels = np.repeat(np.arange(N), [len(x) for x in rows])
            model.fit(np.concatenate(rows), labels)
            for c in range(N):
                held = shots[c][fold[c] == f]
                if len(held):
                    wrong[c] += np.sum(model.predict(held) != c)
        errors.append(np.mean(wrong / [len(x) for x in shots]))
    return np.mean(errors)


# scikit-learn divides by the number of shots less that of classes
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(
    ("counts", "folds"),
    [([5] * 4, 5), ([7] * 4, 3), ([3] * 4, 5), ([2] * 4, 2), ([7, 2, 4, 5], 4), ([2, 3, 9, 9], 5)],
)
@pytest.mark.parametrize("head", ["ncm", "lda"])
def test_agrees_with_scikit_learn_on_the_same_folds(head, counts, folds):
    if head == "lda" and (min(counts) < 4 or max(counts) == 7):
        pytest.skip("LDA departs from scikit-learn for classes of one or two shots")
    support = draw(max(counts), counts=counts, dim=60 if head == "lda" else D)
    ours, theirs = (LDA(), SKLEARN_LDA) if head == "lda" else (NCM(), NearestCentroid())
    predicted = predict(support, ours, folds=folds, repeats=3, seed=7)
    assert predicted.reason is None
    for e in range(E):
        shots = [support.features[e, c, :k].numpy() for c, k in enumerate(counts)]
        assert float(predicted.error[e]) == pytest.approx(slow(shots, theirs, folds, 3, 7))


@pytest.mark.parametrize("counts", [[5] * 4, [7, 2, 4, 5], [1, 6, 2, 3]])
def test_folds_are_balanced_and_leave_a_shot_of_every_class(counts):
    fold = fold_numbers(draw(max(counts), counts=counts), folds=4, repeats=20, seed=0)
    for c, k in enumerate(counts):
        folds_of_class = fold[:, 0, c]
        assert bool((folds_of_class[:, k:] == -1).all())
        sizes = torch.stack([(folds_of_class == f).sum(-1) for f in range(4)], -1)[:, : min(k, 4)]
        assert bool((sizes.amax(-1) < k).all())
        if k > 1:
            assert (
                int(sizes.sum(-1).min()) == k and int((sizes.amax(-1) - sizes.amin(-1)).max()) <= 1
            )
    assert len(fold[:, 0].flatten(1).unique(dim=0)) == 20  # every repeat deals anew
    assert not torch.equal(fold[:, 0, -1], fold[:, 0, -2])


def test_gaps_in_the_mask_are_padding():
    counts = [7, 2, 4, 5]
    support = draw(7, counts=counts)
    features, mask = torch.full_like(support.features, 50.0), torch.zeros_like(support.mask)
    for c, k in enumerate(counts):
        gaps = torch.arange(7)[-k:] if c % 2 else torch.arange(k)
        features[:, c, gaps], mask[:, c, gaps] = support.features[:, c, :k], True
    spread = Support.of(features, mask)
    assert torch.equal(packed(spread).features, support.features)
    assert torch.equal(predict(spread).error, predict(support).error)


def test_padding_beyond_the_largest_class_changes_nothing():
    support = draw(5)
    features = torch.cat([support.features, torch.ones(E, N, 3, D, dtype=torch.float64)], 2)
    mask = torch.cat([support.mask, torch.zeros(E, N, 3, dtype=torch.bool)], 2)
    assert torch.equal(predict(Support.of(features, mask)).error, predict(support).error)


def test_an_episode_does_not_depend_on_its_batch():
    even, odd = draw(7), draw(7, counts=[7, 2, 4, 5], seed=3)
    features, mask = torch.cat([even.features, odd.features]), torch.cat([even.mask, odd.mask])
    mixed = predict(Support.of(features, mask)).error
    assert torch.equal(mixed, torch.cat([predict(even).error, predict(odd).error]))
    for e in range(2 * E):
        assert torch.equal(
            predict(Support.of(features[e : e + 1], mask[e : e + 1])).error, mixed[e : e + 1]
        )


def test_order_of_classes_and_shots_matters_less_with_more_repeats():
    support = draw(5)
    other = Support.of(support.features[:, [2, 0, 3, 1]].flip(2))
    few, many = (
        (predict(support, repeats=r).error - predict(other, repeats=r).error).abs().mean()
        for r in (2, 300)
    )
    assert many < 0.01 < few


def test_repeatable_and_the_seed_counts():
    support = draw(5)
    assert torch.equal(predict(support, seed=3).error, predict(support, seed=3).error)
    assert not torch.equal(predict(support, seed=3).error, predict(support, seed=4).error)
    state = torch.random.get_rng_state()
    predict(support)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_one_shot_is_refused_per_episode():
    support = draw(3)
    mask = support.mask.clone()
    mask[0, 1, 1:] = False
    prediction = predict(Support.of(support.features, mask))
    assert prediction.error.isnan().tolist() == [True] + [False] * (E - 1)
    torch.testing.assert_close(prediction.error[1:], predict(support[1:]).error)
    assert prediction.reason == "cross-validation needs two shots of every class"
    assert bool(predict(draw(1)).error.isnan().all())


@pytest.mark.parametrize("head", [NCM(), LDA(), LDA(shrinkage=0.2, priors="empirical")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_duplicates_and_no_variance_give_numbers(head, dtype):
    support = draw(4)
    twice = support.features.clone()
    twice[:, :, 1] = twice[:, :, 0]
    for features in (twice, support.features[:, :, :1].expand(E, N, 4, D)):
        error = predict(Support.of(features.to(dtype)), head).error
        assert error.dtype == dtype and bool(((error >= 0) & (error <= 1)).all())
    assert bool((error == 0).all())  # every shot is its class mean


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"folds": 1}, r"estimator\.kfold\.folds: expected an integer >= 2, got 1"),
        ({"folds": 2.5}, r"estimator\.kfold\.folds: expected an integer >= 2, got 2\.5"),
        ({"repeats": 0}, r"estimator\.kfold\.repeats: expected an integer >= 1, got 0"),
        ({"seed": -1}, r"estimator\.kfold\.seed: expected an integer >= 0, got -1"),
        ({"seed": None}, r"estimator\.kfold\.seed: expected an integer >= 0, got None"),
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
