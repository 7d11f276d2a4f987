"""Intervals over draws and images, and of predictions from the support."""

import numpy as np
import pytest
from scipy import stats

from fewshot.tasks.segmentation.estimators import estimators
from fewshot.tasks.segmentation.estimators.base import Held
from fewshot.tasks.segmentation.estimators.jackknife import clusters, half_width, jackknife
from fewshot.tasks.segmentation.measures import class_iou, miou
from fewshot.tasks.segmentation.resampling import Resampling


def counts_of(iou, pixels=1000):
    """Counts (..., 3, N) with these IoU of classes: as many missed pixels as false ones."""
    both = np.round(pixels * 2 * iou / (1 + iou)).astype(np.int64)
    whole = np.full_like(both, pixels)
    return np.stack([both, whole, whole], -2)


def simulated(rng, draws, images, classes=3):
    """Draws whose heads differ, on images that differ: counts (E, Q, 3, N), expected mIoU .5."""
    of_draw = rng.normal(0, 0.04, (draws, 1, 1))
    of_image = rng.normal(0, 0.12, (1, images, 1))
    noise = rng.normal(0, 0.02, (draws, images, classes))
    return counts_of(np.clip(0.5 + of_draw + of_image + noise, 0.01, 0.99))


def test_intervals_over_images_cover_the_truth():
    rng, draws, images = np.random.default_rng(0), 5, 30
    queries = np.tile(np.arange(images), (draws, 1))
    resampling, inside = Resampling(queries), []
    expected = miou(simulated(rng, 2000, 300).sum(1)).mean()
    for _ in range(150):
        row = resampling.intervals(simulated(rng, draws, images), miou)["images"]
        inside.append(row["lower"] <= expected <= row["upper"])
    assert stats.binomtest(sum(inside), len(inside), 0.95).pvalue > 1e-3


def test_intervals_over_draws_are_students():
    rng = np.random.default_rng(1)
    counts = simulated(rng, 6, 20)
    values = miou(counts.sum(1))
    row = Resampling(np.tile(np.arange(20), (6, 1))).intervals(counts, miou)["episodes"]
    low, high = stats.t.interval(0.95, 5, values.mean(), stats.sem(values))
    assert np.allclose([row["lower"], row["upper"]], [low, high])


def test_paired_differences_are_sharper_than_single_intervals():
    rng = np.random.default_rng(2)
    first = simulated(rng, 5, 30)
    second = first.copy()
    second[..., 0, :] = np.maximum(0, second[..., 0, :] - 20)
    resampling = Resampling(np.tile(np.arange(30), (5, 1)))
    gap = resampling.differences(first, second, miou)["images"]
    alone = resampling.intervals(first, miou)["images"]
    assert gap["lower"] > 0
    assert gap["upper"] - gap["lower"] < (alone["upper"] - alone["lower"]) / 5


def test_groups_are_resampled_whole():
    rng = np.random.default_rng(3)
    of_group = np.repeat(rng.normal(0, 0.15, 6), 10)
    counts = counts_of(np.clip(0.5 + of_group, 0, 1)[None, :, None].repeat(2, 2))
    queries = np.arange(60)[None]
    groups = [f"g{i // 10}" for i in range(60)]
    single, grouped = (Resampling(queries, g).resampled(counts, miou).std() for g in (None, groups))
    assert grouped > 2 * single


def test_one_draw_has_an_interval_over_images_alone():
    counts = simulated(np.random.default_rng(4), 1, 20)
    rows = Resampling(np.arange(20)[None]).intervals(counts, miou)
    assert rows["episodes"]["reason"] == "there is only one draw"
    assert rows["images"]["lower"] < rows["images"]["mean"] < rows["images"]["upper"]


def test_other_queries_as_well_are_no_narrower_an_interval_than_other_draws_alone():
    counts = counts_of(np.array([0.4, 0.6])[:, None, None].repeat(30, 1).repeat(3, 2))
    rows = Resampling(np.arange(30)[None].repeat(2, 0)).intervals(counts, miou)
    assert rows["images"]["lower"] <= rows["episodes"]["lower"]
    assert rows["images"]["upper"] >= rows["episodes"]["upper"]


@pytest.mark.parametrize(
    ("images", "groups", "reason"),
    [(1, None, "one query image"), (9, ["a"] * 9, "of one group")],
    ids=["one image", "one group"],
)
def test_a_single_image_or_group_says_nothing_of_others(images, groups, reason):
    counts = simulated(np.random.default_rng(8), 4, images)
    queries = np.arange(images)[None].repeat(4, 0)
    rows = Resampling(queries, groups).intervals(counts, miou)
    assert rows["images"]["lower"] is None and reason in rows["images"]["reason"]
    assert rows["episodes"]["lower"] < rows["episodes"]["upper"]


def test_draws_without_a_value_are_left_out_of_both_intervals():
    counts = simulated(np.random.default_rng(9), 5, 20)
    queries = np.arange(20)[None].repeat(5, 0)
    fewer = Resampling(queries[1:]).intervals(counts[1:], miou)
    counts[0] = 0  # all pixels are ignored
    rows = Resampling(queries).intervals(counts, miou)
    for population in ("episodes", "images"):
        assert rows[population] == pytest.approx(fewer[population])


def test_draws_with_queries_of_their_own_have_no_interval_over_images():
    counts = simulated(np.random.default_rng(5), 40, 2)
    queries = np.arange(80).reshape(40, 2)
    assert "queries of their own" in Resampling(queries).intervals(counts, miou)["images"]["reason"]


def test_the_jackknife_leaves_out_clusters():
    rng = np.random.default_rng(6)
    counts = simulated(rng, 1, 9)[0]
    labels = np.repeat([0, 1, 2], 3)
    values = np.array([miou(counts[labels != g].sum(0)) for g in range(3)])
    expected = np.sqrt(2 / 3 * ((values - values.mean()) ** 2).sum())
    error, by_class, groups = jackknife(counts, labels)
    assert np.isclose(error, expected)
    assert groups == 3
    first = np.array([class_iou(counts[labels != g].sum(0))[0] for g in range(3)])
    assert np.isclose(by_class[0], np.sqrt(2 / 3 * ((first - first.mean()) ** 2).sum()))


def test_a_class_of_a_single_cluster_has_no_standard_error():
    counts = simulated(np.random.default_rng(6), 1, 9)[0]
    counts[3:, :, 2] = 0  # the last class is in the first cluster alone
    error, by_class, _ = jackknife(counts, np.arange(9) // 3)
    assert error > 0 and (by_class[:2] > 0).all() and np.isnan(by_class[2])


def test_images_that_are_all_alike_have_a_prediction_without_an_interval():
    counts = simulated(np.random.default_rng(6), 1, 4)[0]
    held = Held(counts, np.ones((4, 5)), 0.9, counts=counts, folds=np.arange(4))
    said = estimators.create("loo_image").predict(held)
    assert 0 < said.miou < 1 and np.isnan([said.lower, said.upper]).all()
    assert any("alike" in text for text in said.reservations)


def test_images_of_a_place_are_in_one_cluster():
    rng = np.random.default_rng(7)
    places = rng.normal(0, 5, (4, 8))
    images = np.repeat(places, 4, axis=0) + rng.normal(0, 0.1, (16, 8))
    labels = clusters(images)
    assert len(set(labels)) == 4
    assert all(len(set(labels[i : i + 4])) == 1 for i in range(0, 16, 4))
    assert clusters(images[:2]).tolist() == [0, 1]


def test_intervals_of_predictions_cover_other_images_of_the_same_places():
    """Images of a few places: as many as were annotated, and new ones of other places."""
    rng, inside = np.random.default_rng(8), []
    estimator = estimators.create("loo_image")
    for _ in range(120):
        of_place = rng.normal(0, 0.1, 7)
        place = np.repeat(np.arange(7), 7)
        iou = np.clip(0.5 + of_place[place] + rng.normal(0, 0.05, 49), 0.01, 0.99)
        counts = counts_of(iou[:, None].repeat(2, 1))
        descriptors = rng.normal(size=(7, 5))[place] * 10 + rng.normal(size=(49, 5))
        said = estimator.predict(Held(counts, descriptors, 0.9, counts=counts, folds=np.arange(49)))
        inside.append(said.lower <= 0.5 <= said.upper)
    assert 0.8 < np.mean(inside) <= 1


def test_classes_that_no_held_out_head_knew_have_no_prediction():
    counts = simulated(np.random.default_rng(9), 1, 6)[0]
    held = Held(
        counts, np.random.default_rng(0).normal(size=(6, 4)), 0.9, counts=counts,
        folds=np.arange(6), unknown=np.array([False, True, False]),
    )  # fmt: skip
    said = estimators.create("loo_image").predict(held)
    assert np.isnan(said.iou[1])
    assert np.isclose(said.miou, np.mean(said.iou[[0, 2]]))
    assert "1 class is left out" in said.reservations[0]
    assert list(said.class_reservations) == [1]


def test_one_annotated_image_predicts_nothing():
    counts = simulated(np.random.default_rng(9), 1, 1)[0]
    said = estimators.create("loo_image").predict(Held(counts, np.zeros((1, 4)), 0.9))
    assert np.isnan(said.miou)
    assert "one annotated image" in said.reservations[0]


def test_the_interval_widens_with_the_gap_to_resubstitution():
    assert half_width(0.02, 0.2, 5, 0.9) > half_width(0.02, 0.0, 5, 0.9)
    assert np.isclose(half_width(0.02, 0.0, 5, 0.9), stats.t.ppf(0.95, 4) * 0.02)


def test_constant_is_the_mean_of_the_other_draws():
    totals = simulated(np.random.default_rng(10), 5, 10).sum(1)
    said = estimators.create("constant").predict_from(totals, 0.9)
    values = miou(totals)
    assert np.isclose(said.miou, values.mean())
    half = stats.t.ppf(0.95, 4) * values.std(ddof=1) * np.sqrt(1 + 1 / 5)
    assert np.isclose(said.upper - said.miou, half)
    alone = estimators.create("constant").predict_from(totals[:0], 0.9)
    assert alone.reservations == ("there is no other draw",)


@pytest.mark.parametrize("name", sorted(estimators.registered()))
def test_every_estimator_gives_shares_or_nothing(name):
    estimator = estimators.create(name)
    counts = simulated(np.random.default_rng(11), 1, 8)[0]
    groups = [f"g{i % 3}" for i in range(8)]
    folds = estimator.folds(8, groups)
    held = Held(counts, np.random.default_rng(0).normal(size=(8, 4)), 0.9)
    if folds is not None:
        held = Held(counts, held.descriptors, 0.9, counts=counts, folds=folds)
    said = estimator.predict_from(counts, 0.9) if estimator.sees_truth else estimator.predict(held)
    assert 0 <= said.miou <= 1
    assert said.iou.shape == said.class_lower.shape == said.class_upper.shape == (3,)
    if np.isfinite(said.lower):
        assert 0 <= said.lower <= said.miou <= said.upper <= 1


@pytest.mark.parametrize("draws", [2, 3, 5])
@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
def test_the_interval_for_other_queries_as_well_is_never_the_narrower(draws, noise):
    rng = np.random.default_rng(draws)
    of_draw = np.linspace(0.5, 0.51, draws)[:, None, None]
    counts = counts_of(of_draw + rng.normal(0, noise, (1, 12, 2)).clip(-0.3, 0.3))
    rows = Resampling(np.tile(np.arange(12), (draws, 1))).intervals(counts, miou)
    episodes, images = (rows[name]["mean"] - rows[name]["lower"] for name in ("episodes", "images"))
    assert images >= episodes
    assert (images > episodes) == (noise > 0)
