"""What earlier versions wrote, brought to the present form: a step per version.

A step is a pure function from one version to the next. Readers take the steps in memory;
`migrate_run` writes their outcome.
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
UNTOLD = "the run is from before this was recorded"


def _summary_of_2(summary: Summary) -> Summary:
    """Version 2 always has what runs of version 1 learned to say one after the other.

    The first of them wrote NaN where there was no number.
    """
    summary = without_nan(summary)
    data = {"extraction": None, "part": "novel", **(summary.get("data") or {})}
    environment = {"peak_memory_mib": None, **(summary.get("environment") or {})}
    cells = [_cell_of_2(cell) for cell in summary["cells"]]
    changed = {"data": data, "environment": environment, "cells": cells}
    return {"left_out": [], "failed": [], **summary, **changed}


def _cell_of_2(cell: Mapping[str, Any]) -> Summary:
    told: Summary = {"head_uses": [], "comparisons": [], "key": None, "reused_from": None, **cell}
    if "accuracy" in cell and "accuracy_intervals" not in cell:
        told["accuracy_intervals"] = _intervals_of_2(cell["accuracy"])
    if isinstance(cell.get("estimators"), Mapping):
        told["estimators"] = {
            name: {**_estimator_of_2(name), **row} for name, row in cell["estimators"].items()
        }
    return told


def _intervals_of_2(known: Mapping[str, Any]) -> Summary:
    """The interval over episodes is all that there was."""
    gap = {**known, "lower": None, "upper": None, "reason": UNTOLD}
    others = {one: {**gap, "population": one} for one in ("images", "classes")}
    return {"episodes": {**known, "reason": None}, **others}


def _estimator_of_2(name: str) -> Summary:
    row = dict.fromkeys(("fallback_reason", "level", "coverage", "width", "coverage_curve"))
    return {"sees_queries": name in ORACLES, "fallbacks": 0, **row}


def _unchanged(name: str, table: pa.Table) -> pa.Table:
    return table


# By the version that a step starts from.
SUMMARY_STEPS: dict[int, Callable[[Summary], Summary]] = {1: _summary_of_2}
TABLE_STEPS: dict[int, Callable[[str, pa.Table], pa.Table]] = {1: _unchanged}


def migrated_summary(summary: Any, where: Path | str, argument: str = "report") -> Summary:
    """A summary as the present version would have written it; `summary` itself stays as it is.

    Raises
    ------
    FewshotError
        It is of a newer version.
    ValueError, KeyError, TypeError, AttributeError
        It is no summary.
    """
    version = summary["schema_version"]
    check_version(version, where, argument)
    for step in range(version, SCHEMA_VERSION):
        summary = {**SUMMARY_STEPS[step](summary), "schema_version": step + 1}
    found: Summary = summary
    return found


def migrated_table(name: str, table: pa.Table, where: Path | str, argument: str) -> pa.Table:
    """Rows of the table `name` as the present version would have written them.

    Raises
    ------
    FewshotError
        They are of a newer version.
    """
    version = table_version(table.schema)
    check_version(version, where, argument)
    for step in range(version, SCHEMA_VERSION):
        table = TABLE_STEPS[step](name, table)
    noted = {**(table.schema.metadata or {}), VERSION_KEY: str(SCHEMA_VERSION).encode()}
    return table.replace_schema_metadata(noted)


def table_version(schema: pa.Schema) -> int:
    """The version that stands in a Parquet file; 1 if none does."""
    return int((schema.metadata or {}).get(VERSION_KEY, b"1"))


def check_version(version: Any, where: Path | str, argument: str) -> None:
    """Raise FewshotError for a newer version, ValueError for what is none."""
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(f"schema_version is {version!r}")
    if version > SCHEMA_VERSION:
        raise FewshotError(
            argument,
            f"{where} has schema version {version}; this fewshot knows up to {SCHEMA_VERSION}",
            "Update fewshot.",
        )
