"""Unknown queries of episodes: images of classes outside of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fewshot.episodes.draws import check_memory, sample_without_replacement, uniform
from fewshot.episodes.episode_set import ClassIndex, EpisodeSet
from fewshot.exceptions import FewshotError

# Streams of uniform numbers beside those of the samplers, 0 to 14: which classes, which images.
UNKNOWN_CLASSES, UNKNOWN_IMAGES = 15, 16


def draw_unknown(
    episodes: EpisodeSet, pool: NDArray, ways: int, queries: int, seed: int
) -> tuple[NDArray, NDArray]:
    """Draw classes that are not in an episode, and queries of each.

    They depend on the seed, the number of the episode and its classes alone: all numbers of shots
    have the same, and fewer classes or queries are the beginning of more.

    Parameters
    ----------
    episodes : EpisodeSet
        E episodes.
    pool : ndarray of int
        Classes to draw from, ascending; those without so many images are left out.
    ways, queries : int
        Unknown classes of an episode, and queries of each, >= 1.
    seed : int

    Returns
    -------
    classes : ndarray of shape (E, ways), int64
    rows : ndarray of shape (E, ways, queries), int64
        Row numbers.

    Raises
    ------
    FewshotError
        Too few classes outside of an episode.
    """
    index = ClassIndex.of(episodes.labels)
    known = pool[pool < len(index.size)]
    large = known[index.size[known] >= queries]
    inside = (large == episodes.classes[..., None]).any(1)
    fewest = int((~inside).sum(1).min()) if len(large) else 0
    if fewest < ways:
        raise FewshotError(
            "open_set.unknown_ways",
            f"expected at most the {fewest} classes outside of an episode that have {queries} "
            f"images, got {ways}",
            "Lower open_set.unknown_ways, open_set.unknown_queries or episodes.ways.",
        )
    check_memory(len(episodes), ways, queries)
    draws = uniform(seed, (0, UNKNOWN_CLASSES), 0, len(episodes), len(large))
    order = np.where(inside, np.inf, draws).argsort(1)[:, :ways]
    classes = large[order]
    steps = [
        uniform(seed, (0, UNKNOWN_IMAGES, i), 0, len(episodes), len(large)) for i in range(queries)
    ]
    draws = np.stack([np.take_along_axis(step, order, 1).reshape(-1) for step in steps])
    place = sample_without_replacement(draws, index.size[classes].reshape(-1))
    place = place.T.reshape(*classes.shape, queries)
    return classes, index.rows[index.start[classes][..., None] + place]
