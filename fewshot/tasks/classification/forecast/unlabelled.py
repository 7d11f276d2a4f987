"""What unlabelled images bring to a forecast: the sharper prediction, checks, and a curve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from fewshot.estimators.auto import NOT_LEARNED, Auto
from fewshot.estimators.base import Prediction
from fewshot.estimators.calibration.doubts import (
    LEAST_OF_A_CLASS,
    MOSTLY_STRANGERS,
    NONE_OF_A_CLASS,
    STRANGERS,
)
from fewshot.estimators.calibration.regimes import regime_of
from fewshot.estimators.calibration.transferred import Model
from fewshot.estimators.calibration.unlabelled_covariates import UnlabelledEvidence
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import FewshotError
from fewshot.tasks.classification.forecast.base_classes import Calibration
from fewshot.units import joined

NUMBERS = (5, 10, 20, 50, 100)  # images per class of the curve
SUBSETS = 10
SHARE = 1 / 3  # of the episodes of base classes, for every number of the curve
LISTED = 5
FROM_SUPPORT = "from the support alone"


class Numbers(NamedTuple):
    """A predicted error with its interval."""

    error: float
    lower: float
    upper: float

    @classmethod
    def of(cls, prediction: Prediction) -> Numbers:
        """Those of the first episode."""
        assert prediction.lower is not None and prediction.upper is not None
        return cls(
            float(prediction.error[0]), float(prediction.lower[0]), float(prediction.upper[0])
        )


@dataclass(frozen=True)
class UnlabelledPoint:
    """Prediction from so many of the unlabelled images, averaged over random subsets.

    Attributes
    ----------
    images : int
        0: from the support alone.
    per_class : float
        `images` over the number of classes.
    error, lower, upper : float
    """

    images: int
    per_class: float
    error: float
    lower: float
    upper: float

    @property
    def width(self) -> float:
        """Of the interval."""
        return self.upper - self.lower


@dataclass(frozen=True)
class FromUnlabelled:
    """What a forecast has of unlabelled images.

    Attributes
    ----------
    unlabelled : int
        Images that the prediction rests on; 0 where none could be used, and it is that from the
        support alone.
    outside : float or None
        Share of them that look like none of the classes.
    strangers : bool or None
        Whether that is more than usual, so that there are images of other classes among them.
    error_support, lower_support, upper_support : float
        Prediction from the support alone.
    unlabelled_curve : tuple of UnlabelledPoint
        Predictions from fewer of them; empty if none could be used.
    """

    unlabelled: int
    outside: float | None
    strangers: bool | None
    error_support: float
    lower_support: float
    upper_support: float
    unlabelled_curve: tuple[UnlabelledPoint, ...] = ()


@dataclass(frozen=True, eq=False)
class Sharper:
    """A prediction from support and unlabelled images.

    Attributes
    ----------
    numbers : Numbers
    images : int
    per_class : float
        `images` over the number of classes.
    outside : float
        Share of the images that look like none of the classes.
    strangers : bool
        Whether that is more than usual.
    reasons : tuple of str
        Its reservations.
    model : Model or None
        The one of other data sets; None if it was fitted on base classes.
    calibrated_with : float
        Unlabelled images per class of the episodes of base classes, if it was fitted on these.
    auto : Auto
        What predicted it.
    """

    numbers: Numbers
    images: int
    per_class: float
    outside: float
    strangers: bool
    reasons: tuple[str, ...]
    model: Model | None
    calibrated_with: float
    auto: Auto

    @property
    def on_base(self) -> bool:
        """Whether it was fitted on base classes."""
        return self.model is None


def sharper(
    calibration: Calibration, unlabelled: Unlabelled, names: Sequence[str]
) -> Sharper | str:
    """The prediction for the support of `calibration`; or why there is none.

    Parameters
    ----------
    calibration : Calibration
    unlabelled : Unlabelled
        Of one episode.
    names : sequence of N str
        Of the classes.
    """
    support, head = calibration.support, calibration.fitted_head
    try:
        unlabelled.scores(head)
    except FewshotError as error:
        return f"unlabelled images were not looked at: {error.problem}"
    images = int(unlabelled.counts[0])
    per_class = images / support.counts.shape[1]
    auto, base = calibration.fitted(per_class)
    prediction = auto.predict_with(support, head, unlabelled)
    reasons = list(prediction.by_reservation())
    if NOT_LEARNED in reasons:
        return NOT_LEARNED
    evidence = UnlabelledEvidence(support, head, base, unlabelled)
    outside = float(evidence.outside[0])
    regime = regime_of(support, head, base, unlabelled=True)[0]
    on_base = regime in auto.fitted_
    return Sharper(
        Numbers.of(prediction),
        images,
        per_class,
        outside,
        STRANGERS in reasons or MOSTLY_STRANGERS in reasons,
        tuple(_in_words(reason, evidence, outside, names) for reason in reasons),
        None if on_base else auto.general().with_unlabelled(regime, per_class, False),
        auto.number_ if on_base else 0.0,
        auto,
    )


def _in_words(
    reason: str, evidence: UnlabelledEvidence, outside: float, names: Sequence[str]
) -> str:
    """A reservation with the images or classes that it is about."""
    images = int(evidence.unlabelled.counts[0])
    if reason in (STRANGERS, MOSTLY_STRANGERS):
        text = f"{reason}: about {round(outside * images)} of {images}"
        if reason == MOSTLY_STRANGERS:
            text += f"; rather go by the number {FROM_SUPPORT}"
        return text
    if reason == NONE_OF_A_CLASS:
        shares = evidence.posterior if evidence.base.has_prior else evidence.k_means
        without = torch.nonzero(shares[0].sum(0) < LEAST_OF_A_CLASS).flatten().tolist()
        shown = [names[c] for c in without[:LISTED]]
        more = f" and {len(without) - LISTED} more" * (len(without) > LISTED)
        return f"{reason}: {', '.join(shown) if more else joined(shown)}{more}"
    return reason


def curve(
    calibration: Calibration, unlabelled: Unlabelled, ends: tuple[Numbers, Numbers]
) -> Iterator[UnlabelledPoint]:
    """Predictions from 0, 5, 10, 20 ... images per class up to all that there are.

    Parameters
    ----------
    calibration : Calibration
    unlabelled : Unlabelled
        Of one episode.
    ends : tuple of two Numbers
        Predictions from none of them and from all.
    """
    support, head = calibration.support, calibration.fitted_head
    images, ways = int(unlabelled.counts[0]), support.counts.shape[1]
    yield UnlabelledPoint(0, 0.0, *ends[0])
    rng = np.random.default_rng(calibration.seed)
    for number in NUMBERS:
        if (size := number * ways) >= images:
            break
        auto, _ = calibration.fitted(number, SHARE)
        predicted = []
        for _ in range(SUBSETS):
            rows = torch.from_numpy(rng.choice(images, size, replace=False))
            subset = Unlabelled.of(unlabelled.features[:, rows])
            predicted.append(Numbers.of(auto.predict_with(support, head, subset)))
        error, lower, upper = np.mean(predicted, 0).tolist()
        yield UnlabelledPoint(size, float(number), error, lower, upper)
    yield UnlabelledPoint(images, images / ways, *ends[1])
