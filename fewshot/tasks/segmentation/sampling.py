"""Samplers of annotated images: per class, greedy, in total, and in episodes of some classes.

A draw is decided by its number and the seed alone, and the images of K shots are the first ones of
K + 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot.episodes.draws import episode_generator
from fewshot.exceptions import FewshotError, expect, expect_choice, expect_positive_int
from fewshot.tasks.segmentation.draws import EVERY_CLASS, DrawSet
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.units import counted

SAMPLERS = ("per_class", "greedy", "total", "episodic")
ANNOTATIONS = ("all", "target")
# Streams of random numbers.
_SUPPORT, _CLASSES, _QUERIES = (31, 0), (31, 1), (31, 2)


@dataclass(frozen=True)
class DrawSampling:
    """How annotated images are drawn.

    Attributes
    ----------
    sampler : {"per_class", "greedy", "total", "episodic"}
        "per_class": K images of every class, with the pixels of all classes annotated (arXiv
        2401.11311). "greedy": images until every class, the rarest first, is in K of them; images
        drawn for one class count for others. "total": K images, whatever they show. "episodic":
        `ways` classes and the background, K images of each class.
    shots : tuple of int
        Numbers K, a set of draws each.
    count : int
        Draws of each set.
    ways : int, optional
        Classes of an episode; of "episodic" only.
    queries : int, optional
        Query images of a draw, at random; all by default. In episodes, images with a class, for
        every class, and as many without any; 1 by default.
    annotate : {"all", "target"}
        Whether the pixels of all classes are annotated in an image, or those of the class that it
        was drawn for alone.
    min_pixels : int
        Pixels by which an image is one of a class.
    min_images : {"raise", "drop"}
        What to do about a class with too few images; the pixels of dropped ones are ignored.
    replay : DrawSet, optional
        Drawn images, in place of all this.
    """

    sampler: str = "per_class"
    shots: tuple[int, ...] = (1, 5)
    count: int = 5
    ways: int | None = None
    queries: int | None = None
    annotate: str = "all"
    min_pixels: int = 1
    min_images: str = "raise"
    replay: DrawSet | None = None

    def __post_init__(self) -> None:
        if self.replay is not None:
            return
        expect_choice("episodes.sampler", self.sampler, SAMPLERS)
        expect_choice("episodes.annotate", self.annotate, ANNOTATIONS)
        expect_choice("episodes.min_images", self.min_images, ("raise", "drop"))
        expect(len(self.shots) > 0, "episodes.shots", "expected a number or a list of them, got []")
        for number in self.shots:
            expect_positive_int("episodes.shots", number)
        twice = [number for number in self.shots if self.shots.count(number) > 1]
        expect(
            not twice,
            "episodes.shots",
            f"expected different numbers, got {twice[0] if twice else None} twice",
            "Name every number once.",
        )
        expect_positive_int("episodes.count", self.count)
        expect_positive_int("episodes.min_pixels", self.min_pixels)
        if self.queries is not None:
            expect_positive_int("episodes.queries", self.queries)
        if self.sampler == "episodic":
            if self.ways is not None:
                expect_positive_int("episodes.ways", self.ways)
        else:
            expect(
                self.ways is None,
                "episodes.ways",
                f"expected null, got {self.ways}: the sampler {self.sampler!r} takes all classes",
                "For some classes at a time, set episodes.sampler=episodic.",
            )
            expect(
                self.sampler == "per_class" or self.annotate == "all",
                "episodes.annotate",
                f"expected all: the sampler {self.sampler!r} draws images of no class in "
                "particular",
            )

    @property
    def numbers_of_shots(self) -> tuple[int, ...]:
        """Numbers of shots; of replayed draws, theirs."""
        return self.shots if self.replay is None else (self.replay.shots,)

    def draw(self, dataset: MaskDataset, seed: int) -> list[DrawSet]:
        """A set of draws per number of shots.

        Raises
        ------
        FewshotError
            Too few images of a class, or no image is left to be judged.
        """
        if self.replay is not None:
            return [check_replay(self.replay, dataset)]
        plan = _Plan.of(dataset, self)
        if self.sampler == "episodic":
            return _episodes(plan, self, seed)
        return _whole(plan, self, seed)


class _Plan(NamedTuple):
    """What draws are made of: which image shows which class.

    `shows` (M, C) says in which images of the support part a class has enough pixels; `members`
    are the rows by class.
    """

    dataset: MaskDataset
    shows: NDArray[np.bool_]
    members: list[NDArray[np.int64]]
    classes: NDArray[np.int64]

    @classmethod
    def of(cls, dataset: MaskDataset, sampling: DrawSampling) -> _Plan:
        shows = dataset.presence() >= sampling.min_pixels
        members = [dataset.support[shows[dataset.support, c]] for c in range(shows.shape[1])]
        needed = 1 if sampling.sampler == "total" else max(sampling.shots)
        few = [c for c, rows in enumerate(members) if len(rows) < needed]
        if sampling.sampler == "episodic":  # classes are drawn from those that have enough
            few_are_left_out = True
        else:
            few_are_left_out = sampling.min_images == "drop" or sampling.sampler == "total"
        if few and not few_are_left_out:
            raise _too_few(dataset, members, few, needed, sampling.min_pixels)
        dropped = few if sampling.sampler != "total" else []
        classes = np.setdiff1d(np.arange(len(members)), dropped)
        if sampling.sampler == "episodic" and dataset.background is not None:
            classes = np.setdiff1d(classes, [dataset.background])
        expect(
            len(classes) > 0, "episodes.shots", f"no class has {counted(needed, 'annotated image')}"
        )
        return cls(dataset, shows, members, classes)


def _too_few(
    dataset: MaskDataset, members: list[NDArray], few: list[int], needed: int, min_pixels: int
) -> FewshotError:
    name, images = dataset.classnames[few[0]], len(members[few[0]])
    others = f", and {len(few) - 1} more classes" * (len(few) > 1)
    with_pixels = "" if min_pixels == 1 else f" of {min_pixels} pixels or more"
    if images == 0 and min_pixels == 1:
        return FewshotError(
            "episodes.shots",
            f"the class {name!r} has no pixel in the support part of {dataset.name}{others}",
            "Annotate some, take the class out of the list of classes, or set "
            "episodes.min_images=drop, which ignores its pixels.",
        )
    return FewshotError(
        "episodes.shots",
        f"expected {counted(needed, 'annotated image')}{with_pixels} of every class, and {name!r} "
        f"of {dataset.name} has {images}{others}",
        f"Set {f'episodes.shots={images} or less' if images else 'episodes.min_pixels=1'}, or "
        "episodes.min_images=drop.",
    )


def _whole(plan: _Plan, sampling: DrawSampling, seed: int) -> list[DrawSet]:
    """Draws of all classes, by number of shots."""
    choose = {"per_class": _per_class, "greedy": _greedy, "total": _total}[sampling.sampler]
    most = max(sampling.shots)
    drawn = [choose(plan, most, seed, number) for number in range(sampling.count)]
    queries = [
        _queries(plan.dataset, [row for row, _, _ in images], sampling.queries, seed, number)
        for number, images in enumerate(drawn)
    ]
    labels = np.full(len(plan.members), -1)
    labels[plan.classes] = np.arange(len(plan.classes))
    return _sets(sampling, drawn, queries, np.tile(labels, (sampling.count, 1)), len(plan.classes))


# An image of a draw: its row, the class it was drawn for, and from how many shots on it is there.
_Image = tuple[int, int, int]


def _sets(
    sampling: DrawSampling,
    drawn: list[list[_Image]],
    queries: list[list[int]],
    labels: NDArray[np.int64],
    ways: int,
) -> list[DrawSet]:
    """A set per number of shots, of the images of every draw that are there by then."""
    sets, target = [], sampling.annotate == "target"
    for shots in sampling.shots:
        chosen = [[image for image in images if image[2] <= shots] for images in drawn]
        rows = _padded([[row for row, _, _ in images] for images in chosen])
        annotated = [[c if target else EVERY_CLASS for _, c, _ in images] for images in chosen]
        sets.append(
            DrawSet(
                sampling.sampler, shots, rows, _padded(annotated), _padded(queries), labels, ways
            )
        )
    return sets


def _orders(plan: _Plan, classes: NDArray, seed: int, number: int) -> dict[int, list[int]]:
    """The images of some classes in the order in which a draw takes them."""
    return {
        int(c): episode_generator(seed, (*_SUPPORT, int(c)), number)
        .permutation(plan.members[c])
        .tolist()
        for c in classes
    }


def _per_class(plan: _Plan, shots: int, seed: int, number: int) -> list[_Image]:
    """K images of every class; one that was taken for another class is not taken again."""
    return _in_turn(_orders(plan, plan.classes, seed, number), shots)


def _in_turn(orders: dict[int, list[int]], shots: int) -> list[_Image]:
    """K images of every class, a shot after the other: those of K are the first of K + 1."""
    taken, images = set[int](), list[_Image]()
    for shot in range(1, shots + 1):
        for c, order in orders.items():
            row = next((row for row in order if row not in taken), None)
            if row is not None:
                taken.add(row)
                images.append((row, c, shot))
    return images


def _greedy(plan: _Plan, shots: int, seed: int, number: int) -> list[_Image]:
    """Images until every class, the rarest first, is in K of them."""
    orders = _orders(plan, plan.classes, seed, number)
    taken, images = set[int](), list[_Image]()
    count = np.zeros(len(plan.members), dtype=np.int64)
    rarest = sorted(orders, key=lambda c: (len(orders[c]), c))
    for shot in range(1, shots + 1):
        for c in rarest:
            while count[c] < shot:
                row = next((row for row in orders[c] if row not in taken), None)
                if row is None:
                    break
                taken.add(row)
                count += plan.shows[row]
                images.append((row, c, shot))
    return images


def _total(plan: _Plan, shots: int, seed: int, number: int) -> list[_Image]:
    """K images, whatever they show."""
    rows = plan.dataset.support
    expect(
        len(rows) >= shots,
        "episodes.shots",
        f"expected at most the {counted(len(rows), 'annotated image')} of {plan.dataset.name}, got "
        f"{shots}",
    )
    order = episode_generator(seed, _SUPPORT, number).permutation(rows)[:shots]
    return [(int(row), EVERY_CLASS, shot) for shot, row in enumerate(order, 1)]


def _queries(
    dataset: MaskDataset, support: list[int], most: int | None, seed: int, number: int
) -> list[int]:
    """Rows to judge: of the query part, or all that are not support; no group of the support."""
    if dataset.queries is None:
        rows = np.setdiff1d(np.arange(len(dataset)), support)
    else:
        rows = dataset.queries
    rows = _of_other_groups(dataset, rows, support)
    expect(
        len(rows) > 0,
        "dataset.group" if dataset.groups else "episodes.shots",
        f"no image of {dataset.name} is left to be judged: all are annotated ones of the draw"
        + ", or of their groups" * (dataset.groups is not None),
        "List images to judge in test.txt, or draw fewer.",
    )
    if most is not None and most < len(rows):
        rows = np.sort(episode_generator(seed, _QUERIES, number).permutation(rows)[:most])
    return [int(row) for row in rows]


def _of_other_groups(dataset: MaskDataset, rows: NDArray, support: list[int]) -> NDArray:
    if dataset.groups is None:
        return rows
    groups = {dataset.groups[row] for row in support}
    return np.array([row for row in rows if dataset.groups[row] not in groups], dtype=np.int64)


def _episodes(plan: _Plan, sampling: DrawSampling, seed: int) -> list[DrawSet]:
    """Episodes of some classes and the background, by number of shots."""
    ways, most, wanted = sampling.ways or 1, max(sampling.shots), sampling.queries or 1
    expect(
        ways <= len(plan.classes),
        "episodes.ways",
        f"expected at most {len(plan.classes)}, the classes of {plan.dataset.name} with "
        f"{counted(most, 'annotated image')}, got {ways}",
    )
    drawn = [_episode(plan, ways, most, wanted, seed, e) for e in range(sampling.count)]
    labels = np.zeros((sampling.count, len(plan.members)), dtype=np.int64)
    for e, (classes, _, _) in enumerate(drawn):
        labels[e, classes] = np.arange(1, ways + 1)
    images, queries = [images for _, images, _ in drawn], [rows for _, _, rows in drawn]
    return _sets(sampling, images, queries, labels, ways + 1)


def _episode(
    plan: _Plan, ways: int, shots: int, wanted: int, seed: int, number: int
) -> tuple[NDArray, list[_Image], list[int]]:
    """Classes, annotated images and queries of an episode."""
    generator = episode_generator(seed, _CLASSES, number)
    classes = np.sort(generator.permutation(plan.classes)[:ways])
    images = _in_turn(_orders(plan, classes, seed, number), shots)
    taken = sorted(row for row, _, _ in images)
    dataset, generator = plan.dataset, episode_generator(seed, _QUERIES, number)
    pool = np.arange(len(dataset)) if dataset.queries is None else dataset.queries
    pool = _of_other_groups(dataset, np.setdiff1d(pool, taken), taken)
    queries: list[int] = []
    for c in classes:
        queries += _first(generator.permutation(pool[plan.shows[pool, c]]), wanted, queries)
    with_none = pool[~plan.shows[np.ix_(pool, classes)].any(1)]
    queries += _first(generator.permutation(with_none), len(queries), queries)
    expect(
        len(queries) > 0,
        "episodes.shots",
        f"no image of {dataset.name} is left to be judged in an episode of "
        f"{dataset.classnames[classes[0]]!r}",
    )
    return classes, images, queries


def _first(rows: NDArray, number: int, without: list[int]) -> list[int]:
    return [int(row) for row in rows if int(row) not in without][:number]


def _padded(lists: list[list[int]]) -> NDArray[np.int64]:
    array = np.full((len(lists), max(map(len, lists), default=0)), -1, dtype=np.int64)
    for row, entries in zip(array, lists, strict=True):
        row[: len(entries)] = entries
    return array


def check_replay(drawn: DrawSet, dataset: MaskDataset) -> DrawSet:
    """Return `drawn`; raise unless its rows and classes are those of the data set."""
    rows = max(drawn.support.max(initial=-1), drawn.queries.max(initial=-1))
    fits = rows < len(dataset) and drawn.labels.shape[1] == len(dataset.classnames)
    expect(
        bool(fits),
        "episodes.path",
        f"expected draws of {dataset.name}, which has {len(dataset)} images of "
        f"{counted(len(dataset.classnames), 'class')}, got others",
    )
    return drawn
