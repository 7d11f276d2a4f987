"""Paired comparisons against scipy and published numbers."""

import numpy as np
import pytest
from scipy.stats import binomtest, friedmanchisquare, permutation_test, wilcoxon

from fewshot.episodes import sample_episodes
from fewshot.exceptions import FewshotError
from fewshot.statistics.paired import (
    all_pairs,
    compare_on_episodes,
    compare_values,
    differences,
    mean_difference,
    rank_test,
    sign_flip,
    signed_rank,
)

# Ranks of four ways to tune C4.5 on 14 data sets: Demsar (2006), table 6.
DEMSAR = [
    [4, 3, 2, 1],
    [1, 2, 3, 4],
    [4, 1, 2, 3],
    [4, 1, 3, 2],
    [4, 2, 3, 1],
    [1, 2.5, 4, 2.5],
    [3, 2, 4, 1],
    [2.5, 2.5, 4, 1],
    [4, 3, 2, 1],
    [2.5, 2.5, 2.5, 2.5],
    [4, 2.5, 1, 2.5],
    [3, 2, 4, 1],
    [4, 1, 2, 3],
    [3, 1, 4, 2],
]


def test_rounding_is_no_difference():
    """0.1 + 0.2 - 0.3 in all episodes would be a clear difference."""
    first, second = np.full(50, 0.1) + 0.2, np.full(50, 0.3)
    assert (first != second).all() and not differences(first, second).any()
    assert not mean_difference(differences(first, second)).clear
    gaps = differences([0.5, np.nan, 0.25], [0.25, 0.5, 0.25])
    np.testing.assert_array_equal(gaps, [0.25, np.nan, 0])
    with pytest.raises(FewshotError, match=r"expected the shape of first, \(2,\), got \(3,\)"):
        differences([0, 1], [0, 1, 2])


def test_every_pair_is_first_minus_second():
    values = {"a": np.array([0.5]), "b": np.array([0.25]), "c": np.array([1.0])}
    pairs = {(first, second): float(gap[0]) for first, second, gap in all_pairs(values)}
    assert pairs == {("a", "b"): 0.25, ("a", "c"): -0.5, ("b", "c"): -0.75}


def test_mean_difference_is_that_of_population_intervals():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 12)
    drawn = sample_episodes(labels, 4, 2, 5, 60, 0)
    gaps = rng.normal(0.02, 0.1, 60) + 0.1 * drawn.classes.mean(1) / 20
    values = np.broadcast_to(gaps[:, None], drawn.classes.shape)
    expected = compare_on_episodes(
        values, 0 * values, drawn.classes, labels, drawn.support, drawn.query
    )["intervals"]
    names = np.array([[f"class {c:02d}" for c in row] for row in drawn.classes.tolist()])
    for classes in (drawn.classes, names):
        found = mean_difference(gaps, classes)
        bounds = [expected["episodes"][key] for key in ("mean", "lower", "upper")]
        assert [found.mean, found.lower, found.upper] == pytest.approx(bounds)
        # There without the images, whose interval is a lower bound of that of the classes.
        width = (expected["classes"]["upper"] - expected["classes"]["lower"]) / 2
        assert 0.5 * width < found.classes <= width * (1 + 1e-9)
    assert mean_difference(gaps).classes is None
    assert mean_difference(gaps[:1]) is None
    every = np.broadcast_to(np.arange(4), (60, 4))
    assert mean_difference(gaps, every).classes is None


def test_published_ranks_and_critical_differences():
    test = rank_test(-np.array(DEMSAR))
    np.testing.assert_allclose(test.average_ranks, [3.143, 2.0, 2.893, 1.964], atol=5e-4)
    assert test.critical_difference == pytest.approx(1.25, abs=0.005)
    assert rank_test(-np.array(DEMSAR), 0.90).critical_difference == pytest.approx(1.12, abs=0.005)
    # He does not correct for ties: 9.28.
    untied = np.mean(np.var(DEMSAR, axis=1, ddof=1)) / (4 * 5 / 12)
    assert test.statistic * untied == pytest.approx(9.28, abs=0.01)


@pytest.mark.parametrize(("heads", "quantile"), [(3, 2.343), (4, 2.569), (10, 3.164)])
def test_published_quantiles_of_nemenyi(heads, quantile):
    table = np.random.default_rng(0).random((6, heads))
    scale = (heads * (heads + 1) / 36) ** 0.5
    assert rank_test(table).critical_difference / scale == pytest.approx(quantile, abs=1e-3)


@pytest.mark.parametrize("digits", [1, 9])
def test_friedman_agrees_with_scipy_with_and_without_ties(digits):
    table = np.random.default_rng(1).random((9, 5)).round(digits)
    expected = friedmanchisquare(*table.T)
    test = rank_test(table)
    assert (test.statistic, test.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_heads_that_are_alike():
    test = rank_test(np.ones((4, 3)))
    assert (test.statistic, test.p) == (0, 1)
    assert signed_rank([1, 2], [1, 2]) == sign_flip([0, 0]) == 1


@pytest.mark.parametrize("table", [[[1, 2, 3]], [[1, 2], [2, 1]], [[1, 2, np.nan], [1, 2, 3]]])
def test_tables_that_cannot_be_ranked(table):
    with pytest.raises(FewshotError, match="table"):
        rank_test(table)


def test_signed_rank_is_scipys():
    first, second = np.random.default_rng(2).random((2, 12))
    assert signed_rank(first, second) == wilcoxon(first, second).pvalue
    with pytest.raises(FewshotError, match="second"):
        signed_rank(first, second[:-1])


def test_sign_flip_is_exact_for_few_and_near_it_for_many():
    values = np.random.default_rng(3).normal(0.5, 1, 11)
    exact = permutation_test(
        (values, np.zeros(11)), lambda a, b: np.mean(a - b), permutation_type="samples"
    ).pvalue
    assert sign_flip(values) == pytest.approx(exact)
    assert sign_flip(values, flips=2000) == pytest.approx(exact, abs=4 * (exact / 2000) ** 0.5)
    # Equal sizes: the sign test.
    signs = np.repeat([1.0, -1.0], [60, 40])
    assert sign_flip(signs) == pytest.approx(binomtest(60, 100).pvalue, abs=0.01)


def test_pairing_takes_out_what_both_share():
    rng = np.random.default_rng(4)
    labels = np.repeat(np.arange(12), 60)
    drawn = sample_episodes(labels, 5, 2, 5, episodes=300, seed=0)
    shared = rng.normal(0.7, 0.2, 12)[drawn.classes] + rng.normal(0, 0.1, drawn.classes.shape)
    first = shared + 0.02 + rng.normal(0, 0.02, shared.shape)
    rows = (drawn.classes, labels, drawn.support, drawn.query)
    result = compare_on_episodes(first, shared, *rows)
    for interval in result["intervals"].values():
        assert interval["lower"] < 0.02 < interval["upper"]
        assert interval["upper"] - interval["lower"] < 0.01
    assert result["p"] == pytest.approx(1e-4)
    assert result["better"] + result["equal"] + result["worse"] == 300
    alike = compare_on_episodes(shared, shared, *rows)
    assert (alike["equal"], alike["p"]) == (300, 1)
    with pytest.raises(FewshotError, match="same episodes"):
        compare_on_episodes(first, shared[:-1], *rows)


def test_values_by_episode_alone_have_an_interval_over_episodes():
    rng = np.random.default_rng(5)
    shared = rng.normal(0.5, 0.2, 40)
    first, second = shared + 0.03 + rng.normal(0, 0.01, 40), shared.copy()
    second[3] = np.nan
    result = compare_values(first, second)
    gap = np.delete(first - second, 3)
    interval = result["intervals"].pop("episodes")
    assert not result["intervals"]  # nothing is known of the images
    assert interval["mean"] == pytest.approx(gap.mean())
    half = 2.024394 * gap.std(ddof=1) / 39**0.5  # Student's t with 38 degrees of freedom
    assert interval["upper"] - interval["mean"] == pytest.approx(half, rel=1e-5)
    assert result["better"] + result["equal"] + result["worse"] == 39
    assert result["better"] == (gap > 0).sum() and result["p"] < 1e-3
    with pytest.raises(FewshotError, match="no episode in which both have a value"):
        compare_values(first, np.full(40, np.nan))
