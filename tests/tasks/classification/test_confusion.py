"""Expected confusion of the classes in forecasts."""

import numpy as np
import pytest

from fewshot.features import make_bank
from fewshot.heads import heads as registry
from fewshot.tasks.classification.forecast.forecast import forecast

HEADS = ("ncm", "lda", "ridge", "logistic", "knn")
NAMES = ("fir", "larch", "oak", "palm", "reed")


def images(sizes, seed=0, spread=0.6, dim=24):
    """Gaussian classes, of which the second and the fourth lie near each other."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(5, dim))
    means[3] = means[1] + 0.25 * rng.normal(size=dim)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    features = means[labels] + spread * rng.normal(size=(len(labels), dim))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32), labels


def forecasts(sizes, heads=HEADS, unlabelled=None, seed=0, **settings):
    features, labels = images(sizes, seed)
    bank = make_bank(features, labels, NAMES[: len(sizes)])
    chosen = {name: registry.create(name) for name in heads}
    return forecast(bank, chosen, unlabelled=unlabelled, **settings)


@pytest.mark.parametrize(
    "sizes", [(5, 5), (1, 1, 1, 1, 1), (3, 3, 3, 3, 3), (1, 2, 7, 4, 3)], ids=str
)
@pytest.mark.parametrize("seen", [False, True], ids=["alone", "unlabelled"])
def test_the_mean_of_the_errors_is_the_error(sizes, seen):
    unlabelled = images([20] * len(sizes), seed=9)[0] if seen else None
    rows = forecasts(sizes, unlabelled=unlabelled)
    assert {row.head for row in rows} == set(HEADS)
    for row in rows:
        confusion = row.confusion
        assert confusion is not None and confusion.classes == NAMES[: len(sizes)]
        assert confusion.shares.shape == (len(sizes), len(sizes))
        assert (confusion.shares >= 0).all()
        np.testing.assert_allclose(confusion.shares.sum(1), 1)
        assert confusion.errors.mean() == pytest.approx(row.error, abs=1e-6)
        assert sum(pair.share for pair in confusion.pairs()) == pytest.approx(1)


@pytest.mark.parametrize("shots", [1, 3, 10])
@pytest.mark.parametrize("head", HEADS)
def test_classes_that_lie_near_each_other_are_the_first_pair(head, shots):
    first = [forecasts([shots] * 5, [head], seed=seed)[0].confusion.pairs()[0] for seed in range(6)]
    hits = [(pair.first, pair.second) == ("larch", "palm") for pair in first]
    assert sum(hits) >= 5


def test_unlabelled_images_show_which_classes_are_confused():
    features, _ = images([2] * 5)
    rng = np.random.default_rng(4)
    # Many images between the first class and the third, which the shots do not suggest.
    between = features[:2].mean(0) + features[4:6].mean(0) + 0.02 * rng.normal(size=(60, 24))
    others = images([15] * 5, seed=9)[0]
    seen = np.concatenate([others, between.astype(np.float32)])
    share = [
        {(pair.first, pair.second): pair.share for pair in row.confusion.pairs()}["fir", "oak"]
        for unlabelled in (others, seen)
        for row in forecasts([2] * 5, ["ncm"], unlabelled)
    ]
    assert share[1] > share[0]


def test_the_order_of_the_classes_changes_nothing():
    features, labels = images((2, 3, 4, 5, 6))
    heads = {name: registry.create(name) for name in ("ncm", "knn")}
    bank = make_bank(features, labels, NAMES)
    order = np.array([4, 2, 0, 1, 3])
    place = np.argsort(order)
    renamed = make_bank(features, place[labels], [NAMES[c] for c in order])
    for row, other in zip(forecast(bank, heads), forecast(renamed, heads), strict=True):
        assert row.confusion is not None and other.confusion is not None
        expected = row.confusion.shares[order][:, order]
        np.testing.assert_allclose(other.confusion.shares, expected, atol=2e-4)


def test_base_classes_change_the_errors_of_the_classes():
    rng = np.random.default_rng(2)
    means = rng.normal(size=(12, 24))
    labels = np.repeat(np.arange(12), 12)
    features = (means[labels] + 0.6 * rng.normal(size=(144, 24))).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    base = make_bank(features, labels, [f"base {c}" for c in range(12)])
    row = forecasts([3] * 5, ["ncm"], base=base, episodes=20)[0]
    assert row.calibrated_on == "base" and row.confusion is not None
    assert row.confusion.errors.mean() == pytest.approx(row.error, abs=1e-6)


def test_equal_forecasts_are_equal_and_others_not():
    first, again, other = (forecasts([3] * 5, ["ncm"], seed=seed) for seed in (0, 0, 1))
    assert first == again and hash(first[0]) == hash(again[0])
    assert first[0].confusion != other[0].confusion
