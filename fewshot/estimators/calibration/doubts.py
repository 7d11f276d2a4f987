"""Reasons to doubt a prediction, seen in shots and unlabelled images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.estimators.calibration.covariates import Evidence
from fewshot.estimators.calibration.unlabelled_covariates import UnlabelledEvidence
from fewshot.heads.base import Support

COPIES = "shots that are copies of each other, which show nothing of how images differ"
STRANGERS = "many unlabelled images look like none of the classes"
MOSTLY_STRANGERS = "more than half of the unlabelled images look like none of the classes"
SHIFTED = "the unlabelled images differ from the shots, all classes in the same way"
NONE_OF_A_CLASS = "a class has no unlabelled image"
LEAST_OF_A_CLASS = 0.5  # images, by their responsibilities


@dataclass(frozen=True)
class Usual:
    """What is seen of unlabelled images that are as they should be.

    Attributes
    ----------
    outside : float
        Share outside of all classes beyond which there are strangers among them.
    shift : float
        Distance from the shots (`UnlabelledEvidence.shift`) beyond which they are another kind of
        images.
    """

    outside: float
    shift: float

    @classmethod
    def of(cls, outside: NDArray, shift: NDArray) -> Usual:
        """From base-class episodes, of which half have no strangers."""
        without = float(np.quantile(outside, 0.45)) + MARGIN
        return cls(without, max(USUAL_SHIFT, 2 * float(np.quantile(shift, 0.95))))


# Beyond these are few episodes of data sets without strangers and without a shift (a share of them
# in docs/error-estimation.md); without a prior the mixture leaves more images outside, and sees
# less.
MARGIN, USUAL_SHIFT = 0.08, 8.0
WITH_PRIOR, WITHOUT_PRIOR = Usual(0.15, USUAL_SHIFT), Usual(0.4, USUAL_SHIFT)


def doubts(evidence: Evidence, usual: Usual | None = None) -> Iterator[tuple[str, Tensor]]:
    """Reasons why the unlabelled images may mislead, each with its episodes (E,), bool.

    Parameters
    ----------
    evidence : Evidence
        Of supports alone there are no such reasons.
    usual : Usual, optional
        As base classes show it.
    """
    if not isinstance(evidence, UnlabelledEvidence):
        return
    usual = usual or (WITH_PRIOR if evidence.base.has_prior else WITHOUT_PRIOR)
    outside = evidence.outside
    most = max(0.5, usual.outside)
    yield MOSTLY_STRANGERS, outside > most
    yield STRANGERS, (outside > usual.outside) & (outside <= most)
    yield SHIFTED, evidence.shift > usual.shift
    yield NONE_OF_A_CLASS, evidence.smallest < LEAST_OF_A_CLASS


def has_copies(support: Support) -> Tensor:
    """Whether an episode has the same shot twice: (E,), bool."""
    features = support.features.flatten(1, 2).double()
    numbers = torch.arange(1, features.shape[-1] + 1, dtype=torch.float64, device=features.device)
    # Different shots practically never have the same product with an irregular vector.
    irregular = torch.sin(numbers**2)
    products = (features @ irregular).masked_fill(~support.mask.flatten(1), torch.nan)
    ordered = products.sort(-1).values
    return (ordered[:, 1:] == ordered[:, :-1]).any(-1)
