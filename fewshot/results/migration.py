"""Migration of summaries and tables of earlier schema versions, one step per version.

A step is a pure function from one version to the next. Readers apply the steps in memory;
`migrate_run` writes the result.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fewshot.datasets.part_names import NOVEL, OTHERS
from fewshot.exceptions import FewshotError
from fewshot.registry import variant_text
from fewshot.results.encoding import without_nan
from fewshot.results.schema import SCHEMA_VERSION, CellSummary, RunSummary

Summary = dict[str, Any]

# Names of data sets in versions 1 and 2, with the part of their classes.
NAMED = re.compile(rf" \(({'|'.join(OTHERS)}) classes\)$")
VERSION_KEY = b"fewshot.schema_version"
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


def _summary_of_3(summary: Summary) -> Summary:
    """Part and variant of a cell are columns; version 2 had the part in the name of the data set.

    It had no variant, which comes from the parameters of the head.
    """
    cells = [_cell_of_3(cell) for cell in summary["cells"]]
    failed = [{"variant": "", **failure} for failure in summary.get("failed") or []]
    return {**summary, "cells": cells, "failed": failed}


def _cell_of_3(cell: Summary) -> Summary:
    dataset, part = _split_name(str(cell["dataset"]))
    task = cell.get("task") or "classification"
    variant = variant_of(str(cell["head"]), cell.get("head_parameters") or {})
    return {**cell, "task": task, "dataset": dataset, "part": part, "variant": variant}


def _split_name(dataset: str) -> tuple[str, str]:
    """Name and part of a data set in a row of version 2."""
    match = NAMED.search(dataset)
    return (dataset[: match.start()], match[1]) if match else (dataset, NOVEL)


def variant_of(head: str, parameters: Mapping[str, Any]) -> str:
    """Parameters of a head that differ from its defaults; none for heads that are not known."""
    from fewshot.heads import heads

    if head not in heads or not parameters:
        return ""
    accepted = inspect.signature(heads[head].load()).parameters
    defaults = {name: parameter.default for name, parameter in accepted.items()}
    return variant_text({n: v for n, v in parameters.items() if n in defaults}, defaults)


def _summary_of_4(summary: Summary) -> Summary:
    """Episodes had no unlabelled images before version 4."""
    nothing: Summary = {
        "unlabelled_images": "", "unlabelled": None, "unlabelled_shares": None, "strangers": None,
    }  # fmt: skip
    cells = []
    for cell in summary["cells"]:
        migrated = {**nothing, **cell}
        if isinstance(cell.get("estimators"), Mapping):
            migrated["estimators"] = {
                name: {"sees_unlabelled": False, **row} for name, row in cell["estimators"].items()
            }
        cells.append(migrated)
    return {**summary, "cells": cells}


def _summary_of_5(summary: Summary) -> Summary:
    """Cells did not say how their episodes were drawn before version 5: as balanced ones."""
    return {**summary, "cells": [{"protocol": "", **cell} for cell in summary["cells"]]}


def _unchanged(name: str, table: pa.Table, cells: Sequence[CellSummary]) -> pa.Table:
    return table


def _table_of_3(name: str, table: pa.Table, cells: Sequence[CellSummary]) -> pa.Table:
    """Add the columns ``part`` and ``variant``, from the migrated cells of the run."""
    variants = {str(cell["head"]): str(cell["variant"]) for cell in cells}
    if {"part", "variant"} & set(table.column_names):  # rewritten by a program without its version
        return table
    if "dataset" in table.column_names:
        names = _mapped(table.column("dataset"), lambda name: _split_name(name)[0])
        parts = _mapped(table.column("dataset"), lambda name: _split_name(name)[1])
        place = table.column_names.index("dataset")
        table = table.set_column(place, "dataset", names).add_column(place + 1, "part", parts)
    if "head" in table.column_names:
        place = table.column_names.index("head")
        column = _mapped(table.column("head"), lambda name: variants.get(name, ""))
        table = table.add_column(place + 1, "variant", column)
    return table


def _table_of_4(name: str, table: pa.Table, cells: Sequence[CellSummary]) -> pa.Table:
    """Add what the rows say about unlabelled images: there were none."""
    table = _with_empty(name, table, "unlabelled_images")
    added = {
        "episodes": ("unlabelled", "queries", pa.scalar(0, pa.int64())),
        "predictions": ("sees_unlabelled", "calibration", pa.scalar(False)),
    }
    if name not in added or added[name][0] in table.column_names:
        return table
    column, after, value = added[name]
    names = table.column_names
    place = names.index(after) + 1 if after in names else len(names)
    return table.add_column(place, column, pa.repeat(value, len(table)))


def _table_of_5(name: str, table: pa.Table, cells: Sequence[CellSummary]) -> pa.Table:
    """Add the protocol, which says nothing, and the shots of an episode, equal for all classes."""
    table = _with_empty(name, table, "protocol", after="unlabelled_images")
    names = table.column_names
    if name != "episodes" or "support" in names or not {"ways", "shots"} <= set(names):
        return table
    place = names.index("classes") + 1 if "classes" in names else len(names)
    support = pc.multiply(table.column("ways"), table.column("shots"))
    return table.add_column(place, "support", support)


def _with_empty(name: str, table: pa.Table, key: str, after: str = "seed") -> pa.Table:
    """The rows of an episodic task with an empty column of a key that they lack."""
    from fewshot.tasks import task_of_table

    names = table.column_names
    if key not in task_of_table(name).keys or key in names:
        return table
    place = names.index(after) + 1 if after in names else len(names)
    return table.add_column(place, key, pa.repeat(pa.scalar(""), len(table)).dictionary_encode())


def _mapped(column: pa.ChunkedArray, text: Callable[[str], str]) -> pa.ChunkedArray:
    """The column with a function applied to its distinct values, as dictionaries."""
    chunks = []
    for chunk in column.chunks:
        coded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        values = [text(value) for value in coded.dictionary.to_pylist()]
        distinct = list(dict.fromkeys(values))
        codes = np.array([distinct.index(value) for value in values], dtype=np.int32)
        indices = pa.array(codes[coded.indices.to_numpy()] if len(codes) else codes)
        chunks.append(pa.DictionaryArray.from_arrays(indices, pa.array(distinct, pa.string())))
    kind = pa.dictionary(pa.int32(), pa.string())
    return pa.chunked_array(chunks, kind)


# By the version that a step starts from.
SUMMARY_STEPS: dict[int, Callable[[Summary], Summary]] = {
    1: _summary_of_2, 2: _summary_of_3, 3: _summary_of_4, 4: _summary_of_5,
}  # fmt: skip
TABLE_STEPS: dict[int, Callable[[str, pa.Table, Sequence[CellSummary]], pa.Table]] = {
    1: _unchanged, 2: _table_of_3, 3: _table_of_4, 4: _table_of_5,
}  # fmt: skip
# Columns that the tables of a version do not have, and those of the next one do.
ADDED: dict[int, tuple[str, ...]] = {
    2: ("part", "variant"),
    3: ("unlabelled_images", "unlabelled", "sees_unlabelled"),
    4: ("protocol", "support"),
}


def migrated_summary(summary: Any, where: Path | str, argument: str = "report") -> RunSummary:
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
    migrated: RunSummary = summary
    return migrated


def migrated_table(
    name: str, table: pa.Table, where: Path | str, argument: str, cells: Sequence[CellSummary]
) -> pa.Table:
    """Return the rows of table `name` in the current schema version.

    Parameters
    ----------
    cells : sequence of dict
        Summaries of the cells of the run, in the current version.

    Raises
    ------
    FewshotError
        They are of a newer version.
    """
    version = table_version(table.schema)
    check_version(version, where, argument)
    for step in range(version, SCHEMA_VERSION):
        table = TABLE_STEPS[step](name, table, cells)
    metadata = {**(table.schema.metadata or {}), VERSION_KEY: str(SCHEMA_VERSION).encode()}
    return table.replace_schema_metadata(metadata)


def added_columns(version: int) -> set[str]:
    """Return the columns that migration adds to tables of a version."""
    return {name for since, names in ADDED.items() if version <= since for name in names}


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
