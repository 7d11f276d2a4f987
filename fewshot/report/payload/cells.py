"""A cell as data of the page: measures, predictions, cost and provenance."""

from __future__ import annotations

import re
from typing import Any, NotRequired, TypedDict

from fewshot.report.cell_rows import CellRows
from fewshot.report.payload.entries import (
    EstimatorEntry,
    MeasureEntry,
    PairEntry,
    WorstEntry,
)
from fewshot.report.payload.run_files import RunFolder
from fewshot.report.tasks import report_of
from fewshot.report.wording import Cell, episodic_name, unlabelled_about
from fewshot.tasks.base import EPISODIC_KEYS, dataset_label, head_label

NAMES = ("backbone", "feature", "ways", "shots", "seed", "queries", "episodes")
MADE = ("key", "hashes", "head_parameters", "normalize", "base", "reused_from")
MULTIPLES = {"": 1, "k": 1e3, "M": 1e6, "B": 1e9, "G": 1e9}


class CellEntry(TypedDict):
    """A cell on the page, with the keys of its task beside these, as ``source``."""

    task: str
    dataset: str
    head: str
    backbone: str
    feature: str
    ways: int
    shots: int
    seed: int
    queries: Any
    unlabelled: str | None
    episodes: int | None
    uses: list[str]
    measures: list[MeasureEntry]
    estimators: list[EstimatorEntry]
    spokesman: str | None
    comparisons: list[PairEntry]
    cost: dict[str, Any]
    made: dict[str, Any]
    points: int | None
    worst: list[WorstEntry]
    numbers: dict[str, float | None]
    details: dict[str, Any] | None
    unlabelled_images: NotRequired[str]
    protocol: NotRequired[str]
    source: NotRequired[str]
    against: NotRequired[str]


def cell_entry(cell: Cell, rows: CellRows | None, number: int, run: RunFolder) -> CellEntry:
    """Entry of a cell in the page's data, without its points.

    Parameters
    ----------
    cell : dict
        As in ``summary.json``.
    rows : CellRows, optional
        Its rows, if its task has points.
    number : int
        Number of the run that the cell is from.
    run : RunFolder
        Folder of that run.
    """
    report = report_of(cell["task"])
    entry: Any = {key: cell.get(key) for key in report.task.keys}
    entry |= {key: episodic_name(key, cell.get(key)) for key in EPISODIC_KEYS if key in entry}
    return entry | {
        "task": str(cell["task"]),
        "dataset": dataset_label(cell),
        "head": head_label(cell),
        **{name: cell.get(name) for name in NAMES},
        "unlabelled": unlabelled_about([cell]) or None,
        "uses": _uses(cell),
        "measures": report.measures(cell),
        **report.predictions(cell, rows),
        "comparisons": report.comparisons(cell),
        "cost": _cost(cell, run),
        "numbers": {number.key: report.number(cell, number) for number in report.numbers},
        "made": {
            "run": number,
            "protocol": cell.get("protocol") or None,
            **{name: cell.get(name) for name in MADE},
            "command": run.command,
            "more": [list(fact) for fact in report.facts(cell)],
        },
        "points": None,
        "details": None,
    }


def _uses(cell: Cell) -> list[str]:
    """What the head uses beyond the shots; "unlabelled" in place of the queries if it learns so."""
    uses = list(cell.get("head_uses") or ())
    apart = cell.get("learns_from") == "unlabelled"
    return ["unlabelled" if apart and use == "queries" else use for use in uses]


def _cost(cell: Cell, run: RunFolder) -> dict[str, Any]:
    """Time and memory of a cell; of a reused cell, those of the run that computed it."""
    data, environment = run.about.get("data") or {}, run.about.get("environment") or {}
    extraction = data.get("extraction") or {}
    return {
        "seconds": cell.get("duration_s"),
        "episodes_per_second": cell.get("episodes_per_second"),
        "images_per_second": extraction.get("images_per_second"),
        "extraction_seconds": extraction.get("seconds"),
        "parameters": number_of(extraction.get("parameters")),
        "feature_dim": data.get("feature_dim"),
        "peak_memory_mib": environment.get("peak_memory_mib"),
        "device": environment.get("device"),
    }


def number_of(value: Any) -> float | None:
    """A number of parameters from a number or text such as ``25.6M``; None if neither."""
    if isinstance(value, (int, float)):
        return float(value)
    match = re.fullmatch(r"\s*([0-9.]+)\s*([kMBG]?)\s*", str(value))
    try:
        return float(match[1]) * MULTIPLES[match[2]] if match else None
    except ValueError:
        return None
