"""Published figures and what was measured of them, as rows and as the tables of a page."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

import pandas as pd
import yaml

from fewshot.report.aligned import WIDTH, markdown
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
    if not besides:
        return "Nothing yet.\n"
    names = ("source", "head", "data set", "backbone", "ways", "shots", "published", "ours",
             "difference", "within", "differs in", "interval over", "date")  # fmt: skip
    rows = [_beside_row(row, whole=True) for row in besides]
    coded = ("source", "head", "backbone")
    table = _table(names, (
        [_code(row[name]) if name in coded else markdown(str(row[name])) for name in names]
        for row in rows
    ))  # fmt: skip
    commands = "\n".join(dict.fromkeys(row.command for row in besides))
    return f"{table}\n```sh\n{commands}\n```\n"


def _section(figures: Sequence[Figure], besides: Sequence[Beside]) -> str:
    """The paper, what is not as here, and a line per head, backbone and data set."""
    source, name = figures[0].source, figures[0].name
    shots = sorted({figure.shots for figure in figures})
    measured = {row.figure.key for row in besides}
    heading = ("head", "backbone", "data set", "prompts", *(counted(k, "shot") for k in shots),
               "ours", "command")  # fmt: skip
    lines = [
        _line(list(of), shots, measured)
        for _, of in groupby(figures, key=lambda one: (one.key[:-1], one.conditions.prompts))
    ]
    ways = "all classes" if source.ways is None else f"{source.ways}-way, {source.protocol}"
    drawn = f", {counted(source.draws, 'draw')}" if source.draws else ""
    text = (
        f"{source.paper} ([paper]({source.address})). From: {source.where}. Read in: "
        f"{source.checked}. Accuracy in %, {ways}{drawn}. Differs from here: {source.remarks}."
    )
    wrapped = textwrap.fill(text, WIDTH, break_on_hyphens=False)
    return f"### `{name}`\n\n{wrapped}\n\n{_table(heading, lines)}"


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
        _code(first.dataset) if not first.parts else first.dataset,
        _code(prompts) if prompts else DASH,
        *numbers,
        "[above](#measured)" if is_measured else f"not yet measured: needs {first.needs}",
        _code(first.command(sorted(by_shots))),
    ]


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
