"""Labelled episodes of base classes, on which a head may choose a setting."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from torch import Tensor

if TYPE_CHECKING:
    from fewshot.heads.base import Head, Query, Support

T = TypeVar("T")


class LabelledBatch(NamedTuple):
    """Some episodes of base classes, with the labels of their queries.

    Attributes
    ----------
    support : Support
        Shots (E, N, K, D), with the context that the head declares. Moments of base classes in it
        are of other base classes than those of the episodes.
    query : Query
        Queries (E, T, D); some of `mask` are False where classes have unequal numbers of them.
    labels : Tensor of shape (E, T), int64
        Way of every query.
    classes : Tensor of shape (E, N), int64, or None
        Number of the base class of every way; None: no class is in two episodes. Episodes share
        classes, so that these, not the episodes, are independent evidence of other classes.
    """

    support: Support
    query: Query
    labels: Tensor
    classes: Tensor | None = None


class LabelledEpisodes:
    """Labelled episodes of base classes, drawn anew whenever they are gone through.

    Iterating gives :class:`LabelledBatch`, a few episodes at a time, the same each time. A
    choice that is made on them is remembered: a run fits a head many times, on a few episodes at a
    time, by several threads, and estimators of the error fit it again.

    Parameters
    ----------
    draw : callable
        Without arguments; returns the episodes.
    """

    def __init__(self, draw: Callable[[], Iterable[LabelledBatch]]) -> None:
        self._draw = draw
        self._chosen: dict[Hashable, Any] = {}
        self._lock = RLock()  # a choice may need that of another head

    def __iter__(self) -> Iterator[LabelledBatch]:
        return iter(self._draw())

    def choose(self, head: Head, function: Callable[[LabelledEpisodes], T]) -> T:
        """``function(self)``, worked out once for all heads of the class and settings of `head`.

        Parameters
        ----------
        head : Head
            What the choice is for.
        function : callable
            Returns numbers rather than tensors: the choice serves supports in any dtype.
        """
        key = (type(head), repr(head))
        with self._lock:
            if key not in self._chosen:
                self._chosen[key] = function(self)
            chosen: T = self._chosen[key]
            return chosen
