"""The page's data as one value that can be written as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from fewshot.progress import bar
from fewshot.report.answer import Part, answer, evaluated_cells
from fewshot.report.charts import calibration, coverage, scatter
from fewshot.report.comparison.ranks import ranks
from fewshot.report.intervals import intervals_of
from fewshot.report.payload.cells import CellEntry, cell_entry
from fewshot.report.payload.details import PICTURE_BYTES, Shared, details_of
from fewshot.report.payload.names import NameBook
from fewshot.report.payload.points import POINT_BYTES, pack_points
from fewshot.report.payload.run_files import RunFolders
from fewshot.report.payload.thumbnails import THUMBNAIL_BYTES, thumbnails
from fewshot.report.tasks import cells_by_task, report_of, task_order
from fewshot.report.text.left_out import failure_text, left_out_text
from fewshot.report.text.listed import listed
from fewshot.report.wording import Cell, group_cells
from fewshot.results.aside import aside_text
from fewshot.results.schema import JoinedSummary
from fewshot.tasks.base import dataset_label

VERSION = 2
LEVEL = 0.95  # of intervals, where a run does not record it
LONG = 12


class Payload(NamedTuple):
    """Data for the page's script, and the sentences that are shown without it."""

    data: dict[str, Any]
    answer: list[Part]


def payload(
    summary: JoinedSummary,
    rows: Mapping[str, pd.DataFrame],
    runs: Sequence[Path] = (),
    point_bytes: int = POINT_BYTES,
    thumbnail_bytes: int = THUMBNAIL_BYTES,
) -> Payload:
    """Collect the data of the page.

    Parameters
    ----------
    summary, rows, runs
        As for :func:`fewshot.report.render_report`.
    point_bytes, thumbnail_bytes : int
        Size of points and of thumbnails at most; without thumbnails there are no other pictures.
    """
    folders, names = RunFolders(summary, runs), NameBook()
    pairs = evaluated_cells(summary["cells"], rows)
    points, sets, places = pack_points(pairs, folders, names, point_bytes)
    cells = []
    for cell, _ in pairs:
        names.add_location(dataset_label(cell), folders.of(cell))
    with bar(len(pairs), "report", "cell", leave=False, delay=1.0) as work:
        for cell, cell_rows in pairs:
            entry = cell_entry(cell, cell_rows, folders.number(cell), folders.of(cell))
            entry["points"] = places.get(id(cell))
            cells.append(entry)
            work.update()
    picture_bytes = PICTURE_BYTES if thumbnail_bytes > 0 else 0
    shared = Shared()
    for entry, details in zip(cells, details_of(pairs, rows, picture_bytes, shared), strict=True):
        entry["details"] = details
    data = {
        "version": VERSION,
        "level": min(map(level_of, summary["cells"]), default=LEVEL),
        "picture_bytes": picture_bytes,
        "shared": shared.values,
        "charts": page_charts(),
        "lines": page_lines(summary["cells"]),
        "tasks": page_tasks(cell["task"] for cell in cells),
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


def page_charts() -> dict[str, dict[str, str]]:
    """Titles, axes and captions of charts that are on paper as well."""
    charts = {"calibration": calibration, "coverage": coverage, "scatter": scatter}
    return {name: asdict(chart.WORDS) for name, chart in charts.items()}


def page_lines(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """Charts of lines of every task, data set and backbone, with the names of these."""
    return [
        {
            "task": task,
            "dataset": dataset_label(members[0]),
            "backbone": group.backbone,
            "feature": group.feature,
            "chart": asdict(chart),
        }
        for task, of_task in cells_by_task(cells).items()
        for group, members in group_cells(of_task).items()
        for chart in report_of(task).lines_on_page(members)
    ]


def page_tasks(tasks: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Words and properties of the tasks, by name, in their order."""
    return {task: report_of(task).page() for task in sorted(set(tasks), key=task_order)}


def level_of(cell: Cell) -> float:
    """The nominal level of the intervals of a cell's main measure."""
    task = report_of(cell["task"]).task
    main = task.measures[0].name
    intervals = (intervals_of(task, entry, main) for entry in task.entries(cell, main))
    levels = (row.get("level") for rows in intervals for row in rows.values())
    return min((float(level) for level in levels if level), default=LEVEL)


def _datasets(
    names: NameBook, cells: Sequence[CellEntry], pictures: Mapping[str, dict[str, str]]
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


def _gaps(summary: JoinedSummary) -> dict[str, list[str]]:
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
