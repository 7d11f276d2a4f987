"""Balanced N-way K-shot episodes, drawn all at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewshot.episodes.class_pool import (
    check_parameters,
    class_pool,
    images_needed,
    places_before,
)
from fewshot.episodes.draws import check_memory, sample_without_replacement, uniform
from fewshot.episodes.episode_set import ClassIndex, EpisodeSet
from fewshot.episodes.rows import PADDING
from fewshot.episodes.shots import check_imbalance, largest_shots_of, unequal_shots
from fewshot.episodes.unlabelled import Reserved, reserve, unlabelled_rows
from fewshot.episodes.unlabelled_sampling import EQUAL, UnlabelledSampling
from fewshot.exceptions import (
    expect,
)

CLASSES, SHOTS, QUERIES = 0, 1, 2  # what a stream of uniform numbers decides


def sample_episodes(
    labels: ArrayLike,
    ways: int = 5,
    shots: int = 5,
    queries: int | str = 15,
    episodes: int = 600,
    seed: int = 0,
    *,
    classes: ArrayLike | None = None,
    classnames: Sequence[str] | None = None,
    min_images: str = "raise",
    stream: int = 0,
    unlabelled: int | str | UnlabelledSampling | None = None,
    unlabelled_shares: str = EQUAL,
    strangers: float = 0.0,
    largest_shots: int | None = None,
    subset: ArrayLike | None = None,
    shots_imbalance: float = 0.0,
) -> EpisodeSet:
    """Draw balanced episodes: N classes first, then K + Q images of each, without replacement.

    Episode e depends on (labels, classes, seed, e) alone. The classes do not depend on `shots`
    and the K-shot support is the beginning of the (K+1)-shot support, so that curves over shots
    are paired. Zero shots, for heads that know the classes by name, have the queries of one shot:
    one image of every class is kept aside, unless all are queries.

    Unlabelled images are drawn first, from a stream of their own, and shots and queries among the
    images that are left: every number of shots has the same unlabelled images, and K shots are the
    beginning of K + 1 shots here as well. Without unlabelled images nothing changes.

    Parameters
    ----------
    labels : array-like of int, shape (M,)
        Class of every row.
    ways, shots : int
        N >= 2 and K >= 0.
    queries : int or "all"
        Q >= 1 query images per class, or every image of the class that is not a shot.
    episodes : int
        E >= 1.
    seed : int
        >= 0.
    classes : array-like of int, optional
        Classes to draw from; all that occur in `labels` by default.
    classnames : sequence of str, optional
        For messages.
    min_images : {"raise", "drop"}
        What to do about a class with too few images.
    stream : int
        Another stream gives independent episodes under the same seed (0 for the episodes that
        are judged, 1 for those of base classes).
    unlabelled : int, "queries" or UnlabelledSampling, optional
        N >= 1 unlabelled images per class, apart from shots and queries; or the queries without
        their labels; or all about them in one object.
    unlabelled_shares : {"equal", "dirichlet"}
        Whether classes have N each or share N times `ways` by a Dirichlet distribution (alpha 2).
    strangers : float in [0, 1)
        Share, of all unlabelled images, of those of classes outside of the episode.
    largest_shots : int, optional
        Largest K of the sets of episodes that shall have the same unlabelled images; `shots` by
        default.
    subset : array-like of str, shape (M,), optional
        Shots and unlabelled images are drawn from "train" and queries from "test" images; by
        default all from all.
    shots_imbalance : float in [0, 1)
        s = (K_max - K_min) / (K_max + K_min) of unequal shots, `shots` on average; 0.8 is 1 to 9 of
        5. Classes have (1 - s) K to (1 + s) K shots in equal steps, in random order, see
        `fewshot.episodes.shots`; K shots are among those of K + 1 here, too. Every class has images
        for the most.

    Returns
    -------
    EpisodeSet

    Raises
    ------
    FewshotError
        Fewer classes than ways, a class with too few images, or too few of other classes.

    Examples
    --------
    >>> import numpy as np
    >>> from fewshot.episodes import sample_episodes
    >>> drawn = sample_episodes(np.repeat(np.arange(8), 20), ways=5, shots=2, episodes=100)
    >>> drawn.support.shape, drawn.query.shape
    ((100, 5, 2), (100, 5, 15))
    """
    labels = np.asarray(labels, dtype=np.int64)
    check_parameters(ways, shots, queries, episodes, seed, min_images)
    check_imbalance(shots_imbalance, shots)
    nominal = (ways, shots) if shots_imbalance else None
    mean_shots = shots
    if nominal:
        shots = largest_shots_of(shots, ways, shots_imbalance)
        if largest_shots is not None:
            largest_shots = largest_shots_of(largest_shots, ways, shots_imbalance)
    sampling = UnlabelledSampling.of(unlabelled, unlabelled_shares, strangers)
    pool, large, index, tests, room = class_pool(
        labels, shots, queries, sampling, largest_shots, classes, classnames, min_images, subset,
        uneven=nominal is not None,
    )  # fmt: skip
    expect(
        len(large) >= ways,
        "episodes.ways",
        f"expected at most the {len(large)} classes to draw from, got {ways}",
        "Lower episodes.ways or give more classes.",
    )
    check_memory(episodes, ways, _images_taken(shots, queries, tests) + room.unlabelled)
    counts = np.full((episodes, ways), shots)
    if nominal:
        counts = unequal_shots(mean_shots, shots_imbalance, episodes, ways, seed, stream)
    size = np.full(episodes, len(large))
    draws = uniform(seed, (stream, CLASSES), 0, episodes, ways).T
    chosen = large[sample_without_replacement(draws, size).T]
    before = shots if queries == "all" else places_before(shots)
    taken = shots if queries == "all" else images_needed(shots, queries)
    reserved = reserve(sampling, index, chosen, room.labelled, seed, stream)
    if tests is None:
        rows = _images(chosen, index, before, taken, seed, stream, reserved)
        query = None if queries == "all" else rows[..., before:]
    else:
        rows = _images(chosen, index, shots, shots, seed, stream, reserved)
        query = _queries_apart(chosen, tests, queries, seed, stream)
    extra = None
    if sampling is not None:
        asked = index.size[chosen] - counts if queries == "all" else np.full(chosen.shape, queries)
        if tests is not None:
            assert query is not None
            asked = (query >= 0).sum(-1)
            index = tests if sampling.are_queries else index  # that strangers come from
        extra = unlabelled_rows(
            sampling, reserved, index, chosen, pool, asked.sum(-1), seed, stream
        )
    support = rows[..., :shots]
    if nominal:
        support = np.where(np.arange(shots) < counts[..., None], support, PADDING)
    protocol = f"balanced(shots_imbalance={shots_imbalance:g})" if nominal else ""
    return EpisodeSet(
        chosen, support, query, labels, seed, extra, sampling, protocol=protocol, nominal=nominal
    )


def _images(
    chosen: NDArray,
    index: ClassIndex,
    shots: int,
    taken: int,
    seed: int,
    stream: int,
    reserved: Reserved,
) -> NDArray:
    """Row numbers (E, N, taken) of images of the chosen classes (E, N), shots first."""
    episodes, ways = chosen.shape
    if taken == 0:
        return np.empty((episodes, ways, 0), dtype=np.int64)
    draws = np.empty((taken, episodes * ways))
    for i in range(taken):
        # A stream for each shot: adding a shot leaves the earlier ones as they are.
        purpose = (SHOTS, i) if i < shots else (QUERIES, i - shots)
        draws[i] = uniform(seed, (stream, *purpose), 0, episodes, ways).reshape(-1)
    left = index.size[chosen] - reserved.counts
    place = sample_without_replacement(draws, left.reshape(-1))
    place = reserved.past(place.T.reshape(episodes, ways, taken))
    return index.rows[index.start[chosen][..., None] + place]


def all_rows(index: ClassIndex, classes: NDArray) -> NDArray:
    """All row numbers (..., Q) of classes (...), -1 in the padding."""
    size = index.size[classes][..., None]
    place = np.arange(size.max(initial=0))
    member = place < size
    start = index.start[classes][..., None]
    return np.where(member, index.rows[np.where(member, start + place, 0)], PADDING)


def _images_taken(shots: int, queries: int | str, tests: ClassIndex | None) -> int:
    """Images of a class in an episode, at most."""
    if tests is None:
        return images_needed(shots, queries)
    return shots + (int(tests.size.max(initial=0)) if queries == "all" else int(queries))


def _queries_apart(
    chosen: NDArray, tests: ClassIndex, queries: int | str, seed: int, stream: int
) -> NDArray:
    """Row numbers (E, N, Q) of queries that are drawn from images of their own."""
    if queries == "all":
        return all_rows(tests, chosen)
    return _images(chosen, tests, 0, int(queries), seed, stream, Reserved.none(chosen))
