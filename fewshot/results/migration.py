"""Migration of summaries and tables of earlier schema versions, one step per version.

A step is a pure function from one version to the next. Readers apply the steps in memory;
`migrate_run` writes the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from fewshot.exceptions import FewshotError
from fewshot.results.encoding import without_nan
from fewshot.results.schema import SCHEMA_VERSION

Summary = dict[str, Any]

VERSION_KEY = b"fewshot.schema_version"
TABLES = ("episodes", "predictions", "verification", "one_class")
ORACLES = ("oracle", "oracle_sigma")
NOT_RECORDED = "the run is from before this was recorded"


def _summary_of_2(summary: Summary) -> Summary:
    """Add the keys that version 2 always has and version 1 had only in later releases.

    Early releases wrote NaN where there was no number.
    """
    summary = without_nan(summary)
    data = {"extraction": None, "part": "novel", **(summary.get("data") or {})}
    environment = {"peak_memory_mib": None, **(summary.get("environment") or {})}
    cells = [_cell_of_2(cell) for cell in summary["cells"]]
    changed = {"data": data, "environment": environment, "cells": cells}
    return {"left_out": [], "failed": [], **summary, **changed}


def _cell_of_2(cell: Mapping[str, Any]) -> Summary:
    migrated: Summary = {
        "head_uses": [],
        "comparisons": [],
        "key": None,
        "reused_from": None,
        **cell,
    }
    if "accuracy" in cell and "accuracy_intervals" not in cell:
        migrated["accuracy_intervals"] = _intervals_of_2(cell["accuracy"])
    if isinstance(cell.get("estimators"), Mapping):
        migrated["estimators"] = {
            name: {**_estimator_of_2(name), **row} for name, row in cell["estimators"].items()
        }
    return migrated


def _intervals_of_2(over_episodes: Mapping[str, Any]) -> Summary:
    """Add intervals over images and classes without bounds: version 1 had episodes only."""
    gap = {**over_episodes, "lower": None, "upper": None, "reason": NOT_RECORDED}
    others = {population: {**gap, "population": population} for population in ("images", "classes")}
    return {"episodes": {**over_episodes, "reason": None}, **others}


def _estimator_of_2(name: str) -> Summary:
    row = dict.fromkeys(("fallback_reason", "level", "coverage", "width", "coverage_curve"))
    return {"sees_queries": name in ORACLES, "fallbacks": 0, **row}


def _unchanged(name: str, table: pa.Table) -> pa.Table:
    return table


# By the version that a step starts from.
SUMMARY_STEPS: dict[int, Callable[[Summary], Summary]] = {1: _summary_of_2}
TABLE_STEPS: dict[int, Callable[[str, pa.Table], pa.Table]] = {1: _unchanged}


def migrated_summary(summary: Any, where: Path | str, argument: str = "report") -> Summary:
    """Return the summary in the current schema version; `summary` is not changed.

    Raises
    ------
    FewshotError
        It is of a newer version.
    ValueError, KeyError, TypeError, AttributeError
        It is not a summary.
    """
    version = summary["schema_version"]
    check_version(version, where, argument)
    for step in range(version, SCHEMA_VERSION):
        summary = {**SUMMARY_STEPS[step](summary), "schema_version": step + 1}
    migrated: Summary = summary
    return migrated


def migrated_table(name: str, table: pa.Table, where: Path | str, argument: str) -> pa.Table:
    """Return the rows of table `name` in the current schema version.

    Raises
    ------
    FewshotError
        They are of a newer version.
    """
    version = table_version(table.schema)
    check_version(version, where, argument)
    for step in range(version, SCHEMA_VERSION):
        table = TABLE_STEPS[step](name, table)
    metadata = {**(table.schema.metadata or {}), VERSION_KEY: str(SCHEMA_VERSION).encode()}
    return table.replace_schema_metadata(metadata)


def table_version(schema: pa.Schema) -> int:
    """Return the schema version of a Parquet file; 1 if it has none."""
    return int((schema.metadata or {}).get(VERSION_KEY, b"1"))


def check_version(version: Any, where: Path | str, argument: str) -> None:
    """Raise FewshotError for a newer version, ValueError if it is not a version number."""
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(f"schema_version is {version!r}")
    if version > SCHEMA_VERSION:
        raise FewshotError(
            argument,
            f"{where} has schema version {version}; this fewshot knows up to {SCHEMA_VERSION}",
            "Update fewshot.",
        )
