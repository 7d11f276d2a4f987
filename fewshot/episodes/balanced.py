"""Balanced N-way K-shot episodes, drawn all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewshot.episodes.draws import check_memory, sample_without_replacement, uniform
from fewshot.episodes.episode_set import ClassIndex, EpisodeSet
from fewshot.episodes.rows import PADDING
from fewshot.episodes.shots import check_imbalance, largest_shots_of, unequal_shots
from fewshot.episodes.unlabelled import Reserved, reserve, unlabelled_rows
from fewshot.episodes.unlabelled_sampling import EQUAL, UnlabelledSampling
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    expect_positive_int,
)

CLASSES, SHOTS, QUERIES = 0, 1, 2  # what a stream of uniform numbers decides
TRAIN, TEST = "train", "test"


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
    _check_parameters(ways, shots, queries, episodes, seed, min_images)
    check_imbalance(shots_imbalance, shots)
    nominal = (ways, shots) if shots_imbalance else None
    mean_shots = shots
    if nominal:
        shots = largest_shots_of(shots, ways, shots_imbalance)
        if largest_shots is not None:
            largest_shots = largest_shots_of(largest_shots, ways, shots_imbalance)
    sampling = UnlabelledSampling.of(unlabelled, unlabelled_shares, strangers)
    pool, large, index, tests, room = _drawable(
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


def number_of_classes(
    labels: ArrayLike,
    ways: int,
    shots: int,
    queries: int | str,
    *,
    classes: ArrayLike | None = None,
    classnames: Sequence[str] | None = None,
    min_images: str = "raise",
    unlabelled: UnlabelledSampling | None = None,
    largest_shots: int | None = None,
    subset: ArrayLike | None = None,
    shots_imbalance: float = 0.0,
) -> int:
    """Number of classes that `sample_episodes` draws from, given the same arguments.

    Raises
    ------
    FewshotError
        A class with too few images, unless these are dropped.
    """
    _check_parameters(ways, shots, queries, 1, 0, min_images)
    check_imbalance(shots_imbalance, shots)
    if shots_imbalance:
        shots = largest_shots_of(shots, ways, shots_imbalance)
        if largest_shots is not None:
            largest_shots = largest_shots_of(largest_shots, ways, shots_imbalance)
    drawable = _drawable(
        np.asarray(labels, np.int64), shots, queries, unlabelled, largest_shots, classes,
        classnames, min_images, subset, uneven=shots_imbalance > 0,
    )  # fmt: skip
    return len(drawable.large)


class _Drawable(NamedTuple):
    """Classes to draw from, those of them with enough images, and these images."""

    pool: NDArray[np.int64]
    large: NDArray[np.int64]
    images: ClassIndex
    tests: ClassIndex | None
    room: Room


def _drawable(
    labels: NDArray,
    shots: int,
    queries: int | str,
    sampling: UnlabelledSampling | None,
    largest_shots: int | None,
    classes: ArrayLike | None,
    classnames: Sequence[str] | None,
    min_images: str,
    subset: ArrayLike | None,
    uneven: bool,
) -> _Drawable:
    """What episodes are drawn from; `shots` are those of the class with most."""
    pool = np.unique(labels[labels >= 0] if classes is None else np.asarray(classes, np.int64))
    index, tests = indices(labels, subset)
    if tests is None:
        room = Room.of(sampling, shots, queries, largest_shots)
        large = _large_enough(pool, index, room, queries, classnames, min_images, uneven)
    else:
        room = Room.of_shots(sampling, shots, largest_shots)
        large = _large_enough_apart(pool, index, tests, room, queries, classnames, min_images)
    return _Drawable(pool, large, index, tests, room)


def places_before(shots: int) -> int:
    """Images drawn before the queries: where zero shots keep one aside, they have those of one."""
    return max(shots, 1)


def indices(labels: NDArray, subset: ArrayLike | None) -> tuple[ClassIndex, ClassIndex | None]:
    """Images that shots and queries are drawn from; None for the latter if from the same."""
    if subset is None:
        return ClassIndex.of(labels), None
    parts, total = np.asarray(subset), int(labels.max(initial=-1)) + 1
    expect(
        parts.shape == labels.shape,
        "subset",
        f"expected a word for each of {len(labels)} images, got {parts.shape}",
    )
    train, test = (
        ClassIndex.of(np.where(parts == part, labels, -1), total) for part in (TRAIN, TEST)
    )
    return train, test


def images_needed(shots: int, queries: int | str) -> int:
    """Images that a class has to have."""
    return shots + 1 if queries == "all" else places_before(shots) + int(queries)


class Room(NamedTuple):
    """Images that a class has to have.

    Attributes
    ----------
    shots : int
        Labelled images that are asked for.
    labelled : int
        Images for shots and queries.
    unlabelled : int
    """

    shots: int
    labelled: int
    unlabelled: int

    @classmethod
    def of(
        cls,
        sampling: UnlabelledSampling | None,
        shots: int,
        queries: int | str,
        largest_shots: int | None,
    ) -> Room:
        """The images for `shots`, or for the largest number of shots if others are unlabelled.

        Raises
        ------
        FewshotError
            `largest_shots` below `shots`.
        """
        if sampling is None or sampling.are_queries:
            return cls(shots, images_needed(shots, queries), 0)
        most = shots if largest_shots is None else largest_shots
        expect_positive_int("largest_shots", most, minimum=shots)
        left = most + sampling.queries_left if queries == "all" else 0
        return cls(most, max(left, images_needed(most, queries)), sampling.per_class)

    @classmethod
    def of_shots(
        cls, sampling: UnlabelledSampling | None, shots: int, largest_shots: int | None
    ) -> Room:
        """The same where queries come from other images."""
        if sampling is None or sampling.are_queries:
            return cls(shots, shots, 0)
        most = shots if largest_shots is None else largest_shots
        expect_positive_int("largest_shots", most, minimum=shots)
        return cls(most, most, sampling.per_class)


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


def _large_enough_apart(
    pool: NDArray,
    index: ClassIndex,
    tests: ClassIndex,
    room: Room,
    queries: int | str,
    classnames: Sequence[str] | None,
    min_images: str,
) -> NDArray:
    """Classes with enough images for shots in `index` and for queries in `tests`."""
    each = room.labelled + room.unlabelled
    asked = 1 if queries == "all" else int(queries)
    fine = (index.size[pool] >= each) & (tests.size[pool] >= asked)
    if min_images == "drop" or fine.all():
        return pool[fine]
    first = int(pool[~fine][0])
    name = repr(str(classnames[first])) if classnames is not None else str(first)
    more = f" (and {len(pool) - fine.sum() - 1} more classes have too few)"
    what, settings = "shots", "episodes.shots"
    if room.unlabelled:
        what, settings = "shots and unlabelled images", "episodes.unlabelled, episodes.shots"
    raise FewshotError(
        "episodes",
        f"class {name} has {index.size[first]} images for {what} and {tests.size[first]} for "
        f"queries; {each} and {asked} are needed{more if (~fine).sum() > 1 else ''}",
        f"Lower {settings} or episodes.queries, or set episodes.min_images=drop.",
    )


def _large_enough(
    pool: NDArray,
    index: ClassIndex,
    room: Room,
    queries: int | str,
    classnames: Sequence[str] | None,
    min_images: str,
    uneven: bool,
) -> NDArray:
    """Classes with enough images; `uneven` shots are those of the class with most."""
    shots, each = room.shots, room.labelled + room.unlabelled
    size = np.zeros(max(len(index.size), int(pool.max(initial=-1)) + 1), dtype=np.int64)
    size[: len(index.size)] = index.size
    small = pool[size[pool] < each]
    if min_images == "drop" or len(small) == 0:
        return pool[size[pool] >= each]
    first = int(small[0])
    name = repr(str(classnames[first])) if classnames is not None else str(first)
    others = f" (and {len(small) - 1} more classes have too few)" if len(small) > 1 else ""
    asked = "1 query" if queries == "all" else f"{queries} queries"
    if shots == 0 and queries != "all":
        asked += " (those of 1 shot, whose image is kept aside)"
    settings = "episodes.shots or episodes.queries"
    if room.unlabelled:
        asked += f" + {room.unlabelled} unlabelled images"
        settings = "episodes.unlabelled, episodes.shots or episodes.queries"
    if uneven:
        asked = f"(the most of a class) + {asked}"
        settings = f"episodes.shots_imbalance, {settings}"
    else:
        asked = f"+ {asked}"
    raise FewshotError(
        "episodes",
        f"class {name} has {size[first]} images; {shots} shots {asked} need {each}{others}",
        f"Lower {settings}, or set episodes.min_images=drop.",
    )


def _check_parameters(
    ways: int, shots: int, queries: int | str, episodes: int, seed: int, min_images: str
) -> None:
    expect_positive_int("episodes.ways", ways, minimum=2)
    expect_positive_int("episodes.shots", shots, minimum=0)
    if queries != "all":
        if isinstance(queries, str):
            raise FewshotError("episodes.queries", f"expected 'all' or an integer, got {queries!r}")
        expect_positive_int("episodes.queries", queries)
    expect_positive_int("episodes.count", episodes)
    expect_positive_int("seed", seed, minimum=0)
    expect_choice("episodes.min_images", min_images, ("raise", "drop"))
