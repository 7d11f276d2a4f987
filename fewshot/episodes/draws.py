"""Uniform draws that belong to an episode number, whatever else is drawn."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fewshot.memory import expect_fits

COUNT = "episodes.count"
# Bytes per image of an episode at the peak of a draw: the uniform numbers, the shuffle, the rows.
BYTES_PER_IMAGE = 32


def check_memory(episodes: int, ways: int, images: int, argument: str = COUNT) -> None:
    """Raise FewshotError unless the memory that is available holds the episodes to be drawn.

    Parameters
    ----------
    episodes, ways, images : int
        Numbers of episodes, of classes in each, of images drawn per class.
    argument : str
        The setting that says how many episodes there are.
    """
    expect_fits(argument, episodes, BYTES_PER_IMAGE * ways * (images + 2), "episodes")


def uniform(seed: int, stream: tuple[int, ...], start: int, stop: int, width: int) -> NDArray:
    """Uniform numbers of episodes ``start`` to ``stop`` in one stream.

    Every episode owns `width` consecutive numbers of the stream, and the generator is moved
    straight to them, so that episode 17 gets the same ones in any batch and in any process.

    Parameters
    ----------
    seed : int
        Seed of the whole episode set, >= 0.
    stream : tuple of int
        Names an independent sequence under that seed.
    start, stop : int
        Episode numbers.
    width : int
        Numbers per episode.

    Returns
    -------
    ndarray of shape (stop - start, width), float64 in [0, 1)
    """
    bits = np.random.PCG64(np.random.SeedSequence([seed, *stream]))
    bits.advance(start * width)
    return np.random.Generator(bits).random((stop - start, width))


def uniform_of(seed: int, stream: tuple[int, ...], numbers: NDArray, width: int) -> NDArray:
    """The `uniform` numbers (E, width) of the episodes with these numbers (E,)."""
    first = int(numbers[0]) if len(numbers) else 0
    if np.array_equal(numbers, np.arange(first, first + len(numbers))):
        return uniform(seed, stream, first, first + len(numbers), width)
    return np.concatenate([uniform(seed, stream, int(e), int(e) + 1, width) for e in numbers])


def sample_without_replacement(draws: NDArray, population: NDArray) -> NDArray:
    """Ordered samples without replacement, all rows at once.

    A Fisher-Yates shuffle of ``range(population)`` stopped after S steps, in which only the
    places that were touched are stored: step i swaps place i with place r_i in [i, population),
    and the content of a place is what the latest step that wrote there left. The cost is
    O(S^2) per row and does not depend on the population.

    Parameters
    ----------
    draws : ndarray of shape (S, R)
        Uniform numbers in [0, 1): one per step and row.
    population : ndarray of shape (R,)
        Size of each row's population, >= S.

    Returns
    -------
    ndarray of shape (S, R), int64
        Distinct numbers in ``range(population)``, in random order, in every column.
    """
    steps, rows = draws.shape
    swapped_with = np.empty((steps, rows), dtype=np.int64)  # r_i
    left_there = np.empty((steps, rows), dtype=np.int64)  # what step i put at place r_i
    sample = np.empty((steps, rows), dtype=np.int64)
    for i in range(steps):
        r = i + (draws[i] * (population - i)).astype(np.int64)
        np.minimum(r, population - 1, out=r)  # draws just below 1 may round up
        at_r, at_i = r.copy(), np.full(rows, i, dtype=np.int64)
        for j in range(i):  # the latest step wins, so in order of time
            np.copyto(at_r, left_there[j], where=swapped_with[j] == r)
            np.copyto(at_i, left_there[j], where=swapped_with[j] == i)
        sample[i], swapped_with[i], left_there[i] = at_r, r, at_i
    return sample


def first_distinct(generator: np.random.Generator, population: int, count: int) -> NDArray:
    """The first `count` <= `population` distinct numbers of a uniform sequence: (count,), int64.

    A sample of ``range(population)`` without replacement, at a cost that hardly depends on the
    population; fewer are the beginning of more.
    """
    sequence = np.empty(0, dtype=np.int64)
    while True:
        values, first = np.unique(sequence, return_index=True)
        if len(values) >= count:
            return sequence[np.sort(first)[:count]]
        missing = population / max(1, population - len(values)) * (count - len(values))
        more = generator.random(math.ceil(1.2 * missing) + 8) * population
        sequence = np.concatenate([sequence, more.astype(np.int64)])


def episode_generator(seed: int, stream: tuple[int, ...], episode: int) -> np.random.Generator:
    """A generator of the episode's own, whatever other episodes draw."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *stream, episode])))


def shuffled(
    rows: NDArray, seed: int, stream: tuple[int, ...], numbers: NDArray | None = None
) -> NDArray:
    """Rows (E, U) of episodes in random order, -1 at the end.

    The order of an episode depends on the seed, its number and its rows alone; the numbers are 0 to
    E - 1 by default.
    """
    mixed = np.full_like(rows, -1)
    for e, entries in enumerate(rows):
        number = e if numbers is None else int(numbers[e])
        real = entries[entries >= 0]
        mixed[e, : len(real)] = episode_generator(seed, stream, number).permutation(real)
    return mixed
