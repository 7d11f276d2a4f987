"""A cell as data of the page: measures, predictions, cost and provenance."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fewshot.report.cell_rows import CellRows, EstimatorPredictions
from fewshot.report.comparison.order import order_of, order_text
from fewshot.report.payload.measures import comparisons, measures
from fewshot.report.payload.packing import bin_means, equal_bins
from fewshot.report.payload.run_files import RunFolder
from fewshot.report.tasks.one_class import RULES
from fewshot.report.tasks.verification import (
    MEANINGS,
    ONE_CLASS,
    TITLES,
    VERIFICATION,
)
from fewshot.report.wording import Cell, estimator_names, oracle_names, shown_estimator, task_of
from fewshot.units import percent

WORST = 5
BINS = 10
PER_BIN = 5  # least episodes per bin; fewer would show the noise of single episodes
METRICS = (
    "mae", "rmse", "bias", "relative_error", "spearman", "slope", "intercept", "skill", "level",
    "coverage", "width", "coverage_curve", "seconds_per_episode",
)  # fmt: skip
NAMES = ("dataset", "backbone", "feature", "head", "ways", "shots", "seed", "queries", "episodes")
MADE = ("key", "hashes", "head_parameters", "normalize", "base", "reused_from")
MULTIPLES = {"": 1, "k": 1e3, "M": 1e6, "B": 1e9, "G": 1e9}


def cell_entry(cell: Cell, rows: CellRows, number: int, run: RunFolder) -> Any:
    """Entry of a cell in the page's data, without its points.

    Parameters
    ----------
    cell : dict
        As in ``summary.json``.
    rows : CellRows
        Rows of a cell of classification; empty for other tasks.
    number : int
        Number of the run that the cell is from.
    run : RunFolder
        Folder of that run.
    """
    spokesman = shown_estimator(cell) if "estimators" in cell else None
    predictions = {name: rows.predictions(name) for name in _estimators(cell)} if len(rows) else {}
    return {
        "task": task_of(cell),
        **{name: cell.get(name) for name in NAMES},
        "source": cell.get("source"),
        "against": cell.get("against"),
        "uses": list(cell.get("head_uses") or ()),
        "measures": measures(cell),
        "estimators": [
            _estimator(cell, name, predictions.get(name), rows) for name in _estimators(cell)
        ],
        "spokesman": spokesman,
        "comparisons": comparisons(cell),
        "cost": _cost(cell, run),
        "made": {
            "run": number,
            **{name: cell.get(name) for name in MADE},
            "command": run.command,
            "more": more_facts(cell),
        },
        "points": None,
        "worst": worst_episodes(rows, predictions[spokesman]) if spokesman in predictions else [],
    }


def _estimators(cell: Cell) -> list[str]:
    return estimator_names([cell]) if "estimators" in cell else []


def _estimator(
    cell: Cell, name: str, predictions: EstimatorPredictions | None, rows: CellRows
) -> dict[str, Any]:
    """Metrics of an estimator, and its binned calibration curve."""
    row = cell["estimators"][name]
    interval = row.get("mae_interval") or {}
    bounds = [interval.get("lower"), interval.get("upper")]
    order = order_of([row])
    return {
        "name": name,
        "calibration": row.get("calibration") or "none",
        "sees_queries": name in oracle_names([cell]),
        "reason": row.get("reason"),
        "fallbacks": int(row.get("fallbacks") or 0),
        "fallback_reason": row.get("fallback_reason"),
        "defined": int(row.get("defined") or 0),
        "predicted": row.get("predicted_error"),
        **{metric: row.get(metric) for metric in METRICS},
        "mae_interval": None if None in bounds else bounds,
        "spearman_interval": order.bounds,
        "order": order_text(order) if row.get("defined") else None,
        "bins": [] if predictions is None else calibration_bins(predictions.predicted, rows.actual),
    }


def calibration_bins(predicted: Any, actual: Any) -> list[list[float]]:
    """Mean predicted error, mean actual error and size of about ten equally large bins."""
    defined = np.isfinite(predicted)
    x, y = predicted[defined], actual[defined]
    count = min(BINS, len(x) // PER_BIN)
    if count < 1:
        return []
    bins = equal_bins(x, count)
    sizes = np.bincount(bins)
    means = bin_means(bins, x, y)
    return [list(entry) for entry in zip(*(m.tolist() for m in means), sizes[sizes > 0].tolist(),
                                     strict=True)]  # fmt: skip


def worst_episodes(
    rows: CellRows, predictions: EstimatorPredictions, count: int = WORST
) -> list[dict[str, Any]]:
    """Episodes with the largest errors of an estimator's prediction, the worst first."""
    defined = np.flatnonzero(np.isfinite(predictions.predicted))
    gap = np.abs(predictions.predicted[defined] - rows.actual[defined])
    # Rounded and sorted stably: rounding errors do not change the order of equal gaps.
    chosen = defined[np.argsort(-gap.round(12), kind="stable")[:count]]
    return [
        {
            "episode": int(rows.episode[i]),
            "predicted": float(predictions.predicted[i]),
            "actual": float(rows.actual[i]),
            "lower": float(predictions.lower[i]),
            "upper": float(predictions.upper[i]),
            "classes": classes,
        }
        for i, classes in zip(chosen, rows.classes(chosen), strict=True)
    ]


def _cost(cell: Cell, run: RunFolder) -> dict[str, Any]:
    """Time and memory of a cell; of a reused cell, those of the run that computed it."""
    data, environment = run.about.get("data") or {}, run.about.get("environment") or {}
    extraction = data.get("extraction") or {}
    return {
        "seconds": cell.get("duration_s"),
        "episodes_per_second": cell.get("episodes_per_second"),
        "images_per_second": extraction.get("images_per_second"),
        "extraction_seconds": extraction.get("seconds"),
        "parameters": number_of(extraction.get("parameters")),
        "feature_dim": data.get("feature_dim"),
        "peak_memory_mib": environment.get("peak_memory_mib"),
        "device": environment.get("device"),
    }


def number_of(value: Any) -> float | None:
    """A number of parameters from a number or text such as ``25.6M``; None if neither."""
    if isinstance(value, (int, float)):
        return float(value)
    match = re.fullmatch(r"\s*([0-9.]+)\s*([kMBG]?)\s*", str(value))
    try:
        return float(match[1]) * MULTIPLES[match[2]] if match else None
    except ValueError:
        return None


LISTED = 12


def more_facts(cell: Cell) -> list[list[str]]:
    """Further facts as pairs of name and text; none for classification."""
    facts = {VERIFICATION: _verification, ONE_CLASS: _one_class}.get(task_of(cell))
    return [list(pair) for pair in facts(cell)] if facts else []


def _verification(cell: Cell) -> Iterator[tuple[str, str]]:
    yield "share of positives", f"{percent(cell.get('prevalence'))} % of the queries"
    for name, text in MEANINGS.items():
        yield TITLES[name], text


def _one_class(cell: Cell) -> Iterator[tuple[str, str]]:
    yield "rule", RULES.get(cell["head"], str(cell["head"]))
    yield "target classes", str(cell.get("targets", "not said"))
    if cell.get("dropped_targets"):
        yield "classes left out as targets", listed(cell["dropped_targets"])
    used = cell.get("confusers") or {}
    if not used:
        return
    yield "confusers of a class", f"{used['mean']:.1f} on average"
    yield from _listed_pairs(
        "confusers of", {c: listed(names) for c, names in used["names"].items()}
    )
    dropped = {
        c: listed([f"{n} ({why})" for n, why in names]) for c, names in used["dropped"].items()
    }
    yield from _listed_pairs("dropped for", dropped)
    yield from _listed_pairs(
        "without confusers:", {c: f"took {w}" for c, w in used["fallbacks"].items()}
    )


def _listed_pairs(what: str, texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of name and text of the first entries, and the number of the others."""
    yield from ((f"{what} {name}", text) for name, text in list(texts.items())[:LISTED])
    if len(texts) > LISTED:
        yield f"{what} others", f"{len(texts) - LISTED} more classes, in summary.json"


def listed(values: Sequence[Any]) -> str:
    """``a, b, c and 5 more``."""
    shown = ", ".join(map(str, values[:LISTED])) or "none"
    more = len(values) - LISTED
    return f"{shown} and {more} more" if more > 0 else shown
