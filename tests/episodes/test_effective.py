"""Episodes with queries of few of their classes."""

import numpy as np
import pytest
from scipy import stats

import fewshot
from fewshot.episodes import sample_all_way, sample_effective_episodes, sample_episodes
from fewshot.exceptions import FewshotError

SIZES = np.array([30, 30, 30, 30, 90, 90, 30, 30, 30, 30])
LABELS = np.repeat(np.arange(10), SIZES)


def counts_of(drawn):
    return (drawn.query >= 0).sum(-1)


def test_queries_are_of_k_eff_classes_and_no_shots():
    drawn = sample_effective_episodes(LABELS, None, 2, 3, 20, 200)
    counts = counts_of(drawn)
    assert drawn.ways == 10 and (counts.sum(1) == 20).all()
    assert ((counts > 0).sum(1) <= 3).all() and ((counts > 0).sum(1) == 3).mean() > 0.9
    for e in range(20):  # the constructor refuses an image twice; the classes are checked here
        rows = drawn.query[e][drawn.query[e] >= 0]
        assert not set(rows) & set(drawn.support[e].ravel().tolist())
    assert drawn.protocol == "effective(k_eff=3, queries=20)"


@pytest.mark.parametrize("ways", [None, 6])
def test_supports_are_those_of_the_other_samplers(ways):
    drawn = sample_effective_episodes(LABELS, ways, 3, 2, 20, 15, 4)
    if ways is None:
        other = sample_all_way(LABELS, 3, 15, 4)
    else:
        other = sample_episodes(LABELS, ways, 3, 5, 15, 4)
    np.testing.assert_array_equal(drawn.classes, other.classes)
    np.testing.assert_array_equal(drawn.support, other.support)


def test_all_numbers_of_shots_have_the_same_queries_and_nested_shots():
    sets = [
        sample_effective_episodes(LABELS, 6, shots, 2, 20, 15, largest_shots=3)
        for shots in (0, 1, 3)
    ]
    for drawn in sets:
        np.testing.assert_array_equal(drawn.query, sets[-1].query)
        np.testing.assert_array_equal(drawn.support, sets[-1].support[..., : drawn.shots])


def test_an_episode_does_not_depend_on_the_number_of_episodes():
    few, many = (
        sample_effective_episodes(LABELS, 6, 1, (1, 4), 20, count, 7, "dirichlet")
        for count in (5, 12)
    )
    for e in range(5):
        for way in range(6):
            rows = [set(drawn.query[e, way].tolist()) - {-1} for drawn in (few, many)]
            assert rows[0] == rows[1]


def test_classes_with_queries_are_drawn_uniformly():
    drawn = sample_effective_episodes(LABELS, None, 1, 3, 20, 3000, query_shares="equal")
    present = (counts_of(drawn) > 0).sum(0)
    assert present.sum() == 9000
    assert stats.chisquare(present).pvalue > 1e-3
    pairs = (counts_of(drawn) > 0).astype(int)
    together = (pairs.T @ pairs)[np.triu_indices(10, 1)]
    assert stats.chisquare(together).pvalue > 1e-3


def test_queries_are_a_uniform_draw_of_the_images_of_their_classes():
    drawn = sample_effective_episodes(LABELS, None, 1, 10, 40, 2000)
    mean, left = counts_of(drawn).mean(0), SIZES - 1
    np.testing.assert_allclose(mean, 40 * left / left.sum(), rtol=0.04)
    share, total = left[4] / left.sum(), left.sum()
    variance = 40 * share * (1 - share) * (total - 40) / (total - 1)  # hypergeometric
    assert counts_of(drawn)[:, 4].var() == pytest.approx(variance, rel=0.12)
    rows = np.bincount(drawn.query[drawn.query >= 0], minlength=len(LABELS))
    assert rows.std() < 2 * np.sqrt(rows.mean())


def test_the_number_of_classes_is_uniform_in_its_range():
    drawn = sample_effective_episodes(LABELS, None, 1, [2, 5], 25, 2000, query_shares="equal")
    numbers = np.bincount((counts_of(drawn) > 0).sum(1), minlength=6)[2:]
    assert numbers.sum() == 2000 and stats.chisquare(numbers).pvalue > 1e-3
    assert drawn.protocol == "effective(k_eff=2-5, queries=25, shares=equal)"


def test_dirichlet_shares_have_the_variance_of_the_distribution():
    labels = np.repeat(np.arange(6), 200)
    drawn = sample_effective_episodes(labels, None, 1, 3, 90, 3000, 0, "dirichlet", 2.0)
    counts = counts_of(drawn)
    assert (counts.sum(1) == 90).all()
    shares = np.sort(counts, 1)[:, 3:].ravel() / 90  # of the three with queries
    assert shares.var() == pytest.approx((1 / 3) * (2 / 3) / (3 * 2.0 + 1), rel=0.1)
    assert drawn.protocol == "effective(k_eff=3, queries=90, shares=dirichlet, alpha=2)"


def test_few_images_are_all_taken():
    drawn = sample_effective_episodes(LABELS, None, 1, 2, 75, 50)
    expected = (SIZES[drawn.classes] - 1) * (counts_of(drawn) > 0)
    full = expected.sum(1) <= 75
    assert full.any() and not full.all()
    np.testing.assert_array_equal(counts_of(drawn)[full], expected[full])
    assert (counts_of(drawn)[~full].sum(1) == 75).all()


def test_shots_are_training_images_where_images_come_split():
    subset = np.where(np.arange(len(LABELS)) % 3 == 0, "test", "train")
    drawn = sample_effective_episodes(LABELS, None, 4, 2, 12, 20, subset=subset)
    assert set(subset[drawn.support.ravel()]) == {"train"}
    assert set(subset[drawn.query[drawn.query >= 0]]) == {"test"}
    none = sample_effective_episodes(LABELS, None, 0, 2, 12, 20, subset=subset)
    assert none.shots == 0 and (counts_of(none).sum(1) == 12).all()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"k_eff": 11}, "episodes.k_eff: expected at most the 10 classes of an episode, got 11"),
        ({"ways": 4, "k_eff": 5}, "episodes.k_eff: expected at most the 4 classes"),
        ({"k_eff": 0}, "episodes.k_eff: expected an integer >= 1, got 0"),
        ({"k_eff": [5, 2]}, r"episodes.k_eff: expected a number, or the smallest and the largest"),
        ({"k_eff": []}, "episodes.k_eff: expected a number, or"),
        ({"k_eff": "five"}, "episodes.k_eff: expected an integer >= 1, got 'five'"),
        ({"queries_total": 0}, "episodes.queries_total: expected an integer >= 1, got 0"),
        ({"query_shares": "even"}, "episodes.query_shares: expected one of 'images', 'equal'"),
        ({"ways": 11}, "episodes.ways: expected at most the 10 classes"),
        ({"shots": 30}, "class 0 has 30 images; 30 shots"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(how, message):
    with pytest.raises(FewshotError, match=message) as caught:
        sample_effective_episodes(LABELS, **how)
    assert "\n" not in str(caught.value)


def test_runs_have_both_errors_and_the_same_answers_as_a_padded_run(monkeypatch):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(10, 5))[LABELS] + 1.5 * rng.normal(size=(len(LABELS), 5))
    arguments = {"head": ["ncm", "paddle"], "shots": 2, "episodes": 30, "estimators": ["margin"]}
    sampler = {"name": "effective", "k_eff": 2, "queries_total": 30}
    results = fewshot.evaluate(features, LABELS, sampler=sampler, **arguments)
    assert {cell.summary["queries"] for cell in results.cells} == {"30 in all"}
    rows = results.episodes
    assert (rows["queries"] == 30).all() and not rows["actual_error"].equals(rows["query_error"])
    text = str(results)
    assert (
        "queries %" in text and "protocol effective(k_eff=2, queries=30), 30 queries in all" in text
    )
    monkeypatch.setattr("fewshot.tasks.engine.batches.most_queries", lambda rows: rows.shape[1])
    padded = fewshot.evaluate(features, LABELS, sampler=sampler, **arguments)
    np.testing.assert_allclose(padded.episodes["query_error"], rows["query_error"], atol=1e-12)


def test_samplers_by_name_and_settings():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(len(LABELS), 3))
    for sampler, message in (
        ({"k_eff": 3}, "sampler: expected a name, or settings with a name"),
        ({"name": "effective", "k_ef": 3}, "sampler: expected one of .*Did you mean 'k_eff'"),
        ({"name": "effective", "k_eff": 30}, r"episodes\.k_eff: expected at most the 10 classes"),
        ("efective", r"episodes\.sampler: expected one of .*Did you mean 'effective'"),
    ):
        with pytest.raises(FewshotError, match=message):
            fewshot.evaluate(features, LABELS, sampler=sampler, episodes=5, estimators=[])
    with pytest.raises(FewshotError, match=r"episodes\.unlabelled: expected queries or null"):
        fewshot.evaluate(features, LABELS, sampler="effective", unlabelled=3, episodes=5)
