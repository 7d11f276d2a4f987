"""Forecast the error of heads fitted on a few labelled images, and the effect of more images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fewshot.episodes.episode_set import PADDING
from fewshot.estimators.auto import COPIES, GUESS, Auto
from fewshot.estimators.base import BaseClasses
from fewshot.estimators.calibration.regimes import regime_of
from fewshot.estimators.calibration.transferred import Model
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head, Support
from fewshot.memory import is_out_of_memory
from fewshot.progress import counted_work
from fewshot.tasks.classification.forecast.base_classes import Calibration, check_base
from fewshot.tasks.classification.forecast.confusion import Confusion, expected_confusion
from fewshot.tasks.classification.forecast.learning_curve import (
    MORE,
    CurvePoint,
    LearningCurve,
    checked_steps,
)
from fewshot.tasks.classification.forecast.unlabelled import (
    FROM_SUPPORT,
    FromUnlabelled,
    Numbers,
    curve,
    sharper,
)
from fewshot.tasks.classification.forecast.warnings import (
    EVEN_IMAGES,
    calibration_warnings,
    disagreement_warnings,
    image_warnings,
    number_warnings,
)
from fewshot.tasks.engine.batches import gather


@dataclass(frozen=True)
class Forecast:
    """Forecast of the error of one head on one backbone.

    Attributes
    ----------
    backbone, head : str
    error : float
        Predicted share of new images that will be classified wrongly, all classes alike.
    lower, upper : float
        Bounds of the prediction interval.
    calibrated_on : {"datasets", "base"}
    note : str or None
        Why the prediction is unreliable, if it is.
    outlook : tuple of CurvePoint
        Empty for a head whose learning curve is not known.
    warnings : tuple of str
        All other reservations: about the images, the data of the calibration, images outside of
        its range, and base classes that could not be used.
    seen : FromUnlabelled or None
        The prediction without unlabelled images, and what else is known of these; None if there
        are none. `error`, `lower` and `upper` are those with them.
    confusion : Confusion or None
        Expected confusion of the classes, whose errors have the mean `error`; None if scores of the
        head are not numbers.
    price : float
        By how much `upper` is raised, of the forecast that is taken: the lowest of several
        predictions is too low by chance.
    learning_curve : LearningCurve or None
        What `outlook` are points of, also for targets; None for a head whose curve is not known.
    """

    backbone: str
    head: str
    error: float
    lower: float
    upper: float
    calibrated_on: str
    note: str | None
    outlook: tuple[CurvePoint, ...]
    warnings: tuple[str, ...] = ()
    seen: FromUnlabelled | None = None
    confusion: Confusion | None = None
    price: float = 0.0
    # Forecasts are compared by `outlook`, which has its points.
    learning_curve: LearningCurve | None = field(default=None, compare=False)

    def row(self) -> dict[str, Any]:
        """Its fields without confusion and curve, with those of `seen` if there are any."""
        fields = asdict(replace(self, confusion=None, learning_curve=None))
        del fields["confusion"], fields["learning_curve"]
        seen = fields.pop("seen")
        return fields | (seen or {})


def support_of_bank(bank: FeatureBank) -> Support:
    """All images of a bank as the support of one episode; classes may differ in size.

    Raises
    ------
    FewshotError
        Fewer than two classes.
    """
    classes = bank.classes()
    expect(
        len(classes) > 1,
        "images",
        f"expected two classes or more, got {len(classes)}",
        "Give a sub-folder of images per class.",
    )
    rows_by_class = [np.flatnonzero(bank.labels == c) for c in classes]
    rows = np.full((1, len(classes), max(map(len, rows_by_class))), PADDING)
    for n, images in enumerate(rows_by_class):
        rows[0, n, : len(images)] = images
    features, mask = gather(bank, rows, torch.device("cpu"))
    return Support.of(features.float(), mask)


def forecast(
    bank: FeatureBank,
    heads: Mapping[str, Head],
    *,
    base: FeatureBank | None = None,
    unlabelled: NDArray | None = None,
    estimator: Auto | None = None,
    episodes: int = 300,
    seed: int = 0,
    more: Sequence[int] = MORE,
) -> list[Forecast]:
    """Predicted error of every head fitted on all images of `bank`, the best first.

    Parameters
    ----------
    bank : FeatureBank
        The few labelled images.
    heads : mapping of str to Head
    base : FeatureBank, optional
        Other classes with labels, under the same backbone: the calibration then rests on them.
    unlabelled : ndarray of shape (U, D), optional
        Features of unlabelled images, without the shots.
    estimator : Auto, optional
    episodes : int
        Base-class episodes to calibrate on.
    seed : int
    more : sequence of int
        Further images per class to look ahead to.

    Raises
    ------
    FewshotError
        Numbers in `more` that are no numbers of images; base classes that cannot be used; a head
        from outside of this package that raises an error.
    """
    more = checked_steps(more)
    support = support_of_bank(bank)
    if base is not None:
        check_base(bank, base)
    image_notes = tuple(image_warnings(bank, support))
    backbone = str(bank.info.get("backbone", "unknown"))
    images = None
    if unlabelled is not None:
        images = Unlabelled.of(torch.from_numpy(unlabelled)[None].to(support.features.dtype))
    names = [bank.classnames[c] for c in bank.classes()]
    forecasts = []
    for name, head in counted_work([*heads.items()], f"predictions on {backbone}", "heads"):
        with _named(name, head):
            calibration = Calibration(support, head, base, estimator or Auto(), episodes, seed)
            row = _of_head(calibration, name, backbone, images, names, more, image_notes)
        forecasts.append(row)
    return sorted(forecasts, key=lambda entry: entry.error)


class _Known(NamedTuple):
    """A prediction, and what it rests on.

    Attributes
    ----------
    numbers : Numbers
    auto : Auto
        What predicted it.
    model : Model or None
        The one of other data sets; None if it was fitted on base classes.
    reasons : tuple of str
        Its reservations.
    images : Unlabelled or None
        Those that were looked at.
    seen : FromUnlabelled or None
        None if no unlabelled images were given.
    notes : tuple of str
        On unlabelled images.
    """

    numbers: Numbers
    auto: Auto
    model: Model | None
    reasons: tuple[str, ...]
    images: Unlabelled | None = None
    seen: FromUnlabelled | None = None
    notes: tuple[str, ...] = ()


@contextmanager
def _named(name: str, head: Head) -> Iterator[None]:
    """Raise FewshotError, which names the head, for whatever a head of a user raises.

    What heads of this package raise is a defect, and stays what it is.
    """
    try:
        yield
    except FewshotError:
        raise
    except Exception as error:
        if is_out_of_memory(error) or type(head).__module__.startswith("fewshot."):
            raise
        text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
        raise FewshotError(f"head={name}", f"it raised {text}") from error


def _of_head(
    calibration: Calibration,
    name: str,
    backbone: str,
    unlabelled: Unlabelled | None,
    names: Sequence[str],
    more: Sequence[int],
    image_notes: tuple[str, ...],
) -> Forecast:
    """The forecast of one head, from the support and, if there are any, unlabelled images."""
    support, head = calibration.support, calibration.fitted_head
    auto, base_classes = calibration.fitted()
    known = _from_support(auto, support, head, base_classes)
    if unlabelled is not None:
        known = _with_unlabelled(known, calibration, unlabelled, names)
    guess = GUESS in known.reasons
    curves = auto.general().curves
    path = None
    if name in curves and not guess:
        path = LearningCurve(curves[name], float(support.typical_shots), known.numbers, auto.level)
    notes = [
        *image_notes,
        # Copies among the images have a warning of their own; the prediction stays valid.
        *(reason for reason in known.reasons if reason not in (GUESS, COPIES)),
        *known.notes,
        *calibration_warnings(known.model, support, calibration.base, base_classes),
    ]
    if name not in curves:
        notes.append("what more images would bring is not known for this head")
    if "query_prior" in head.uses:
        notes.append(EVEN_IMAGES)
    return Forecast(
        backbone,
        name,
        *known.numbers,
        "base" if known.model is None else "datasets",
        GUESS if guess else None,
        () if path is None else path.points(more),
        tuple(notes),
        known.seen,
        expected_confusion(known.auto, support, head, names, known.images),
        learning_curve=path,
    )


def _from_support(auto: Auto, support: Support, head: Head, base_classes: BaseClasses) -> _Known:
    """The prediction from the support alone."""
    prediction = auto.predict(support, head)
    regime = regime_of(support, head, base_classes)[0]
    model = None if regime in auto.fitted_ else auto.general().model(regime, head)
    return _Known(Numbers.of(prediction), auto, model, tuple(prediction.by_reservation()))


def _with_unlabelled(
    alone: _Known, calibration: Calibration, unlabelled: Unlabelled, names: Sequence[str]
) -> _Known:
    """The prediction from support and unlabelled images; `alone` where they cannot be used."""
    better = sharper(calibration, unlabelled, names)
    if isinstance(better, str):
        seen = FromUnlabelled(0, None, None, *alone.numbers)
        return alone._replace(seen=seen, notes=(better,))
    if GUESS in alone.reasons:
        notes = [f"{FROM_SUPPORT}: {GUESS}"]
    else:
        notes = [*disagreement_warnings(alone.numbers, better.numbers)]
    notes += number_warnings(better, calibration.base)
    points = curve(calibration, unlabelled, (alone.numbers, better.numbers))
    seen = FromUnlabelled(
        better.images, better.outside, better.strangers, *alone.numbers, tuple(points)
    )
    return _Known(
        better.numbers, better.auto, better.model, better.reasons, unlabelled, seen, tuple(notes)
    )
