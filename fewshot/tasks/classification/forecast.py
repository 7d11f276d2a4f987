"""Forecast the error of heads fitted on a few labelled images, and the effect of more images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from torch import Tensor

from fewshot.episodes import UnlabelledSampling
from fewshot.episodes.episode_set import PADDING
from fewshot.episodes.unlabelled_sampling import MIXED
from fewshot.estimators.auto import COPIES, GUESS, Auto
from fewshot.estimators.base import NO_BASE, BaseClasses
from fewshot.estimators.calibration.calibrators import probit
from fewshot.estimators.calibration.regimes import NUMBERS, regime_of
from fewshot.estimators.calibration.transferred import Curve, General, Model
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import FeatureBank
from fewshot.features.copies import with_copies
from fewshot.features.row_keys import row_keys
from fewshot.heads.base import Head, Query, Support
from fewshot.progress import counted_work
from fewshot.tasks.calibration.cells import WAYS
from fewshot.tasks.classification.forecast_unlabelled import (
    FROM_SUPPORT,
    FromUnlabelled,
    Numbers,
    curve,
    sharper,
)
from fewshot.tasks.engine.base_classes import (
    QUERIES_LEFT,
    draw_base_episodes,
    evaluate_base_classes,
    fit_on_base_classes,
)
from fewshot.tasks.engine.batches import gather

MORE = (1, 5)
UNEQUAL = 3  # times as many images as another class has
LISTED = 5
LEAST, MOST = min(NUMBERS), max(NUMBERS)  # unlabelled images per class of the calibrator


@dataclass(frozen=True)
class CurvePoint:
    """Predicted error after `more` further images of every class.

    Attributes
    ----------
    more : int
    error, lower, upper : float
        The bounds include the variation of learning curves between data sets.
    """

    more: int
    error: float
    lower: float
    upper: float


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

    def row(self) -> dict[str, Any]:
        """Its fields, and those of `seen` if there are unlabelled images."""
        fields = asdict(self)
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
        "support",
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
    """
    support = support_of_bank(bank)
    if base is not None:
        _check_base(bank, base)
    image_notes = tuple(image_warnings(bank, support))
    backbone = str(bank.info.get("backbone", "unknown"))
    images = None
    if unlabelled is not None:
        images = Unlabelled.of(torch.from_numpy(unlabelled)[None].to(support.features.dtype))
    names = [bank.classnames[c] for c in bank.classes()]
    forecasts = []
    for name, head in counted_work([*heads.items()], f"predictions on {backbone}", "heads"):
        calibration = _Calibration(support, head, base, estimator or Auto(), episodes, seed)
        forecasts.append(_of_head(calibration, name, backbone, images, names, more, image_notes))
    return sorted(forecasts, key=lambda entry: entry.error)


@dataclass(eq=False)
class _Calibration:
    """Estimators of the error of a head on a support, fitted on base classes if there are any."""

    support: Support
    head: Head
    base: FeatureBank | None
    estimator: Auto
    episodes: int
    seed: int

    def __post_init__(self) -> None:
        self.fitted_head = self.head.clone().fit(self.support)
        self._fitted: dict[int, tuple[Auto, BaseClasses]] = {}

    def fitted(self, per_class: float | None = None) -> tuple[Auto, BaseClasses]:
        """The estimator for so many unlabelled images per class, and what it was fitted on."""
        number = 0 if per_class is None or self.base is None else max(1, round(per_class))
        if number not in self._fitted:
            base_classes = self._base_classes(number)
            auto = Auto(**self.estimator.get_params())
            fit_on_base_classes(auto, base_classes)
            self._fitted[number] = auto, base_classes
        return self._fitted[number]

    def _base_classes(self, number: int) -> BaseClasses:
        """Base-class evidence from episodes with the ways and shots of the support."""
        if self.base is None:
            return NO_BASE
        marked = replace(self.base, parts=("base",) * len(self.base.classnames))
        counts = self.support.counts
        # With two shots or more the variance within classes can be estimated, unlike with one.
        least = 2 if bool((counts > 1).any()) else 1
        shots = max(least, round(float(self.support.typical_shots)))
        sampling = UnlabelledSampling(number, MIXED, MIXED, QUERIES_LEFT) if number else None
        drawn = draw_base_episodes(
            marked, counts.shape[1], shots, "all", self.episodes, self.seed, sampling
        )
        return evaluate_base_classes(marked, drawn, self.head, device=torch.device("cpu"))


def _of_head(
    calibration: _Calibration,
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
    prediction = auto.predict(support, head)
    alone = numbers = Numbers.of(prediction)
    reasons = list(prediction.by_reservation())
    regime, seen, notes = regime_of(support, head, base_classes)[0], None, list[str]()
    model = auto.fitted_.get(regime) or auto.general().model(regime)
    if unlabelled is not None:
        images = int(unlabelled.counts[0])
        per_class = images / support.counts.shape[1]
        auto_with, base_with = calibration.fitted(per_class)
        better = sharper(auto_with, support, head, unlabelled, names)
        if isinstance(better, str):
            notes.append(better)
            seen = FromUnlabelled(0, None, *alone)
        else:
            if GUESS in reasons:
                notes.append(f"{FROM_SUPPORT}: {GUESS}")
            auto, numbers, reasons = auto_with, better.numbers, list(better.reasons)
            points = curve(
                lambda number: calibration.fitted(number)[0],
                support, head, unlabelled, (alone, numbers), calibration.seed,
            )  # fmt: skip
            seen = FromUnlabelled(images, better.outside, *alone, tuple(points))
            regime = regime_of(support, head, base_with, unlabelled=True)[0]
            notes += _number_warnings(auto, regime, per_class, calibration.base)
            model = auto.fitted_.get(regime) or auto.general().with_unlabelled(
                regime, per_class, False
            )
    # Copies among the images have a warning of their own; the prediction stays valid.
    guess = GUESS in reasons
    notes = [*(reason for reason in reasons if reason not in (GUESS, COPIES)), *notes]
    general = auto.general()
    on_base = regime in auto.fitted_
    assert model is not None
    notes += _calibration_warnings(
        None if on_base else model, support, calibration.base, base_classes
    )
    if name not in general.curves:
        notes.append("what more images would bring is not known for this head")
    ahead = more if name in general.curves and not guess else ()
    return Forecast(
        backbone,
        name,
        *numbers,
        "base" if on_base else "datasets",
        GUESS if guess else None,
        tuple(_curve_point(general, name, support, numbers, n, auto.level) for n in ahead),
        (*image_notes, *notes),
        seen,
    )


def _number_warnings(
    auto: Auto, regime: str, per_class: float, base: FeatureBank | None
) -> Iterator[str]:
    """Warnings about another number of unlabelled images than the calibration had."""
    if regime in auto.fitted_:
        if auto.number_ < per_class / 2:
            yield (
                f"{per_class:.3g} unlabelled images per class, where the base classes have room "
                f"for {auto.number_:.3g} beside shots and queries: calibrated on so many"
            )
        return
    if base is not None:
        yield (
            "base classes are too few, or have too few images, for unlabelled ones: the "
            "prediction with unlabelled images is calibrated on other data sets"
        )
    if not LEAST <= per_class <= MOST:
        yield (
            f"{per_class:.3g} unlabelled images per class, where the calibration was measured on "
            f"{LEAST} to {MOST}: the nearest of these stands in"
        )


def _check_base(bank: FeatureBank, base: FeatureBank) -> None:
    """Check that base classes are other classes of other images in the same feature space."""
    shared = sorted(set(base.classnames) & set(bank.classnames))
    if shared:
        raise FewshotError(
            "--base",
            f"expected other classes than those of the support, both have {', '.join(shared[:5])}",
            "An error on classes that were learned from is no guide to others.",
        )
    if base.dim != bank.dim:
        raise FewshotError("--base", f"expected {bank.dim}-d features, got {base.dim}-d ones")
    support_keys, base_keys = (
        row_keys(np.asarray(source.features, np.float32)) for source in (bank, base)
    )
    copies = len(np.intersect1d(support_keys, base_keys))
    if copies:
        raise FewshotError(
            "--base",
            f"expected other images than those of the support, got {copies} that are in both",
            "An error on images that were learned from is no guide to others.",
        )


def _curve_point(
    general: General,
    head: str,
    support: Support,
    numbers: Sequence[float],
    more: int,
    level: float,
) -> CurvePoint:
    curve: Curve = general.curves[head]
    shots = float(support.typical_shots)
    z = float(ndtri(0.5 + level / 2))
    change, deviation = curve.step(shots, shots + more)
    error, lower, upper = (float(probit(value)) + change for value in numbers)
    # The current interval and the deviation of learning curves, added in quadrature.
    lower = error - float(np.hypot(error - lower, z * deviation))
    upper = error + float(np.hypot(upper - error, z * deviation))
    return CurvePoint(more, float(ndtr(error)), float(ndtr(lower)), float(ndtr(upper)))


def image_warnings(bank: FeatureBank, support: Support) -> Iterator[str]:
    """Warnings about the images that apply to the predictions of all heads."""
    copies = with_copies(bank).info["copies"]["images"]
    if copies:
        what = f"{copies} images are copies" if copies > 1 else "an image is a copy"
        yield f"{what} of others, which hides how images differ: the number may be far off"
    if float(support.counts.max() / support.counts.min()) > UNEQUAL:
        yield (
            "classes differ much in their number of images; intervals were measured on classes "
            "with equally many"
        )
    alone = [bank.classnames[c] for c in bank.classes() if (bank.labels == c).sum() == 1]
    if alone and bool((support.counts > 1).any()):
        more = len(alone) - LISTED
        named = ", ".join(alone[:LISTED]) + (f" and {more} more" if more > 0 else "")
        its = "its class is" if len(alone) == 1 else "their classes are"
        yield f"one image only of {named}: {its} taken to vary as others do"


def _calibration_warnings(
    model: Model | None, support: Support, base: FeatureBank | None, base_classes: BaseClasses
) -> Iterator[str]:
    """Warnings about the data of the calibration and about images outside of its range.

    `model` is the one of other data sets; None where it was fitted on base classes.
    """
    if base is not None and not base_classes.has_episodes:
        yield f"base classes were not used: {base_classes.reason}"
    elif base is None:
        yield (
            "no base classes: calibrated on other data sets, and as good as these resemble the "
            "images"
        )
    if model is None:
        return  # on episodes of these ways and shots
    measured = model.shots
    shots = float(support.typical_shots[0])
    if not measured[0] <= shots <= measured[-1]:
        within = f"{measured[0]:g}" + f" to {measured[-1]:g}" * (len(measured) > 1)
        yield (
            f"{shots:.3g} images per class, where the calibration was measured on {within}: the "
            "nearest of these stands in"
        )
    ways = support.counts.shape[1]
    if not min(WAYS) <= ways <= max(WAYS):
        yield (
            f"{ways} classes, where the calibration was measured on {min(WAYS)} to {max(WAYS)}: "
            "extrapolated"
        )


def classify(bank: FeatureBank, queries: FeatureBank, head: Head) -> list[dict[str, Any]]:
    """Label and runner-up of every query image, by a head fitted on all images of `bank`.

    Returns
    -------
    list of dict
        ``file``, ``label``, ``runner_up``, and ``lead``: the difference of their scores, in the
        units of the head.
    """
    support = support_of_bank(bank)
    names = [bank.classnames[c] for c in bank.classes()]
    rows = torch.arange(len(queries))
    scores: Tensor = head.clone().fit(support).scores(Query.of(queries.take(rows).float()[None]))[0]
    best = scores.topk(2, -1)
    lead = (best.values[:, 0] - best.values[:, 1]).tolist()
    paths = queries.paths or tuple(map(str, range(len(queries))))
    return [
        {
            "file": paths[i],
            "label": names[int(best.indices[i, 0])],
            "runner_up": names[int(best.indices[i, 1])],
            "lead": lead[i],
        }
        for i in range(len(queries))
    ]
