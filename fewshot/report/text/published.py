"""Published figures and what was measured of them, as rows and as the tables of a page."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

import pandas as pd
import yaml

from fewshot.report.aligned import WIDTH
from fewshot.results.beside import Beside
from fewshot.results.published import Figure, Unverified
from fewshot.units import counted

DASH = "-"
YES_NO = {True: "yes", False: "no", None: DASH}


def beside_rows(besides: Sequence[Beside], whole: bool = False) -> pd.DataFrame:
    """A row per value beside a published one; `whole` adds intervals, dates and commands."""
    return pd.DataFrame([_beside_row(row, whole) for row in besides])


def _beside_row(row: Beside, whole: bool) -> dict[str, object]:
    figure, digits = row.figure, row.figure.source.digits
    cells: dict[str, object] = {
        **_keys(figure),
        "published": _number(figure.accuracy, digits, figure.half),
        "ours": _number(row.accuracy, digits, row.half),
        "difference": f"{row.difference:+.{digits}f}",
        "within": YES_NO[row.within],
        "differs in": "; ".join(row.differs) or DASH,
    }
    if not whole:
        return cells
    return {**cells, "interval over": row.interval, "date": row.date, "version": row.version,
            "run": row.run, "command": row.command}  # fmt: skip


def figure_rows(figures: Sequence[Figure], whole: bool = False) -> pd.DataFrame:
    """A row per published figure, with what measuring it needs."""
    return pd.DataFrame([
        {**_keys(figure), "published": _number(figure.accuracy, figure.source.digits, figure.half),
         "ours": "not yet measured", "needs": figure.needs,
         **({"paper": figure.source.paper, "command": figure.command()} if whole else {})}
        for figure in figures
    ])  # fmt: skip


def _keys(figure: Figure) -> dict[str, object]:
    ways = figure.source.ways
    return {"source": figure.name, "head": _label(figure), "data set": figure.dataset,
            "backbone": figure.backbone, "ways": "all" if ways is None else ways,
            "shots": figure.shots}  # fmt: skip


def _label(figure: Figure) -> str:
    return f"{figure.head} ({figure.variant})" if figure.variant else figure.head


def _number(value: float | None, digits: int, half: float | None = None) -> str:
    if value is None:
        return DASH
    interval = "" if half is None else f" ± {half:.{digits}f}"
    return f"{value:.{digits}f}{interval}"


def as_measurements(besides: Sequence[Beside]) -> str:
    """The values as entries of ``measured.yaml``, for others to see."""
    entries = [
        {
            "source": row.figure.name,
            "head": row.figure.head,
            "variant": row.figure.variant,
            "dataset": row.figure.dataset,
            "backbone": row.figure.backbone,
            "shots": row.figure.shots,
            "accuracy": round(row.accuracy, 2),
            "half": None if row.half is None else round(row.half, 2),
            "interval": row.interval,
            "date": row.date,
            "version": row.version,
            "command": row.command,
            "differs": list(row.differs),
        }
        for row in besides
    ]
    return yaml.safe_dump({"measurements": entries}, sort_keys=False, width=100)


def page_tables(
    figures: Sequence[Figure], besides: Sequence[Beside], missing: Sequence[Unverified]
) -> str:
    """The tables of ``docs/published.md`` as Markdown: measured, then a section per source."""
    ordered = sorted(figures, key=lambda figure: (figure.source.ways is not None, figure.name))
    sections = [
        f"## Measured\n\n{_measured(besides)}",
        "## Published\n",
        *(_section(list(of), besides) for _, of in groupby(ordered, key=lambda one: one.name)),
        f"## Not verified\n\n{_unverified(missing)}",
    ]
    return "\n".join(sections)


def _measured(besides: Sequence[Beside]) -> str:
    """A line per value, and what it was made of in a list below."""
    if not besides:
        return "Nothing yet.\n"
    names = ("source", "head", "data set", "backbone", "shots", "published", "ours", "difference",
             "within")  # fmt: skip
    coded = ("source", "head", "data set", "backbone")
    notes: dict[str, int] = {}
    lines = []
    for row in besides:
        cells = _beside_row(row, whole=True)
        note = notes.setdefault(_note(row), len(notes) + 1)
        lines.append([_code(cells[name]) if name in coded else str(cells[name]) for name in names])
        lines[-1].append(str(note))
    listed = "\n".join(f"{number}. {_filled(note, 3)}" for note, number in notes.items())
    commands = _block(dict.fromkeys(row.command for row in besides))
    return f"{_table((*names, 'note'), lines)}\n{listed}\n\n{commands}"


def _note(row: Beside) -> str:
    """When, what the interval is over, and what is not as published."""
    differs = "; ".join(row.differs) or "nothing"
    return f"{row.date}, version {row.version}. Interval: {row.interval}. Not alike: {differs}."


def _section(figures: Sequence[Figure], besides: Sequence[Beside]) -> str:
    """The paper, what is not as here, a line per head, backbone and data set, and commands."""
    first = figures[0]
    source, shots = first.source, sorted({figure.shots for figure in figures})
    measured = {row.figure.key for row in besides}
    groups = [
        list(of) for _, of in groupby(figures, key=lambda f: (f.key[:-1], f.conditions.prompts))
    ]
    heading = ("head", "backbone", "data set", "prompts", *(counted(k, "shot") for k in shots),
               "ours")  # fmt: skip
    ways = "all classes" if source.ways is None else f"{source.ways}-way, {source.protocol}"
    drawn = f", {counted(source.draws, 'draw')}" if source.draws else ""
    needs = (
        "images of the data set and weights of the backbone"
        if first.has_backbone
        else "features of the data set by that network"
    )
    others = dict.fromkeys(
        f"{_code(_label(figure))}, {figure.dataset}: {figure.conditions.remarks}. "
        for figure in figures
        if figure.conditions.remarks != source.remarks
    )
    taken = any(part.accuracy is not None for figure in figures for part in figure.parts)
    means = "Means of eleven are taken of the figures here. " if taken else ""
    text = (
        f"{source.paper} ([paper]({source.address})). From: {source.where}. Read in: "
        f"{source.checked}. Accuracy in %, {ways}{drawn}. Note: {source.remarks}. "
        f"{''.join(others)}{means}"
        f"What is not yet measured needs {needs}."
    )
    table = _table(heading, (_line(group, shots, measured) for group in groups))
    commands = _block(
        dict.fromkeys(of[0].command(sorted(one.shots for one in of)) for of in groups)
    )
    return f"### `{first.name}`\n\n{_filled(text)}\n\n{table}\nLine by line:\n\n{commands}"


def _line(group: Sequence[Figure], shots: Sequence[int], measured: Collection[object]) -> list[str]:
    first, by_shots = group[0], {figure.shots: figure for figure in group}
    numbers = [
        _number(one.accuracy, one.source.digits, one.half) if (one := by_shots.get(k)) else ""
        for k in shots
    ]
    is_measured = any(figure.key in measured for figure in group)
    prompts = first.conditions.prompts
    return [
        _code(_label(first)),
        _code(first.backbone),
        first.dataset if first.parts else _code(first.dataset),
        _code(prompts) if prompts else DASH,
        *numbers,
        "[measured](#measured)" if is_measured else "not yet measured",
    ]


def _filled(text: str, indent: int = 0) -> str:
    """`text` in lines as mdformat wraps them."""
    return textwrap.fill(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent,
        break_on_hyphens=False, break_long_words=False,
    ).lstrip()  # fmt: skip


def _block(lines: Iterable[str]) -> str:
    return "\n".join(["```sh", *lines, "```\n"])


def _unverified(papers: Iterable[Unverified]) -> str:
    rows = [
        [f"[{one.paper}]({one.address})", ", ".join(map(_code, one.heads)), one.reason]
        for one in papers
    ]
    return _table(("paper", "heads", "why"), rows)


def _code(value: object) -> str:
    return f"`{value}`"


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown of cells in Markdown."""
    lines = [names, ["--"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
