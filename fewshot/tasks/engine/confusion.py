"""Which class the misclassified queries of episodes were taken for, counted by pairs of classes."""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from fewshot.episodes.episode_set import EpisodeSet

# Entries that are kept one by one, before those of a pair are added up.
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
        self._codes: list[NDArray] = []  # true * classes + predicted
        self._numbers: list[NDArray] = []  # of queries
        self._pending = 0
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
        flat = wrong.reshape(-1)
        place = flat.nonzero().squeeze(-1).cpu().numpy()
        chosen = answers.reshape(-1)[flat].cpu().numpy()
        ways, queries = wrong.shape[1:]
        way = place // queries
        codes = classes.reshape(-1)[way] * self.classes + classes[way // ways, chosen]
        self._add(codes, np.ones(len(codes), dtype=np.int64))

    def add_class(self, true: int, predicted: NDArray) -> None:
        """Add misclassified queries of one class, with the classes (n,) they were taken for."""
        numbers = np.bincount(predicted, minlength=self.classes)
        (there,) = np.nonzero(numbers)
        self._add(true * self.classes + there, numbers[there])

    def _add(self, codes: NDArray, numbers: NDArray) -> None:
        with self._lock:
            self._codes.append(codes)
            self._numbers.append(numbers)
            self._pending += len(codes)
            if self._pending > KEPT:
                self._add_up()

    def _add_up(self) -> None:
        codes, place = np.unique(np.concatenate(self._codes), return_inverse=True)
        numbers = np.bincount(place, np.concatenate(self._numbers), minlength=len(codes))
        self._codes, self._numbers, self._pending = [codes], [numbers.astype(np.int64)], 0

    def pairs(self) -> tuple[NDArray, NDArray, NDArray]:
        """True class, predicted class and number of queries of every pair that occurred: (P,) each.

        In the order of the classes.
        """
        if not self._codes:
            return (np.zeros(0, dtype=np.int64),) * 3
        with self._lock:
            self._add_up()
            codes, numbers = self._codes[0], self._numbers[0]
        return codes // self.classes, codes % self.classes, numbers


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
