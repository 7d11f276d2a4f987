"""Which of the unlabelled images to label next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fewshot.estimators.unlabelled import Unlabelled
from fewshot.heads.base import Head, Support

NEXT = 10


@dataclass(frozen=True)
class NextLabel:
    """An unlabelled image, and what labelling it is expected to bring.

    Attributes
    ----------
    file : str
        As it was given; the row's number of features without names.
    row : int
        Among the unlabelled images.
    likely : str
        The class that it most probably is of.
    probability : float
        Of `likely`, in [0, 1].
    error : float
        Expected error once this image and all before it on the list are labelled.
    gain : float
        By how much that is less than without this image.
    """

    file: str
    row: int
    likely: str
    probability: float
    error: float
    gain: float


def next_labels(
    support: Support,
    head: Head,
    unlabelled: Unlabelled,
    classes: Sequence[str],
    files: Sequence[str],
    *,
    error: float,
    count: int = NEXT,
) -> list[NextLabel]:
    """Images to label next, the first first, no two of which say the same.

    Parameters
    ----------
    support : Support
        Of one episode.
    head : Head
        Unfitted.
    unlabelled : Unlabelled
        Of one episode, U images.
    classes : sequence of N str
    files : sequence of U str
    error : float
        Predicted error of the head as it is.
    count : int
        Length of the list, at most.
    """
    return []
