"""What stands in the page, worked out before any HTML is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fewshot.report.wording import (
    GROUP,
    Cell,
    best_estimator,
    compared,
    decimal,
    display_name,
    estimator_names,
    fallback_count,
    half_width,
    interval_level,
    known,
    missing_count,
    oracle_names,
    percent,
    percent_interval,
    plain,
    shown_estimator,
)
from fewshot.results.schema import CELL_COLUMNS

DASH = "\N{EN DASH}"
CARDS = 8
WORST = 5
LISTED = 12


def card(cell: Cell) -> dict[str, Any]:
    """A cell in a sentence: how good, what was foretold, by whom, how far off."""
    who, best = shown_estimator(cell), best_estimator(cell)
    row = cell["estimators"][who] if who else {}
    return {
        "ways": cell["ways"],
        "shots": cell["shots"],
        "head": cell["head"],
        "seed": cell["seed"],
        "right": percent(cell["accuracy"]["mean"], DASH),
        "interval": percent_interval(cell["accuracy"], DASH).partition(" ± ")[2],
        "classes": half_width(cell, "classes", ""),
        "actual": percent(cell["actual_error"]["mean"], DASH),
        "who": who,
        "best": best,
        "best_mae": percent(cell["estimators"][best]["mae"], DASH) if best else DASH,
        "rivals": len(compared(cell)),
        "predicted": percent(row.get("predicted_error"), DASH),
        "mae": percent(row.get("mae"), DASH),
        "coverage": percent(row.get("coverage"), "", digits=0),
        "level": f"{100 * interval_level(row):.4g}",
        "missing": missing_count(cell, who) if who else 0,
        "fallbacks": fallback_count(cell, who) if who else 0,
        "episodes": cell["episodes"],
    }


def table_rows(cell: Cell) -> list[dict[str, Any]]:
    """One dict of finished texts per estimator of a cell."""
    best, told = best_estimator(cell), oracle_names([cell])
    return [
        {
            "name": name,
            "best": name == best,
            "oracle": name in told,
            "missing": missing_count(cell, name),
            "defined": missing_count(cell, name) < cell["episodes"],
            "fallbacks": fallback_count(cell, name),
            **_numbers(cell["estimators"][name]),
        }
        for name in estimator_names([cell])
    ]


def _numbers(row: Cell) -> dict[str, str]:
    calibration = row.get("calibration") or "none"
    return {
        "calibration": "" if calibration == "none" else calibration,
        "reason": row.get("reason") or "no reason was given",
        "predicted": percent(row.get("predicted_error"), DASH),
        "mae": percent_interval(row.get("mae_interval"), percent(row.get("mae"), DASH)),
        "rmse": percent(row.get("rmse"), DASH),
        "bias": _minus(percent(row.get("bias"), DASH, sign=True)),
        "spearman": _minus(decimal(row.get("spearman"), DASH)),
        "slope": _minus(decimal(row.get("slope"), DASH)),
        "relative": percent(row.get("relative_error"), DASH),
        "skill": _minus(decimal(row.get("skill"), DASH, sign=True)),
        "coverage": percent(row.get("coverage"), DASH),
        "level": f"{100 * interval_level(row):.4g}" if known(row.get("coverage")) else "",
        "width": percent(row.get("width"), DASH),
    }


def comparison_table(cell: Cell) -> dict[str, Any] | None:
    """Row minus column of |predicted - actual|, finished texts; None for fewer than two."""
    pairs = {}
    for row in cell.get("comparisons") or []:
        pairs[row["first"], row["second"]] = _difference(row, 1, cell["episodes"])
        pairs[row["second"], row["first"]] = _difference(row, -1, cell["episodes"])
    told = oracle_names([cell])
    names = [name for name in estimator_names([cell]) if any(name in pair for pair in pairs)]
    if not names:
        return None
    return {
        "names": [display_name(name, name in told) for name in names],
        "rows": [
            (display_name(first, first in told), [pairs.get((first, second)) for second in names])
            for first in names
        ],
    }


def _difference(row: Cell, sign: int, episodes: int) -> dict[str, Any]:
    """A paired difference in points; `clear` where its interval excludes zero."""
    gap = row["difference"]
    lower, upper = gap["lower"], gap["upper"]
    half = (upper - lower) / 2
    digits = 1 if half == 0 or half >= 0.0005 else 2
    mean = _minus(percent(sign * gap["mean"], digits=digits, sign=True))
    return {
        "text": f"{mean} ± {percent(half, digits=digits)}",
        "clear": lower > 0 or upper < 0,
        "episodes": row["episodes"] if row["episodes"] < episodes else 0,
    }


def headline_cell(cells: Sequence[Cell]) -> Cell | None:
    """Of the cells that anyone predicted, the first of those with the most shots."""
    predicted = [cell for cell in cells if shown_estimator(cell)]
    return max(predicted, key=lambda cell: cell["shots"], default=None)


def worst_episodes(
    cell: Cell, episodes: pd.DataFrame, predictions: pd.DataFrame, count: int = WORST
) -> list[dict[str, Any]]:
    """Episodes which the estimator that speaks for the cell missed by most, with their classes."""
    rows = _of_cell(predictions, cell)
    rows = rows[rows["estimator"] == shown_estimator(cell)].dropna(subset=["predicted_error"])
    names = ("predicted_error", "actual_error", "lower", "upper")
    predicted, actual, lower, upper = (
        rows[name].to_numpy(dtype=float, na_value=np.nan) for name in names
    )
    # Rounded and sorted stably: equal gaps go by number, whatever the last bit says.
    order = np.argsort(-np.abs(predicted - actual).round(12), kind="stable")[:count]
    classes = _of_cell(episodes, cell).set_index("episode")["classes"]
    return [
        {
            "episode": rows["episode"].iloc[i],
            "predicted": percent(predicted[i], DASH),
            "interval": _range(lower[i], upper[i]),
            "actual": percent(actual[i], DASH),
            "gap": _minus(percent(predicted[i] - actual[i], DASH, sign=True)),
            "classes": list(classes.get(rows["episode"].iloc[i], [])),
        }
        for i in order.tolist()
    ]


def _range(lower: float, upper: float) -> str:
    if not (known(lower) and known(upper)):
        return ""
    return f"{percent(lower)} to {percent(upper)}"


def setting_rows(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """How every cell was made."""
    return [
        {
            "task": cell.get("task", "classification"),
            "group": tuple(str(cell[name]) for name in GROUP),
            "head": cell["head"],
            "parameters": facts_text(cell.get("head_parameters") or {}) or "defaults",
            "ways": cell["ways"],
            "shots": cell["shots"],
            "queries": cell["queries"],
            "episodes": cell["episodes"],
            "seed": cell["seed"],
            "base": base_text(cell.get("base") or {}),
            "hashes": {name: str(h)[:12] for name, h in (cell.get("hashes") or {}).items()},
            "seconds": decimal(cell.get("duration_s"), DASH),
        }
        for cell in cells
    ]


def base_text(base: Cell) -> str:
    """What base classes contributed, or why they did not."""
    if not base or base.get("reason"):
        return f"none: {base.get('reason') or 'no base classes'}"
    told = f"{base.get('classes')} classes, {base.get('episodes')} episodes"
    if "actual_error" not in base:  # one-class tasks
        return told
    return f"{told}, error {percent(base['actual_error'], DASH)}\N{NO-BREAK SPACE}%"


def facts(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A nested mapping as a flat list of (name, text)."""
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping) and value:
            yield from facts(value, f"{name}: ")
        else:
            yield name, fact_text(value)


def fact_text(value: Any) -> str:
    """A value in words; of a long list its beginning and its length."""
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, Mapping):
        return facts_text(value)
    if isinstance(value, (list, tuple)):
        between = "; " if any(isinstance(item, Mapping) for item in value) else ", "
        shown = between.join(map(fact_text, value[:LISTED]))
        more = len(value) - LISTED
        return f"{len(value)}: {shown}{between}and {more} more" if more > 0 else shown
    return number_text(value) if isinstance(value, float) else plain(value)


def facts_text(values: Mapping[str, Any]) -> str:
    """``name = value, name = value``."""
    return ", ".join(f"{name} = {text}" for name, text in facts(values))


def number_text(value: float | None) -> str:
    """Up to four digits."""
    return f"{value:.4g}" if known(value) else DASH


def _minus(text: str) -> str:
    """A minus sign as wide as the plus above it."""
    return text.replace("-", "\N{MINUS SIGN}")


def _of_cell(rows: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    for name in CELL_COLUMNS:
        rows = rows[rows[name] == cell[name]]
    return rows.reset_index(drop=True)
