"""Which rows of a feature bank are support and which are query, for many episodes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fewshot.exceptions import FewshotError, expect
from fewshot.files import atomic_path, regular_file

PADDING = -1
FORMAT = "fewshot-episodes-1"


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
    """Support and query row numbers of E episodes of N ways.

    Attributes
    ----------
    classes : ndarray of shape (E, N), int64
        Class of each way.
    support : ndarray of shape (E, N, K), int64
        Row numbers; -1 pads classes with fewer than K shots. K = 0 for episodes without shots, in
        which classes are known by their names alone.
    query : ndarray of shape (E, N, Q), int64, or None
        Row numbers, -1 where a class has fewer than Q, possibly none; None means every row of
        the class that is not in its support, worked out when needed (a stored list of *all*
        queries would be as large as the bank times the number of episodes).
    labels : ndarray of shape (M,), int64
        Labels that the rows were drawn from.
    seed : int or None
        What the sampler was seeded with, if it was a sampler.
    """

    classes: NDArray
    support: NDArray
    query: NDArray | None
    labels: NDArray
    seed: int | None = None

    def __post_init__(self) -> None:
        classes, support, query = self.classes, self.support, self.query
        expect(
            classes.ndim == 2 and support.ndim == 3 and support.shape[:2] == classes.shape,
            "episodes",
            f"expected classes (E, N) and support (E, N, K), got {classes.shape} and "
            f"{support.shape}",
        )
        for name, rows in (("support", support), ("query", query)):
            if rows is not None:
                self._check_rows(name, rows)
        if query is not None:
            _check_disjoint(support, query)
        object.__setattr__(self, "_index", ClassIndex.of(self.labels))

    def _check_rows(self, name: str, rows: NDArray) -> None:
        expect(
            rows.ndim == 3 and rows.shape[:2] == self.classes.shape,
            f"episodes.{name}",
            f"expected (E, N, images) for {self.classes.shape} classes, got {rows.shape}",
        )
        expect(
            rows.size == 0 or (rows.max() < len(self.labels) and rows.min() >= PADDING),
            f"episodes.{name}",
            f"row numbers outside 0..{len(self.labels) - 1}",
            "These episodes belong to another data set.",
        )
        real = rows >= 0
        if name == "support":
            if rows.shape[-1] == 0:
                return
            filled, what = real.any(-1), "a class of an episode has no image"
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
        """N, classes per episode."""
        return self.classes.shape[1]

    @property
    def shots(self) -> int:
        """K, the largest number of support images of a class."""
        return self.support.shape[2]

    @property
    def fewest_shots(self) -> int:
        """The smallest number of support images of a class in any episode."""
        return int((self.support >= 0).sum(-1).min())

    @property
    def queries(self) -> int | str:
        """Q, query images per class, or ``"all"``."""
        return "all" if self.query is None else self.query.shape[2]

    @property
    def mean_queries(self) -> int | str:
        """Query images per class on average, rounded, or ``"all"``."""
        if self.query is None:
            return "all"
        return max(1, round(float((self.query >= 0).sum(-1).mean())))

    @property
    def largest_query(self) -> int:
        """Upper bound of the query images per class in any episode."""
        if self.query is not None:
            return self.query.shape[2]
        largest = int(self._index.size[self.classes].max())  # type: ignore[attr-defined]
        return largest - self.fewest_shots

    def query_rows(self, start: int, stop: int) -> NDArray:
        """Query row numbers of episodes start..stop: (stop - start, N, Q'), -1 pads."""
        if self.query is not None:
            return self.query[start:stop]
        index: ClassIndex = self._index  # type: ignore[attr-defined]
        classes, support = self.classes[start:stop], self.support[start:stop]
        size = index.size[classes]
        place = np.arange(size.max())
        member = place < size[..., None]
        rows = index.rows[np.where(member, index.start[classes][..., None] + place, 0)]
        for shot in range(support.shape[2]):
            member &= rows != support[..., shot, None]
        kept = member.sum(-1)
        rows = np.where(member, rows, PADDING)
        if kept.max() == rows.shape[-1]:
            return rows
        # Padding to the end, row order kept.
        order = np.argsort(~member, axis=-1, kind="stable")[..., : kept.max()]
        return np.take_along_axis(rows, order, axis=-1)

    def hash(self) -> str:
        """SHA-256 over labels, classes, support and query; the same episodes, the same hash."""
        digest = hashlib.sha256(FORMAT.encode())
        for name, values in self._arrays().items():
            digest.update(f"{name}{values.shape}".encode())
            digest.update(np.ascontiguousarray(values, dtype="<i8").tobytes())
        return digest.hexdigest()

    def save(self, path: str | Path) -> Path:
        """Write a ``.safetensors`` file; `load` gives equal episodes back."""
        from safetensors.numpy import save

        note = {"format": FORMAT, "seed": json.dumps(self.seed), "hash": self.hash()}
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
            note.get("format") == FORMAT and {"classes", "support", "labels"} <= arrays.keys(),
            "episodes.path",
            f"{path} is not an episode file of format {FORMAT}",
        )
        episodes = cls(
            arrays["classes"],
            arrays["support"],
            arrays.get("query"),
            arrays["labels"],
            json.loads(note.get("seed", "null")),
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
        return {name: np.ascontiguousarray(rows, dtype=np.int64) for name, rows in arrays.items()}


def _check_disjoint(support: NDArray, query: NDArray) -> None:
    """No row twice in an episode: a shot that is also a query would be scored on itself."""
    rows = np.concatenate([support, query], axis=-1)
    rows = np.sort(rows.reshape(len(rows), -1), axis=-1)
    repeated = (rows[:, 1:] == rows[:, :-1]) & (rows[:, 1:] >= 0)
    expect(not repeated.any(), "episodes", "an image stands twice in one episode")
