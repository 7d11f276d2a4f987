"""Unlabelled images of episodes: drawn before the shots, so that every number of shots has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewshot.episodes.draws import (
    episode_generator,
    first_distinct,
    sample_without_replacement,
    shuffled,
    uniform,
)
from fewshot.episodes.episode_set import ClassIndex, EpisodeSet
from fewshot.episodes.rows import PADDING
from fewshot.episodes.shares import apportioned, dirichlet
from fewshot.episodes.unlabelled_sampling import (
    ALPHA,
    IMAGES,
    LEAST_OUTSIDE,
    MIXED,
    OF_CLASSES,
    ORDER,
    STRANGERS,
    UnlabelledSampling,
)

NOWHERE = np.iinfo(np.int64).max  # a place beyond every class, for the padding


@dataclass(frozen=True, eq=False)
class Reserved:
    """Places of unlabelled images among those of their classes, which shots and queries avoid.

    Attributes
    ----------
    places : ndarray of shape (E, N, U), int64
        Ascending numbers of images within the class; `NOWHERE` in the padding.
    """

    places: NDArray

    @classmethod
    def none(cls, classes: NDArray) -> Reserved:
        """No image of any class (E, N)."""
        return cls(np.empty((*classes.shape, 0), dtype=np.int64))

    @classmethod
    def of(cls, episodes: EpisodeSet) -> Reserved:
        """Unlabelled images of drawn episodes."""
        rows = episodes.set_aside[..., episodes.shots :]
        places = episodes.place_of[np.maximum(rows, 0)]
        return cls(np.sort(np.where(rows < 0, NOWHERE, places), axis=-1))

    @property
    def counts(self) -> NDArray:
        """Images of each class: (E, N)."""
        return (self.places < NOWHERE).sum(-1)

    def past(self, place: NDArray) -> NDArray:
        """Places (E, N, S) among all images, from places among those that are not reserved."""
        place = place.copy()
        for i in range(self.places.shape[-1]):
            place += place >= self.places[..., i, None]
        return place

    def rows(self, index: ClassIndex, classes: NDArray) -> NDArray:
        """Row numbers (E, N, U), -1 in the padding."""
        real = self.places < NOWHERE
        return np.where(
            real,
            index.rows[np.where(real, index.start[classes][..., None] + self.places, 0)],
            PADDING,
        )


def reserve(
    sampling: UnlabelledSampling | None,
    index: ClassIndex,
    classes: NDArray,
    needed: int,
    seed: int,
    stream: int,
) -> Reserved:
    """Draw the unlabelled images of every class of the episodes.

    They depend on neither the shots nor the queries, and N images are the beginning of N + 1.

    Parameters
    ----------
    sampling : UnlabelledSampling, optional
    index : ClassIndex
        Of the images to draw from.
    classes : ndarray of shape (E, N)
        Each with N + `needed` images at least.
    needed : int
        Images of a class that are left for shots and queries.
    seed, stream : int
    """
    if sampling is None or sampling.are_queries:
        return Reserved.none(classes)
    episodes, ways = classes.shape
    counts = np.full(classes.shape, sampling.per_class)
    uneven = sampling.dirichlet_episodes(episodes, seed, stream)
    if uneven.any():
        shares = dirichlet(seed, episodes, ways, ALPHA, (stream, OF_CLASSES))
        room = index.size[classes] - needed
        drawn = apportioned(shares, sampling.per_class * ways, room)
        counts = np.where(uneven[:, None], drawn, counts)
    steps, size = int(counts.max()), index.size[classes].reshape(-1)
    draws = np.stack(
        [uniform(seed, (stream, IMAGES, i), 0, episodes, ways).reshape(-1) for i in range(steps)]
    )
    place = sample_without_replacement(draws, size).T.reshape(episodes, ways, steps)
    return Reserved(np.sort(np.where(np.arange(steps) < counts[..., None], place, NOWHERE), -1))


def unlabelled_rows(
    sampling: UnlabelledSampling,
    reserved: Reserved,
    index: ClassIndex,
    classes: NDArray,
    pool: NDArray,
    queries: NDArray,
    seed: int,
    stream: int,
) -> NDArray | None:
    """Row numbers (E, U) of unlabelled images in random order, strangers among them, -1 at the end.

    Parameters
    ----------
    sampling : UnlabelledSampling
    reserved : Reserved
        Those of the classes of the episodes.
    index : ClassIndex
    classes : ndarray of shape (E, N)
    pool : ndarray of int
        Classes that strangers are drawn from, ascending; those of the episode are left out.
    queries : ndarray of shape (E,), int
        Queries of the episodes, where these are the unlabelled images; only strangers are drawn.
    seed, stream : int

    Returns
    -------
    ndarray or None
        None if the queries are all.

    Raises
    ------
    FewshotError
        Too few images of other classes.
    """
    rows = reserved.rows(index, classes).reshape(len(classes), -1)
    others = queries if sampling.are_queries else (rows >= 0).sum(-1)
    if sampling.strangers:
        strangers = _strangers(sampling, index, classes, pool, others, seed, stream)
        rows = np.concatenate([rows, strangers], axis=1)
    elif sampling.are_queries:
        return None
    mixed = shuffled(rows, seed, (stream, ORDER))
    return mixed[:, : max(1, int((mixed >= 0).sum(-1).max()))]


def _strangers(
    sampling: UnlabelledSampling,
    index: ClassIndex,
    classes: NDArray,
    pool: NDArray,
    others: NDArray,
    seed: int,
    stream: int,
) -> NDArray:
    """Row numbers (E, S) of images of the `pool` outside of the classes (E, N) of each episode."""
    pool = np.asarray(pool)[np.asarray(pool) < len(index.size)]
    size = index.size[pool]
    listed = np.concatenate([index.rows_of(c) for c in pool])
    blocks = np.searchsorted(pool, np.sort(classes, axis=1))
    begin, length = (np.cumsum(size) - size)[blocks], size[blocks]
    room = len(listed) - length.sum(1)
    if sampling.strangers == MIXED and len(pool) - classes.shape[1] < LEAST_OUTSIDE:
        room = np.zeros_like(room)
    counts = sampling.stranger_counts(others, room, seed, stream)
    place = np.zeros((len(classes), int(counts.max())), dtype=np.int64)
    for e in np.flatnonzero(counts):
        generator = episode_generator(seed, (stream, STRANGERS), int(e))
        place[e, : counts[e]] = first_distinct(generator, int(room[e]), int(counts[e]))
    for way in range(classes.shape[1]):  # past the images of the episode's classes
        place += np.where(place >= begin[:, way, None], length[:, way, None], 0)
    drawn = np.arange(place.shape[1]) < counts[:, None]
    return np.where(drawn, listed[np.where(drawn, place, 0)], PADDING)
