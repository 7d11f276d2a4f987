"""Few-shot classification: actual and predicted errors of one head on one set of episodes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.estimators.base import ErrorEstimator
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.results.result import Result
from fewshot.results.schema import CellColumns, Interval
from fewshot.statistics.populations import mean_interval, population_intervals
from fewshot.statistics.predictions import (
    compare_estimators,
    coverage_curve,
    interval_metrics,
    prediction_metrics,
)
from fewshot.tasks.base import EPISODIC_KEYS, columns_of
from fewshot.tasks.calibration.choosing import (
    calibrate,
    check_calibration,
    fitted_calibrator,
    knows_images,
)
from fewshot.tasks.classification.by_class import class_rows, confusion_rows
from fewshot.tasks.classification.schema import (
    EPISODES,
    NAME,
    PREDICTIONS,
    ClassificationSummary,
    EstimatorComparison,
    EstimatorSummary,
)
from fewshot.tasks.engine.base_classes import evaluate_base_classes, fit_on_base_classes
from fewshot.tasks.engine.base_drawing import BaseEpisodes, draw_base_episodes, unlabelled_like
from fewshot.tasks.engine.confusion import ConfusionCounts
from fewshot.tasks.engine.context import check_uses
from fewshot.tasks.engine.episodes import Predicted, actual_errors, predicted_errors
from fewshot.tasks.engine.least_shots import check_least_shots
from fewshot.tasks.engine.rows import cell_columns, learns_from, queries_of, unlabelled_facts
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.engine.unlabelled import sees_unlabelled


def evaluate_cell(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: tuple[str, Head],
    estimators: Mapping[str, ErrorEstimator],
    settings: Settings,
    seed: int,
) -> Result:
    """Evaluate `head` on `episodes` and compare its errors with the predictions of `estimators`.

    Raises
    ------
    FewshotError
        Calibration on base classes that the bank does not have, or fewer shots than `head` needs.
    """
    name, classifier = head
    check_least_shots([head], episodes.fewest_shots)
    check_calibration(settings, bank)
    begun = time.perf_counter()
    base = draw_base_episodes(
        bank,
        episodes.nominal_ways,
        episodes.nominal_shots,
        episodes.mean_queries,
        settings.base_episodes,
        seed,
        unlabelled_like(episodes, classifier.uses),
    )
    if settings.calibration == "base" and base.episodes is None:
        raise FewshotError(
            "calibration",
            f"expected base-class episodes to calibrate on, got {base.reason}",
            "Mark more classes as base, or set calibration to datasets or none.",
        )
    check_uses(bank, name, classifier.uses)
    wrapped = {
        key: calibrate(key, estimator, name, bank, settings)
        for key, estimator in estimators.items()
        if estimator.least_shots <= episodes.fewest_shots
    }
    all_estimators = {**estimators, **wrapped}  # the others stay unfitted and predict NaN
    engine_start = time.perf_counter()
    names = bank.classnames
    confused = ConfusionCounts(len(names))
    by_class, queries = actual_errors(
        bank, episodes, classifier, progress=settings.progress, confused=confused, **settings.engine
    )
    seconds = time.perf_counter() - engine_start
    base_classes = evaluate_base_classes(bank, base, classifier, **settings.engine)
    base_errors = None if base_classes.errors is None else base_classes.errors.numpy()
    for estimator in wrapped.values():
        fit_on_base_classes(estimator, base_classes)
    predicted = predicted_errors(bank, episodes, classifier, all_estimators, **settings.engine)
    calibrated = dict.fromkeys(all_estimators, "none")
    calibrated |= {key: estimator.calibration_label() for key, estimator in wrapped.items()}
    knowing = {key for key, value in all_estimators.items() if knows_images(value, bank)}
    cell = cell_columns(NAME, bank, episodes, head, seed)
    sees = {key for key, value in all_estimators.items() if sees_unlabelled(value, episodes)}
    rows = _episode_rows(cell, bank, episodes, by_class, queries)
    tables = {
        "episodes": rows,
        "predictions": _prediction_rows(cell, rows, predicted, calibrated, sees),
        "classes": class_rows(cell, names, episodes, by_class, queries),
        "confusion": confusion_rows(cell, names, episodes, queries, confused),
    }
    summary: ClassificationSummary = {
        **cell,
        "queries": queries_of(episodes),
        **unlabelled_facts(episodes),
        "episodes": len(episodes),
        "normalize": bank.normalize,
        "head_parameters": classifier.get_params(),
        "head_uses": sorted(classifier.uses),
        "learns_from": learns_from(episodes, classifier.uses),
        "accuracy": _mean(rows["accuracy"]),
        "accuracy_intervals": _intervals(by_class, episodes),
        "query_accuracy": _mean(1 - rows["query_error"]),
        "actual_error": _mean(rows["actual_error"]),
        "base": _base_summary(base, base_errors),
        "estimators": _estimator_summaries(
            rows["actual_error"].to_numpy(), predicted, all_estimators, calibrated, sees, knowing
        ),
        "comparisons": _comparisons(predicted, rows["actual_error"].to_numpy()),
        "class_rows": len(tables["classes"]),
        "confusion_rows": len(tables["confusion"]),
        "hashes": {"features": bank.hash(), "episodes": episodes.hash()},
        "duration_s": time.perf_counter() - begun,
        "episodes_per_second": len(episodes) / seconds,
    }
    calibrator = fitted_calibrator(bank, name, episodes.nominal_shots, wrapped)
    return Result(tables, summary, calibrator)


def _mean(column: pd.Series) -> Interval:
    return cast("Interval", mean_interval(column.to_numpy()))


def _comparisons(predicted: Mapping[str, Predicted], actual: NDArray) -> list[EstimatorComparison]:
    errors = {name: guess.error for name, guess in predicted.items()}
    return cast("list[EstimatorComparison]", compare_estimators(errors, actual))


def _intervals(by_class: NDArray, episodes: EpisodeSet) -> dict[str, Interval]:
    """Intervals of the mean accuracy by population, from errors (E, N).

    A class without queries takes the mean of the others, which leaves the episode's mean as it is;
    padding of classes does not count.
    """
    filled = np.where(np.isnan(by_class), np.nanmean(by_class, -1, keepdims=True), by_class)
    intervals = population_intervals(
        1 - filled,
        episodes.classes,
        episodes.labels,
        episodes.support,
        episodes.query,
        related=episodes.related_classes,
    )
    return cast("dict[str, Interval]", intervals)


def _episode_rows(
    cell: CellColumns,
    bank: FeatureBank,
    episodes: EpisodeSet,
    by_class: NDArray,
    queries: NDArray,
) -> pd.DataFrame:
    error = np.nanmean(by_class, -1)  # of the classes that have queries
    names = np.array(bank.classnames, dtype=object)
    rows = pd.DataFrame({"episode": np.arange(len(episodes))}).assign(**cell)
    rows["classes"] = [names[classes[classes >= 0]].tolist() for classes in episodes.classes]
    rows["support"] = episodes.shot_counts.sum(-1)
    rows["queries"] = queries.sum(-1)
    rows["unlabelled"] = episodes.unlabelled_counts
    rows["actual_error"] = error
    rows["accuracy"] = 1 - error
    rows["query_error"] = np.nansum(by_class * queries, -1) / queries.sum(-1)
    return rows[list(columns_of(EPISODES, EPISODIC_KEYS))]


def _prediction_rows(
    cell: CellColumns,
    rows: pd.DataFrame,
    predicted: Mapping[str, Predicted],
    calibrated: Mapping[str, str],
    sees: Collection[str],
) -> pd.DataFrame:
    tables, columns = [], list(columns_of(PREDICTIONS, EPISODIC_KEYS))
    for name, guess in predicted.items():
        table = rows[["episode", "actual_error"]].assign(**cell, estimator=name)
        table["calibration"], table["sees_unlabelled"] = calibrated[name], name in sees
        table["predicted_error"] = guess.error
        table["lower"], table["upper"] = guess.lower, guess.upper
        table["reason"] = guess.reasons
        tables.append(table[columns])
    if not tables:
        return pd.DataFrame(columns=columns)
    return pd.concat(tables, ignore_index=True)


def _estimator_summaries(
    actual: NDArray,
    predicted: Mapping[str, Predicted],
    estimators: Mapping[str, ErrorEstimator],
    calibrated: Mapping[str, str],
    sees: Collection[str],
    knowing: Collection[str],
) -> dict[str, EstimatorSummary]:
    constant = predicted.get("constant")
    baseline = None if constant is None else constant.error
    summaries: dict[str, EstimatorSummary] = {}
    for name, guess in predicted.items():
        finite = np.isfinite(guess.error)
        fell_back = finite & (guess.reasons != None)  # noqa: E711  elementwise
        why, why_simpler = (all_reasons(guess.reasons[mask]) for mask in (~finite, fell_back))
        has_interval = bool(np.isfinite(guess.lower).any())
        summary = {
            "calibration": calibrated[name],
            "sees_queries": estimators[name].sees_queries,
            "sees_unlabelled": name in sees,
            "knows_images": name in knowing,
            "reason": why or why_simpler,
            "fallbacks": int(fell_back.sum()),
            "fallback_reason": why_simpler,
            "reservations": reason_counts(guess.reasons[fell_back]),
            "level": getattr(estimators[name], "level", None) if has_interval else None,
            **prediction_metrics(guess.error, actual, baseline),
            **interval_metrics(guess.lower, guess.upper, actual),
            "coverage_curve": coverage_curve(guess.bands, actual),
            "seconds_per_episode": guess.seconds / max(1, len(actual)),
        }
        summaries[name] = cast("EstimatorSummary", summary)
    return summaries


def all_reasons(reasons: NDArray) -> str | None:
    """Distinct reasons of all episodes as a text; None without any."""
    parts = (part for text in dict.fromkeys(reasons.tolist()) for part in str(text).split("; "))
    return "; ".join(dict.fromkeys(parts)) or None


def reason_counts(reasons: NDArray) -> dict[str, int]:
    """Number of episodes by reason, the most frequent first; an episode may have several."""
    parts = Counter(part for text in reasons.tolist() for part in set(str(text).split("; ")))
    return dict(sorted(parts.items(), key=lambda entry: (-entry[1], entry[0])))


def _base_summary(base: BaseEpisodes, errors: NDArray | None) -> dict[str, Any]:
    if base.episodes is None or errors is None:
        return {"reason": base.reason}
    return {
        "classes": base.classes,
        "episodes": len(base.episodes),
        "actual_error": float(errors.mean()),
        "actual_error_interval": mean_interval(errors),
    }
