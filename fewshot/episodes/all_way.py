"""All classes at once: K shots of each, several draws, the whole test set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewshot.episodes.balanced import SHOTS, all_rows
from fewshot.episodes.class_pool import TEST, TRAIN, Room
from fewshot.episodes.draws import check_memory, sample_without_replacement, uniform
from fewshot.episodes.episode_set import ClassIndex, EpisodeSet
from fewshot.episodes.unlabelled import Reserved, reserve, unlabelled_rows
from fewshot.episodes.unlabelled_sampling import EQUAL, UnlabelledSampling
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    expect_positive_int,
)

PROTOCOL = "all_way"
STREAM = 2  # beside 0 for judged episodes and 1 for those of base classes


def sample_all_way(
    labels: ArrayLike,
    shots: int = 16,
    episodes: int = 3,
    seed: int = 0,
    *,
    subset: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    classnames: Sequence[str] | None = None,
    min_images: str = "raise",
    unlabelled: int | str | UnlabelledSampling | None = None,
    unlabelled_shares: str = EQUAL,
    strangers: float = 0.0,
    largest_shots: int | None = None,
) -> EpisodeSet:
    """Draw `episodes` supports of K shots of every class, in the protocol of CLIP's linear probes.

    Where the images come split, shots are training images and every test image is a query;
    elsewhere every image that is not a shot is one. Draw e depends on (labels, seed, e) alone, and
    K shots are the beginning of K + 1 shots.

    Parameters
    ----------
    labels : array-like of int, shape (M,)
    shots : int
        K >= 0; without shots a draw has nothing to draw, and all are the same.
    episodes : int
        Draws ("seeds" in papers), >= 1.
    seed : int
    subset : array-like of str, shape (M,), optional
        "train", "validation" or "test" for every image; validation images serve nobody.
    classes : array-like of int, optional
        All that occur by default.
    classnames : sequence of str, optional
        For messages.
    min_images : {"raise", "drop"}
        What to do about a class with too few images.
    unlabelled, unlabelled_shares, largest_shots
        As in `sample_episodes`; unlabelled images are training images where the images come split.
    strangers : float
        Only 0: no class is outside of such an episode.

    Returns
    -------
    EpisodeSet
        N = C ways, in the order of the class numbers.

    Raises
    ------
    FewshotError
        A class with too few images to draw from, or without one to test on; strangers.

    Examples
    --------
    >>> import numpy as np
    >>> from fewshot.episodes import sample_all_way
    >>> drawn = sample_all_way(np.repeat(np.arange(8), 20), shots=4, episodes=3)
    >>> drawn.support.shape, drawn.queries
    ((3, 8, 4), 'all')
    """
    labels = np.asarray(labels, dtype=np.int64)
    expect_positive_int("episodes.shots", shots, minimum=0)
    expect_positive_int("episodes.count", episodes)
    expect_positive_int("seed", seed, minimum=0)
    expect_choice("episodes.min_images", min_images, ("raise", "drop"))
    pool = np.unique(labels[labels >= 0]) if classes is None else np.unique(classes)
    total = int(max(labels.max(initial=-1), pool.max(initial=-1))) + 1
    parts = None if subset is None else np.asarray(subset)
    index = _index(labels, parts, TRAIN, total)
    tests = None if parts is None else _index(labels, parts, TEST, total)
    sampling = UnlabelledSampling.of(unlabelled, unlabelled_shares, strangers)
    expect(
        sampling is None or not sampling.strangers,
        "episodes.strangers",
        "expected 0 with the sampler all_way: no class is outside of an episode",
    )
    room = _room(sampling, shots, tests is None, largest_shots)
    fine = index.size[pool] >= room.labelled + room.unlabelled
    if tests is not None:
        fine &= tests.size[pool] > 0
    if min_images == "raise" and not fine.all():
        raise _too_few(int(pool[~fine][0]), index, tests, room, classnames)
    pool = pool[fine]
    expect(len(pool) > 1, "episodes", f"expected two classes or more, got {len(pool)}")
    test_images = 0 if tests is None else int(tests.size[pool].max())
    check_memory(episodes, len(pool), shots + test_images + room.unlabelled)
    chosen = np.tile(pool, (episodes, 1))
    reserved = reserve(sampling, index, chosen, room.labelled, seed, STREAM)
    support = _draw(index, chosen, shots, seed, reserved)
    query = None if tests is None else np.stack([all_rows(tests, pool)] * episodes)
    extra = None
    if sampling is not None and not sampling.are_queries:
        none = np.zeros(episodes, dtype=np.int64)
        extra = unlabelled_rows(sampling, reserved, index, chosen, pool, none, seed, STREAM)
    return EpisodeSet(chosen, support, query, labels, seed, extra, sampling, PROTOCOL)


def _room(
    sampling: UnlabelledSampling | None, shots: int, queries_too: bool, largest_shots: int | None
) -> Room:
    """Images that a class has to have, one for a query among them where there is no test set."""
    room = Room.of_shots(sampling, shots, largest_shots)
    return room._replace(labelled=room.labelled + queries_too)


def _index(labels: NDArray, parts: NDArray | None, part: str, total: int) -> ClassIndex:
    """Images of every class in one subset, of all where there are none."""
    return ClassIndex.of(labels if parts is None else np.where(parts == part, labels, -1), total)


def _draw(index: ClassIndex, chosen: NDArray, shots: int, seed: int, reserved: Reserved) -> NDArray:
    """Row numbers (E, C, K) of all draws; a stream for each shot, as in balanced episodes."""
    if shots == 0:
        return np.empty((*chosen.shape, 0), dtype=np.int64)
    draws = np.stack(
        [uniform(seed, (STREAM, SHOTS, i), 0, *chosen.shape).reshape(-1) for i in range(shots)]
    )
    left = index.size[chosen] - reserved.counts
    place = sample_without_replacement(draws, left.reshape(-1)).T.reshape(*chosen.shape, shots)
    return index.rows[index.start[chosen][..., None] + reserved.past(place)]


def _too_few(
    c: int,
    index: ClassIndex,
    tests: ClassIndex | None,
    room: Room,
    classnames: Sequence[str] | None,
) -> FewshotError:
    name = repr(str(classnames[c])) if classnames is not None else str(c)
    shots, settings, more = room.shots, "episodes.shots", ""
    if room.unlabelled:
        more = f" + {room.unlabelled} unlabelled images"
        settings = "episodes.unlabelled, episodes.shots,"
    if tests is None:
        need = room.labelled + room.unlabelled
        have = f"{index.size[c]} images; {shots} shots + 1 query{more} need {need}"
    else:
        have = (
            f"{index.size[c]} training and {tests.size[c]} test images; {shots} shots{more} and a "
            "query are needed"
        )
    return FewshotError(
        "episodes",
        f"class {name} has {have}",
        f"Lower {settings} or set episodes.min_images=drop.",
    )
