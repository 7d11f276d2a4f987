"""Variants of heads that only runs read together can tell apart."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from fewshot.results.reading import Run, identity
from fewshot.results.schema import CellSummary

Variants = dict[tuple[str, str], str]  # by head and variant as recorded, the variant to show


def complete_variants(runs: Sequence[Run]) -> list[Variants]:
    """Complete the variants of the cells of `runs` (in place), distinct among all of them.

    The variant of a cell has the parameters in which its head differs from the defaults. Where
    runs have the same cell with other settings nevertheless, as other numbers of query images,
    features with and without unit length, or defaults of another version, these settings are added.

    Returns
    -------
    list of dict
        Of each run, the completed variants by head and recorded variant; of changed ones only.
    """
    settings_of_cell: dict[tuple[Any, ...], dict[str, Mapping[str, object]]] = defaultdict(dict)
    for run in runs:
        for cell in run.summary["cells"]:
            settings = _settings(cell, run)
            settings_of_cell[identity(cell)][json.dumps(settings, sort_keys=True, default=str)] = (
                settings
            )
    varying: dict[tuple[str, str], set[str]] = defaultdict(set)
    for run in runs:
        for cell in run.summary["cells"]:
            several = list(settings_of_cell[identity(cell)].values())
            varying[cell["head"], cell["variant"]] |= _differing(several)
    return [_completed(run, varying) for run in runs]


def _settings(cell: CellSummary, run: Run) -> dict[str, object]:
    """Settings that may differ between cells of the same identity and change the results."""
    rows = cell.get("normalize") or (run.summary.get("data") or {}).get("normalize")
    return {
        **(cell.get("head_parameters") or {}),
        "queries": cell.get("queries"),
        "normalize": rows,
    }


def _differing(variants: Sequence[Mapping[str, object]]) -> set[str]:
    """Names of the settings that differ between variants."""
    names: set[str] = set().union(*variants)
    return {
        name
        for name in names
        if any(variant.get(name) != variants[0].get(name) for variant in variants)
    }


def _completed(run: Run, varying: Mapping[tuple[str, str], set[str]]) -> Variants:
    completed: Variants = {}
    for cell in run.summary["cells"]:
        recorded = cell["head"], cell["variant"]
        names, settings = varying.get(recorded, set()), _settings(cell, run)
        further = [f"{name}={settings[name]}" for name in sorted(names & settings.keys())]
        if further:
            parts = [*([recorded[1]] if recorded[1] else []), *further]
            completed[recorded] = ", ".join(parts)
    for cell in run.summary["cells"]:
        cell["variant"] = completed.get((cell["head"], cell["variant"]), cell["variant"])
    return completed


def with_variants(table: pa.Table, completed: Variants) -> pa.Table:
    """Return the table with completed variants."""
    if not completed:
        return table
    heads, variants = (table.column(name).to_pylist() for name in ("head", "variant"))
    values = [completed.get(pair, pair[1]) for pair in zip(heads, variants, strict=True)]
    place = table.column_names.index("variant")
    column = pa.array(values, pa.string()).dictionary_encode()
    return table.set_column(place, "variant", pa.chunked_array([column]))
