"""The recommended estimator: calibrated on base classes, or on other data sets without them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.estimators.base import (
    BaseClasses,
    CalibrationSettings,
    ErrorEstimator,
    Prediction,
    reserved,
)
from fewshot.estimators.calibration.covariates import Evidence
from fewshot.estimators.calibration.doubts import COPIES, Usual, doubts, has_copies
from fewshot.estimators.calibration.intervals import LEVEL, Residuals, check_level
from fewshot.estimators.calibration.refitting import refit, rows_of, rows_with_unlabelled
from fewshot.estimators.calibration.regimes import (
    MEASURED,
    NUMBERS,
    ONE_SHOT_ALONE,
    REGIMES,
    SUPPORT_ALONE,
    regime_of,
    with_number,
)
from fewshot.estimators.calibration.transferred import (
    General,
    Model,
    load_general,
    registered_as,
)
from fewshot.estimators.calibration.unlabelled_covariates import UnlabelledEvidence
from fewshot.estimators.tags import EstimatorTags
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.heads.base import Head, Support
from fewshot.statistics.populations import LEVELS

SOURCES = ("auto", "base", "datasets")
LEARNED_HEADS = ("ncm", "lda", "ridge", "logistic", "knn")  # of the calibrator in the package
UNFAMILIAR_HEAD = (
    "calibrated on nearest class mean, LDA, ridge and logistic regression and nearest neighbours "
    "on other data sets, and not on this head"
)
NOT_LEARNED = "the calibrator was fitted without unlabelled images, which were not looked at"
GUESS = "one shot and no base classes: the mean of other data sets, whatever the images"


class Auto(ErrorEstimator):
    r"""Probit regression of each class's error on covariates of the support.

    ``err = mean_c Phi(b_0 + b . x_c)``, with per-class covariates x_c of
    :class:`~fewshot.estimators.calibration.covariates.Evidence`, chosen by shots, head and base
    classes (:mod:`~fewshot.estimators.calibration.regimes`). The coefficients come from

    - other data sets, if there are no base classes: the general-purpose calibrator that comes with
      the package, or a user's calibrator;
    - base-class episodes of the same data set otherwise, with the transferred coefficients as the
      mean of a Gaussian prior. All base-class episodes together have the weight of one Bernoulli
      trial per base class: five base classes change the coefficients little, five hundred
      determine them.

    Where episodes have unlabelled images, covariates of
    :class:`~fewshot.estimators.calibration.unlabelled_covariates.UnlabelledEvidence` are added:
    what mixtures fitted to shots and unlabelled images together decide otherwise than the head.
    They are calibrated with uneven shares of the classes and images of other classes among them.
    Base-class episodes then have a prior from other base classes than their own (in folds), as a
    prior that knows the classes makes the mixtures look better than they are on novel ones.

    The interval consists of quantiles of the standardised residuals of the same episodes, widened
    for new classes; with so few coefficients the overfitting is small.

    Parameters
    ----------
    source : {"auto", "base", "datasets"}
        What it is calibrated on. "auto": base classes if there are any, else other data sets;
        "base" requires base classes; "datasets": other data sets only (the covariance of base
        classes is used if there are any).
    calibrator : str, optional
        JSON that ``fewshot calibrate`` wrote; None: the general-purpose one of the package.
    level : float in (0, 0.99]
        Nominal coverage of the interval.

    Attributes
    ----------
    fitted_ : dict
        :class:`~fewshot.estimators.calibration.transferred.Model` by regime, fitted on base
        classes.
    """

    references = ("papke1996econometric",)
    tags = EstimatorTags(
        scale_invariant=True, at_one_shot=True, without_base=True, has_interval=True
    )

    calibrates_itself = True
    unlabelled = "used"

    def __init__(
        self, source: str = "auto", calibrator: str | None = None, level: float = LEVEL
    ) -> None:
        self.source = source
        self.calibrator = calibrator
        self.level = level

    def configured(self, settings: CalibrationSettings) -> Self:
        """Return it with the calibration settings of the run, where its parameters set none."""
        changes: dict[str, Any] = {}
        if self.source == "auto" and settings.source != "none":
            changes["source"] = settings.source
        if self.calibrator is None:
            changes["calibrator"] = settings.calibrator
        if self.level == LEVEL:
            changes["level"] = settings.level
        auto = self.with_params(**changes)
        auto.general().check_space(settings.space)
        return auto

    def fit(self, base: BaseClasses) -> Self:
        """Calibrate on base-class episodes, unless `source` is "datasets"."""
        super().fit(base)
        self.general()
        self.fitted_: dict[str, Model] = {}
        self.usual_: Usual | None = None
        # With unlabelled images, what the support alone needs is fitted when it is asked for: in
        # most runs never, and heads that are slow to refit are asked once less.
        self.deferred_ = False
        if self.source == "base" and not base.has_episodes:
            raise FewshotError(
                "estimator.auto.source",
                f"expected base classes to calibrate on, got none ({base.reason})",
                "Give a base/novel split, or let source be auto.",
            )
        if self.source != "datasets" and base.has_episodes:
            if self.unlabelled == "used" and base.has_unlabelled:
                self._calibrate_with_unlabelled(base)
                self.deferred_ = True
            else:
                self._calibrate(base)
        return self

    def predict(self, support: Support, head: Head) -> Prediction:
        """Return predicted errors (E,) with intervals and reservations, from the support alone."""
        return self._predict(support, head, None)[0]

    def predict_with(self, support: Support, head: Head, unlabelled: Unlabelled) -> Prediction:
        """Return predicted errors (E,) with intervals and reservations."""
        return self._predict(support, head, unlabelled)[0]

    def errors_by_class(
        self, support: Support, head: Head, unlabelled: Unlabelled | None = None
    ) -> Tensor:
        """Return predicted errors (E, N) of the classes; their mean is the predicted error.

        Parameters
        ----------
        support : Support
        head : Head
            Fitted on `support`.
        unlabelled : Unlabelled, optional
            For the errors that `predict_with` averages; without, those that `predict` does.
        """
        return self._predict(support, head, unlabelled)[1]

    def _predict(
        self, support: Support, head: Head, unlabelled: Unlabelled | None
    ) -> tuple[Prediction, Tensor]:
        """The prediction, and the errors (E, N) of the classes."""
        if unlabelled is None and getattr(self, "deferred_", False):
            self._calibrate(self.base_)
            self.deferred_ = False
        regimes = np.array(regime_of(support, head, self.base_, unlabelled is not None))
        shots = np.round(support.typical_shots.double().cpu().numpy(), 6)
        numbers = np.zeros(len(shots))
        if unlabelled is not None:
            per_class = unlabelled.counts.double().cpu().numpy() / support.counts.shape[1]
            numbers = _rounded(per_class, unlabelled.measured)
        rows = np.full((3 + 2 * len(LEVELS), len(regimes)), np.nan)
        by_class = np.full(tuple(support.counts.shape), np.nan)
        notes: list[tuple[str, Tensor]] = []
        for regime, count, number in sorted(set(zip(regimes, shots, numbers, strict=True))):
            selected = (regimes == regime) & (shots == count) & (numbers == number)
            part = _select(support, head, unlabelled, selected)
            model, evidence = self._model_and_evidence(str(regime), float(number), *part)
            if unlabelled is not None and not isinstance(evidence, UnlabelledEvidence):
                notes.append((NOT_LEARNED, torch.from_numpy(selected)))
            x = evidence.stack(model.covariates).cpu().numpy()
            by_class[selected] = model.errors_by_class(x, shots[selected])
            residuals = model.residuals_at(count)
            rows[:, selected] = _with_bounds(by_class[selected].mean(-1), residuals, self.level)
            notes += _spread_out(doubts(evidence, getattr(self, "usual_", None)), selected)
        device = support.features.device
        values = torch.from_numpy(rows).to(device, support.features.dtype)
        notes = [(reason, episodes.to(device)) for reason, episodes in notes]
        prediction = Prediction(
            values[0],
            lower=values[1],
            upper=values[2],
            bands=values[3:].view(2, len(LEVELS), -1),
            **reserved([*self._reservations(support, head, regimes), *notes]),
        )
        return prediction, torch.from_numpy(by_class).to(device, support.features.dtype)

    def _model_and_evidence(
        self,
        regime: str,
        number: float,
        support: Support,
        head: Head,
        unlabelled: Unlabelled | None,
    ) -> tuple[Model, Evidence]:
        """The model of a regime with what it looks at.

        The one fitted on base classes, else the transferred one. Of an earlier calibrator, which
        has none with unlabelled images, that of the support alone.
        """
        fitted: dict[str, Model] = getattr(self, "fitted_", {})
        if unlabelled is not None:
            model = fitted.get(regime)
            if model is None:
                model = self.general().with_unlabelled(regime, number, unlabelled.measured)
            if model is not None:
                return model, UnlabelledEvidence(support, head, self.base_, unlabelled)
            regime = regime_of(support, head, self.base_)[0]
        model = fitted.get(regime) or self.general().model(regime, head)
        return model, Evidence(support, head, self.base_)

    def calibration_label(self) -> str:
        """Return "base" if it was fitted on base classes, else "datasets"."""
        return "base" if getattr(self, "fitted_", {}) else "datasets"

    def fitted_elsewhere_on(self) -> Sequence[Mapping[str, Any]]:
        """What the calibrator of the package was fitted on; nothing of a user's calibrator."""
        return self.general().fitted_on if self.calibrator is None else ()

    def add_to(self, calibrator: General, name: str, head: str, shots: int) -> General:
        """Return `calibrator` with the models fitted on base classes; others as transferred."""
        fitted = getattr(self, "fitted_", {})
        if not fitted:
            return calibrator
        general = self.general()
        learned = {self._numbered(regime): model for regime, model in fitted.items()}
        models = {**general.models, **learned}
        return replace(calibrator, models=models, curves=general.curves)

    def _reservations(
        self, support: Support, head: Head, regimes: NDArray
    ) -> Iterator[tuple[str, Tensor]]:
        """Reasons why a prediction may be inaccurate, each with its episodes (E,), bool."""
        fitted = getattr(self, "fitted_", {})
        device = support.features.device
        guessed = (regimes == ONE_SHOT_ALONE) & (ONE_SHOT_ALONE not in fitted)
        yield GUESS, torch.from_numpy(guessed).to(device)
        if not self._fitted_with(head):
            elsewhere = np.array([str(regime) not in fitted for regime in regimes])
            yield self._unfamiliar_head(), torch.from_numpy(elsewhere).to(device)
        yield COPIES, has_copies(support).to(device)

    def _fitted_with(self, head: Head) -> bool:
        """Whether the calibrator was fitted with heads of this class."""
        if self.calibrator is None:
            return registered_as(head, LEARNED_HEADS)
        return self.general().fitted_with(head)

    def _unfamiliar_head(self) -> str:
        if self.calibrator is None:
            return UNFAMILIAR_HEAD
        heads = " and ".join(sorted(self.general().heads))
        return f"calibrated on {heads} on other data sets, and not on this head"

    def general(self) -> General:
        """The transferred calibrator."""
        expect_choice("estimator.auto.source", self.source, SOURCES)
        check_level("estimator.auto.level", self.level)
        return load_general(None if self.calibrator is None else Path(str(self.calibrator)))

    def _numbered(self, regime: str) -> str:
        """Name in a calibrator of the model of a regime that was fitted on base classes."""
        if regime in SUPPORT_ALONE:
            return regime
        nearest = int(np.abs(np.log(np.array(NUMBERS) / max(self.number_, 1e-3))).argmin())
        return with_number(regime, MEASURED if self.measured_ else NUMBERS[nearest])

    def _calibrate(self, base: BaseClasses) -> None:
        # Base-class episodes are balanced, so that there is one regime with and one without base
        # classes. The latter serves users who apply the saved calibrator without base classes.
        assert base.errors_by_class is not None and base.members is not None
        rows, shots, head = rows_of(base)
        models = {}
        for regime, x in rows.items():
            if regime != list(rows)[-1] and regime not in self.general().models:
                continue  # a user's calibrator may not have this regime
            model = self.general().model(regime, head)
            models[regime] = refit(
                model,
                model.columns(x, REGIMES[regime]),
                shots,
                base.errors_by_class.numpy(),
                base.members.numpy(),
            )
        self.fitted_ = {**self.fitted_, **models}

    def _calibrate_with_unlabelled(self, base: BaseClasses) -> None:
        """Calibrate on episodes with unlabelled images; in folds where a prior is used."""
        parts = list(base.folds) if base.has_prior else [base]
        if not all(part.has_prior == base.has_prior for part in parts):
            return  # too few classes for a prior from those of the other folds
        pieces = [rows_with_unlabelled(part) for part in parts]
        if not pieces:
            return
        first = pieces[0]
        self.number_, self.measured_ = first.number, first.measured
        columns = ([piece.outside for piece in pieces], [piece.shift for piece in pieces])
        self.usual_ = Usual.of(*map(np.concatenate, columns))
        model = self.general().with_unlabelled(first.regime, first.number, first.measured)
        if model is not None:
            actual = [part.errors_by_class for part in parts if part.errors_by_class is not None]
            members = [part.members for part in parts if part.members is not None]
            x = np.concatenate([piece.x for piece in pieces])
            self.fitted_[first.regime] = refit(
                model,
                model.columns(x, REGIMES[first.regime]),
                first.shots,
                torch.cat(actual).numpy(),
                torch.cat(members).numpy(),
            )


class AutoSupport(Auto):
    """``auto`` from the support alone, also where episodes have unlabelled images."""

    unlabelled = "ignored"

    def predict_with(self, support: Support, head: Head, unlabelled: Unlabelled) -> Prediction:
        """Return what `predict` does."""
        return self.predict(support, head)


def _rounded(per_class: NDArray, measured: bool) -> NDArray:
    """Numbers (E,) to two digits, so that few models serve many episodes; 0 if measured."""
    if measured:
        return np.zeros_like(per_class)
    size = 10.0 ** (np.floor(np.log10(np.maximum(per_class, 1e-3))) - 1)
    rounded: NDArray = np.round(per_class / size) * size
    return rounded


def _with_bounds(predicted: NDArray, residuals: Residuals, level: float) -> NDArray:
    """Predicted errors (E,), their bounds, and the bounds of all bands: (3 + 2 levels, E)."""
    bands = residuals.bands(predicted).reshape(2 * len(LEVELS), -1)
    return np.stack([predicted, *residuals.interval(predicted, level), *bands])


def _spread_out(
    doubts: Iterable[tuple[str, Tensor]], selected: NDArray
) -> Iterator[tuple[str, Tensor]]:
    """Doubts about the selected episodes as doubts about all."""
    for reason, episodes in doubts:
        everywhere = np.zeros(len(selected), dtype=bool)
        everywhere[selected] = episodes.cpu().numpy()
        yield reason, torch.from_numpy(everywhere)


def _select(
    support: Support, head: Head, unlabelled: Unlabelled | None, rows: NDArray
) -> tuple[Support, Head, Unlabelled | None]:
    """Select episodes by the mask `rows` (E,), and fit the head on them."""
    if rows.all():
        return support, head, unlabelled
    chosen = torch.from_numpy(rows).to(support.mask.device)
    selected = support[chosen]
    part = None if unlabelled is None else unlabelled[chosen]
    return selected, head.clone().fit(selected), part
