"""Coverage of intervals by population: known effects, and a simulation with a real head."""

import numpy as np
import pytest
import torch

from fewshot.episodes import (
    MetaDatasetRules,
    sample_all_way,
    sample_episodes,
    sample_meta_dataset,
)
from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.heads.ncm import NCM
from fewshot.statistics.image_influence import image_variance
from fewshot.statistics.populations import (
    ALL_CLASSES,
    ALL_IMAGES,
    POPULATIONS,
    class_variance,
    mean_interval,
    population_intervals,
)
from fewshot.tasks.engine.episodes import actual_errors

CLASSES, REPEATS = 20, 100


def near(values, truth):
    """Whether the mean of `values` is within four standard errors of the truth."""
    return abs(np.mean(values) - truth) < 4 * np.std(values, ddof=1) / len(values) ** 0.5


def test_variance_of_class_effects_is_found_without_bias():
    labels = np.repeat(np.arange(12), 8)
    estimates, noise = [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        classes = sample_episodes(labels, 4, 1, 1, 60, seed).classes
        effects = rng.normal(0, 0.1, 12)[classes].mean(1)
        estimates.append(class_variance(effects + rng.normal(0, 0.05, 60), classes))
        noise.append(class_variance(rng.normal(0, 0.05, 60), classes))
    assert near(estimates, 0.1**2 / 12)
    assert np.median(noise) < 0.05 * 0.1**2 / 12


@pytest.mark.parametrize(("shots", "queries"), [(0, 4), (1, 3), (2, 6)])
def test_variance_of_image_effects_is_found_without_bias(shots, queries):
    """A shot moves its own way and the others in opposite directions, as a prototype does."""
    images, ways = 16, 3
    labels = np.repeat(np.arange(6), images)
    own_effect, other_effect, query_effect = 0.10, -0.04, 0.3
    estimates = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        drawn = sample_episodes(labels, ways, shots, queries, 250, seed)
        odd = rng.normal(size=len(labels))
        difficult = query_effect * (0.6 * odd + 0.8 * rng.normal(size=len(labels)))
        pull = odd[drawn.support].sum(-1)
        values = own_effect * pull + other_effect * (pull.sum(1, keepdims=True) - pull)
        values += difficult[drawn.query].mean(-1) + rng.normal(0, 0.1, 6)[drawn.classes]
        estimates.append(image_variance(values, drawn.classes, labels, drawn.support, drawn.query))
    # Mean over ways; an image's class is in half of the episodes.
    shot = shots * (own_effect + (ways - 1) * other_effect) / ways
    whole = (shot + 0.6 * query_effect / ways) ** 2 + (0.8 * query_effect / ways) ** 2
    assert near(estimates, 6 * 0.5**2 * whole / images)


@pytest.mark.parametrize("shots", [0, 2])
def test_nothing_is_seen_of_queries_that_are_always_the_same(shots):
    labels = np.repeat(np.arange(4), 10)
    subset = np.where(np.arange(40) % 10 < 5, "train", "test")
    drawn = sample_all_way(labels, shots, 6, subset=subset)
    values = np.random.default_rng(0).normal(size=(6, 4))
    intervals = population_intervals(values, drawn.classes, labels, drawn.support, drawn.query)
    assert intervals["images"]["reason"] == ALL_IMAGES
    assert intervals["images"]["upper"] is None
    assert intervals["episodes"]["upper"] is not None


def draw(rng, means, images, seed):
    noise = 1.2 * rng.normal(size=(CLASSES, images, 8))
    labels = np.repeat(np.arange(CLASSES), images)
    features = (means[:, None] + noise).reshape(-1, 8).astype(np.float32)
    drawn = sample_episodes(labels, 5, 5, 10, 300, seed)
    error, _ = actual_errors(
        make_bank(features, labels), drawn, NCM(), device=torch.device("cpu"), threads=1
    )
    return population_intervals(1 - error, drawn.classes, labels, drawn.support, drawn.query)


def coverage(intervals, population):
    truth = np.mean([interval["episodes"]["mean"] for interval in intervals])
    of_population = [interval[population] for interval in intervals]
    return np.mean([interval["lower"] <= truth <= interval["upper"] for interval in of_population])


@pytest.mark.parametrize("redrawn", ["images", "classes"])
def test_interval_holds_for_what_was_redrawn_and_the_usual_one_does_not(redrawn):
    rng = np.random.default_rng(0)
    fixed = rng.normal(size=(CLASSES, 8))
    intervals = []
    for seed in range(REPEATS):
        means = fixed if redrawn == "images" else rng.normal(size=(CLASSES, 8))
        intervals.append(draw(rng, means, 40, seed))
    slack = 3 * (0.95 * 0.05 / REPEATS) ** 0.5
    assert coverage(intervals, redrawn) == pytest.approx(0.95, abs=slack)
    assert coverage(intervals, "episodes") < 0.8


@pytest.fixture(scope="module")
def drawn():
    labels = np.repeat(np.arange(8), 30)
    return sample_episodes(labels, 4, 2, 5, 200, seed=1)


def test_wider_populations_have_wider_intervals_about_the_same_mean(drawn):
    values = np.random.default_rng(0).random(drawn.classes.shape)
    rows = (drawn.classes, drawn.labels, drawn.support, drawn.query)
    intervals = population_intervals(values, *rows)
    assert list(intervals) == [interval["population"] for interval in intervals.values()]
    usual = mean_interval(values.mean(1))
    assert {key: intervals["episodes"][key] for key in usual} == pytest.approx(usual)
    lower = [intervals[name]["lower"] for name in ("classes", "images", "episodes")]
    assert lower == sorted(lower)
    narrow = population_intervals(values, *rows, level=0.5)["classes"]
    assert narrow["level"] == 0.5 and narrow["lower"] > intervals["classes"]["lower"]


def test_padding_changes_nothing(drawn):
    values = np.random.default_rng(1).random(drawn.classes.shape)
    padded = [
        np.pad(r, ((0, 0), (0, 0), (0, 2)), constant_values=-1)
        for r in (drawn.support, drawn.query)
    ]
    variance = image_variance(values, drawn.classes, drawn.labels, drawn.support, drawn.query)
    assert image_variance(values, drawn.classes, drawn.labels, *padded) == pytest.approx(variance)


def test_rows_and_classes_that_are_not_drawn_from_change_nothing(drawn):
    values = np.random.default_rng(2).random(drawn.classes.shape)
    rows = (values, drawn.classes, np.concatenate([drawn.labels, [-1, -1, 8, 8]]))
    intervals = population_intervals(
        values, drawn.classes, drawn.labels, drawn.support, drawn.query
    )
    assert population_intervals(*rows, drawn.support, drawn.query) == intervals


def test_there_is_a_reason_where_there_is_no_interval(drawn):
    labels = np.repeat(np.arange(4), 7)
    every = sample_episodes(labels, 4, 2, 5, 50, seed=0)
    values = np.random.default_rng(0).random((50, 4))
    intervals = population_intervals(values, every.classes, labels, every.support, every.query)
    assert (intervals["classes"]["lower"], intervals["classes"]["reason"]) == (None, ALL_CLASSES)
    assert (intervals["images"]["upper"], intervals["images"]["reason"]) == (None, ALL_IMAGES)
    assert intervals["episodes"]["reason"] is None
    alone = population_intervals(
        values[:1], every.classes[:1], labels, every.support[:1], every.query[:1]
    )
    assert all(
        interval["lower"] is None and "one episode" in interval["reason"]
        for interval in alone.values()
    )


def test_all_queries_leave_the_images_unknown(drawn):
    values = np.random.default_rng(0).random(drawn.classes.shape)
    intervals = population_intervals(values, drawn.classes, drawn.labels, drawn.support, None)
    assert intervals["images"]["reason"] == ALL_IMAGES
    assert intervals["classes"]["lower"] is not None


def test_values_and_classes_must_match(drawn):
    with pytest.raises(FewshotError, match="values"):
        population_intervals(np.zeros(200), drawn.classes, drawn.labels, drawn.support, drawn.query)


@pytest.mark.parametrize("impostors", [False, True])
def test_padding_of_classes_changes_no_interval(impostors):
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(12), 30)
    drawn = sample_episodes(labels, 4, 2, 3, 200, seed=2)
    values = rng.normal(size=(200, 4)) + rng.normal(size=12)[drawn.classes]
    parts = (values, drawn.classes, drawn.support, drawn.query)
    padded = [
        np.concatenate([part, np.full_like(part[:, :2], fill)], axis=1)
        for part, fill in zip(parts, (np.nan, -1, -1, -1), strict=True)
    ]
    equal, varied = (
        population_intervals(v, c, labels, s, q, impostors=impostors)
        for v, c, s, q in (parts, padded)
    )
    for population in POPULATIONS:
        # Images of unequal roles have another estimator of the same variance.
        tolerance = 0.02 if population == "images" else 1e-9
        half = equal[population]["upper"] - equal[population]["mean"]
        for bound in ("mean", "lower", "upper"):
            assert abs(varied[population][bound] - equal[population][bound]) <= tolerance * half


def varied_values(seed, effect):
    """Values that depend on ways and shots, and as much as `effect` says on the images."""
    labels = np.repeat(np.arange(30), 40)
    rules = MetaDatasetRules(max_ways=10, max_support=60)
    drawn = sample_meta_dataset(labels, 200, seed=seed, rules=rules)
    rng = np.random.default_rng(seed)
    image = effect * rng.normal(size=len(labels))
    shots = np.maximum(drawn.shot_counts, 1)
    of_shots = np.where(drawn.support >= 0, image[drawn.support], 0).sum(-1) / shots
    of_queries = np.where(drawn.query >= 0, image[drawn.query], 0).mean(-1)
    values = of_queries + of_shots.sum(1, keepdims=True) / drawn.way_counts[:, None]
    values = values - 0.05 * drawn.way_counts[:, None] + 0.05 * np.log(shots)
    values = np.where(drawn.classes >= 0, values + 0.1 * rng.normal(size=shots.shape), np.nan)
    return population_intervals(values, drawn.classes, labels, drawn.support, drawn.query)


def half_of(intervals, population):
    return intervals[population]["upper"] - intervals[population]["mean"]


def test_varying_ways_and_shots_are_not_taken_for_effects_of_images():
    without = [varied_values(seed, 0.0) for seed in range(3)]
    ratios = [half_of(each, "images") / half_of(each, "episodes") for each in without]
    assert np.mean(ratios) < 3  # 10 and more where they are


def test_effects_of_images_in_episodes_of_varying_ways():
    redrawn = [varied_values(seed, 1.0) for seed in range(8)]
    spread = 1.96 * np.std([each["images"]["mean"] for each in redrawn], ddof=1)
    assert 0.6 < np.mean([half_of(each, "images") for each in redrawn]) / spread < 1.7


def test_intervals_of_varying_ways_cover_the_mean_over_other_classes():
    """Repeated with other classes each time, as whose mean the truth is known."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        effect = rng.normal(size=40)
        ways = rng.integers(3, 11, 150)
        classes = np.array([rng.permutation(40)[:10] for _ in ways])
        classes[np.arange(10) >= ways[:, None]] = -1
        values = effect[classes] - 0.3 * ways[:, None] + rng.normal(size=classes.shape)
        labels = np.repeat(np.arange(40), 2)
        support = np.where(classes >= 0, 2 * classes, -1)[..., None]
        interval = population_intervals(values, classes, labels, support, None)["classes"]
        inside += interval["lower"] <= -0.3 * 6.5 <= interval["upper"]
    assert 88 <= inside <= 99


def test_what_has_no_interval_for_other_classes():
    classes = np.array([[0, 1, 2], [3, 4, -1], [1, 3, 4]])
    labels = np.repeat(np.arange(5), 2)
    support = np.where(classes >= 0, 2 * classes, -1)[..., None]
    values = np.where(classes >= 0, 0.5, np.nan)
    arguments = (values, classes, labels, support, None)
    intervals = population_intervals(*arguments)
    assert intervals["classes"]["reason"] == "some episodes have more than half of the classes"
    assert intervals["episodes"]["mean"] == 0.5
    related = population_intervals(*arguments, related=True)
    assert related["classes"]["reason"] == "the classes of an episode were drawn together"


@pytest.mark.parametrize(("shots", "queries"), [(20, 20), (10, 40), (40, 10)])
@pytest.mark.parametrize("how", [{}, {"shots_imbalance": 0.5}])
def test_shots_and_queries_of_two_data_sets_are_other_images(shots, queries, how):
    """The mean of a model in which every image adds an effect of variance 1 as shot, as query."""
    labels = np.repeat(np.arange(6), shots + queries)
    subset = np.tile(np.repeat(["train", "test"], [shots, queries]), 6)
    rng = np.random.default_rng(0)
    estimates = []
    for seed in range(16):
        drawn = sample_episodes(labels, 3, 2, 4, 300, seed, subset=subset, **how)
        of_shot, of_query = rng.normal(size=(2, len(labels)))
        shot = np.where(drawn.support >= 0, of_shot[drawn.support], 0).sum(-1) / drawn.shot_counts
        values = of_query[drawn.query].mean(-1) + shot
        arguments = drawn.classes, labels, drawn.support, drawn.query
        estimates.append(image_variance(values, *arguments))
    assert np.mean(estimates) == pytest.approx((1 / shots + 1 / queries) / 6, rel=0.2)
