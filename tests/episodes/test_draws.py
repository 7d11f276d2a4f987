"""Draws belong to an episode, and samples without replacement are uniform."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fewshot.episodes.draws import sample_without_replacement, uniform


def test_uniform_of_an_episode_does_not_depend_on_the_batch():
    whole = uniform(3, (1, 2), 0, 100, 5)
    pieces = [uniform(3, (1, 2), start, start + 10, 5) for start in range(0, 100, 10)]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))
    assert not np.array_equal(whole, uniform(3, (1, 3), 0, 100, 5))
    assert not np.array_equal(whole, uniform(4, (1, 2), 0, 100, 5))


def slow_shuffle(draws, population):
    """Fisher-Yates on a real list."""
    places = list(range(population))
    for i, draw in enumerate(draws):
        r = i + int(draw * (population - i))
        places[i], places[r] = places[r], places[i]
    return places[: len(draws)]


@given(st.integers(1, 12), st.integers(0, 8), st.integers(0, 2**32))
def test_sample_is_a_stopped_shuffle(steps, spare, seed):
    draws = np.random.default_rng(seed).random((steps, 4))
    population = np.arange(4) + steps + spare
    sample = sample_without_replacement(draws, population)
    for row in range(4):
        assert sample[:, row].tolist() == slow_shuffle(draws[:, row], population[row])


def test_every_ordered_sample_is_equally_likely():
    draws = np.random.default_rng(0).random((3, 60_000))
    sample = sample_without_replacement(draws, np.full(60_000, 4))
    number = {s: i for i, s in enumerate(itertools.permutations(range(4), 3))}
    counts = np.bincount([number[tuple(s)] for s in sample.T], minlength=24)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("size", [1, 7])
def test_draws_just_below_one_stay_inside(size):
    draws = np.full((size, 1), np.nextafter(1.0, 0.0))
    assert sorted(sample_without_replacement(draws, np.array([size]))[:, 0]) == list(range(size))
