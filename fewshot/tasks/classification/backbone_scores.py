"""Published scores of a backbone on a few labelled images, beside the forecasts of its heads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fewshot.features.bank import FeatureBank
from fewshot.statistics.transferability import TRANSFER_SCORES
from fewshot.tasks.classification.forecast.forecast import support_of_bank


@dataclass(frozen=True)
class BackboneScores:
    """Transferability scores of one backbone, whatever the head.

    Attributes
    ----------
    backbone : str
    scores : dict of str to float or None
        By the names of `fewshot.statistics.TRANSFER_SCORES`, larger is better; None where
        undefined.
    reasons : dict of str to str
        Why scores are undefined.
    """

    backbone: str
    scores: dict[str, float | None]
    reasons: dict[str, str]

    def row(self) -> dict[str, Any]:
        """``backbone``, a value for every score, and ``reasons``, as JSON has them."""
        return {"backbone": self.backbone, **self.scores, "reasons": self.reasons}


def backbone_scores(bank: FeatureBank) -> BackboneScores:
    """Transferability scores of all images of `bank` and their labels.

    Raises
    ------
    FewshotError
        Fewer than two classes.
    """
    support = support_of_bank(bank)
    values = {
        name: float(score.function(support.features, support.mask)[0])
        for name, score in TRANSFER_SCORES.items()
    }
    finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
    reasons = {
        name: TRANSFER_SCORES[name].undefined for name, value in finite.items() if value is None
    }
    return BackboneScores(str(bank.info.get("backbone", "unknown")), finite, reasons)
