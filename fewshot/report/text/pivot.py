"""A pivot table as LaTeX, Markdown or CSV, with notes on its provenance."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from fewshot.report.aligned import markdown
from fewshot.report.tasks import report_of
from fewshot.report.text.csv_cells import csv_cell
from fewshot.report.wording import UNLABELLED_MARK, display_name, episodic_name, plain
from fewshot.results.measures import measure_named
from fewshot.results.pivot import saw_unlabelled
from fewshot.results.schema import CellSummary
from fewshot.tasks.base import EPISODIC_KEYS, NEITHER, dataset_label
from fewshot.units import counted, decimal, percent, short_percent

if TYPE_CHECKING:
    from fewshot.results.pivot import Entry, Pivot

DASH = "\N{EN DASH}"
TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "\"": r"\textquotedbl{}",
    UNLABELLED_MARK: r"$\ddagger$",
    "[": "{[}", "*": "{*}",  # read as arguments by a preceding command
}  # fmt: skip
LONGEST_HASH = 12
ESTIMATOR = "estimator"
POPULATIONS = {
    "episodes": "over episodes (other draws from these images of these classes)",
    "images": "over images (other images of these classes)",
    "classes": "over classes (other classes, with other images)",
}


def latex(text: object) -> str:
    """`text` with the characters escaped that have a meaning in TeX."""
    return re.sub(
        rf"[\\{{}}&%$#_~^<>|\"\[*{UNLABELLED_MARK}]", lambda match: TEX[match[0]], plain(text)
    )


def latex_table(table: Pivot) -> str:
    """A ``tabular`` for booktabs, below comments with its provenance."""
    names = [latex(name) for name in table.row_keys]
    lines = [f"% {line}" for line in how_made(table)]
    lines += [rf"\begin{{tabular}}{{{'l' * len(names)}{'c' * len(table.columns)}}}", r"\toprule"]
    last = len(table.column_keys) - 1
    for level, key in enumerate(table.column_keys):
        row_titles = names if level == last else [""] * len(names)
        groups = [(_title(key, place[level], seeing(table)), 1) for place in table.columns]
        if level < last:
            groups = _spans(table, level)
        titles = [
            latex(text) if span == 1 else rf"\multicolumn{{{span}}}{{c}}{{{latex(text)}}}"
            for text, span in groups
        ]
        lines.append(" & ".join([*row_titles, *titles]) + r" \\")
        if level < last:
            lines.append(_rules(len(names), [span for _, span in groups]))
    lines.append(r"\midrule")
    digits = _digits(table)
    for row in table.rows:
        numbers = [
            _tex(table.entries.get((row, column)), table, digits) for column in table.columns
        ]
        lines.append(" & ".join([*map(latex, _shown(table, row)), *numbers]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _rules(offset: int, spans: Sequence[int]) -> str:
    starts = itertools.accumulate([offset + 1, *spans])
    return " ".join(
        rf"\cmidrule(lr){{{start}-{start + span - 1}}}"
        for start, span in zip(starts, spans, strict=False)
    )


def _spans(table: Pivot, level: int) -> list[tuple[str, int]]:
    """Titles of a level of columns, and the number of columns that each spans."""
    groups = itertools.groupby(table.columns, key=lambda place: place[: level + 1])
    return [
        (_title(table.column_keys[level], key[-1], seeing(table)), len(list(columns)))
        for key, columns in groups
    ]


def _tex(entry: Entry | None, table: Pivot, digits: int) -> str:
    if entry is None:
        return "--"
    mean, half = _numbers(entry, table, digits)
    mean = mean.replace("-", "$-$")
    mean = rf"\textbf{{{mean}}}" if entry.best else mean
    mean = rf"\underline{{{mean}}}" if entry.near else mean
    return mean + (rf" {{\scriptsize $\pm$ {half}}}" if half else "")


def markdown_table(table: Pivot) -> str:
    """A GitHub-flavoured Markdown table, followed by its provenance."""
    header = [*table.row_keys, *(_column_title(table, column) for column in table.columns)]
    lines = [[markdown(plain(text)) for text in header]]
    lines.append(["---"] * len(table.row_keys) + ["---:"] * len(table.columns))
    digits = _digits(table)
    for row in table.rows:
        numbers = [
            _mark(table.entries.get((row, column)), table, digits) for column in table.columns
        ]
        lines.append([*(markdown(plain(text)) for text in _shown(table, row)), *numbers])
    notes = "\n".join(f"- {markdown(line)}" for line in how_made(table))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{notes}\n"


def _mark(entry: Entry | None, table: Pivot, digits: int) -> str:
    if entry is None:
        return DASH
    mean, half = _numbers(entry, table, digits)
    mean = f"**{mean}**" if entry.best else mean
    mean = f"<u>{mean}</u>" if entry.near else mean
    return mean + (f" ± {half}" if half else "")


def csv_table(table: Pivot) -> str:
    """Comma-separated values: numbers not in percent, half-widths (±) beside the means."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    bounded = any(entry.half is not None for entry in table.entries.values())
    header = list(table.row_keys)
    for column in table.columns:
        title = _column_title(table, column)
        header += [title, f"{title} ±"] if bounded else [title]
    writer.writerow(map(csv_cell, header))
    for row in table.rows:
        numbers: list[Any] = []
        for column in table.columns:
            entry = table.entries.get((row, column))
            values = [None, None] if entry is None else [entry.mean, entry.half]
            numbers += values if bounded else values[:1]
        writer.writerow(
            [
                *(csv_cell(DASH if value is None else plain(value)) for value in row),
                *("" if number is None else repr(number) for number in numbers),
            ]
        )
    return buffer.getvalue()


def how_made(table: Pivot) -> list[str]:
    """Lines on the measure, episodes, features and intervals, and the meaning of the marks."""
    cells = [cell for entry in table.entries.values() for cell in entry.cells]
    seeds = _listed(cell["seed"] for cell in cells)
    reports = [report_of(task) for task in dict.fromkeys(str(cell["task"]) for cell in cells)]
    unit = " in %" if measure_named(table.measure).fraction else ""
    of = f" of {_listed(cell.get('estimator') for cell in cells)}" if _estimated(table) else ""
    lines = [
        f"{table.measure}{of}{unit}: {_listed(cell['ways'] for cell in cells)} ways, "
        f"{_listed(cell['shots'] for cell in cells)} shots, "
        f"{_listed(cell['episodes'] for cell in cells)} "
        f"{_listed(report.episode for report in reports)}s per cell, "
        f"{_listed(report.queries for report in reports)} "
        f"{_listed(cell['queries'] for cell in cells)}, seed {seeds}"
    ]
    if len({cell["seed"] for cell in cells}) > 1:
        lines.append("Means over the seeds.")
    if (
        len({frozenset(cell["seed"] for cell in entry.cells) for entry in table.entries.values()})
        > 1
    ):
        lines.append("Not every number is over all of these seeds.")
    if any(entry.half is not None for entry in table.entries.values()):
        level = short_percent(table.level or 0.95)
        lines.append(f"±: half the {level} interval {POPULATIONS[table.interval]}.")
    lines += [f"No ±: {reason}" for reason in _reasons(table)]
    if measure_named(table.measure).better != NEITHER:
        lines.append(
            "Bold: best of the column. The best of many on the same episodes is flattered."
        )
    if seeing(table):
        lines.append(
            f"{UNLABELLED_MARK}: saw unlabelled images; bold and underlined among those that did, "
            "and among the others."
        )
    if table.measure == "mae":
        lines.append(
            "How near predictions came on average; whether they tell episodes apart is another "
            "measure (spearman)."
        )
    if table.paired:
        lines.append(
            "Underlined: not clearly worse, as the 95 % interval over episodes of the paired "
            "difference holds 0. Cells on other episodes are not compared."
        )
    lines += [f"Left aside: {line}." for line in table.aside]
    return [plain(line) for line in [*lines, *_hashes(cells)]]


def _hashes(cells: Sequence[CellSummary]) -> list[str]:
    """Lines with the hashes of the episodes and features of the cells."""
    lines = []
    drawn = [key for key in EPISODIC_KEYS if any(cell.get(key) for cell in cells)]
    for kind, named in (("episodes", ("dataset", "ways", "shots", *drawn, "seed")),
                        ("features", ("dataset", "backbone", "feature"))):  # fmt: skip
        hashes = {
            (*_named(cell, named), str(cell["hashes"][kind])[:LONGEST_HASH]): None
            for cell in cells
            if (cell.get("hashes") or {}).get(kind)
        }
        lines += [f"{kind} of {_title_of(named, key)}: {key[-1]}" for key in hashes]
    return lines


def _named(cell: Mapping[str, object], names: Iterable[str]) -> list[Any]:
    return [dataset_label(cell) if name == "dataset" else cell.get(name) for name in names]


def _reasons(table: Pivot) -> list[str]:
    """Reasons why entries have no interval of the requested population."""
    name = "accuracy_intervals" if table.measure in ("accuracy", "error") else table.measure
    name = "mae_interval" if name == "mae" else name
    without_interval = [
        cell for entry in table.entries.values() if entry.half is None for cell in entry.cells
    ]
    reasons = set()
    for measure in (cell.get(name) for cell in without_interval):
        if not isinstance(measure, dict):
            continue
        population = measure.get("population", table.interval)
        if population != table.interval != "none":
            reasons.add(f"there is an interval over {population} only (--interval {population})")
        interval = measure.get(table.interval)
        if isinstance(interval, dict) and interval.get("reason"):
            reasons.add(interval["reason"])
    return sorted(reasons)


def _estimated(table: Pivot) -> bool:
    return any("estimator" in cell for entry in table.entries.values() for cell in entry.cells)


def _listed(values: Iterable[Any]) -> str:
    order = sorted({str(value) for value in values}, key=lambda text: (len(text), text))
    return ", ".join(map(plain, order))


def _digits(table: Pivot) -> int:
    """Decimals of the numbers: 2 where an interval would else be printed as 0, else 1."""
    halves = [entry.half for entry in table.entries.values() if entry.half]
    return 2 if any(half < 0.0005 for half in halves) else 1


def _numbers(entry: Entry, table: Pivot, digits: int) -> tuple[str, str]:
    if not measure_named(table.measure).fraction:
        return decimal(entry.mean), "" if entry.half is None else decimal(entry.half)
    half = "" if entry.half is None else percent(entry.half, digits=digits)
    return percent(entry.mean, digits=digits), half


def _title(key: str, value: Any, seen: Collection[Any] = ()) -> str:
    if value is None:
        return DASH
    if key in ("shots", "ways"):
        return counted(value, key[:-1])
    if key in EPISODIC_KEYS:
        return episodic_name(key, value)
    named = key in ("seed", "queries", "prevalence")
    return f"{key} {value}" if named else _marked_name(key, value, seen)


def _marked_name(key: str, value: Any, seen: Collection[Any]) -> str:
    """A name, with a mark if it is one of the estimators that saw unlabelled images."""
    return display_name(str(value), False, key == ESTIMATOR and value in seen)


def seeing(table: Pivot) -> set[Any]:
    """Estimators of the table that saw unlabelled images in any of its cells."""
    return {
        cast("Mapping[str, Any]", cell).get(ESTIMATOR)
        for entry in table.entries.values()
        if saw_unlabelled(entry)
        for cell in entry.cells
    }


def _column_title(table: Pivot, column: Sequence[Any]) -> str:
    return _title_of(table.column_keys, column, seeing(table))


def _title_of(keys: Sequence[str], place: Sequence[Any], seen: Collection[Any] = ()) -> str:
    titles = (_title(key, value, seen) for key, value in zip(keys, place, strict=False))
    return " ".join(titles)


def _shown(table: Pivot, row: Sequence[Any]) -> list[str]:
    return [
        DASH if value is None or (key in EPISODIC_KEYS and not value and key != "protocol")
        else plain(_marked_name(key, value, seeing(table)))
        for key, value in zip(table.row_keys, row, strict=True)
    ]  # fmt: skip
