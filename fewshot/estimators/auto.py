"""The recommended estimator: calibrated on base classes, or on other data sets without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import Tensor

from fewshot.estimators.base import (
    NO_BASE,
    BaseClasses,
    CalibrationSettings,
    ErrorEstimator,
    Prediction,
    reserved,
)
from fewshot.estimators.calibration.covariates import Evidence
from fewshot.estimators.calibration.intervals import (
    LEVEL,
    Residuals,
    check_level,
    new_classes,
)
from fewshot.estimators.calibration.probit import fit_probit
from fewshot.estimators.calibration.regimes import ONE_SHOT_ALONE, REGIMES, regime_of
from fewshot.estimators.calibration.transferred import (
    General,
    Model,
    load_general,
    registered_as,
)
from fewshot.estimators.tags import EstimatorTags
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.heads.base import Head, Support
from fewshot.statistics.populations import LEVELS

# Of the prior around the transferred coefficients: intercept, slopes of standardised covariates.
PRECISION = (0.3, 3.0)
SOURCES = ("auto", "base", "datasets")
LEARNED_HEADS = ("ncm", "lda")  # of the calibrator in the package
COPIES = "shots that are copies of each other, which show nothing of how images differ"
UNFAMILIAR_HEAD = (
    "calibrated on nearest class mean and LDA on other data sets, and not on this head"
)
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

    tags = EstimatorTags(
        scale_invariant=True, at_one_shot=True, without_base=True, has_interval=True
    )

    calibrates_itself = True

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
        if self.source == "base" and not base.has_episodes:
            raise FewshotError(
                "estimator.auto.source",
                f"expected base classes to calibrate on, got none ({base.reason})",
                "Give a base/novel split, or let source be auto.",
            )
        if self.source != "datasets" and base.has_episodes:
            self._calibrate(base)
        return self

    def predict(self, support: Support, head: Head) -> Prediction:
        """Return predicted errors (E,) with intervals and reservations."""
        base = self.base_
        general, fitted = self.general(), getattr(self, "fitted_", {})
        regimes = np.array(regime_of(support, head, base))
        shots = np.round(support.typical_shots.double().cpu().numpy(), 6)
        rows = np.full((3 + 2 * len(LEVELS), len(regimes)), np.nan)
        for regime, count in sorted(set(zip(regimes, shots, strict=True))):
            selected = (regimes == regime) & (shots == count)
            model = fitted.get(str(regime)) or general.model(str(regime))
            part_support, part_head = _select(support, head, selected)
            x = Evidence(part_support, part_head, base).stack(REGIMES[regime]).cpu().numpy()
            predicted = model.predict(x, shots[selected])
            residuals = model.residuals_at(count)
            bounds = residuals.interval(predicted, self.level)
            bands = residuals.bands(predicted).reshape(2 * len(LEVELS), -1)
            rows[:, selected] = np.stack([predicted, *bounds, *bands])
        values = torch.from_numpy(rows).to(support.features.device, support.features.dtype)
        return Prediction(
            values[0],
            lower=values[1],
            upper=values[2],
            bands=values[3:].view(2, len(LEVELS), -1),
            **reserved(self._reservations(support, head, regimes)),
        )

    def calibration_label(self) -> str:
        """Return "base" if it was fitted on base classes, else "datasets"."""
        return "base" if getattr(self, "fitted_", {}) else "datasets"

    def add_to(self, calibrator: General, name: str, head: str, shots: int) -> General:
        """Return `calibrator` with the models fitted on base classes; others as transferred."""
        fitted = getattr(self, "fitted_", {})
        if not fitted:
            return calibrator
        general = self.general()
        models = {**general.models, **fitted}
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

    def _calibrate(self, base: BaseClasses) -> None:
        # Base-class episodes are balanced, so that there is one regime with and one without base
        # classes. The latter serves users who apply the saved calibrator without base classes.
        regimes: dict[tuple[str, str], None] = {}

        def covariates(support: Support, head: Head) -> Tensor:
            regime, without = (
                regime_of(support, head, knowledge)[0] for knowledge in (base, NO_BASE)
            )
            regimes[regime, without] = None
            evidence = Evidence(support, head, base).stack(REGIMES[regime])
            alone = Evidence(support, head, NO_BASE).stack(REGIMES[without])
            shots = support.typical_shots[:, None, None].expand(-1, evidence.shape[1], 1)
            return torch.cat([evidence, alone, shots.double()], -1)

        rows = base.map(covariates).numpy()
        ((regime, without),) = regimes
        assert base.errors_by_class is not None and base.members is not None
        actual, members = base.errors_by_class.numpy(), base.members.numpy()
        shots, width = round(float(rows[0, 0, -1]), 6), len(REGIMES[regime])
        columns = {without: rows[..., width:-1], regime: rows[..., :width]}
        for fitted_regime, x in columns.items():
            if fitted_regime != regime and fitted_regime not in self.general().models:
                continue  # a user's calibrator may not have this regime
            self.fitted_[fitted_regime] = refit(
                self.general().model(fitted_regime), x, shots, actual, members
            )


def has_copies(support: Support) -> Tensor:
    """Whether an episode has the same shot twice: (E,), bool."""
    features = support.features.flatten(1, 2).double()
    numbers = torch.arange(1, features.shape[-1] + 1, dtype=torch.float64, device=features.device)
    # Different shots practically never have the same product with an irregular vector.
    irregular = torch.sin(numbers**2)
    products = (features @ irregular).masked_fill(~support.mask.flatten(1), torch.nan)
    ordered = products.sort(-1).values
    return (ordered[:, 1:] == ordered[:, :-1]).any(-1)


def _select(support: Support, head: Head, rows: NDArray) -> tuple[Support, Head]:
    """Select episodes by the mask `rows` (E,), and fit the head on them."""
    if rows.all():
        return support, head
    selected = support[torch.from_numpy(rows).to(support.mask.device)]
    return selected, head.clone().fit(selected)


def refit(model: Model, x: NDArray, shots: float, actual: NDArray, members: NDArray) -> Model:
    """Fit coefficients and residuals to base-class episodes of one number of shots.

    Parameters
    ----------
    model : Model
        The transferred model: the mean of the prior.
    x : ndarray of shape (B, N, P)
    shots : float
    actual : ndarray of shape (B, N)
        Error of every class.
    members : ndarray of shape (B, N)
        Class numbers.
    """
    z = model.standardise(x)
    classes = len(np.unique(members))
    precision = np.full(z.shape[-1] + 1, PRECISION[1])
    precision[0] = PRECISION[0]
    coefficients = fit_probit(
        z.reshape(-1, z.shape[-1]),
        actual.reshape(-1),
        np.full(actual.size, classes / actual.size),
        model.coefficients_at(np.array([shots]))[0],
        precision,
    )
    by_class = ndtr(coefficients[0] + z @ coefficients[1:])
    predicted = by_class.mean(-1)
    inflation = new_classes(predicted, actual, members, by_class)
    residuals = Residuals.of(predicted, actual.mean(-1), inflation)
    # If episodes share all their classes, they do not show the variation between episodes: with
    # this weight the residuals are those of other data sets.
    shared = actual.shape[1] / classes
    quantiles = (1 - shared) * residuals.quantiles + shared * model.residuals_at(shots).quantiles
    return model.with_row(shots, coefficients, quantiles)
