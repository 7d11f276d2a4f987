"""Write the files of a report: the page, figures and tables."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from fewshot.exceptions import FewshotError, expect_choice, install_command
from fewshot.files import atomic_path, writing
from fewshot.report.payload.html import render_report
from fewshot.report.tasks import cells_by_task, report_of
from fewshot.report.text.terminal import RECOMMENDED, Estimators, brief_answer, terminal_text
from fewshot.results.joining import Store
from fewshot.results.schema import JoinedSummary, RunSummary
from fewshot.results.store import store_warnings
from fewshot.units import counted

# Thumbnails at the end of a run: some seven hundred, which take a second or two.
THUMBNAIL_BYTES = 1_000_000
FORMATS = ("svg", "pdf", "png")  # of figures


def write_report(
    folder: Path,
    summary: RunSummary | JoinedSummary,
    rows: Mapping[str, pd.DataFrame],
    figures: Sequence[str] = (),
) -> Path:
    """Write ``report.html`` and, on request, figures for papers into an existing run folder.

    Parameters
    ----------
    folder : Path
        The run folder, from which the file names of the shots are read if it has them.
    summary : dict
        As for :func:`fewshot.report.render_report`.
    rows : mapping of str to DataFrame
        By table.
    figures : sequence of {"svg", "pdf", "png"}
        Formats of the figures; none by default.

    Returns
    -------
    Path
        Path of ``report.html``.
    """
    path = folder / "report.html"
    page = render_report(summary, rows, [folder], thumbnail_bytes=THUMBNAIL_BYTES)
    path.write_text(page, encoding="utf-8", newline="\n")
    if figures:
        from fewshot.report.figures.write import write_figures

        write_figures(folder, summary["cells"], rows, figures)
    return path


def check_figures(argument: str, formats: Sequence[str]) -> None:
    """Raise unless figures can be written in these formats; looks at no file.

    Raises
    ------
    FewshotError
        A format is unknown, or matplotlib is not installed.
    """
    for kind in formats:
        expect_choice(argument, kind, FORMATS)
    if formats and find_spec("matplotlib") is None:
        raise FewshotError(
            argument,
            "figures need matplotlib, which is not installed; the page does not",
            f"Run: {install_command('figures')}.",
        )


def read_report(
    runs: Sequence[Path], argument: str = "report"
) -> tuple[JoinedSummary, dict[str, pd.DataFrame]]:
    """Join runs: their summary, and by table the columns that a report shows.

    Parameters
    ----------
    runs : sequence of Path
        As from `fewshot.results.folders.find_runs`.
    argument : str
        Argument that errors name.

    Raises
    ------
    FewshotError
        No run can be read.
    """
    store = Store(runs, argument)
    while True:
        summary = store.summary()
        count = len(store.runs)
        rows = {
            table: store.rows(table, [*report.task.identity, *columns])
            for report in map(report_of, cells_by_task(summary["cells"]))
            for table, columns in report.columns.items()
        }
        if len(store.runs) == count:  # else a run was removed as its table could not be read
            return summary, rows


def join_report(
    runs: Sequence[Path],
    target: Path,
    *,
    formats: Sequence[str] = (),
    thumbnails: bool = True,
    estimators: Estimators = RECOMMENDED,
) -> int:
    """Write the page over `runs` to `target`, print answer and table, and count the runs left out.

    Parameters
    ----------
    runs : sequence of Path
        Run folders, as from `find_runs`.
    target : Path
        Path of the page.
    formats : sequence of {"svg", "pdf", "png"}
        Formats of figures, beside the page in ``<target>_figures/``; none by default.
    thumbnails : bool
        Whether the page has thumbnails, where the images are on this machine.
    estimators : {"recommended", "all"}
        Of the printed table.
    """
    from fewshot.report.payload.html import page_text
    from fewshot.report.payload.payload import payload

    summary, rows = read_report(runs)
    for line in store_warnings(summary):
        print(f"fewshot: {line}", file=sys.stderr)
    options: dict[str, Any] = {} if thumbnails else {"thumbnail_bytes": 0}
    contents = payload(summary, rows, **options)
    with writing("--output", target), atomic_path(target) as partial:
        partial.write_text(page_text(summary, contents), encoding="utf-8", newline="\n")
    parts = brief_answer(summary["cells"], rows, len(summary.get("left_aside") or []))
    print(terminal_text(parts, summary["cells"], estimators=estimators))
    if formats:
        _draw(target, summary, rows, formats)
    count = len(summary["runs"])
    print(f"\nReport over {counted(count, 'run')}: {target}")
    return len(summary["unreadable"])


def _draw(
    target: Path,
    summary: JoinedSummary,
    rows: Mapping[str, pd.DataFrame],
    formats: Sequence[str],
) -> None:
    from fewshot.report.figures.write import write_figures

    folder = target.with_name(f"{target.stem}_figures")
    with writing("--figures", folder):
        folder.mkdir(parents=True, exist_ok=True)
        files = write_figures(folder, summary["cells"], rows, formats)
    print(f"\nFigures: {folder}, {counted(len(files), 'file')}")


def write_tables(runs: Sequence[Path], kind: str, target: Path) -> None:
    """Write the tables of `fewshot.report.text.papers` to one file."""
    from fewshot.report.text.papers import paper_tables

    text = paper_tables(Store(runs), kind)
    with writing(f"--{kind}", target), atomic_path(target) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
    print(f"Tables: {target}")
