"""Choose the calibration of each estimator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fewshot.estimators.base import BaseClasses, CalibrationSettings, ErrorEstimator
from fewshot.estimators.calibration.calibrated import Calibrated, Transferred
from fewshot.estimators.calibration.calibrators import METHODS, SOURCES
from fewshot.estimators.calibration.intervals import check_level
from fewshot.estimators.calibration.transferred import General, load_general
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.features.bank import FeatureBank
from fewshot.tasks.engine.settings import Settings


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
    """The estimator with the settings of the run, in a calibrator unless it needs none."""
    estimator = estimator.configured(
        CalibrationSettings(
            settings.calibration, settings.level, settings.calibrator, space_of(bank)
        )
    )
    needs_none = estimator.calibrates_itself or estimator.sees_queries
    if settings.calibration == "none" or needs_none:
        return estimator
    if settings.calibration == "base":
        return Calibrated({name: estimator}, settings.method, settings.level)
    return Transferred(estimator, transferred(settings).steps(name, head), settings.level)


def transferred(settings: Settings) -> General:
    """The calibrator fitted on other data sets, from the settings."""
    return load_general(None if settings.calibrator is None else Path(settings.calibrator))


def knows_images(estimator: ErrorEstimator, bank: FeatureBank) -> bool:
    """Whether the calibrator of the package, if an estimator uses it, was fitted on these images.

    By the hash of the features; or by the names of data set and backbone, with as many images at
    least, since a newer version of the transform changes features, their hash, and little else.
    """
    names = bank.info.get("dataset"), bank.info.get("backbone")
    return any(
        entry.get("features") == bank.hash()
        or ((entry["dataset"], entry.get("backbone")) == names and entry["images"] <= len(bank))
        for entry in estimator.fitted_elsewhere_on()
    )


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
    general = load_general()
    start = General(general.models, curves=general.curves)
    learned = start
    for name, estimator in estimators.items():
        learned = estimator.add_to(learned, name, head, shots)
    if learned is start:
        return None
    notes = f"Fitted on base classes: {head}, {shots} shots. Other regimes as transferred."
    described = {key: bank.info.get(key) for key in ("dataset", "backbone", "feature")}
    described |= {
        "images": len(bank),
        "classes": len(bank.classes("base")),
        "features": bank.hash(),
    }
    return replace(learned, space=space_of(bank), fitted_on=[described], notes=notes)
