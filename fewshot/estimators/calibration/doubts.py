"""Reasons to doubt a prediction, seen in shots and unlabelled images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fewshot.estimators.calibration.covariates import Evidence
from fewshot.estimators.calibration.unlabelled_covariates import UnlabelledEvidence
from fewshot.heads.base import Support

COPIES = "shots that are copies of each other, which show nothing of how images differ"
STRANGERS = "many unlabelled images look like none of the classes"
MOSTLY_STRANGERS = "more than half of the unlabelled images look like none of the classes"
SHIFTED = "the unlabelled images differ from the shots, all classes in the same way"
NONE_OF_A_CLASS = "a class has no unlabelled image"
# Of unlabelled images without strangers and without shift, one episode in a hundred is beyond
# (benchmarks/unlabelled_checks.py).
MOST_OUTSIDE = 0.2
MOST_SHIFT = 4.0
LEAST_OF_A_CLASS = 0.5


def doubts(evidence: Evidence) -> Iterator[tuple[str, Tensor]]:
    """Reasons why the unlabelled images may mislead, each with its episodes (E,), bool."""
    if not isinstance(evidence, UnlabelledEvidence):
        return
    outside = evidence.outside
    yield MOSTLY_STRANGERS, outside > 0.5
    yield STRANGERS, (outside > MOST_OUTSIDE) & (outside <= 0.5)
    yield SHIFTED, evidence.shift > MOST_SHIFT
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
