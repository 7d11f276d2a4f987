"""The sentences at the top of the page: what is best, and how far to believe it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from fewshot.datasets.part_names import of_one_part
from fewshot.report.aligned import wrapped
from fewshot.report.comparison.paired import EvaluatedCell
from fewshot.report.tasks import TaskReport, cells_by_task, report_of, tables_of
from fewshot.report.wording import Cell, plain
from fewshot.tasks.base import dataset_label, head_label
from fewshot.units import counted

if TYPE_CHECKING:
    import pandas as pd

DATASETS = 8
BRIEF_DATASETS = 3  # above the table of a terminal
COMBINATION = ("backbone", "feature", "head", "variant")
FEWEST_FOR_CHOICE = 2  # with as many combinations the accuracy of the best one is optimistic


class Part(TypedDict):
    """A heading with sentences below it, plain text; without a heading, a paragraph."""

    heading: str
    lines: list[str]


class Judged(NamedTuple):
    """What the sentences of a part are on."""

    dataset: str
    part: str
    task: str


Groups = Mapping[Judged, Sequence[EvaluatedCell]]


def evaluated_cells(cells: Iterable[Cell], rows: Mapping[str, pd.DataFrame]) -> list[EvaluatedCell]:
    """Cells with their rows, in the order of the page.

    Parameters
    ----------
    cells : iterable of dict
        Entries of ``cells`` in ``summary.json``.
    rows : mapping of str to DataFrame
        By table.
    """
    return [
        pair
        for task, group in cells_by_task(cells).items()
        for pair in report_of(task).evaluated(
            sorted(group, key=_order), tables_of(report_of(task).task, rows)
        )
    ]


def _order(cell: Cell) -> tuple[Any, ...]:
    """Sort key of the cells of a task."""
    keys = (str(cell.get(key, "")) for key in report_of(cell["task"]).task.keys)
    names = dataset_label(cell), cell["backbone"], cell["feature"], head_label(cell)
    return *names, cell["ways"], cell["shots"], cell["seed"], *keys


def answer(judged: Iterable[EvaluatedCell], aside: int = 0, *, brief: bool = False) -> list[Part]:
    """A heading and a few sentences per data set and task, followed by caveats.

    Parameters
    ----------
    judged : iterable of (cell, rows)
        In the order of the page.
    aside : int
        Number of cells left aside because another run has the same cell over more episodes, or
        made it later.
    brief : bool
        Whether it is for a terminal, above the table: fewer sentences and data sets.
    """
    groups: dict[Judged, list[EvaluatedCell]] = {}
    for cell, rows in judged:
        key = Judged(str(cell["dataset"]), str(cell["part"]), str(cell["task"]))
        groups.setdefault(key, []).append((cell, rows))
    if not groups:
        return []
    tasks = list(dict.fromkeys(key.task for key in groups))
    shown = list(groups.items())[: BRIEF_DATASETS if brief else DATASETS]
    parts = [_part(key, pairs, several=len(tasks) > 1, brief=brief) for key, pairs in shown]
    caution = _brief_caution(groups) if brief else _caution(groups)
    if aside:
        caution.insert(0, _aside_text(aside))
    unlisted = len(groups) - len(parts)
    if unlisted:
        caution.insert(
            0, f"{unlisted} more data set{'s are' if unlisted > 1 else ' is'} in the table."
        )
    return [
        *_joint(groups, tasks),
        *parts,
        {"heading": "" if brief else "How far to believe this", "lines": caution},
    ]


def _part(key: Judged, pairs: Sequence[EvaluatedCell], several: bool, brief: bool) -> Part:
    report = report_of(key.task)
    lines = report.brief(pairs) if brief else report.lines(pairs)
    title = plain(dataset_label(pairs[0][0]))
    heading = f"{title}: {plain(report.name_in_headings)}" if several else title
    return {"heading": heading, "lines": [plain(line) for line in lines]}


def _joint(groups: Groups, tasks: Sequence[str]) -> list[Part]:
    """Sentences over all data sets, of tasks that have any."""
    lines = {}
    for task in tasks:
        keys = of_one_part((key for key in groups if key.task == task), lambda key: key.part)
        lines[task] = [plain(line) for line in report_of(task).overall([groups[k] for k in keys])]
    named = {task: texts for task, texts in lines.items() if texts}
    ending = {
        task: f": {plain(report_of(task).name_in_headings)}" if len(named) > 1 else ""
        for task in named
    }
    return [
        {"heading": f"Over all data sets{ending[task]}", "lines": texts}
        for task, texts in named.items()
    ]


def answer_text(parts: Sequence[Part]) -> str:
    """The parts of `answer` as text for a terminal."""
    blocks = []
    for part in parts:
        margin = "  " if part["heading"] else ""
        lines = [line for text in part["lines"] for line in wrapped(margin + text, 2 * margin)]
        blocks.append("\n".join([part["heading"], *lines] if margin else lines))
    return "\n\n".join(blocks)


def _caution(groups: Groups) -> list[str]:
    """Caveats: selection of the best on the test episodes, and the two kinds of intervals."""
    lines = []
    most = _most_combinations(groups)
    if most >= FEWEST_FOR_CHOICE:
        lines.append(
            f"The best of {most} combinations was chosen on the episodes that it is judged on, and "
            "is flattered by it: the more were tried and the closer they are, the more. Another "
            "seed, or other classes, would put it a little lower."
        )
    reports = [report_of(key.task) for key in groups]
    lines += dict.fromkeys(report.caution for report in reports if report.over_episodes)
    return lines


def _brief_caution(groups: Groups) -> list[str]:
    """What ± means and that the best one is flattered, in a single paragraph."""
    reports = [report_of(key.task) for key in groups]
    texts = dict.fromkeys(
        f"{report.caution.partition('. ')[0].rstrip('.')}." for report in reports
        if report.over_episodes
    )  # fmt: skip
    most = _most_combinations(groups)
    if most >= FEWEST_FOR_CHOICE:
        episodes = _episodes(reports)
        texts[
            f"The best of {most} combinations is flattered: it was chosen on the {episodes} that "
            "it is judged on."
        ] = None
    return [" ".join(texts)] if texts else []


def _episodes(reports: Sequence[TaskReport]) -> str:
    """What all the tasks call their episodes."""
    names = {f"{report.episode}s" for report in reports}
    return names.pop() if len(names) == 1 else "episodes"


def _most_combinations(groups: Groups) -> int:
    return max(_combinations(key, pairs) for key, pairs in groups.items())


def _combinations(key: Judged, pairs: Sequence[EvaluatedCell]) -> int:
    names = (*COMBINATION, *report_of(key.task).compared)
    return len({tuple(cell.get(name) for name in names) for cell, _ in pairs})


def _aside_text(aside: int) -> str:
    cells = f"{counted(aside, 'cell')} of other runs {'are' if aside > 1 else 'is'}"
    return (
        f"{cells} left aside: of runs that have the same cell, the one over most episodes counts, "
        "of those the one made last."
    )
