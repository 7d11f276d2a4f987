"""Zero-shot one-class classification as a task: its rows and measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from fewshot.tasks.base import (
    HIGHER,
    LOWER,
    Entries,
    Measure,
    Summary,
    Table,
    Task,
    TaskOutput,
    value_of,
)

if TYPE_CHECKING:
    from fewshot.evaluation.evaluation import Evaluation

MEASURES = ("macro_f1", "f1", "balanced_accuracy", "auroc", "average_precision", "regret")
SHARES = Entries("prevalences", "prevalence")
DECISIONS = Table(
    "one_class",
    {
        "target": "str",
        "prevalence": "float64",
        "positives": "int64",
        "negatives": "int64",
        **dict.fromkeys(MEASURES, "float64"),
    },
    per_episode="prevalences",
)


class OneClass(Task):
    """Is an image of class c? From the name of c alone, with a yes or no for every image.

    The head of a cell is a decision rule; the sources of confusers and of negatives identify it
    as well.
    """

    name = "one_class"
    title = "One class"
    tables = (DECISIONS,)
    measures = tuple(
        Measure(name, LOWER if name == "regret" else HIGHER, of=SHARES) for name in MEASURES
    )
    keys: ClassVar[Mapping[str, str]] = {"source": "str", "against": "str"}
    report = "fewshot.report.tasks.one_class:OneClassReport"

    def run(self, evaluation: Evaluation) -> TaskOutput:
        """Evaluate every rule with every source of confusers on the same tasks."""
        from fewshot.tasks.one_class.run import one_class_run

        return one_class_run(self, evaluation)

    def metrics(self, cell: Summary) -> Iterator[tuple[str, int, float]]:
        """The measures, by the share of positives in percent."""
        for entry in SHARES.of(cell):
            for name in MEASURES:
                value = value_of(entry.get(name), "classes")
                if value is not None and value.mean == value.mean:
                    yield name, round(100 * entry[SHARES.name]), value.mean
