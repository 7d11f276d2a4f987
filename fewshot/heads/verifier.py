"""Heads that say how likely a query is of one class, whatever the other classes are."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor
from torch.linalg import vecdot

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Head, Query
from fewshot.heads.solvers.transforms import length_of, unit_length


class Verifier(ABC):
    """Mixin of heads whose scores of one class can be compared between queries.

    Scores of a classifier need only order the classes of one query, so that whatever all classes
    have in common (``|x|^2``, the length of x) may be left out of them. To order queries by how
    likely they are of one class, it may not.
    """

    @abstractmethod
    def verify(self, query: Query) -> Tensor:
        """Scores (E, T, N), larger where a query is more likely of the class.

        Column n depends on the shots and the name of class n, and on base classes; never on the
        shots or the names of the other classes, nor on other queries.
        """


def verifier(name: str, head: Head) -> Verifier:
    """`head` itself, if it can verify.

    Raises
    ------
    FewshotError
        It cannot, or is transductive: its scores then depend on images of other classes.
    """
    together = _together(head)
    if isinstance(head, Verifier) and not together:
        return head
    why = "scores all queries together" if together else "only ranks classes"
    raise FewshotError(
        f"head={name}",
        f"expected a head that scores one class at a time, this one {why}",
        f"Heads that do: {', '.join(verifying_heads())}.",
    )


def verifying_heads() -> list[str]:
    """Names of the heads of this package that can verify with the settings they have by default."""
    from fewshot.heads import heads

    made = {name: heads.create(name) for name in heads if heads[name].package is None}
    own = [name for name, head in made.items() if not _together(head)]
    return [name for name in own if isinstance(made[name], Verifier)]


def _together(head: Head) -> bool:
    return bool(head.uses & {"queries", "query_prior"})


def check_own_origin(center: str, setting: str) -> None:
    """Raise if the origin of the features moves with the shots of other classes.

    Raises
    ------
    FewshotError
        `center` is "support".
    """
    if center == "support":
        raise FewshotError(
            f"{setting}.center",
            "expected 'base' or 'none' in verification, got 'support'",
            "The mean of all classes of an episode tells of classes that are not known.",
        )


def negative_squared_distance(points: Tensor, means: Tensor) -> Tensor:
    """``-|x - m|^2`` (E, T, N) of points (E, T, D) and means (E, N, D)."""
    lengths = vecdot(points, points)[..., None] + vecdot(means, means)[:, None]
    return (2 * points @ means.mT).sub_(lengths)


def cosine(points: Tensor, directions: Tensor) -> Tensor:
    """Cosines (E, T, N) of points (E, T, D) with vectors (E, N, D); 0 where either is zero."""
    return points @ unit_length(directions).mT / length_of(points)
