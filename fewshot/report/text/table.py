"""The table of results for the terminal and as Markdown. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable

from fewshot.report.tasks import cells_by_task, report_of
from fewshot.report.wording import Cell


def summary_table(cells: Iterable[Cell], *, explained: bool = True) -> str:
    """Measures of every cell as aligned plain text, the tasks one below the other.

    Parameters
    ----------
    cells : iterable of dict
        Entries of ``cells`` in ``summary.json``.
    explained : bool
        Whether a legend explains the columns.

    Returns
    -------
    str
        One block per data set and backbone, at most 100 columns wide as long as names are of
        ordinary length, with notes on the columns and on missing numbers.
    """
    groups = cells_by_task(cells)
    if not groups:
        return "No results: there is no cell to show."
    return "\n\n".join(
        report_of(task).text(group, explained=explained) for task, group in groups.items()
    )


def markdown_table(cells: Iterable[Cell]) -> str:
    """The same numbers as a GitHub-flavoured Markdown table per data set and backbone."""
    groups = cells_by_task(cells)
    return "\n\n".join(report_of(task).markdown(group) for task, group in groups.items())
