"""Which class the misclassified queries of episodes were taken for, counted by pairs of classes."""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from fewshot.episodes.episode_set import EpisodeSet

# Misclassified queries that are kept one by one, before those of a pair are added up.
KEPT = 1 << 20
# Entries of a block of the table of opportunities.
BLOCK = 1 << 22


class ConfusionCounts:
    """Misclassified queries by true and predicted class, added up while episodes are evaluated.

    Only pairs that occur are kept: a thousand classes have a million pairs. Several threads may
    add.

    Parameters
    ----------
    classes : int
        Number of classes; an episode has some of them.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self._codes: list[NDArray] = []  # true * classes + predicted, of single queries
        self._pending = 0
        self._pairs = np.zeros(0, dtype=np.int64)
        self._counts = np.zeros(0, dtype=np.int64)
        self._lock = Lock()

    def add(self, classes: NDArray, answers: Tensor, wrong: Tensor) -> None:
        """Add the queries of e episodes.

        Parameters
        ----------
        classes : ndarray of shape (e, N)
            Class of each way.
        answers : Tensor of shape (e, N, Q), int64
            The way that each query of a way was taken for.
        wrong : Tensor of shape (e, N, Q), bool
            True for misclassified queries.
        """
        place = wrong.reshape(-1).nonzero().squeeze(-1).cpu().numpy()
        chosen = answers.reshape(-1)[wrong.reshape(-1)].cpu().numpy()
        ways, queries = wrong.shape[1:]
        way = place // queries
        self.add_pairs(classes.reshape(-1)[way], classes[way // ways, chosen])

    def add_pairs(self, true: NDArray, predicted: NDArray) -> None:
        """Add misclassified queries with their true and predicted classes, both (n,)."""
        codes = true * self.classes + predicted
        with self._lock:
            self._codes.append(codes)
            self._pending += len(codes)
            if self._pending > KEPT:
                self._add_up()

    def _add_up(self) -> None:
        pairs, counts = np.unique(np.concatenate(self._codes), return_counts=True)
        self._codes, self._pending = [], 0
        merged, place = np.unique(np.concatenate([self._pairs, pairs]), return_inverse=True)
        both = np.concatenate([self._counts, counts])
        self._counts = np.bincount(place, both, minlength=len(merged)).astype(np.int64)
        self._pairs = merged

    def pairs(self) -> tuple[NDArray, NDArray, NDArray]:
        """True class, predicted class and number of queries of every pair that occurred: (P,) each.

        In the order of the classes.
        """
        with self._lock:
            if self._codes:
                self._add_up()
            return self._pairs // self.classes, self._pairs % self.classes, self._counts


def opportunities(
    episodes: EpisodeSet, queries: NDArray, true: NDArray, predicted: NDArray, classes: int
) -> NDArray:
    """Queries of class `true` in the episodes that have class `predicted` as well: (P,).

    Parameters
    ----------
    episodes : EpisodeSet
    queries : ndarray of shape (E, N)
        Number of queries of every way.
    true, predicted : ndarray of shape (P,)
        Pairs of classes, `true` ascending.
    classes : int
    """
    episode, way = np.nonzero(episodes.classes >= 0)
    places = (episode, episodes.classes[episode, way])
    shape = (len(episodes), classes)
    asked = sparse.csc_array((queries[episode, way].astype(np.int64), places), shape=shape)
    present = sparse.csr_array((np.ones(len(episode), dtype=np.int64), places), shape=shape)
    found = np.zeros(len(true), dtype=np.int64)
    step = max(1, BLOCK // classes)
    for start in range(0, classes, step):
        first, last = np.searchsorted(true, [start, start + step])
        if first < last:
            together = (asked[:, start : start + step].T @ present).toarray()
            found[first:last] = together[true[first:last] - start, predicted[first:last]]
    return found
