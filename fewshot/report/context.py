"""What stands in the page, worked out before any HTML is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from fewshot.report.wording import (
    GROUP,
    Cell,
    best_estimator,
    compared,
    decimal,
    estimator_names,
    known,
    missing_count,
    percent,
    percent_interval,
    plain,
)
from fewshot.results.schema import CELL_COLUMNS

DASH = "\N{EN DASH}"
CARDS = 8
WORST = 5
LISTED = 12


def card(cell: Cell) -> dict[str, Any]:
    """A cell in a sentence: how good, what was foretold, by whom, how far off."""
    best = best_estimator(cell)
    row = cell["estimators"][best] if best else {}
    return {
        "ways": cell["ways"],
        "shots": cell["shots"],
        "head": cell["head"],
        "seed": cell["seed"],
        "right": percent(cell["accuracy"]["mean"], DASH),
        "interval": percent_interval(cell["accuracy"], DASH).partition(" ± ")[2],
        "actual": percent(cell["actual_error"]["mean"], DASH),
        "best": best,
        "rivals": len(compared(cell)),
        "predicted": percent(row.get("predicted_error"), DASH),
        "mae": percent(row.get("mae"), DASH),
        "missing": missing_count(cell, best) if best else 0,
        "episodes": cell["episodes"],
    }


def table_rows(cell: Cell) -> list[dict[str, Any]]:
    """One dict of finished texts per estimator of a cell."""
    rows = []
    best = best_estimator(cell)
    for name in estimator_names([cell]):
        row = cell["estimators"][name]
        missing = missing_count(cell, name)
        calibration = row.get("calibration") or "none"
        rows.append(
            {
                "name": name,
                "calibration": "" if calibration == "none" else calibration,
                "best": name == best,
                "defined": missing < cell["episodes"],
                "missing": missing,
                "reason": row.get("reason") or "no reason was given",
                "predicted": percent(row.get("predicted_error"), DASH),
                "mae": percent_interval(row.get("mae_interval"), percent(row.get("mae"), DASH)),
                "bias": _minus(percent(row.get("bias"), DASH, sign=True)),
                "spearman": _minus(decimal(row.get("spearman"), DASH)),
                "skill": _minus(decimal(row.get("skill"), DASH, sign=True)),
            }
        )
    return rows


def headline_cell(cells: Sequence[Cell]) -> Cell | None:
    """Of the cells that anyone predicted, the first of those with the most shots."""
    predicted = [cell for cell in cells if best_estimator(cell)]
    return max(predicted, key=lambda cell: cell["shots"], default=None)


def worst_episodes(
    cell: Cell, episodes: pd.DataFrame, predictions: pd.DataFrame, count: int = WORST
) -> list[dict[str, Any]]:
    """Episodes of the cell which its best estimator missed by most, with their classes."""
    rows = _of_cell(predictions, cell)
    rows = rows[rows["estimator"] == best_estimator(cell)].dropna(subset=["predicted_error"])
    # Rounded and sorted stably: equal gaps go by number, whatever the last bit says.
    gap = (rows["predicted_error"] - rows["actual_error"]).astype(float)
    order = gap.abs().round(12).sort_values(ascending=False, kind="stable").index[:count]
    classes = _of_cell(episodes, cell).set_index("episode")["classes"]
    return [
        {
            "episode": rows.at[i, "episode"],
            "predicted": percent(rows.at[i, "predicted_error"], DASH),
            "actual": percent(rows.at[i, "actual_error"], DASH),
            "gap": _minus(percent(gap[i], DASH, sign=True)),
            "classes": list(classes.get(rows.at[i, "episode"], [])),
        }
        for i in order
    ]


def setting_rows(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """How every cell was made."""
    return [
        {
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
    error = percent(base.get("actual_error"), DASH) + "\N{NO-BREAK SPACE}%"
    return f"{base.get('classes')} classes, {base.get('episodes')} episodes, error {error}"


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
