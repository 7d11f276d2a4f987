"""Tables, sentences, figure and page of one class by its name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fewshot.references.methods import ONE_CLASS_RULES
from fewshot.report.payload.entries import MeasureEntry, PairEntry, measure_entry, pair_entry
from fewshot.report.tasks.base import Axis, Parts, TaskReport
from fewshot.report.tasks.terms import RANKING
from fewshot.report.text.listed import listed, listed_pairs
from fewshot.report.text.one_class import (
    RULES,
    TITLES,
    one_class_lines,
    one_class_markdown,
    one_class_text,
    rule_name,
)
from fewshot.report.wording import Cell
from fewshot.results.schema import Interval
from fewshot.tasks.one_class.schema import OneClassSummary

if TYPE_CHECKING:
    import pandas as pd

    from fewshot.report.comparison.paired import EvaluatedCell
    from fewshot.report.figures.plots import Plot

BOOTSTRAP = "one-class tasks have an interval over classes only"


class OneClassReport(TaskReport):
    """Decision rules by source of confusers, at every share of positives."""

    order = 2
    heading = "one class by its name"
    titles = TITLES
    long_titles: ClassVar[Mapping[str, str]] = {
        "macro_f1": "Macro F1",
        "f1": "F1 of yes",
        "balanced_accuracy": "Balanced accuracy",
        "regret": "Regret",
    }
    compared = ("source",)
    over_episodes = False
    head = "rule"
    heads = "rules"
    episode = "task"
    timed_together = "all rules"
    cost_caption = "All rules of a run are worked out together, and have one time."
    place = "{head} with confusers {source}"
    settings = ()
    key_titles: ClassVar[Mapping[str, str]] = {"source": "Confusers", "against": "Negatives"}
    axis = Axis("at", "positives, %", "share of positives", "positives", percent=True, least=1e-6)
    parts = Parts("Share of positives", percent=True)
    sections = frozenset({"comparisons"})
    glossary = (
        RANKING,
        (
            "Macro F1, regret",
            "Macro F1: mean of the F1 of yes and of no. Regret: macro F1 that the best common "
            "shift of the rule's thresholds, chosen with the labels, would add.",
        ),
    )

    def cited(
        self, cell: Cell, config: Mapping[str, Any]
    ) -> Iterator[tuple[str, str, Sequence[str] | None]]:
        """The decision rule; those of the paper of the task name nothing more."""
        yield self.head, cell["head"], ONE_CLASS_RULES.get(cell["head"], ())

    def text(self, cells: Sequence[Cell], *, explained: bool = True) -> str:
        """Rules by source, macro F1 at every share of positives."""
        return one_class_text(_typed(cells), explained=explained)

    def markdown(self, cells: Sequence[Cell]) -> str:
        """The same numbers as GitHub-flavoured Markdown tables."""
        return one_class_markdown(_typed(cells))

    def lines(self, evaluated: Sequence[EvaluatedCell]) -> list[str]:
        """The best rule at some shares of positives."""
        return one_class_lines(_typed([cell for cell, _ in evaluated]))

    @property
    def plots(self) -> Mapping[str, str]:
        """The only figure, in the place of one by shots."""
        return {"shots": "macro_f1_vs_prevalence"}

    def figures(self, cells: Sequence[Cell], rows: Mapping[str, pd.DataFrame]) -> list[Plot]:
        """Macro F1 by the share of positives."""
        from fewshot.report.figures.curves import macro_f1_vs_prevalence
        from fewshot.report.figures.plots import plot_each

        return plot_each(_typed(cells), "macro_f1_vs_prevalence", macro_f1_vs_prevalence)

    def measures(self, cell: Cell) -> list[MeasureEntry]:
        """Every measure at every share of positives."""
        return [
            measure_entry(
                measure.name,
                measure.better,
                {"classes": interval},
                at=entry["prevalence"],
                otherwise=BOOTSTRAP,
            )
            for measure in self.task.measures
            for entry in _typed([cell])[0]["prevalences"]
            if (interval := cast("Interval | None", entry.get(measure.name)))
        ]

    def comparisons(self, cell: Cell) -> list[PairEntry]:
        """Differences in macro F1 of rules with one source, and of sources with one rule."""
        return [
            pair_entry(
                rule_name(row["first"], row["first_source"]),
                rule_name(row["second"], row["second_source"]),
                "macro_f1",
                entry["macro_f1"],
                at=entry["prevalence"],
            )
            for row in _typed([cell])[0].get("comparisons") or []
            for entry in row["prevalences"]
        ]

    def facts(self, cell: Cell) -> Iterable[tuple[str, str]]:
        """The rule, the target classes, and the confusers."""
        return _facts(_typed([cell])[0])


def _typed(cells: Sequence[Cell]) -> Sequence[OneClassSummary]:
    """The cells, all of one-class tasks, by the type of their summaries."""
    return cast("Sequence[OneClassSummary]", cells)


def _facts(cell: OneClassSummary) -> Iterator[tuple[str, str]]:
    yield "rule", RULES.get(cell["head"], str(cell["head"]))
    yield "target classes", str(cell.get("targets", "not said"))
    if cell.get("dropped_targets"):
        yield "classes left out as targets", listed(cell["dropped_targets"])
    used = cell.get("confusers")
    if not used:
        return
    yield "confusers of a class", f"{used['mean']:.1f} on average"
    yield from listed_pairs(
        "confusers of", {c: listed(names) for c, names in used["names"].items()}
    )
    dropped = {
        c: listed([f"{n} ({why})" for n, why in names]) for c, names in used["dropped"].items()
    }
    yield from listed_pairs("dropped for", dropped)
    yield from listed_pairs(
        "without confusers:", {c: f"took {w}" for c, w in used["fallbacks"].items()}
    )
