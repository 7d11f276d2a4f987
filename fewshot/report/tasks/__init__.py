"""Tables, sentences, figures and page of the tasks: a module each, named by the task itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from fewshot.exceptions import FewshotError
from fewshot.importing import imported
from fewshot.report.tasks.base import TaskReport
from fewshot.report.wording import AnyCell
from fewshot.tasks import task_named
from fewshot.tasks.base import Task

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TaskReport", "cells_by_task", "report_of", "tables_of", "task_order"]


@cache
def report_of(task: str) -> TaskReport:
    """The report of the task of a name: an instance of the class that its `report` names.

    Raises
    ------
    FewshotError
        No such task; or its report cannot be imported, or is not derived from `TaskReport`.
    """
    declared = task_named(task)
    argument = f"task={declared.name}"
    loaded = imported(declared.report, argument, "its report")
    if not (isinstance(loaded, type) and issubclass(loaded, TaskReport)):
        raise FewshotError(
            argument,
            f"its report ({declared.report}) is no class derived from "
            "fewshot.report.tasks.TaskReport",
        )
    return loaded(declared)


def cells_by_task(cells: Iterable[AnyCell]) -> dict[str, list[AnyCell]]:
    """Cells by the name of their task, in the order in which tasks are shown."""
    groups: dict[str, list[AnyCell]] = {}
    for cell in cells:
        groups.setdefault(str(cell["task"]), []).append(cell)
    return {name: groups[name] for name in sorted(groups, key=task_order)}


def task_order(name: str) -> tuple[int, str]:
    """Sort key of the tasks of a report."""
    return report_of(name).order, name


def tables_of(task: Task, rows: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of a task; empty ones with the right columns where `rows` has none."""
    import pandas as pd

    return {
        table.name: rows.get(table.name, pd.DataFrame(columns=list(task.columns(table.name))))
        for table in task.tables
    }
