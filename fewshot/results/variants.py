"""Heads of one name and several parameters: told apart when runs are read together."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from fewshot.results.reading import Run, identity
from fewshot.results.schema import ONE_CLASS, VERIFICATION

Labels = dict[str, str]  # head to what it is called in a report


def variant_labels(runs: Sequence[Run]) -> list[Labels]:
    """What the heads of each run are called among those of all `runs`.

    A head keeps its name unless the same cell stands in several runs with different parameters, as
    in a sweep over ``head.lda.shrinkage``: then it is ``lda (shrinkage=0.1)``, with the parameters
    that differ. Numbers of query images, and features with and without unit length, are told apart
    in the same way. Rules of one-class tasks
    have learned their parameters and keep their names.
    """
    found: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for run in runs:
        for cell in run.summary["cells"]:
            if cell["task"] != ONE_CLASS:
                given = _given(cell, run)
                found[identity(cell)][json.dumps(given, sort_keys=True, default=str)] = given
    told: dict[str, set[str]] = defaultdict(set)
    for key, variants in found.items():
        told[key[4]] |= _differing(list(variants.values()))
    return [_labels(run, told) for run in runs]


def _given(cell: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """What may differ between cells of one name, and changes what is measured."""
    rows = cell.get("normalize") or (run.summary.get("data") or {}).get("normalize")
    return {
        **(cell.get("head_parameters") or {}),
        "queries": cell.get("queries"),
        "normalize": rows,
    }


def _differing(variants: Sequence[Mapping[str, Any]]) -> set[str]:
    """Names of the parameters that are not the same in all."""
    names = set().union(*variants)
    return {
        name for name in names if any(one.get(name) != variants[0].get(name) for one in variants)
    }


def _labels(run: Run, told: Mapping[str, set[str]]) -> Labels:
    labels = {}
    for cell in run.summary["cells"]:
        names = told.get(cell["head"], set()) if cell["task"] != ONE_CLASS else set()
        given = _given(cell, run)
        said = ", ".join(f"{name}={given[name]}" for name in sorted(names & given.keys()))
        if said:
            labels[cell["head"]] = f"{cell['head']} ({said})"
    return labels


def rename_heads(cells: Sequence[dict[str, Any]], labels: Labels) -> None:
    """Call the heads of `cells` as `labels` say, also where they are compared with each other."""
    for cell in cells:
        cell["head"] = labels.get(cell["head"], cell["head"])
        if cell["task"] == VERIFICATION:
            cell["comparisons"] = [
                one | {who: labels.get(one[who], one[who]) for who in ("first", "second")}
                for one in cell.get("comparisons") or []
            ]


def renamed(table: pa.Table, labels: Labels) -> pa.Table:
    """The table with other heads."""
    if not labels:
        return table
    place = table.column_names.index("head")
    chunks = []
    for chunk in table.column("head").chunks:
        coded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        names = pa.array([labels.get(one, one) for one in coded.dictionary.to_pylist()])
        chunks.append(pa.DictionaryArray.from_arrays(coded.indices, names))
    return table.set_column(place, "head", pa.chunked_array(chunks))
