"""Zero-shot one-class classification as a task: its rows and measures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fewshot.registry import Entry
from fewshot.tasks.base import (
    HIGHER,
    LOWER,
    Measure,
    Task,
    TaskOutput,
    value_of,
)
from fewshot.tasks.one_class.schema import DECISIONS, KEYS, MEASURES, NAME, SHARES

if TYPE_CHECKING:
    from fewshot.evaluation.evaluation import Evaluation
    from fewshot.results.schema import CellSummary


class OneClass(Task):
    """Is an image of class c? From the name of c alone, with a yes or no for every image.

    The head of a cell is a decision rule; the sources of confusers and of negatives identify it
    as well.
    """

    name = NAME
    title = "One class"
    references = ("bendou2024llm",)
    tables = (DECISIONS,)
    measures = tuple(
        Measure(name, LOWER if name == "regret" else HIGHER, of=SHARES) for name in MEASURES
    )
    keys = KEYS
    sections = (
        Entry(
            NAME,
            "fewshot.tasks.one_class.settings:OneClassSettings",
            "For task=one_class: is this image a t, by the name of t alone?",
        ),
        Entry(
            f"{NAME}.confusers",
            "fewshot.tasks.one_class.confusers.lists:ConfuserSettings",
            "Names of what could be taken for t.",
        ),
    )
    report = "fewshot.report.tasks.one_class:OneClassReport"

    def run(self, evaluation: Evaluation) -> TaskOutput:
        """Evaluate every rule with every source of confusers on the same tasks."""
        from fewshot.tasks.one_class.run import one_class_run

        return one_class_run(self, evaluation)

    def metrics(self, cell: CellSummary) -> Iterator[tuple[str, int, float]]:
        """The measures, by the share of positives in percent."""
        for entry in SHARES.of(cell):
            for name in MEASURES:
                value = value_of(entry.get(name), "classes")
                if value is not None and value.mean == value.mean:
                    yield name, round(100 * entry[SHARES.name]), value.mean
