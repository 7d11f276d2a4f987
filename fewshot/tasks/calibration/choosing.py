"""Choose the calibration of each estimator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.estimators.auto import Auto
from fewshot.estimators.base import BaseClasses, ErrorEstimator
from fewshot.estimators.calibration.calibrated import (
    Calibrated,
    Stack,
    Steps,
    Transferred,
)
from fewshot.estimators.calibration.calibrators import METHODS, SOURCES
from fewshot.estimators.calibration.intervals import LEVEL, check_level
from fewshot.estimators.calibration.transferred import General, Model, load_general
from fewshot.estimators.constant import Constant
from fewshot.estimators.davies_bouldin import DaviesBouldin
from fewshot.estimators.oracle import OracleEstimator
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.features.bank import FeatureBank
from fewshot.tasks.engine.settings import Settings

# Estimators that calibrate themselves on base classes.
CALIBRATED = Constant | DaviesBouldin | Calibrated


def check_calibration(settings: Settings, bank: FeatureBank) -> None:
    """Check the calibration settings before anything is computed."""
    expect_choice("calibration", settings.calibration, SOURCES)
    expect_choice("calibration.method", settings.method, METHODS[:-1])
    check_level("calibration.level", settings.level)
    if settings.calibration == "base" and len(bank.classes("base")) == 0:
        raise FewshotError(
            "calibration",
            f"expected base classes to calibrate on, got none ({BaseClasses().reason})",
            "Give a base/novel split, or set calibration to datasets or none.",
        )
    if settings.calibration == "datasets" or settings.calibrator:
        transferred(settings).check_space(space_of(bank))


def calibrate(
    name: str, estimator: ErrorEstimator, head: str, bank: FeatureBank, settings: Settings
) -> ErrorEstimator:
    """The estimator wrapped in a calibrator, unless it calibrates itself."""
    if isinstance(estimator, Auto):
        auto = _auto(estimator, settings)
        auto.general().check_space(space_of(bank))
        return auto
    if isinstance(estimator, Constant | Stack) and estimator.level == LEVEL:
        estimator = type(estimator)(**(estimator.get_params() | {"level": settings.level}))
    if settings.calibration == "none" or isinstance(estimator, CALIBRATED | OracleEstimator):
        return estimator
    if settings.calibration == "base":
        return Calibrated({name: estimator}, settings.method, settings.level)
    return Transferred(estimator, transferred(settings).steps(name, head), settings.level)


def calibration_name(estimator: ErrorEstimator) -> str:
    """Name of the calibration of an estimator in the rows."""
    if isinstance(estimator, Auto):
        return "base" if estimator.fitted_ else "datasets"
    if isinstance(estimator, Transferred):
        return "datasets"
    if isinstance(estimator, Calibrated):
        return estimator.method
    return "none"


def _auto(estimator: Auto, settings: Settings) -> Auto:
    """``auto`` with the calibration settings of the run, where its parameters set none."""
    source = settings.calibration if settings.calibration != "none" else "auto"
    changes: dict[str, Any] = {"level": settings.level}
    if estimator.source == "auto":
        changes["source"] = source
    if estimator.calibrator is None:
        changes["calibrator"] = settings.calibrator
    if estimator.level != LEVEL:
        del changes["level"]
    return type(estimator)(**(estimator.get_params() | changes))


def transferred(settings: Settings) -> General:
    """The calibrator fitted on other data sets, from the settings."""
    return load_general(None if settings.calibrator is None else Path(settings.calibrator))


def space_of(bank: FeatureBank) -> dict[str, Any]:
    """Feature space of a bank, which has to match that of a fitted calibrator."""
    return {
        "backbone": str(bank.info.get("backbone", "unknown")),
        "feature": str(bank.info.get("feature", "given")),
        "normalize": bank.normalize,
        "dimensions": bank.dim,
    }


def fitted_calibrator(
    bank: FeatureBank, head: str, shots: int, estimators: Mapping[str, ErrorEstimator]
) -> General | None:
    """Calibrator of the fitted estimators, to be saved and used on other data sets.

    Only for features of the same kind, with base classes or without; other regimes and numbers of
    shots stay as transferred.
    """
    models: dict[str, Model] = {}
    others: dict[str, dict[str, Steps]] = {}
    general = load_general()
    for name, estimator in estimators.items():
        if isinstance(estimator, Auto) and estimator.fitted_:
            general = estimator.general()
            models = estimator.fitted_
        elif (
            isinstance(estimator, Calibrated)
            and estimator.residuals_
            and not isinstance(estimator, Stack)
        ):
            assert estimator.calibrator_ is not None
            steps = Steps(np.array([float(shots)]), [estimator.calibrator_], [estimator.residuals_])
            others[name] = {head: steps}
    if not models and not others:
        return None
    notes = f"Fitted on base classes: {head}, {shots} shots. Other regimes as transferred."
    described = {key: bank.info.get(key) for key in ("dataset", "backbone", "feature")}
    described |= {
        "images": len(bank),
        "classes": len(bank.classes("base")),
        "features": bank.hash(),
    }
    return General(
        {**general.models, **models}, others, general.curves, space_of(bank), [described], [], notes
    )
