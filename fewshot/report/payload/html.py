"""The report as one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import pandas as pd
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fewshot.report.payload.packing import json_text
from fewshot.report.payload.payload import Payload, payload
from fewshot.report.payload.thumbnails import THUMBNAIL_BYTES
from fewshot.report.tasks import report_of
from fewshot.report.wording import Cell, plain, unlabelled_about
from fewshot.results.schema import CellSummary, JoinedSummary, RunSummary
from fewshot.tasks.base import dataset_label, head_label
from fewshot.units import counted

NAMED = 3  # most names of each kind in the title


def render_report(
    summary: RunSummary | JoinedSummary,
    rows: Mapping[str, pd.DataFrame],
    runs: Sequence[Path] = (),
    *,
    thumbnail_bytes: int = THUMBNAIL_BYTES,
) -> str:
    """One or many runs as one self-contained HTML page, which makes no request.

    Parameters
    ----------
    summary : mapping
        As in ``summary.json``, or as `fewshot.results.joining.Store.summary` joins several.
    rows : mapping of str to DataFrame
        Rows by the name of their table, with the columns that the tasks declare; of those with
        points on the page (``episodes`` and ``predictions``).
    runs : sequence of Path
        The run's folder with the file names of the shots; joined summaries contain their folders.
    thumbnail_bytes : int
        Size of all thumbnails at most; 0 for none.

    Returns
    -------
    str
        The page, identical for identical runs.
    """
    joined = cast("JoinedSummary", summary)
    return page_text(joined, payload(joined, rows, runs, thumbnail_bytes=thumbnail_bytes))


def page_text(summary: JoinedSummary, contents: Payload) -> str:
    """The page with `contents` filled in."""
    css, script = page_parts()
    digest = hashlib.sha256(script.encode()).digest()
    return (
        page_environment()
        .get_template("page.html.j2")
        .render(
            title=title(summary["cells"]),
            created=_created(summary),
            counts=counts(summary),
            answer=contents.answer,
            glossary=glossary(contents),
            css=Markup(css),
            script=Markup(script),
            script_hash=base64.b64encode(digest).decode("ascii"),
            data=Markup(json_text(contents.data)),
        )
    )


def glossary(contents: Payload) -> list[tuple[str, str]]:
    """Terms of the tasks on the page, and their explanations."""
    return list(
        dict.fromkeys(
            (term, text)
            for task in contents.data["tasks"]
            for term, text in report_of(task).glossary
        )
    )


def page_parts() -> tuple[str, str]:
    """Style sheet and script, from the files that ``page/order.txt`` lists."""
    folder = files("fewshot.report") / "page"
    names = (folder / "order.txt").read_text(encoding="utf-8").split()
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in names}
    css, script = (
        "\n".join(text for name, text in texts.items() if name.endswith(suffix))
        for suffix in (".css", ".js")
    )
    # A scope for the script: no names are added to the window.
    return css, f'(() => {{\n"use strict";\n{script}\n}})();\n'


def page_environment(folder: str = "page") -> Environment:
    """Templates of a folder of ``report``, and those all share, with everything escaped."""
    return Environment(
        loader=ChoiceLoader([PackageLoader("fewshot.report", name) for name in (folder, "static")]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_sanitized,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _sanitized(value: Any) -> Any:
    """`value`, if text, without characters that reorder a line or cannot be encoded."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def title(cells: Sequence[CellSummary]) -> str:
    """``digits, eurosat with resnet18``; the number of names if there are many."""
    parts = []
    for label, words in ((dataset_label, "data sets"), (_backbone, "backbones")):
        names = list(dict.fromkeys(plain(label(cell)) for cell in cells))
        parts.append(", ".join(names) if len(names) <= NAMED else f"{len(names)} {words}")
    return " with ".join(parts)


def counts(summary: JoinedSummary) -> str:
    """``12 runs, 96 cells: 2 data sets, 4 backbones, 6 heads``."""
    cells = summary["cells"]
    runs = len(summary.get("runs") or [""])
    kinds = (("data set", dataset_label), ("backbone", _backbone), ("head", head_label))
    what = (counted(len({label(cell) for cell in cells}), word) for word, label in kinds)
    text = f"{counted(runs, 'run')}, {counted(len(cells), 'cell')}: {', '.join(what)}"
    unlabelled = unlabelled_about(cells)
    return f"{text}; {unlabelled}" if unlabelled else text


def _backbone(cell: Cell) -> str:
    return str(cell["backbone"])


def _created(summary: JoinedSummary) -> str:
    """``2026-03-01 12:00 UTC``, empty if not recorded."""
    created = str(summary.get("created") or "")
    return f"{created[:16].replace('T', ' ')} UTC" if created else ""
