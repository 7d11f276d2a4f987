"""Which rows of a feature bank are support, query or unlabelled, for many episodes."""

from __future__ import annotations

import hashlib
import json
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fewshot.episodes.draws import shuffled
from fewshot.episodes.rows import PADDING, by_class, check_disjoint, check_range, repeated
from fewshot.episodes.unlabelled_sampling import ORDER, UnlabelledSampling
from fewshot.exceptions import FewshotError, expect
from fewshot.files import atomic_path, regular_file

FORMAT = "fewshot-episodes-1"
# Of episodes that vary in their classes, which readers of the first format would misread.
VARIED_FORMAT = "fewshot-episodes-2"
GROUPS = "groups of classes"  # in the protocol of episodes that draw these


@dataclass(frozen=True, eq=False)
class ClassIndex:
    """Row numbers sorted by class: the rows of class c are ``rows[start[c] : start[c] + size[c]]``.

    Attributes
    ----------
    rows : ndarray of shape (M,), int64
    start, size : ndarray of shape (C,), int64
    """

    rows: NDArray
    start: NDArray
    size: NDArray

    @classmethod
    def of(cls, labels: NDArray, classes: int | None = None) -> ClassIndex:
        """Index integer `labels` of shape (M,); negative ones belong to no class."""
        labels = np.asarray(labels)
        order = np.argsort(labels, kind="stable").astype(np.int64)
        order = order[np.count_nonzero(labels < 0) :]
        size = np.bincount(labels[labels >= 0], minlength=classes or 0).astype(np.int64)
        return cls(order, np.cumsum(size) - size, size)

    def rows_of(self, c: int) -> NDArray:
        """Row numbers of class c."""
        found: NDArray = self.rows[self.start[c] : self.start[c] + self.size[c]]
        return found


@dataclass(frozen=True, eq=False)
class EpisodeSet:
    """Support, query and unlabelled row numbers of E episodes of N ways.

    Attributes
    ----------
    classes : ndarray of shape (E, N), int64
        Class of each way; -1 pads episodes of fewer than N ways, after their classes, and has no
        images.
    support : ndarray of shape (E, N, K), int64
        Row numbers; -1 pads classes with fewer than K shots. K = 0 for episodes without shots, in
        which classes are known by their names alone.
    query : ndarray of shape (E, N, Q), int64, or None
        Row numbers, -1 where a class has fewer than Q, possibly none; None means every row of
        the class that is neither a shot nor unlabelled, worked out when needed (a stored list of
        *all* queries would be as large as the bank times the number of episodes).
    labels : ndarray of shape (M,), int64
        Labels that the rows were drawn from.
    seed : int or None
        What the sampler was seeded with, if it was a sampler.
    unlabelled : ndarray of shape (E, U), int64, or None
        Row numbers of unlabelled images in random order, of classes of the episode or others; -1
        pads. Where the queries are unlabelled images, these are further ones.
    unlabelled_sampling : UnlabelledSampling, optional
        How they were drawn, and whether the queries are unlabelled images (``are_queries``).
    protocol : str
        A text that identifies how classes, shots and queries were drawn where they are not
        balanced, as ``imbalanced(alpha=2)``: results of different protocols are never averaged or
        compared. Empty for balanced episodes.
    nominal : (int, int), optional
        Ways and shots that episodes of varying ways or shots are named by, and that episodes of
        base classes have beside them; N and K by default.
    numbers : ndarray of shape (E,), int64, or None
        Numbers that decide the random orders of images in each episode, 0 to E - 1 by default; of
        a `subset`, those in the whole set.

    Raises
    ------
    FewshotError
        Shapes that do not fit, rows of other classes, an image in two roles, classes behind
        padding, a protocol that is no line of text.
    """

    classes: NDArray
    support: NDArray
    query: NDArray | None
    labels: NDArray
    seed: int | None = None
    unlabelled: NDArray | None = None
    unlabelled_sampling: UnlabelledSampling | None = None
    protocol: str = ""
    nominal: tuple[int, int] | None = None
    numbers: NDArray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        classes, support, query = self.classes, self.support, self.query
        expect(
            isinstance(self.protocol, str) and self.protocol.isprintable(),
            "episodes.protocol",
            f"expected a line of text, got {self.protocol!r}",
        )
        expect(
            classes.ndim == 2 and support.ndim == 3 and support.shape[:2] == classes.shape,
            "episodes",
            f"expected classes (E, N) and support (E, N, K), got {classes.shape} and "
            f"{support.shape}",
        )
        self._check_padding()
        for name, rows in (("support", support), ("query", query)):
            if rows is not None:
                self._check_rows(name, rows)
        if query is not None:
            check_disjoint(support, query)
        object.__setattr__(self, "_index", ClassIndex.of(self.labels))
        if self.unlabelled is not None:
            self._check_unlabelled(self.unlabelled)

    def _check_unlabelled(self, rows: NDArray) -> None:
        expect(
            rows.ndim == 2 and len(rows) == len(self.classes),
            "episodes.unlabelled",
            f"expected rows (E, U) of {len(self.classes)} episodes, got {rows.shape}",
        )
        check_range("unlabelled", rows, self.labels)
        expect(
            not repeated(rows),
            "episodes.unlabelled",
            "an image stands twice among the unlabelled images of an episode",
        )
        labelled = [self.support] if self.query is None else [self.support, self.query]
        roles = [part.reshape(len(rows), -1) for part in labelled]
        expect(
            not repeated(np.concatenate([rows, *roles], axis=1)),
            "episodes.unlabelled",
            "an unlabelled image is a shot or a query of its episode",
            "Draw them apart, or set episodes.unlabelled=queries for the queries themselves.",
        )
        if self.queries_unlabelled and self.query is None:
            expect(
                by_class(rows, self.classes, self.labels).shape[-1] == 0,
                "episodes.unlabelled",
                "an image beside the queries, which are all unlabelled, is a query",
            )

    def _check_padding(self) -> None:
        real = self.classes >= 0
        expect(
            bool(real[:, :1].all() and (real[:, :-1] | ~real[:, 1:]).all()),
            "episodes.classes",
            "expected a class in every episode, and -1 after its classes only",
        )
        if self.nominal is not None:
            ways, shots = self.nominal
            expect(
                ways >= 1 and shots >= 0,
                "episodes.nominal",
                f"expected numbers of ways and shots, got {self.nominal}",
            )

    def _check_rows(self, name: str, rows: NDArray) -> None:
        expect(
            rows.ndim == 3 and rows.shape[:2] == self.classes.shape,
            f"episodes.{name}",
            f"expected (E, N, images) for {self.classes.shape} classes, got {rows.shape}",
        )
        check_range(name, rows, self.labels)
        real = rows >= 0
        padding: NDArray = self.classes < 0
        expect(
            not real[padding].any(), f"episodes.{name}", "an image stands in the padding of classes"
        )
        if name == "support":
            if rows.shape[-1] == 0:
                return
            filled, what = real.any(-1) | padding, "a class of an episode has no image"
        else:  # a class may be absent from imbalanced queries
            filled, what = real.any((-2, -1)), "an episode has no image"
        expect(bool(np.all(filled)), f"episodes.{name}", what)
        owner = np.broadcast_to(self.classes[..., None], rows.shape)
        expect(
            bool(np.all(self.labels[rows[real]] == owner[real])),
            f"episodes.{name}",
            "a row does not carry the label of its class",
            "These episodes belong to another data set, or to another version of it.",
        )

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def ways(self) -> int:
        """N, classes per episode; of episodes of varying ways, the largest number."""
        return self.classes.shape[1]

    @cached_property
    def way_counts(self) -> NDArray:
        """Classes of each episode: (E,)."""
        counts: NDArray = (self.classes >= 0).sum(-1)
        return counts

    @property
    def equal_ways(self) -> bool:
        """Whether all episodes have N classes."""
        return bool((self.way_counts == self.ways).all())

    @property
    def related_classes(self) -> bool:
        """Whether the classes of an episode come from one group of a taxonomy."""
        return GROUPS in self.protocol

    @property
    def nominal_ways(self) -> int:
        """Ways that rows and summaries name the episodes by: N, unless `nominal` says otherwise."""
        return self.ways if self.nominal is None else self.nominal[0]

    @property
    def nominal_shots(self) -> int:
        """Shots that rows and summaries name the episodes by: K, unless `nominal` says so."""
        return self.shots if self.nominal is None else self.nominal[1]

    @property
    def shots(self) -> int:
        """K, the largest number of support images of a class."""
        return self.support.shape[2]

    @cached_property
    def shot_counts(self) -> NDArray:
        """Support images of each class: (E, N), 0 in the padding."""
        counts: NDArray = (self.support >= 0).sum(-1)
        return counts

    @property
    def fewest_shots(self) -> int:
        """The smallest number of support images of a class in any episode."""
        return int(self.shot_counts[self.classes >= 0].min())

    @cached_property
    def harmonic_shots(self) -> int:
        """Harmonic mean of the shots of all classes of all episodes, rounded; 0 without shots."""
        counts = self.shot_counts[self.classes >= 0]
        return round(float(1 / (1 / counts).mean())) if counts.min(initial=1) > 0 else 0

    @property
    def queries(self) -> int | str:
        """Q, query images per class, or ``"all"``."""
        return "all" if self.query is None else self.query.shape[2]

    @property
    def mean_queries(self) -> int | str:
        """Query images per class on average, rounded, or ``"all"``."""
        if self.query is None:
            return "all"
        return max(1, round(float((self.query >= 0).sum() / (self.classes >= 0).sum())))

    @property
    def queries_unlabelled(self) -> bool:
        """Whether the queries are unlabelled images of their episodes."""
        return self.unlabelled_sampling is not None and self.unlabelled_sampling.are_queries

    @property
    def has_unlabelled(self) -> bool:
        """Whether the episodes have unlabelled images."""
        return self.unlabelled is not None or self.queries_unlabelled

    @property
    def learns_apart(self) -> bool:
        """Whether heads learn from unlabelled images apart from the queries: semi-supervised."""
        return self.unlabelled is not None and not self.queries_unlabelled

    @property
    def query_counts(self) -> NDArray:
        """Queries of each class: (E, N)."""
        if self.query is not None:
            return (self.query >= 0).sum(-1)
        return self._sizes(self.classes) - (self.set_aside >= 0).sum(-1)

    def _sizes(self, classes: NDArray) -> NDArray:
        """Images of each of the classes, 0 for padding."""
        index: ClassIndex = self._index  # type: ignore[attr-defined]
        return np.where(classes >= 0, index.size[classes], 0)

    @property
    def unlabelled_counts(self) -> NDArray:
        """Unlabelled images of each episode: (E,)."""
        counts = np.zeros(len(self), dtype=np.int64)
        if self.unlabelled is not None:
            counts += (self.unlabelled >= 0).sum(-1)
        return counts + self.query_counts.sum(-1) if self.queries_unlabelled else counts

    @property
    def largest_unlabelled(self) -> int:
        """Upper bound of the unlabelled images of any episode."""
        drawn = 0 if self.unlabelled is None else self.unlabelled.shape[1]
        return drawn + self.ways * self.largest_query if self.queries_unlabelled else drawn

    @cached_property
    def place_of(self) -> NDArray:
        """Number of each row within its class, in the order of the rows: (M,)."""
        index: ClassIndex = self._index  # type: ignore[attr-defined]
        places = np.zeros(len(self.labels), dtype=np.int64)
        places[index.rows] = np.arange(len(index.rows)) - np.repeat(index.start, index.size)
        return places

    @cached_property
    def set_aside(self) -> NDArray:
        """Rows (E, N, K + U') of the classes that are no queries: shots, then unlabelled."""
        if self.unlabelled is None or self.queries_unlabelled:
            return self.support
        own = by_class(self.unlabelled, self.classes, self.labels)
        return np.concatenate([self.support, own], axis=-1)

    @property
    def largest_query(self) -> int:
        """Upper bound of the query images per class in any episode."""
        if self.query is not None:
            return self.query.shape[2]
        return int(self._sizes(self.classes).max()) - self.fewest_shots

    def query_rows(self, start: int, stop: int) -> NDArray:
        """Query row numbers of episodes start..stop: (stop - start, N, Q'), -1 pads."""
        if self.query is not None:
            return self.query[start:stop]
        index: ClassIndex = self._index  # type: ignore[attr-defined]
        classes, set_aside = self.classes[start:stop], self.set_aside[start:stop]
        size = self._sizes(classes)
        place = np.arange(size.max())
        member = place < size[..., None]
        rows = index.rows[np.where(member, index.start[classes][..., None] + place, 0)]
        for image in range(set_aside.shape[2]):
            member &= rows != set_aside[..., image, None]
        kept = member.sum(-1)
        rows = np.where(member, rows, PADDING)
        if kept.max() == rows.shape[-1]:
            return rows
        # Padding to the end, row order kept.
        order = np.argsort(~member, axis=-1, kind="stable")[..., : kept.max()]
        return np.take_along_axis(rows, order, axis=-1)

    def unlabelled_rows(self, start: int, stop: int) -> NDArray:
        """Unlabelled row numbers of episodes start..stop: (stop - start, U'), -1 pads.

        The order within an episode is random and the same in any range.
        """
        parts = [] if self.unlabelled is None else [self.unlabelled[start:stop]]
        if not self.queries_unlabelled:
            return parts[0] if parts else np.empty((stop - start, 0), dtype=np.int64)
        queries = self.query_rows(start, stop).reshape(stop - start, -1)
        rows = np.concatenate([queries, *parts], axis=1)
        rows = shuffled(rows, self.seed or 0, (ORDER,), self.numbers_of(start, stop))
        return rows[:, : int((rows >= 0).sum(-1).max(initial=0))]

    def numbers_of(self, start: int, stop: int) -> NDArray:
        """Numbers of episodes start..stop, which decide the random orders of their images."""
        return np.arange(start, stop) if self.numbers is None else self.numbers[start:stop]

    def subset(self, chosen: NDArray) -> EpisodeSet:
        """The episodes at the positions `chosen` (E',), without padding that all of them have.

        Each has the same images in the same order as in the whole set, whose nominal ways and
        shots and harmonic mean of shots they keep.
        """
        ways = int(self.way_counts[chosen].max(initial=1))
        shots = int(self.shot_counts[chosen].max(initial=0))
        part = copy(self)  # whose checks and index of the labels hold for the part as well
        kept = {
            "classes": self.classes[chosen, :ways],
            "support": self.support[chosen, :ways, :shots],
            "query": None if self.query is None else self.query[chosen, :ways],
            "unlabelled": None if self.unlabelled is None else self.unlabelled[chosen],
            "nominal": (self.nominal_ways, self.nominal_shots),
            "numbers": self.numbers_of(0, len(self))[chosen],
        }
        for name in ("way_counts", "shot_counts", "set_aside"):
            part.__dict__.pop(name, None)
        part.__dict__["harmonic_shots"] = self.harmonic_shots
        for name, value in kept.items():
            object.__setattr__(part, name, value)
        return part

    @property
    def _format(self) -> str:
        return FORMAT if self.equal_ways and self.nominal is None else VARIED_FORMAT

    def hash(self) -> str:
        """SHA-256 over labels, classes and rows; the same episodes, the same hash."""
        digest = hashlib.sha256(self._format.encode())
        for name, values in self._arrays().items():
            digest.update(f"{name}{values.shape}".encode())
            digest.update(np.ascontiguousarray(values, dtype="<i8").tobytes())
        if self.unlabelled_sampling is not None:
            digest.update(self.unlabelled_sampling.to_json().encode())
        if self.nominal is not None:
            digest.update(f"nominal{self.nominal}".encode())
        if self.queries_unlabelled:  # the seed decides their order
            digest.update(json.dumps(self.seed).encode())
        return digest.hexdigest()

    def save(self, path: str | Path) -> Path:
        """Write a ``.safetensors`` file; `load` gives equal episodes back."""
        from safetensors.numpy import save

        note = {"format": self._format, "seed": json.dumps(self.seed), "hash": self.hash()}
        if self.nominal is not None:
            note["nominal"] = json.dumps(self.nominal)
        if self.unlabelled_sampling is not None:
            note["unlabelled"] = self.unlabelled_sampling.to_json()
        if self.protocol:
            note["protocol"] = self.protocol
        with atomic_path(Path(path)) as partial:
            partial.write_bytes(save(self._arrays(), metadata=note))  # its own OSErrors are none
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> EpisodeSet:
        """Read what `save` wrote.

        Raises
        ------
        FewshotError
            The file is not an episode file, is damaged, or holds overlapping rows.
        """
        from safetensors import SafetensorError, safe_open

        try:
            regular_file("episodes.path", Path(path), largest=None)
            with safe_open(str(path), framework="numpy") as file:
                note = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise FewshotError("episodes.path", f"cannot read {path}: {error}") from None
        expect(
            note.get("format") in (FORMAT, VARIED_FORMAT)
            and {"classes", "support", "labels"} <= arrays.keys(),
            "episodes.path",
            f"{path} is not an episode file of format {FORMAT} or {VARIED_FORMAT}",
        )
        episodes = cls(
            arrays["classes"],
            arrays["support"],
            arrays.get("query"),
            arrays["labels"],
            json.loads(note.get("seed", "null")),
            arrays.get("unlabelled"),
            _sampling_of(note.get("unlabelled"), path),
            note.get("protocol", ""),
            _nominal_of(note.get("nominal"), path),
        )
        expect(
            episodes.hash() == note.get("hash"),
            "episodes.path",
            f"{path} does not match its own hash",
            "It was changed after it was saved; draw the episodes again.",
        )
        return episodes

    def _arrays(self) -> dict[str, NDArray]:
        arrays = {"classes": self.classes, "support": self.support, "labels": self.labels}
        if self.query is not None:
            arrays["query"] = self.query
        if self.unlabelled is not None:
            arrays["unlabelled"] = self.unlabelled
        return {name: np.ascontiguousarray(rows, dtype=np.int64) for name, rows in arrays.items()}


def _sampling_of(text: str | None, path: str | Path) -> UnlabelledSampling | None:
    try:
        return None if text is None else UnlabelledSampling.from_json(text)
    except (ValueError, TypeError, FewshotError):
        raise FewshotError(
            "episodes.path", f"{path} does not say how its unlabelled images were drawn"
        ) from None


def _nominal_of(text: str | None, path: str | Path) -> tuple[int, int] | None:
    try:
        if text is None:
            return None
        ways, shots = json.loads(text)
        return int(ways), int(shots)
    except (ValueError, TypeError):
        raise FewshotError(
            "episodes.path",
            f"{path} does not say how many ways and shots its episodes are named by",
        ) from None
