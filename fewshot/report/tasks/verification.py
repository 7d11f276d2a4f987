"""Words of verification, and the share of positives in its tables and figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, cast

from fewshot.report.tasks.base import TaskReport
from fewshot.report.tasks.terms import RANKING
from fewshot.report.wording import Cell, protocol_text
from fewshot.tasks.verification.schema import VerificationSummary
from fewshot.units import percent


class VerificationReport(TaskReport):
    """Measures by head and shots, with the share of positives by which they are to be read."""

    order = 1
    titles: ClassVar[Mapping[str, str]] = {
        "auroc": "AUROC", "average_precision": "AP", "fpr95": "FPR95"
    }  # fmt: skip
    meanings: ClassVar[Mapping[str, str]] = {
        "auroc": "probability that a query of the class scores above one of another class; 50 by "
        "chance, whatever the number of classes",
        "average_precision": "average precision; by chance about the share of queries that are of "
        "the class",
        "fpr95": "share of other queries that are accepted with 95 % of those of the class; lower "
        "is better",
    }
    question = (
        "is this image of class c? One class at a time, the other classes of the episode are "
        "impostors"
    )
    sections = frozenset({"matrix", "comparisons"})
    glossary = (RANKING,)

    def about(self, cells: Sequence[Cell]) -> str:
        """``600 episodes per row, all queries, seed 0; 20.0 % of the queries are of the class``."""
        shares = _shares(cells)
        rest = f"; {shares[0]} % of the queries are of the class" if len(shares) == 1 else ""
        return protocol_text(cells) + rest

    def further_columns(self, cells: Sequence[Cell]) -> dict[str, Callable[[Cell], str]]:
        """The share of positives, where it differs."""
        if len(_shares(cells)) == 1:
            return {}
        return {"positive %": lambda cell: percent(_share(cell))}

    def facts(self, cell: Cell) -> Iterable[tuple[str, str]]:
        """The share of positives and the measures."""
        share = "share of positives", f"{percent(_share(cell))} % of the queries"
        return [share, *super().facts(cell)]

    def chance(self, cells: Sequence[Cell], measure: str) -> float | None:
        """Approximate value of a measure for a random order."""
        shares = list(map(_share, cells))
        known = {"auroc": 0.5, "average_precision": sum(shares) / len(shares), "fpr95": 0.95}
        return known.get(measure)


def _shares(cells: Iterable[Cell]) -> list[str]:
    """Distinct shares of positives, in percent."""
    return sorted({percent(_share(cell)) for cell in cells})


def _share(cell: Cell) -> float:
    """Share of positives among the queries of a target."""
    return cast("VerificationSummary", cell)["prevalence"]
