"""Few-shot classification: one head on one set of episodes, and what was predicted of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.errors.base import BaseClasses, ErrorEstimator
from fewshot.errors.calibration import CALIBRATIONS, Offset
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.results.result import Result
from fewshot.results.schema import EPISODE_COLUMNS, PREDICTION_COLUMNS
from fewshot.results.statistics import mean_interval, prediction_metrics
from fewshot.tasks.base_classes import BaseEpisodes, draw_base_episodes, within_class_covariance
from fewshot.tasks.judging import Predicted, actual_errors, predicted_errors

TASK = "classification"


@dataclass(frozen=True)
class Settings:
    """How a cell is computed; nothing in here but `calibration` and `base_episodes` changes rows.

    Attributes
    ----------
    calibration : {"none", "base"}
    base_episodes : int
        Episodes of base classes for the constant baseline and the calibration.
    device : torch.device
    threads : int or None
        None: all cores that the process may use.
    progress : callable, optional
        Called with the number of episodes that were just finished.
    """

    calibration: str = "none"
    base_episodes: int = 600
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
    expect_choice("calibration", settings.calibration, CALIBRATIONS)
    begun = time.perf_counter()
    name, classifier = head
    by_class, queries = actual_errors(
        bank, episodes, classifier, progress=settings.progress, **settings.engine
    )
    judged = time.perf_counter() - begun
    base = draw_base_episodes(bank, episodes, settings.base_episodes, seed)
    base_errors = _base_errors(bank, base, classifier, settings)
    known = BaseClasses(
        None if base_errors is None else torch.from_numpy(base_errors),
        within_class_covariance(bank),
        base.reason,
    )
    for estimator in estimators.values():
        estimator.fit(known)
    predicted = predicted_errors(bank, episodes, classifier, estimators, **settings.engine)
    calibrated = _calibrate(bank, base, base_errors, classifier, estimators, settings)
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
        "estimators": _estimator_summaries(guesses, predicted, calibrated),
        "hashes": {"features": bank.hash(), "episodes": episodes.hash()},
        "duration_s": time.perf_counter() - begun,
        "episodes_per_second": len(episodes) / judged,
    }
    return Result(rows, guesses, summary)


def _base_errors(
    bank: FeatureBank, base: BaseEpisodes, head: Head, settings: Settings
) -> NDArray | None:
    if base.episodes is None:
        return None
    return actual_errors(bank, base.episodes, head, **settings.engine)[0].mean(-1)


def _calibrate(
    bank: FeatureBank,
    base: BaseEpisodes,
    actual: NDArray | None,
    head: Head,
    estimators: Mapping[str, ErrorEstimator],
    settings: Settings,
) -> dict[str, Offset]:
    """Calibrators by estimator; empty without calibration. The constant needs none."""
    if settings.calibration == "none":
        return {}
    if base.episodes is None or actual is None:
        raise FewshotError(
            "calibration",
            f"expected base classes to calibrate on, got none ({base.reason})",
            "Give a base/novel split, or set calibration to none.",
        )
    others = {name: one for name, one in estimators.items() if name != "constant"}
    guesses = predicted_errors(bank, base.episodes, head, others, **settings.engine)
    return {name: Offset.fit(guess.error, actual) for name, guess in guesses.items()}


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
    calibrated: Mapping[str, Offset],
) -> pd.DataFrame:
    tables = []
    for name, guess in predicted.items():
        error = calibrated[name](guess.error) if name in calibrated else guess.error
        table = rows[["episode", "actual_error"]].assign(**cell, estimator=name)
        table["calibration"] = "offset" if name in calibrated else "none"
        table["predicted_error"] = error
        table["lower"] = table["upper"] = np.nan
        reason = guess.reason or "undefined on base classes"
        table["reason"] = [None if known else reason for known in np.isfinite(error)]
        tables.append(table[list(PREDICTION_COLUMNS)])
    if not tables:
        return pd.DataFrame(columns=list(PREDICTION_COLUMNS))
    return pd.concat(tables, ignore_index=True)


def _estimator_summaries(
    guesses: pd.DataFrame, predicted: Mapping[str, Predicted], calibrated: Mapping[str, Offset]
) -> dict[str, Any]:
    by_name = {name: guesses[guesses["estimator"] == name] for name in predicted}
    constant = by_name.get("constant")
    baseline = None if constant is None else constant["predicted_error"].to_numpy()
    summaries = {}
    for name, rows in by_name.items():
        metrics = prediction_metrics(
            rows["predicted_error"].to_numpy(), rows["actual_error"].to_numpy(), baseline
        )
        summaries[name] = {
            "calibration": "offset" if name in calibrated else "none",
            "reason": next(iter(rows["reason"].dropna()), None),
            **metrics,
            "seconds_per_episode": predicted[name].seconds / max(1, len(rows)),
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
