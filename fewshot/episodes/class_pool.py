"""Which classes have images enough for episodes, and what these are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewshot.episodes.episode_set import ClassIndex
from fewshot.episodes.shots import check_imbalance, largest_shots_of
from fewshot.episodes.unlabelled_sampling import UnlabelledSampling
from fewshot.exceptions import FewshotError, expect, expect_choice, expect_positive_int

TRAIN, TEST = "train", "test"


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
    check_parameters(ways, shots, queries, 1, 0, min_images)
    check_imbalance(shots_imbalance, shots)
    if shots_imbalance:
        shots = largest_shots_of(shots, ways, shots_imbalance)
        if largest_shots is not None:
            largest_shots = largest_shots_of(largest_shots, ways, shots_imbalance)
    drawable = class_pool(
        np.asarray(labels, np.int64), shots, queries, unlabelled, largest_shots, classes,
        classnames, min_images, subset, uneven=shots_imbalance > 0,
    )  # fmt: skip
    return len(drawable.large)


class ClassPool(NamedTuple):
    """Classes to draw from, those of them with enough images, and these images.

    Attributes
    ----------
    pool, large : ndarray of int
        Ascending.
    images : ClassIndex
        That shots are drawn from.
    tests : ClassIndex, optional
        That queries are drawn from, where it is others.
    room : Room
    """

    pool: NDArray[np.int64]
    large: NDArray[np.int64]
    images: ClassIndex
    tests: ClassIndex | None
    room: Room


def class_pool(
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
) -> ClassPool:
    """What episodes are drawn from; `shots` are those of the class with most."""
    pool = np.unique(labels[labels >= 0] if classes is None else np.asarray(classes, np.int64))
    index, tests = indices(labels, subset)
    if tests is None:
        room = Room.of(sampling, shots, queries, largest_shots)
        large = _large_enough(pool, index, room, queries, classnames, min_images, uneven)
    else:
        room = Room.of_shots(sampling, shots, largest_shots)
        large = _large_enough_apart(pool, index, tests, room, queries, classnames, min_images)
    return ClassPool(pool, large, index, tests, room)


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


def check_parameters(
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
