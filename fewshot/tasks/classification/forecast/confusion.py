"""Which classes are expected to be taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.estimators.auto import Auto
from fewshot.estimators.calibration.covariates import Evidence, standardised
from fewshot.estimators.calibration.unlabelled_covariates import UnlabelledEvidence
from fewshot.estimators.rivals import blended_margins, shares_of_rivals, with_decisions
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.heads.base import Head, Support


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

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Confusion)
            and self.classes == other.classes
            and np.array_equal(self.shares, other.shares)
        )

    def __hash__(self) -> int:
        return hash((self.classes, self.shares.tobytes()))

    @property
    def errors(self) -> NDArray:
        """Expected error of every class (N,)."""
        errors: NDArray = 1 - self.shares.diagonal()
        return errors

    def pairs(self) -> list[ConfusedPair]:
        """All pairs of classes, those that make most of the errors first; no pair without any."""
        total = float(self.errors.sum())
        if total <= 0:
            return []
        first, second = np.triu_indices(len(self.classes), 1)
        forth, back = self.shares[first, second], self.shares[second, first]
        shares = (forth + back) / total
        order = np.argsort(-shares, kind="stable")[: np.count_nonzero(shares > 0)]
        columns = (column[order].tolist() for column in (first, second, shares, forth, back))
        return [
            ConfusedPair(self.classes[c], self.classes[j], *rest)
            for c, j, *rest in zip(*columns, strict=True)
        ]


def expected_confusion(
    auto: Auto,
    support: Support,
    head: Head,
    classes: Sequence[str],
    unlabelled: Unlabelled | None = None,
) -> Confusion | None:
    """Expected confusion of a head: its errors by class, divided among the rivals.

    The errors are those whose mean `auto` predicts. They are divided by the margins that the shots
    show and the distances between the class means (:mod:`~fewshot.estimators.rivals`), and, with
    unlabelled images, by what the head decides on those that a mixture takes for the class.

    Parameters
    ----------
    auto : Auto
        Fitted.
    support : Support
        Of one episode.
    head : Head
        Fitted on `support`.
    classes : sequence of N str
    unlabelled : Unlabelled, optional
        Of the same episode.

    Returns
    -------
    Confusion or None
        None if a margin or an error is not a number.
    """
    errors = auto.errors_by_class(support, head, unlabelled).double()
    evidence = Evidence(support, head, auto.base_)
    z = standardised(*evidence.margins) if bool((support.counts > 1).any()) else None
    means = support.means()
    distances = torch.cdist(means, means, compute_mode="donot_use_mm_for_euclid_dist")
    shares = shares_of_rivals(blended_margins(z, distances, support.counts, errors), errors)
    if unlabelled is not None:
        seen = UnlabelledEvidence(support, head, auto.base_, unlabelled)
        shares = with_decisions(shares, _decided(seen))
    if not bool(shares.isfinite().all()):
        return None
    return Confusion(tuple(classes), shares[0].cpu().numpy())


def _decided(evidence: UnlabelledEvidence) -> Tensor:
    """Images of class c that the head decides to be of j (E, N, N), by the mixture's shares."""
    decisions = evidence.unlabelled.decisions(evidence.head)
    one_hot = torch.nn.functional.one_hot(decisions, evidence.support.counts.shape[1])
    kept = evidence.kept(prior=evidence.base.has_prior).double()
    return kept.mT @ one_hot.double()
