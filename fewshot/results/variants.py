"""Labels for heads of the same name with different parameters in runs that are read together."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from fewshot.results.reading import Run, identity
from fewshot.results.schema import ONE_CLASS, VERIFICATION

Labels = dict[str, str]  # head to its label in a report


def variant_labels(runs: Sequence[Run]) -> list[Labels]:
    """Return the labels of the heads of each run, distinct among all `runs`.

    A head keeps its name unless several runs have the same cell with different parameters, as
    in a sweep over ``head.lda.shrinkage``: then it is ``lda (shrinkage=0.1)``, with the parameters
    that differ. Numbers of query images, and features with and without unit length, are
    distinguished in the same way. Rules of one-class tasks learn their parameters and keep their
    names.
    """
    variants_of_cell: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for run in runs:
        for cell in run.summary["cells"]:
            if cell["task"] != ONE_CLASS:
                settings = _varying_settings(cell, run)
                key = json.dumps(settings, sort_keys=True, default=str)
                variants_of_cell[identity(cell)][key] = settings
    varying: dict[str, set[str]] = defaultdict(set)
    for cell_identity, variants in variants_of_cell.items():
        varying[cell_identity[4]] |= _differing(list(variants.values()))
    return [_labels(run, varying) for run in runs]


def _varying_settings(cell: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Settings that may differ between cells of the same identity and change the results."""
    rows = cell.get("normalize") or (run.summary.get("data") or {}).get("normalize")
    return {
        **(cell.get("head_parameters") or {}),
        "queries": cell.get("queries"),
        "normalize": rows,
    }


def _differing(variants: Sequence[Mapping[str, Any]]) -> set[str]:
    """Names of the parameters that differ between variants."""
    names = set().union(*variants)
    return {
        name
        for name in names
        if any(variant.get(name) != variants[0].get(name) for variant in variants)
    }


def _labels(run: Run, varying: Mapping[str, set[str]]) -> Labels:
    labels = {}
    for cell in run.summary["cells"]:
        names = varying.get(cell["head"], set()) if cell["task"] != ONE_CLASS else set()
        settings = _varying_settings(cell, run)
        differing = ", ".join(
            f"{name}={settings[name]}" for name in sorted(names & settings.keys())
        )
        if differing:
            labels[cell["head"]] = f"{cell['head']} ({differing})"
    return labels


def rename_heads(cells: Sequence[dict[str, Any]], labels: Labels) -> None:
    """Replace the heads of `cells` by their labels, in comparisons as well (in place)."""
    for cell in cells:
        cell["head"] = labels.get(cell["head"], cell["head"])
        if cell["task"] == VERIFICATION:
            cell["comparisons"] = [
                comparison
                | {
                    side: labels.get(comparison[side], comparison[side])
                    for side in ("first", "second")
                }
                for comparison in cell.get("comparisons") or []
            ]


def renamed(table: pa.Table, labels: Labels) -> pa.Table:
    """Return the table with heads replaced by their labels."""
    if not labels:
        return table
    place = table.column_names.index("head")
    chunks = []
    for chunk in table.column("head").chunks:
        coded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        names = pa.array([labels.get(name, name) for name in coded.dictionary.to_pylist()])
        chunks.append(pa.DictionaryArray.from_arrays(coded.indices, names))
    return table.set_column(place, "head", pa.chunked_array(chunks))
