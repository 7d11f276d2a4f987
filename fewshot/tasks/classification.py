"""Few-shot classification: one head on one set of episodes, and what was predicted of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.errors.auto import Auto
from fewshot.errors.base import BaseClasses, ErrorEstimator
from fewshot.errors.calibrated import Calibrated, Stack, Transferred
from fewshot.errors.calibration import METHODS, SOURCES
from fewshot.errors.constant import Constant
from fewshot.errors.davies_bouldin import DaviesBouldin
from fewshot.errors.general import General, load_general
from fewshot.errors.intervals import LEVEL, check_level
from fewshot.errors.oracle import OracleEstimator
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.results.result import Result
from fewshot.results.schema import EPISODE_COLUMNS, PREDICTION_COLUMNS
from fewshot.results.statistics import (
    compare_estimators,
    coverage_curve,
    interval_metrics,
    mean_interval,
    prediction_metrics,
)
from fewshot.tasks.base_classes import BaseEpisodes, draw_base_episodes, known_of_base
from fewshot.tasks.judging import Predicted, actual_errors, predicted_errors

TASK = "classification"
# Estimators that learn their own calibration from base classes.
CALIBRATED = Constant | DaviesBouldin | Calibrated


@dataclass(frozen=True)
class Settings:
    """How a cell is computed. Device, threads and progress change no row.

    Attributes
    ----------
    calibration : {"none", "base", "datasets"}
        What raw estimates are corrected by. ``auto`` is always calibrated, on base classes if there
        are any; "base" and "datasets" decide it.
    method : {"offset", "slope", "isotonic"}
        How, on base classes.
    level : float
        Nominal coverage of prediction intervals.
    calibrator : str, optional
        JSON of ``fewshot calibrate`` for "datasets" and ``auto``; the package's own by default.
    base_episodes : int
        Episodes of base classes for the constant baseline and the calibration.
    device : torch.device
    threads : int or None
        None: all cores that the process may use.
    progress : callable, optional
        Called with the number of episodes that were just finished.
    """

    calibration: str = "none"
    method: str = "slope"
    level: float = LEVEL
    calibrator: str | None = None
    base_episodes: int = 300
    device: torch.device = torch.device("cpu")  # noqa: RUF009  a device is immutable
    threads: int | None = None
    progress: Callable[[int], object] | None = None

    @property
    def engine(self) -> dict[str, Any]:
        """What the engine takes."""
        return {"device": self.device, "threads": self.threads}


def evaluate_cell(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: tuple[str, Head],
    estimators: Mapping[str, ErrorEstimator],
    settings: Settings,
    seed: int,
) -> Result:
    """Judge `head` on `episodes` and compare with what `estimators` predicted.

    Raises
    ------
    FewshotError
        Calibration on base classes that the bank does not have.
    """
    check_calibration(settings, bank)
    begun = time.perf_counter()
    name, classifier = head
    by_class, queries = actual_errors(
        bank, episodes, classifier, progress=settings.progress, **settings.engine
    )
    judged = time.perf_counter() - begun
    base = draw_base_episodes(
        bank, episodes.ways, episodes.shots, episodes.queries, settings.base_episodes, seed
    )
    known = known_of_base(bank, base, classifier, **settings.engine)
    base_errors = None if known.errors is None else known.errors.numpy()
    wrapped = {key: calibrate(key, one, name, bank, settings) for key, one in estimators.items()}
    for estimator in wrapped.values():
        estimator.fit(known)
    predicted = predicted_errors(bank, episodes, classifier, wrapped, **settings.engine)
    calibrated = {key: calibration_name(one) for key, one in wrapped.items()}
    cell = _cell_columns(bank, name, episodes, seed)
    rows = _episode_rows(cell, bank, episodes, by_class, queries)
    guesses = _prediction_rows(cell, rows, predicted, calibrated)
    summary = {
        **cell,
        "queries": episodes.queries,
        "episodes": len(episodes),
        "head_parameters": classifier.get_params(),
        "accuracy": mean_interval(rows["accuracy"].to_numpy()),
        "actual_error": mean_interval(rows["actual_error"].to_numpy()),
        "base": _base_summary(base, base_errors),
        "estimators": _estimator_summaries(rows["actual_error"].to_numpy(), predicted, wrapped),
        "comparisons": compare_estimators(
            {key: guess.error for key, guess in predicted.items()}, rows["actual_error"].to_numpy()
        ),
        "hashes": {"features": bank.hash(), "episodes": episodes.hash()},
        "duration_s": time.perf_counter() - begun,
        "episodes_per_second": len(episodes) / judged,
    }
    return Result(rows, guesses, summary)


def check_calibration(settings: Settings, bank: FeatureBank) -> None:
    """Refuse what cannot be calibrated before anything is computed."""
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
        _general(settings).check_space(bank.info)


def calibrate(
    name: str, estimator: ErrorEstimator, head: str, bank: FeatureBank, settings: Settings
) -> ErrorEstimator:
    """The estimator with its calibrator around it, where it has not got its own."""
    if isinstance(estimator, Auto):
        return _auto(estimator, settings)
    if isinstance(estimator, Constant | Stack) and estimator.level == LEVEL:
        estimator = type(estimator)(**(estimator.get_params() | {"level": settings.level}))
    if settings.calibration == "none" or isinstance(estimator, CALIBRATED | OracleEstimator):
        return estimator
    if settings.calibration == "base":
        return Calibrated({name: estimator}, settings.method, settings.level)
    return Transferred(estimator, _general(settings).steps(name, head), settings.level)


def calibration_name(estimator: ErrorEstimator) -> str:
    """What stands in the rows."""
    if isinstance(estimator, Auto):
        return "base" if estimator.fitted_ else "datasets"
    if isinstance(estimator, Transferred):
        return "datasets"
    if isinstance(estimator, Calibrated):
        return estimator.method
    return "none"


def _auto(given: Auto, settings: Settings) -> Auto:
    """``auto`` with the calibration of the run, where it has no other of its own."""
    source = settings.calibration if settings.calibration != "none" else "auto"
    changes: dict[str, Any] = {"level": settings.level}
    if given.source == "auto":
        changes["source"] = source
    if given.calibrator is None:
        changes["calibrator"] = settings.calibrator
    if given.level != LEVEL:
        del changes["level"]
    return type(given)(**(given.get_params() | changes))


def _general(settings: Settings) -> General:
    return load_general(None if settings.calibrator is None else Path(settings.calibrator))


def _cell_columns(bank: FeatureBank, head: str, episodes: EpisodeSet, seed: int) -> dict[str, Any]:
    return {
        "task": TASK,
        "dataset": bank.info.get("dataset", "features"),
        "backbone": bank.info.get("backbone", "unknown"),
        "feature": bank.info.get("feature", "unknown"),
        "head": head,
        "ways": episodes.ways,
        "shots": episodes.shots,
        "seed": seed,
    }


def _episode_rows(
    cell: dict[str, Any],
    bank: FeatureBank,
    episodes: EpisodeSet,
    by_class: NDArray,
    queries: NDArray,
) -> pd.DataFrame:
    error = by_class.mean(-1)
    names = np.array(bank.classnames, dtype=object)
    rows = pd.DataFrame({"episode": np.arange(len(episodes))}).assign(**cell)
    rows["classes"] = list(names[episodes.classes].tolist())
    rows["queries"] = queries.sum(-1)
    rows["actual_error"] = error
    rows["accuracy"] = 1 - error
    rows["query_error"] = (by_class * queries).sum(-1) / queries.sum(-1)
    return rows[list(EPISODE_COLUMNS)]


def _prediction_rows(
    cell: dict[str, Any],
    rows: pd.DataFrame,
    predicted: Mapping[str, Predicted],
    calibrated: Mapping[str, str],
) -> pd.DataFrame:
    tables = []
    for name, guess in predicted.items():
        table = rows[["episode", "actual_error"]].assign(**cell, estimator=name)
        table["calibration"] = calibrated[name]
        table["predicted_error"] = guess.error
        table["lower"], table["upper"] = guess.lower, guess.upper
        table["reason"] = guess.reasons
        tables.append(table[list(PREDICTION_COLUMNS)])
    if not tables:
        return pd.DataFrame(columns=list(PREDICTION_COLUMNS))
    return pd.concat(tables, ignore_index=True)


def _estimator_summaries(
    actual: NDArray,
    predicted: Mapping[str, Predicted],
    estimators: Mapping[str, ErrorEstimator],
) -> dict[str, Any]:
    constant = predicted.get("constant")
    baseline = None if constant is None else constant.error
    summaries = {}
    for name, guess in predicted.items():
        there = np.isfinite(guess.error)
        fell_back = there & (guess.reasons != None)  # noqa: E711  elementwise
        why, why_simpler = (next(iter(guess.reasons[some]), None) for some in (~there, fell_back))
        has_interval = bool(np.isfinite(guess.lower).any())
        summaries[name] = {
            "calibration": calibration_name(estimators[name]),
            "sees_queries": isinstance(estimators[name], OracleEstimator),
            "reason": why or why_simpler,
            "fallbacks": int(fell_back.sum()),
            "fallback_reason": why_simpler,
            "level": getattr(estimators[name], "level", None) if has_interval else None,
            **prediction_metrics(guess.error, actual, baseline),
            **interval_metrics(guess.lower, guess.upper, actual),
            "coverage_curve": coverage_curve(guess.bands, actual),
            "seconds_per_episode": guess.seconds / max(1, len(actual)),
        }
    return summaries


def _base_summary(base: BaseEpisodes, errors: NDArray | None) -> dict[str, Any]:
    if base.episodes is None or errors is None:
        return {"reason": base.reason}
    return {
        "classes": base.classes,
        "episodes": len(base.episodes),
        "actual_error": float(errors.mean()),
        "actual_error_interval": mean_interval(errors),
    }
