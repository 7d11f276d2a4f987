"""Balanced episodes without replacement: no image is in two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewshot.episodes.balanced import sample_episodes
from fewshot.episodes.class_pool import images_needed, places_before
from fewshot.episodes.draws import check_memory, episode_generator
from fewshot.episodes.episode_set import ClassIndex, EpisodeSet
from fewshot.episodes.unlabelled_sampling import QUERIES, UnlabelledSampling
from fewshot.exceptions import FewshotError, expect, expect_positive_int

PROTOCOL = "disjoint"
ALL = "all"
# Streams of generators beside 0 to 12: the order of the images of a class, the classes of episodes.
IMAGES, CLASSES = 13, 14


def sample_disjoint_episodes(
    labels: ArrayLike,
    ways: int = 5,
    shots: int = 5,
    queries: int | str = 15,
    episodes: int | str = ALL,
    seed: int = 0,
    *,
    classes: ArrayLike | None = None,
    classnames: Sequence[str] | None = None,
    min_images: str = "raise",
    queries_unlabelled: bool = False,
    largest_shots: int | None = None,
) -> EpisodeSet:
    """Draw balanced episodes of which no two have an image in common.

    Lafargue et al., "Oops, I Sampled It Again: Reinterpreting Confidence Intervals in Few-Shot
    Learning", TMLR 2024: such episodes are independent draws of images, so that
    mean +- t s / sqrt(E) is an interval for other images as well ("open"), where that of episodes
    drawn with replacement is one for other draws from the same images alone ("closed").

    Unlike those of other samplers, an episode depends on their number: the classes of each are
    drawn among those with images left, such that all E can be filled. The images of a class are
    used in random order, and K shots are the beginning of K + 1 shots, with the same queries.

    Parameters
    ----------
    labels : array-like of int, shape (M,)
    ways, shots : int
        N >= 2 and K >= 0.
    queries : int
        Q >= 1 query images per class.
    episodes : int or "all"
        E >= 1, or as many as the images allow.
    seed : int
        >= 0.
    classes, classnames, min_images
        As in `sample_episodes`.
    queries_unlabelled : bool
        Whether estimators see the queries without their labels.
    largest_shots : int, optional
        Largest K of the sets of episodes that shall have the same classes and queries; `shots` by
        default.

    Returns
    -------
    EpisodeSet

    Raises
    ------
    FewshotError
        More episodes than the images allow, fewer classes than ways, a class with too few images.

    Examples
    --------
    >>> import numpy as np
    >>> from fewshot.episodes import sample_disjoint_episodes
    >>> drawn = sample_disjoint_episodes(np.repeat(np.arange(10), 60), shots=5, queries=15)
    >>> len(drawn), len(np.unique(drawn.support)) == drawn.support.size
    (6, True)
    """
    if isinstance(queries, str):
        raise FewshotError(
            "episodes.queries",
            f"expected a number of queries per class with disjoint episodes, got {queries!r}",
            "All other images of a class would leave none for another episode.",
        )
    most = shots if largest_shots is None else largest_shots
    expect_positive_int("largest_shots", most, minimum=shots)
    # Checks the parameters, and that each class has images for one episode.
    first = sample_episodes(labels, ways, most, queries, 1, seed, classes=classes,
                            classnames=classnames, min_images=min_images)  # fmt: skip
    index = ClassIndex.of(first.labels)
    pool = np.unique(first.labels[first.labels >= 0] if classes is None else classes)
    each = images_needed(most, queries)
    room = index.size[pool[pool < len(index.size)]] // each
    pool, room = pool[: len(room)][room > 0], room[room > 0]
    count = _number(episodes, most_disjoint(room, ways), each)
    check_memory(count, ways, each)
    chosen, turn = _classes(room, ways, count, seed)
    order = np.concatenate([_order(index.size[c], seed, int(c)) for c in pool])
    start = np.cumsum(index.size[pool]) - index.size[pool]
    place = start[chosen][..., None] + turn[..., None] * each + np.arange(each)
    rows = index.rows[index.start[pool[chosen]][..., None] + order[place]]
    return replace(
        first,
        classes=pool[chosen],
        support=rows[..., :shots],
        query=rows[..., places_before(most) :],
        unlabelled_sampling=UnlabelledSampling(QUERIES) if queries_unlabelled else None,
        protocol=PROTOCOL,
    )


def most_disjoint(room: NDArray, ways: int) -> int:
    """Largest number of episodes of different classes, of which class c can be in ``room[c]``.

    E episodes need N E places, of which class c fills min(E, room[c]) at most; that is enough.

    Examples
    --------
    >>> most_disjoint(np.array([3, 3, 1]), 2), most_disjoint(np.array([9, 1, 1]), 2)
    (3, 2)
    """
    low, high = 0, int(room.sum()) // ways
    while low < high:
        middle = (low + high + 1) // 2
        enough = int(np.minimum(room, middle).sum()) >= ways * middle
        low, high = (middle, high) if enough else (low, middle - 1)
    return low


def _number(episodes: int | str, most: int, each: int) -> int:
    """Number of episodes to draw."""
    if episodes == ALL:
        return most
    if isinstance(episodes, str):
        raise FewshotError("episodes.count", f"expected a number or 'all', got {episodes!r}")
    expect_positive_int("episodes.count", episodes)
    expect(
        episodes <= most,
        "episodes.count",
        f"expected at most the {most} disjoint episodes with {each} images per class that the "
        f"images allow, got {episodes}",
        "Set episodes.count=all for as many as there are, or lower episodes.queries.",
    )
    return int(episodes)


def _classes(room: NDArray, ways: int, count: int, seed: int) -> tuple[NDArray, NDArray]:
    """Classes (E, N) of each episode, and how often each was used before it (E, N).

    Uniform among the classes with images left, except where the others could not fill the episodes
    that are left: of the classes that could be in all of those, some have to be taken then.
    """
    left, used = room.copy(), np.zeros_like(room)
    chosen = np.empty((count, ways), dtype=np.int64)
    turn = np.empty_like(chosen)
    generator = episode_generator(seed, (0, CLASSES), 0)
    for e in range(count):
        remaining = count - e
        spare = int(np.minimum(left, remaining).sum()) - ways * (remaining - 1)
        large = left >= remaining
        # After a class that could be in all, the others have as many places as before.
        needed = max(0, ways + int(large.sum()) - spare)
        order = generator.permutation(np.flatnonzero(left))
        forced = order[large[order]][:needed]
        rest = order[~np.isin(order, forced)]
        chosen[e] = np.concatenate([forced, rest[: ways - len(forced)]])
        turn[e] = used[chosen[e]]
        left[chosen[e]] -= 1
        used[chosen[e]] += 1
    # The places of an episode shall not tell which classes had to be taken.
    mixed = generator.permuted(np.tile(np.arange(ways), (count, 1)), axis=1)
    return np.take_along_axis(chosen, mixed, 1), np.take_along_axis(turn, mixed, 1)


def _order(size: int, seed: int, c: int) -> NDArray:
    """Order in which the images of class c are used."""
    return episode_generator(seed, (0, IMAGES), c).permutation(size)
