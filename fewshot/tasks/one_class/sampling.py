"""One-class tasks: a target class, its images, and images of other classes at several prevalences.

Every task has a generator of its own, so that task 17 is the same however many tasks and
prevalences there are; images at a lower share of negatives are among those at a higher one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewshot.episodes.draws import uniform
from fewshot.episodes.episode_set import ClassIndex
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_number,
    expect_positive_int,
)

TARGETS, IMAGES = 0, 1  # streams of random numbers


@dataclass(frozen=True, eq=False)
class OneClassTasks:
    """Row numbers of T tasks, positives first.

    Attributes
    ----------
    targets : ndarray of shape (T,), int64
        Class of each task.
    rows : tuple of T ndarrays, int64
        Positives of a task, then its negatives, both in random order.
    positives : ndarray of shape (T,), int64
        How many rows of each task are positives.
    counts : ndarray of shape (T, P, 2), int64
        Positives and negatives that count at each prevalence: the first ones of either. 0 and 0
        where there are too few negatives for a single positive.
    prevalences : tuple of P float
    dropped : tuple of int
        Classes that could not be targets: no image, or no negatives.
    seed : int
    """

    targets: NDArray
    rows: tuple[NDArray, ...]
    positives: NDArray
    counts: NDArray
    prevalences: tuple[float, ...]
    dropped: tuple[int, ...] = ()
    seed: int = 0

    def __len__(self) -> int:
        return len(self.targets)

    def hash(self) -> str:
        """SHA-256 over the content."""
        digest = hashlib.sha256(repr(self.prevalences).encode())
        for array in (self.targets, self.positives, self.counts, *self.rows):
            digest.update(np.ascontiguousarray(array, dtype="<i8").data)
        return digest.hexdigest()


def draw_tasks(
    labels: NDArray,
    classes: NDArray,
    tasks: int = 100,
    prevalences: Sequence[float] = (0.5,),
    seed: int = 0,
    *,
    apart: NDArray | None = None,
    stream: int = 0,
) -> OneClassTasks:
    """Draw one-class tasks: all images of a class as positives, other classes as negatives.

    Parameters
    ----------
    labels : ndarray of shape (M,), int64
    classes : ndarray of int
        Targets and negatives come from these. Every class is a target once before any is twice.
    tasks : int
        T.
    prevalences : sequence of float in (0, 1)
        Shares of positives. Where there are too few negatives, fewer positives count.
    seed : int
    apart : ndarray of shape (C, C), bool, optional
        Whether images of class j may be negatives of class i; by default all but i itself.
        Negatives are uniform over the images of these classes.
    stream : int
        Another stream gives independent tasks under the same seed.

    Raises
    ------
    FewshotError
        A prevalence out of range, fewer than two classes, or no class with enough negatives.
    """
    expect_positive_int("one_class.tasks", tasks)
    shares = check_prevalences(prevalences)
    index = ClassIndex.of(labels, int(np.max(classes, initial=-1)) + 1)
    pool = np.unique(np.asarray(classes, dtype=np.int64))
    targets = pool[index.size[pool] > 0]
    _check_class_number(targets)
    allowed = _allowed(targets, apart)
    class_size, negatives_size = index.size[targets], (allowed * index.size[targets]).sum(1)
    enough = _class_counts(class_size[:, None], negatives_size[:, None], shares)
    fine = negatives_size > 0
    _check_positives(enough[fine])
    places = _draw_targets(np.flatnonzero(fine), tasks, seed, stream)
    members = [index.rows_of(c) for c in targets]
    drawn = [_draw_images(members, allowed[place], place, (seed, stream, IMAGES, i))
             for i, place in enumerate(places)]  # fmt: skip
    counts = enough[places]
    most = counts.max(1)
    kept = [np.concatenate([positives[:a], negatives[:b]])
            for (positives, negatives), (a, b) in zip(drawn, most, strict=True)]  # fmt: skip
    dropped = tuple(int(c) for c in [*pool[index.size[pool] == 0], *targets[~fine]])
    return OneClassTasks(targets[places], tuple(kept), most[:, 0], counts, shares, dropped, seed)


def check_prevalences(prevalences: Sequence[float]) -> tuple[float, ...]:
    """Check prevalences and return the distinct ones as a tuple."""
    argument = "one_class.prevalences"
    listed = isinstance(prevalences, Sequence) and not isinstance(prevalences, str)
    expect(listed and len(prevalences) > 0, argument,
           f"expected a list of at least one number, got {prevalences!r}")  # fmt: skip
    for share in prevalences:
        expect_number(argument, share, 0.001, 0.999)
    return tuple(dict.fromkeys(float(share) for share in prevalences))


def _check_class_number(classes: NDArray) -> None:
    expect(
        len(classes) >= 2,
        "dataset",
        f"expected two classes with images or more, got {len(classes)}: negatives are images of "
        "other classes",
    )


def _check_positives(counts: NDArray) -> None:
    if not counts.any():
        raise FewshotError(
            "one_class",
            "no class has negatives enough for a single positive",
            "Raise one_class.prevalences, or take other negatives (one_class.negatives, "
            "one_class.distance).",
        )


def _allowed(classes: NDArray, apart: NDArray | None) -> NDArray:
    """Mask (C, C) of the classes (columns) that may give negatives of each class (rows)."""
    allowed = ~np.eye(len(classes), dtype=bool)
    return allowed if apart is None else allowed & apart[np.ix_(classes, classes)]


def _class_counts(
    class_size: NDArray, negatives_size: NDArray, shares: tuple[float, ...]
) -> NDArray:
    """Positives and negatives (C, P, 2) at each share, limited by the sizes (C, 1)."""
    odds = np.array([(1 - share) / share for share in shares])
    class_size, negatives_size = (
        np.broadcast_to(sizes, (len(class_size), len(odds)))
        for sizes in (class_size, negatives_size)
    )
    positives = np.minimum(class_size, np.floor(negatives_size / odds + 1e-9).astype(np.int64))
    # Shares above one half of a small class may ask for a part of an image.
    negatives = np.maximum(1, np.round(positives * odds)).astype(np.int64)
    none = (positives == 0) | (negatives_size < negatives)
    return np.where(none[..., None], 0, np.stack([positives, negatives], -1))


def _draw_targets(places: NDArray, tasks: int, seed: int, stream: int) -> NDArray:
    """`tasks` places in random order; every place occurs once before any is repeated."""
    rounds = -(-tasks // len(places))
    order = uniform(seed, (stream, TARGETS), 0, rounds, len(places)).argsort(1, kind="stable")
    chosen: NDArray = places[order.reshape(-1)[:tasks]]
    return chosen


def _draw_images(
    members: list[NDArray], allowed: NDArray, place: int, stream: tuple[int, ...]
) -> tuple[NDArray, NDArray]:
    """Rows of all positives and all possible negatives of a task, in random order."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(stream)))
    positives = generator.permutation(members[place])
    negatives = np.concatenate([members[j] for j in np.flatnonzero(allowed)])
    return positives, generator.permutation(negatives)
