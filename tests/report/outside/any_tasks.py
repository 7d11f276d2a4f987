"""Tasks that the project does not know: one without a report class, one with its own."""

from __future__ import annotations

from typing import ClassVar

from fewshot.report.tasks import TaskReport
from fewshot.tasks import Task
from fewshot.tasks.base import HIGHER, LOWER, Entries, Measure, Table


class Retrieval(Task):
    """Shares, a pure number, a measure of several parts, and a key of its own."""

    name = "retrieval"
    title = "Retrieval"
    tables = (Table("retrieval", {"mean_precision": "float64"}),)
    measures = (
        Measure("mean_precision", HIGHER, table="retrieval"),
        Measure("first_rank", LOWER, fraction=False),
        Measure("recall", HIGHER, of=Entries("cutoffs", "cutoff")),
    )
    keys: ClassVar = {"gallery": "str"}


class Counting(Task):
    """A task with words, a table, a sentence and a figure of its own."""

    name = "counting"
    title = "Counting"
    tables = (Table("counts", {"miss": "float64"}),)
    measures = (Measure("miss", LOWER, fraction=False, table="counts"),)
    report = "any_tasks:CountingReport"


class CountingReport(TaskReport):
    """Reads the rows of its table for the figure."""

    heading = "counting objects"
    titles: ClassVar = {"miss": "objects missed"}
    columns: ClassVar = {"counts": ("episode", "miss")}
    head = "counter"
    heads = "counters"
    place = "{head} of {shots}"
    sections = frozenset()
    glossary = (("Miss", "objects that were <not> counted"),)

    def text(self, cells, *, explained=True):
        return "\n".join(f"{cell['head']} misses {cell['miss']['mean']:.2f}" for cell in cells)

    def markdown(self, cells):
        return "\n".join(f"- {cell['head']}: {cell['miss']['mean']:.2f}" for cell in cells)

    def lines(self, evaluated):
        return [f"{len(evaluated)} counters were tried."]

    def figures(self, cells, rows):
        from matplotlib.figure import Figure

        from fewshot.report.figures.plots import Plot

        figure = Figure()
        figure.add_subplot().hist(rows["counts"]["miss"])
        return [Plot("misses", "misses", figure)]

    def facts(self, cell):
        return [("objects", str(cell["objects"]))]


class NoReport(Task):
    """Its report is no report."""

    name = "unreported"
    title = "Unreported"
    tables = (Table("unreported", {}),)
    measures = (Measure("share"),)
    report = "any_tasks:Table"


class Missing(NoReport):
    """Its report is not there."""

    name = "missing_report"
    report = "any_tasks:CountingReprot"
