"""Draws: which images are annotated, which classes are to be told apart, and which are judged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

EVERY_CLASS = -1  # of an annotated image: the pixels of all classes are annotated


@dataclass(frozen=True, eq=False)
class DrawSet:
    """E draws of annotated images, for one number of shots.

    Attributes
    ----------
    sampler : str
    shots : int
        K.
    support : ndarray of shape (E, S), int64
        Rows of the annotated images, distinct within a draw; padded with -1.
    annotated : ndarray of shape (E, S), int64
        Class whose pixels alone are annotated in that image, or `EVERY_CLASS`.
    queries : ndarray of shape (E, Q), int64
        Rows that are judged; padded with -1.
    labels : ndarray of shape (E, C), int64
        Number in [0, N) by which a draw knows a class of the data set, or -1: its pixels are
        ignored. The identity for samplers that take all classes; in episodes of some classes 0 is
        the background, with all others in it.
    ways : int
        N.
    """

    sampler: str
    shots: int
    support: NDArray[np.int64]
    annotated: NDArray[np.int64]
    queries: NDArray[np.int64]
    labels: NDArray[np.int64]
    ways: int

    def __len__(self) -> int:
        return len(self.support)

    @property
    def has_background(self) -> bool:
        """Whether class 0 is whatever is none of the classes of an episode."""
        return self.sampler == "episodic"

    @property
    def kind(self) -> str:
        """The sampler; ``episodic target`` where images are annotated for one class alone."""
        real = self.support >= 0
        return f"{self.sampler} target" if (self.annotated[real] >= 0).any() else self.sampler

    @property
    def first(self) -> int:
        """The first class that is in means over classes: the background of episodes is not."""
        return int(self.has_background)

    def only(self, draw: int) -> DrawSet:
        """One of the draws."""
        part = slice(draw, draw + 1)
        return replace(
            self,
            support=self.support[part],
            annotated=self.annotated[part],
            queries=self.queries[part],
            labels=self.labels[part],
        )

    def support_of(self, draw: int) -> NDArray[np.int64]:
        """Rows of the annotated images of a draw, without padding."""
        rows = self.support[draw]
        return rows[rows >= 0]

    def queries_of(self, draw: int) -> NDArray[np.int64]:
        """Rows of the queries of a draw, without padding."""
        rows = self.queries[draw]
        return rows[rows >= 0]

    @cached_property
    def images(self) -> NDArray[np.int64]:
        """Numbers of distinct annotated images (E,)."""
        return (self.support >= 0).sum(1)

    def hash(self) -> str:
        """SHA-256 of everything in it."""
        digest = hashlib.sha256(f"{self.sampler} {self.shots} {self.ways}".encode())
        for array in (self.support, self.annotated, self.queries, self.labels):
            digest.update(f"{array.shape}".encode() + array.astype("<i8").tobytes())
        return digest.hexdigest()
