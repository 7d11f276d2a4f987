"""Which classes are expected to be taken for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from numpy.typing import NDArray


class ConfusedPair(NamedTuple):
    """Two classes, and what confusing them, either way, makes of all errors.

    Attributes
    ----------
    first, second : str
    share : float
        Of all errors, all classes alike, in [0, 1].
    first_as_second, second_as_first : float
        Share of new images of the one class that are expected to get the other's label.
    """

    first: str
    second: str
    share: float
    first_as_second: float
    second_as_first: float


@dataclass(frozen=True, eq=False)
class Confusion:
    """Expected confusion between the classes of a task.

    Attributes
    ----------
    classes : tuple of N str
    shares : ndarray of shape (N, N)
        Of new images of class c the share that gets label j; rows sum to 1. The mean of one minus
        the diagonal is the predicted error.
    """

    classes: tuple[str, ...]
    shares: NDArray

    @property
    def errors(self) -> NDArray:
        """Expected error of every class (N,)."""
        errors: NDArray = 1 - self.shares.diagonal()
        return errors

    def pairs(self) -> list[ConfusedPair]:
        """All pairs of classes, those that make most of the errors first; no pair without any."""
        total = float(self.errors.sum())
        pairs = [
            ConfusedPair(
                self.classes[c],
                self.classes[j],
                float(self.shares[c, j] + self.shares[j, c]) / total,
                float(self.shares[c, j]),
                float(self.shares[j, c]),
            )
            for c in range(len(self.classes))
            for j in range(c + 1, len(self.classes))
            if total > 0
        ]
        return sorted((pair for pair in pairs if pair.share > 0), key=lambda pair: -pair.share)
