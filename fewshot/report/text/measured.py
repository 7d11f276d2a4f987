"""Tables of cells by the measures that their task declares. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fewshot.report.aligned import LONGEST_HEAD, aligned, legend, markdown, short, wrapped
from fewshot.report.intervals import (
    half_text,
    interval_text,
    intervals_of,
    main_interval,
)
from fewshot.report.wording import (
    Cell,
    group_cells,
    head_notes,
    heading_text,
    plain,
    protocol_name,
)
from fewshot.tasks.base import Measure, head_label

if TYPE_CHECKING:
    from fewshot.report.tasks.base import TaskReport

POPULATION = (
    "the 95 % interval of the mean over episodes: other draws from these images of these classes"
)
OTHER = (
    "the same interval for other classes and images; - where every episode has all classes, or "
    "there is one episode"
)
OTHER_CLASSES = "classes ±"

# Title of a column, and the text of a row: a cell, or a part of it with measures of its own.
Column = tuple[str, Callable[[Cell], str]]


def measured_text(report: TaskReport, cells: Sequence[Cell], *, explained: bool = True) -> str:
    """Tables for the terminal, a block per data set and backbone, with a legend if `explained`."""
    blocks = [_block(report, rows) for rows in group_cells(cells).values()]
    meanings = report.legend(cells)
    return "\n\n".join([*blocks, *([legend(meanings)] if explained and meanings else [])])


def measured_markdown(report: TaskReport, cells: Sequence[Cell]) -> str:
    """The same numbers as a GitHub-flavoured Markdown table per data set and backbone."""
    blocks = []
    for rows in group_cells(cells).values():
        columns = report.table_columns(rows)
        lines = [[markdown(plain(title)) for title, _ in columns]]
        lines.append(["---", *["---:"] * (len(columns) - 1)])
        lines += [[markdown(text) for text in texts] for texts in _texts(report, rows, columns)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        heading = markdown(heading_text(rows))
        what = f"{markdown(report.name_in_headings)}, {markdown(report.about(rows))}"
        blocks.append(f"**{heading}**, {what}\n\n{table}")
    return "\n\n".join(blocks)


def columns_of(report: TaskReport, cells: Sequence[Cell]) -> list[Column]:
    """Columns of a table: head and settings, those in which cells differ, measures."""
    return [
        *named_columns(report, cells),
        *measured_columns(report, cells),
        *report.further_columns(cells).items(),
    ]


def named_columns(report: TaskReport, cells: Sequence[Cell]) -> list[Column]:
    """Columns that say which cell a row is: head, settings, and those in which cells differ."""
    keys = [key for key in report.task.keys if _differ(cells, key)]
    compared = [key for key in keys if key in report.compared]
    names = [*compared, *report.settings, *(key for key in keys if key not in report.compared)]
    if _differ(cells, "seed"):
        names.append("seed")
    part = report.task.measures[0].of
    if part is not None:
        names.append(part.name)
    return [
        (report.head, lambda row: plain(head_label(row))),
        *((_title(report, name), _text_of(name)) for name in names),
    ]


def measured_columns(report: TaskReport, cells: Sequence[Cell]) -> list[Column]:
    """A column per measure, and one for other classes where there are such intervals."""
    columns = []
    for measure in shown_measures(report):
        intervals = [
            intervals_of(report.task, row, measure.name)
            for cell in cells
            for row in report.task.entries(cell, measure.name)
        ]
        if not any(intervals) and measure is not report.task.measures[0]:
            continue
        unit = " %" if measure.fraction else ""
        columns.append((f"{report.title(measure.name)}{unit}", _measured(report, measure)))
        if any({"episodes", "classes"} <= row.keys() for row in intervals):
            columns.append((OTHER_CLASSES, _elsewhere(report, measure)))
    return columns


def shown_measures(report: TaskReport) -> list[Measure]:
    """Measures of the table: those of the same parts of a cell as the main one."""
    measures = report.task.measures
    return [measure for measure in measures if measure.of == measures[0].of]


def _measured(report: TaskReport, measure: Measure) -> Callable[[Cell], str]:
    def text(row: Cell) -> str:
        interval = main_interval(intervals_of(report.task, row, measure.name))
        return interval_text(interval, share=measure.fraction)

    return text


def _elsewhere(report: TaskReport, measure: Measure) -> Callable[[Cell], str]:
    def text(row: Cell) -> str:
        interval = intervals_of(report.task, row, measure.name).get("classes")
        return half_text(interval, share=measure.fraction)

    return text


def _text_of(name: str) -> Callable[[Cell], str]:
    if name == "protocol":
        return lambda row: protocol_name(row.get(name))
    return lambda row: plain(row.get(name, "-")) or "-"


def _title(report: TaskReport, name: str) -> str:
    return report.key_title(name).lower() if name in report.task.keys else name.replace("_", " ")


def _differ(cells: Sequence[Cell], name: str) -> bool:
    return len({str(cell.get(name)) for cell in cells}) > 1


def _texts(report: TaskReport, cells: Sequence[Cell], columns: Sequence[Column]) -> list[list[str]]:
    main = report.task.measures[0].name
    rows = (row for cell in cells for row in report.task.entries(cell, main))
    return [[text(row) for _, text in columns] for row in rows]


def _block(report: TaskReport, cells: Sequence[Cell]) -> str:
    columns = report.table_columns(cells)
    texts = _texts(report, cells, columns)
    titles = [plain(title) for title, _ in columns]
    lines = aligned([titles, *([short(row[0], LONGEST_HEAD), *row[1:]] for row in texts)])
    question = f"{report.task.title}: {report.question}." if report.question else report.task.title
    top = [
        heading_text(cells),
        *wrapped(plain(question), ""),
        *wrapped(report.about(cells), ""),
        "",
    ]
    rows = [*top, lines[0], "-" * len(lines[0]), *lines[1:]]
    notes = head_notes(cells)
    if notes:
        rows += ["", "About the heads:"]
    for words, heads in notes.items():
        rows += wrapped(f"  {', '.join(map(plain, heads))}: {words}", "    ")
    return "\n".join(line.rstrip() for line in rows)
