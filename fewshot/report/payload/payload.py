"""The page's data as one value that can be written as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from tqdm import tqdm

from fewshot.report.answer import answer
from fewshot.report.cell_rows import CellRows, RowsByCell
from fewshot.report.comparison.ranks import ranks
from fewshot.report.payload.cells import cell_entry, listed
from fewshot.report.payload.measures import level_of
from fewshot.report.payload.names import NameBook
from fewshot.report.payload.points import POINT_BYTES, pack_points
from fewshot.report.payload.run_files import RunFolders
from fewshot.report.payload.thumbnails import THUMBNAIL_BYTES, thumbnails
from fewshot.report.tasks.verification import ONE_CLASS, VERIFICATION
from fewshot.report.text.left_out import failure_text, left_out_text
from fewshot.report.wording import Cell, task_of
from fewshot.results.aside import aside_text

VERSION = 1
ORDER = ("dataset", "backbone", "feature", "head", "ways", "shots", "seed", "source", "against")
LONG = 12
# Settings of progress bars: on terminals only, and not in the first second.
QUIET: dict[str, Any] = {"disable": None, "leave": False, "delay": 1.0}


class Payload(NamedTuple):
    """Data for the page's script, and the sentences that are shown without it."""

    data: dict[str, Any]
    answer: list[dict[str, Any]]


def payload(
    summary: Mapping[str, Any],
    episodes: pd.DataFrame,
    predictions: pd.DataFrame,
    runs: Sequence[Path] = (),
    point_bytes: int = POINT_BYTES,
    thumbnail_bytes: int = THUMBNAIL_BYTES,
) -> Payload:
    """Collect the data of the page.

    Parameters
    ----------
    summary, episodes, predictions, runs
        As for :func:`fewshot.report.render_report`.
    point_bytes, thumbnail_bytes : int
        Size of points and of thumbnails at most.
    """
    tables, folders, names = (
        RowsByCell(episodes, predictions),
        RunFolders(summary, runs),
        NameBook(),
    )
    pairs = [(cell, _rows(tables, cell)) for cell in sorted(summary["cells"], key=_order)]
    points, sets, places = pack_points(pairs, folders, names, point_bytes)
    cells = []
    for cell, _ in pairs:
        names.add_location(cell["dataset"], folders.of(cell))
    for cell, rows in tqdm(pairs, desc="cells", unit="cell", **QUIET):
        entry = cell_entry(cell, rows, folders.number(cell), folders.of(cell))
        cells.append(entry | {"points": places.get(id(cell))})
    data = {
        "version": VERSION,
        "level": min(map(level_of, summary["cells"]), default=0.95),
        "datasets": _datasets(
            names, cells, thumbnails(names, cells, points, sets, thumbnail_bytes)
        ),
        "cells": cells,
        "points": points,
        "sets": sets,
        "ranks": ranks([cell for cell, _ in pairs]),
        "runs": [_short(run) for run in folders.descriptions()],
        **_gaps(summary),
    }
    return Payload(data, answer(pairs, len(summary.get("left_aside") or [])))


def _rows(tables: RowsByCell, cell: Cell) -> CellRows:
    return tables.of({"task": "classification"} | dict(cell))


def _order(cell: Cell) -> tuple[Any, ...]:
    kinds = ("classification", VERIFICATION, ONE_CLASS)
    task = task_of(cell)
    first = kinds.index(task) if task in kinds else len(kinds)
    return first, *(cell.get(name, "") for name in ORDER)


def _datasets(
    names: NameBook, cells: list[Any], pictures: Mapping[str, dict[str, str]]
) -> dict[str, Any]:
    """Class names, file names and thumbnails of every data set."""
    for cell in cells:
        names.of(cell["dataset"])
    return {
        name: {
            "classnames": list(book.classnames),
            "files": list(book.files) or None,
            "thumbnails": pictures.get(name, {}),
        }
        for name, book in names.datasets.items()
    }


def _gaps(summary: Mapping[str, Any]) -> dict[str, list[str]]:
    """Texts on cells that are not on the page: left out, failed, left aside or unreadable."""
    left_out = left_out_text(summary.get("left_out") or [])
    return {
        "left_out": [left_out] if left_out else [],
        "failed": [failure_text(failure) for failure in summary.get("failed") or []],
        "left_aside": aside_text(summary.get("left_aside") or []),
        "unreadable": [f"{o['run']}: {o['reason']}" for o in summary.get("unreadable") or []],
    }


def _short(value: Any) -> Any:
    """A tree of facts with lists cut to `LONG` entries."""
    if isinstance(value, Mapping):
        return {key: _short(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        plain_values = not any(isinstance(entry, (Mapping, list, tuple)) for entry in value)
        if plain_values:
            return listed(value) if len(value) > LONG else list(value)
        cut = [_short(entry) for entry in value[:LONG]]
        return [*cut, f"and {len(value) - LONG} more"] if len(value) > LONG else cut
    return value
