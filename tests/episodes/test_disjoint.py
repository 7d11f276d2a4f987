"""Episodes without replacement: no image in two of them."""

import numpy as np
import pytest
from scipy import stats

import fewshot
from fewshot.episodes import EpisodeSet, sample_disjoint_episodes, sample_episodes
from fewshot.episodes.disjoint import most_disjoint
from fewshot.exceptions import FewshotError
from fewshot.statistics.populations import mean_interval, population_intervals
from fewshot.statistics.task_size import best_queries

LABELS = np.repeat(np.arange(8), [40, 40, 22, 22, 100, 40, 9, 40])


def rows_of(drawn):
    return np.concatenate([drawn.support, drawn.query], -1).ravel()


def most_by_trying(room, ways):
    """As many as there are when each takes the classes with most left, which is optimal."""
    room, count = room.copy(), 0
    while (room > 0).sum() >= ways:
        room[np.argsort(-room, kind="stable")[:ways]] -= 1
        count += 1
    return count


def test_no_image_is_in_two_episodes_and_all_that_are_possible_are_drawn():
    for seed in range(5):
        drawn = sample_disjoint_episodes(LABELS, 3, 2, 5, seed=seed)
        assert len(np.unique(rows_of(drawn))) == rows_of(drawn).size
        assert len(drawn) == most_by_trying(np.bincount(LABELS) // 7, 3)
        assert drawn.protocol == "disjoint"
        assert all(len(set(classes)) == 3 for classes in drawn.classes.tolist())


def test_the_most_is_that_of_a_greedy_choice():
    rng = np.random.default_rng(0)
    for _ in range(200):
        room, ways = rng.integers(0, 12, rng.integers(2, 9)), int(rng.integers(2, 5))
        assert most_disjoint(room, ways) == most_by_trying(room, ways)


def test_tight_numbers_can_always_be_filled():
    """One class is in every episode, or there are too few: the choice has to see it coming."""
    labels = np.repeat(np.arange(4), [12, 4, 4, 4])
    for seed in range(20):
        drawn = sample_disjoint_episodes(labels, 2, 1, 1, 6, seed)
        assert (drawn.classes == 0).any(1).all()


def test_shots_are_nested_and_queries_the_same():
    one, three = (
        sample_disjoint_episodes(LABELS, 3, shots, 4, 6, 2, largest_shots=3) for shots in (1, 3)
    )
    np.testing.assert_array_equal(one.support, three.support[..., :1])
    np.testing.assert_array_equal(one.query, three.query)
    none = sample_disjoint_episodes(LABELS, 3, 0, 4, 6, 2)
    assert none.support.shape == (6, 3, 0)


def test_classes_and_images_are_drawn_uniformly():
    labels = np.repeat(np.arange(6), 30)
    drawn = [sample_disjoint_episodes(labels, 2, 1, 2, 3, seed) for seed in range(200)]
    classes = np.bincount(np.concatenate([d.classes for d in drawn]).ravel(), minlength=6)
    assert stats.chisquare(classes).pvalue > 1e-3
    rows = np.bincount(np.concatenate([rows_of(d) for d in drawn]), minlength=180)
    assert stats.chisquare(rows).pvalue > 1e-3


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"episodes": 50}, r"episodes\.count: expected at most the 13 disjoint episodes with 7"),
        ({"episodes": "most"}, r"episodes\.count: expected a number or 'all', got 'most'"),
        ({"episodes": 0}, r"episodes\.count: expected an integer >= 1, got 0"),
        ({"queries": "all"}, r"episodes\.queries: expected a number of queries per class with"),
        ({"shots": 8}, "class 6 has 9 images; 8 shots"),
        ({"ways": 9}, r"episodes\.ways: expected at most the 8 classes"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(how, message):
    arguments = {"ways": 3, "shots": 2, "queries": 5, "episodes": 5} | how
    with pytest.raises(FewshotError, match=message) as caught:
        sample_disjoint_episodes(LABELS, **arguments)
    assert "\n" not in str(caught.value)


def test_the_interval_over_images_is_the_t_interval():
    drawn = sample_disjoint_episodes(LABELS, 3, 2, 5)
    values = np.random.default_rng(0).uniform(size=drawn.classes.shape)
    arguments = drawn.classes, drawn.labels, drawn.support, drawn.query
    intervals = population_intervals(values, *arguments)
    means = values.mean(1)
    lower, upper = stats.t.interval(
        0.95, len(means) - 1, means.mean(), means.std(ddof=1) / len(means) ** 0.5
    )
    assert intervals["images"]["lower"] == pytest.approx(lower)
    assert intervals["images"]["upper"] == pytest.approx(upper)
    assert intervals["images"]["closed_form"] and "closed_form" not in intervals["episodes"]
    assert intervals["episodes"]["lower"] == pytest.approx(mean_interval(means)["lower"])
    usual = sample_episodes(LABELS, 3, 2, 5, 20)
    values = np.random.default_rng(0).uniform(size=usual.classes.shape)
    arguments = usual.classes, usual.labels, usual.support, usual.query
    assert "closed_form" not in population_intervals(values, *arguments)["images"]


def covered(drawn_of, repeats=240):
    """Share of redrawn data whose intervals, over episodes and images, hold the true accuracy."""
    rng = np.random.default_rng(4)
    labels = np.repeat(np.arange(10), 24)
    held = []
    for seed in range(repeats):
        right = (rng.uniform(size=len(labels)) < 0.7).astype(float)  # of each image, as a query
        drawn: EpisodeSet = drawn_of(labels, seed)
        values = right[drawn.query].mean(-1)
        intervals = population_intervals(values, drawn.classes, labels, drawn.support, drawn.query)
        held.append(
            [i["lower"] <= 0.7 <= i["upper"] for i in (intervals["episodes"], intervals["images"])]
        )
    return np.mean(held, 0)


def test_disjoint_episodes_hold_for_other_images_and_usual_ones_do_not():
    _, disjoint = covered(lambda labels, seed: sample_disjoint_episodes(labels, 5, 1, 5, seed=seed))
    assert 0.93 <= disjoint <= 0.97
    closed, _ = covered(lambda labels, seed: sample_episodes(labels, 5, 1, 5, 200, seed), 40)
    assert closed < 0.8


def test_queries_for_the_narrowest_interval():
    rng = np.random.default_rng(1)
    hard = np.clip(rng.normal(0.6, 0.08, 20_000), 0, 1)
    size = best_queries(rng.binomial(60, hard) / 60, 4, 3, 15)
    within = (hard * (1 - hard)).mean() / 4
    assert size.between == pytest.approx(0.08**2, rel=0.1)
    assert size.within == pytest.approx(within, rel=0.05)
    assert size.queries == pytest.approx((3 * within / 0.08**2) ** 0.5, rel=0.1)
    variance = [(3 + q) * (size.between + size.within / q) for q in range(1, 40)]
    assert abs(1 + int(np.argmin(variance)) - size.queries) <= 1
    assert best_queries(np.full(9, 1.0), 4, 3, 15).queries == 1


def test_runs_take_all_of_them_by_name():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(8), 20)
    features = rng.normal(size=(8, 4))[labels] + rng.normal(size=(160, 4))
    arguments = {"sampler": "disjoint", "queries": 4, "shots": [1, 2], "estimators": ["margin"],
                 "ways": 4}  # fmt: skip
    results = fewshot.evaluate(features, labels, episodes="all", **arguments)
    assert [cell.summary["episodes"] for cell in results.cells] == [6, 6]
    assert all(cell.summary["protocol"] == "disjoint" for cell in results.cells)
    intervals = results.cells[0].summary["accuracy_intervals"]
    assert intervals["images"]["closed_form"]
    assert "no image is in two episodes" in " ".join(str(results).split())
    with pytest.raises(FewshotError, match=r"episodes\.count: expected at most the 6 disjoint"):
        fewshot.evaluate(features, labels, episodes=7, **arguments)
    with pytest.raises(FewshotError, match=r"episodes\.count: expected an integer"):
        fewshot.evaluate(features, labels, episodes="all")
