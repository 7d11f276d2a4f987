"""Words of open-set classification."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from fewshot.references.methods import OPEN_SET_SCORES
from fewshot.report.tasks.base import TaskReport
from fewshot.report.wording import Cell, plain, protocol_text

SCORES = {
    "probability": "the largest softmax probability",
    "entropy": "minus the entropy of the softmax probabilities",
    "score": "the largest score",
}


class OpenSetReport(TaskReport):
    """Accuracy of known queries, and how well they are told from unknown ones."""

    order = 1
    titles: ClassVar[Mapping[str, str]] = {
        "auroc": "AUROC", "closed_accuracy": "accuracy", "oscr": "OSCR", "average_precision": "AP",
        "fpr95": "FPR95",
    }  # fmt: skip
    long_titles: ClassVar[Mapping[str, str]] = {"closed_accuracy": "Accuracy of known queries"}
    meanings: ClassVar[Mapping[str, str]] = {
        "auroc": "probability that a known query scores above an unknown one; 50 by chance",
        "closed_accuracy": "of known queries, accepted or not, as without unknown ones",
        "oscr": "probability that a known query is given its own class and scores above an unknown "
        "one: the area under the open-set classification rate, at most the accuracy",
        "average_precision": "average precision of known queries; by chance about their share",
        "fpr95": "share of unknown queries that are accepted with 95 % of the known ones; lower is "
        "better",
    }
    question = (
        "which class of the episode is this image of, or is it of none? Queries of classes outside "
        "of the episode are among the others"
    )
    key_titles: ClassVar[Mapping[str, str]] = {"unknown": "Unknown", "score": "Score"}
    settings = ("ways", "shots")
    place = "{ways}-way {shots}-shot with {head}, {unknown} unknown, by {score}"
    sections = frozenset({"matrix", "ranks", "comparisons"})
    glossary = (
        (
            "AUROC, OSCR, AP, FPR95",
            "Known queries are of a class of the episode, unknown ones of none; queries are ranked "
            "by a score. AUROC: probability that a known one scores above an unknown one, ties "
            "counted half, 50 % by chance. OSCR: the same, and the known one is given its own "
            "class. AP: average precision of known queries. FPR95: share of unknown queries above "
            "the highest threshold that accepts 95 % of the known ones; lower is better.",
        ),
    )

    def cited(
        self, cell: Cell, config: Mapping[str, Any]
    ) -> Iterator[tuple[str, str, Sequence[str] | None]]:
        """The head, and what known queries are told by."""
        yield from super().cited(cell, config)
        score = str(cell.get("score"))
        yield "score", score, OPEN_SET_SCORES.get(score)

    def about(self, cells: Sequence[Cell]) -> str:
        """``600 episodes per row, ...; unknown: 5 classes x 15 queries, by ...``."""
        scores = {str(cell.get("score")) for cell in cells}
        unknown = {str(cell.get("unknown")) for cell in cells}
        text = protocol_text(cells)
        if len(unknown) == 1:
            ways, _, queries = plain(unknown.pop()).partition(" x ")
            text += f"; queries of {ways} unknown classes, {queries} of each"
        if len(scores) == 1:
            text += f"; known by {SCORES.get(name := scores.pop(), plain(name))}"
        return text

    def chance(self, cells: Sequence[Cell], measure: str) -> float | None:
        """Value of a measure for a random order."""
        return {"auroc": 0.5, "fpr95": 0.95}.get(measure)

    def facts(self, cell: Cell) -> Iterable[tuple[str, str]]:
        """The unknown queries, the score, and the measures."""
        score = str(cell.get("score"))
        return [
            ("unknown classes x queries", plain(cell.get("unknown"))),
            ("score", SCORES.get(score, plain(score))),
            *super().facts(cell),
        ]
