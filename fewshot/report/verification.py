"""Verification in words and finished texts. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fewshot.report.wording import (
    Cell,
    known,
    percent,
    percent_interval,
    plain,
    protocol_text,
)

VERIFICATION = "verification"  # the tasks, as in `fewshot.results.schema`
ONE_CLASS = "one_class"
TITLES = {"auroc": "AUROC", "average_precision": "AP", "fpr95": "FPR95"}
MEASURES = tuple(TITLES)
MEANINGS = {
    "auroc": "probability that a query of the class scores above one of another class; 50 by "
    "chance, whatever the number of classes",
    "average_precision": "average precision; by chance about the share of queries that are of the "
    "class",
    "fpr95": "share of other queries that are accepted with 95 % of those of the class; lower is "
    "better",
}
QUESTION = (
    "is this image of class c? One class at a time, the other classes of the episode are impostors"
)


def of_task(cells: Iterable[Cell], *, verification: bool) -> list[Any]:
    """Cells of verification, or those of classification."""
    others = (VERIFICATION, ONE_CLASS)
    return [
        cell
        for cell in cells
        if (cell.get("task") == VERIFICATION if verification else cell.get("task") not in others)
    ]


def header(cells: Sequence[Cell]) -> list[str]:
    """Names of the columns."""
    seed = ["seed"] if len({cell["seed"] for cell in cells}) > 1 else []
    measured = [title for one in MEASURES for title in (f"{TITLES[one]} %", "classes ±")]
    share = ["positive %"] if len(_shares(cells)) > 1 else []
    return ["head", "ways", "shots", *seed, *measured, *share]


def entries(cell: Cell, cells: Sequence[Cell]) -> list[str]:
    """Texts of one row: each measure with its interval over episodes, and that over classes."""
    columns = header(cells)
    numbers = [cell[one] for one in ("ways", "shots", "seed") if one in columns]
    measured = [text for one in MEASURES for text in _texts(cell[one])]
    share = [percent(cell["prevalence"])] if "positive %" in columns else []
    return [plain(cell["head"]), *map(str, numbers), *measured, *share]


def about(cells: Sequence[Cell]) -> str:
    """``600 episodes per row, all queries, seed 0; 20.0 % of the queries are of the class``."""
    shares = _shares(cells)
    rest = f"; {shares[0]} % of the queries are of the class" if len(shares) == 1 else ""
    return protocol_text(cells) + rest


def _shares(cells: Iterable[Cell]) -> list[str]:
    """Different shares of positives."""
    return sorted({percent(cell["prevalence"]) for cell in cells})


def _texts(intervals: Cell | None) -> tuple[str, str]:
    if intervals is None:
        return "-", "-"
    return percent_interval(intervals["episodes"]), half(intervals["classes"])


def half(interval: Cell) -> str:
    """``1.5``: half the width of an interval, in points."""
    lower, upper = interval["lower"], interval["upper"]
    return percent((upper - lower) / 2) if known(lower) and known(upper) else "-"
