"""The imbalanced sampler: shares, totals, images, pairing with balanced episodes, errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fewshot.episodes import EpisodeSet, sample_episodes
from fewshot.episodes.imbalanced import apportioned, dirichlet, sample_imbalanced_episodes
from fewshot.exceptions import FewshotError

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(8), 90))


def counts_of(drawn):
    return (drawn.query >= 0).sum(-1)


@pytest.mark.parametrize("alpha", [0.5, 2.0, 20.0])
def test_shares_have_the_moments_of_the_dirichlet_distribution(alpha):
    shares = dirichlet(3, 20_000, 5, alpha)
    law = stats.dirichlet(np.full(5, alpha))
    np.testing.assert_allclose(shares.sum(1), 1)
    error = np.sqrt(law.var() / len(shares))
    assert np.all(np.abs(shares.mean(0) - 0.2) < 4 * error)
    np.testing.assert_allclose(shares.var(0), law.var(), rtol=0.05)
    expected = -law.var()[0] / 4  # shares sum to one
    assert np.cov(shares.T)[0, 1] == pytest.approx(expected, rel=0.1)
    marginal = stats.beta(alpha, 4 * alpha)
    assert stats.kstest(shares[:, 2], marginal.cdf).pvalue > 1e-3


def test_counts_of_episodes_follow_the_shares():
    drawn = sample_imbalanced_episodes(LABELS, 5, 1, 75, 3000, seed=1)
    counts = counts_of(drawn)
    assert bool((counts.sum(1) == 75).all())
    np.testing.assert_allclose(counts / 75, dirichlet(1, 3000, 5, 2.0), atol=1 / 75)
    variance = stats.dirichlet(np.full(5, 2.0)).var()
    np.testing.assert_allclose(counts.var(0) / 75**2, variance, rtol=0.12)
    assert bool((counts == 0).any())


def test_images_and_order_of_classes_are_uniform():
    labels = np.repeat(np.arange(4), 25)
    drawn = sample_imbalanced_episodes(labels, 2, 2, 12, 20_000, seed=2)
    for rows in (drawn.support, drawn.query):
        for c in (0, 3):
            counts = np.bincount(rows[rows >= 0], minlength=100)[labels == c]
            assert stats.chisquare(counts).pvalue > 1e-3
    assert stats.chisquare(counts_of(drawn).sum(0) // 12).pvalue > 1e-3


def test_paired_with_balanced_episodes():
    balanced = sample_episodes(LABELS, 5, 3, 15, 50, seed=7)
    drawn = sample_imbalanced_episodes(LABELS, 5, 3, 75, 50, seed=7)
    np.testing.assert_array_equal(drawn.classes, balanced.classes)
    np.testing.assert_array_equal(drawn.support, balanced.support)
    both = min(drawn.query.shape[2], 15)
    shared = drawn.query[..., :both]
    assert bool((shared == balanced.query[..., :both])[shared >= 0].all())


def test_episode_seventeen_is_the_same_in_any_number():
    few, many = (sample_imbalanced_episodes(LABELS, 5, 2, 75, n, seed=9) for n in (18, 300))
    np.testing.assert_array_equal(few.support, many.support[:18])
    width = few.query.shape[2]
    np.testing.assert_array_equal(few.query, many.query[:18, :, :width])
    assert bool((many.query[:18, :, width:] == -1).all())


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(5, 14), min_size=3, max_size=7),
    total=st.integers(1, 9),
    alpha=st.sampled_from([0.05, 0.5, 2.0, 50.0]),
    seed=st.integers(0, 2**31),
)
def test_labels_fit_nothing_overlaps_and_the_total_is_constant(sizes, total, alpha, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    drawn = sample_imbalanced_episodes(labels, 3, 2, total, 6, seed, alpha)
    for e in range(6):
        seen = drawn.support[e].ravel().tolist()
        for n, c in enumerate(drawn.classes[e]):
            own = drawn.query[e, n][drawn.query[e, n] >= 0]
            assert set(labels[own]) <= {c}
            seen += own.tolist()
        assert len(seen) == len(set(seen)) == 6 + total


def test_a_class_without_room_passes_its_surplus_on_in_proportion():
    shares = np.array([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.98, 0.01, 0.01]])
    counts = apportioned(shares, 20, np.array([[50, 50, 50], [8, 50, 50], [5, 5, 10]]))
    np.testing.assert_array_equal(counts, [[12, 6, 2], [8, 9, 3], [5, 5, 10]])


def test_largest_remainders():
    counts = apportioned(np.array([[0.45, 0.35, 0.2]]), 7, np.full((1, 3), 9))
    np.testing.assert_array_equal(counts, [[3, 3, 1]])  # of 3.15, 2.45 and 1.4


def test_small_classes_are_those_of_balanced_episodes():
    labels = np.concatenate([LABELS, [8] * 9])
    with pytest.raises(FewshotError, match=r"class 'cat' has 9 images; 5 shots \+ 15 queries"):
        sample_imbalanced_episodes(labels, 5, 5, 75, classnames=[*"abcdefgh", "cat"])
    drawn = sample_imbalanced_episodes(labels, 5, 5, 75, 100, min_images="drop")
    assert 8 not in drawn.classes


def test_saved_loaded_and_counted(tmp_path):
    drawn = sample_imbalanced_episodes(LABELS, 5, 2, 75, 20, seed=3, alpha=0.3)
    assert bool((counts_of(drawn) == 0).any())
    again = EpisodeSet.load(drawn.save(tmp_path / "e.safetensors"))
    assert again.hash() == drawn.hash()
    assert again.mean_queries == 15
    assert again.queries == again.largest_query == drawn.query.shape[2]
    assert sample_episodes(LABELS, queries="all", episodes=2).mean_queries == "all"


def test_an_episode_without_any_query_is_refused():
    drawn = sample_imbalanced_episodes(LABELS, 5, 2, 75, 4)
    query = drawn.query.copy()
    query[2] = -1
    with pytest.raises(FewshotError, match=r"episodes\.query: an episode has no image"):
        EpisodeSet(drawn.classes, drawn.support, query, drawn.labels)
    with pytest.raises(FewshotError, match=r"episodes\.support: a class of an episode has no"):
        EpisodeSet(drawn.classes, np.where(drawn.support < 0, 0, -1), None, drawn.labels)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("queries_total", 0), ("queries_total", "all"), ("alpha", 0), ("alpha", "2"), ("ways", 1)],
)
def test_bad_parameters(setting, value):
    with pytest.raises(FewshotError, match=rf"episodes\.{setting}: .*got"):
        sample_imbalanced_episodes(LABELS, **{setting: value})
