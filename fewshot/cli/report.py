"""One page over any set of runs, and tables and figures for papers on request."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fewshot.cli.parser import Parser
from fewshot.exceptions import expect_choice
from fewshot.results.schema import CELL_COLUMNS
from fewshot.results.store import find_runs, read_runs, store_warnings
from fewshot.storage import atomic_path, writing

# Cells; of more, the page and `fewshot results` are easier to read than a terminal.
MOST_PRINTED = 100
FORMATS = ("svg", "pdf", "png")
EXAMPLES = """\
examples:
  fewshot report runs                                     runs/report.html over all runs below
  fewshot report runs/a runs/b --output both.html
  fewshot report runs --figures svg,pdf                   and runs/report_figures/*.svg, *.pdf
  fewshot report runs --latex tables.tex --markdown tables.md

The page opens without a network and holds everything. Damaged runs are left out and named on
standard error and in the page; the exit code is 2 then. For other tables see
`fewshot results export`."""
# All that a report shows; other columns are not read.
COLUMNS = {
    "episodes": [*CELL_COLUMNS, "episode", "classes", "actual_error"],
    "predictions": [
        *CELL_COLUMNS, "episode", "estimator", "predicted_error", "lower", "upper", "actual_error",
    ],
}  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Write the report and print where it is."""
    parser = Parser(
        prog="fewshot report",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", metavar="DIR", help="runs, or folders of runs")
    parser.add_argument("--output", metavar="FILE", help="default: report.html in the first DIR")
    parser.add_argument("--figures", default="", metavar="svg,pdf,png", help="and figures as files")
    parser.add_argument("--markdown", metavar="FILE", help="and tables for a README")
    parser.add_argument("--latex", metavar="FILE", help="and tables for a paper")
    parser.add_argument("--no-thumbnails", action="store_true", help="and no pictures in the page")
    given = parser.parse_args(argv)
    formats = [one.strip() for one in given.figures.split(",") if one.strip()]
    for one in formats:
        expect_choice("--figures", one, FORMATS)
    target = Path(given.output) if given.output else Path(given.folders[0]) / "report.html"
    runs = find_runs(given.folders)
    left_out = join_report(runs, target, formats=formats, thumbnails=not given.no_thumbnails)
    for kind in ("markdown", "latex"):
        if getattr(given, kind):
            _write_tables(runs, kind, Path(getattr(given, kind)))
    return 2 if left_out else 0


def join_report(
    runs: Sequence[Path],
    target: Path,
    *,
    formats: Sequence[str] = (),
    thumbnails: bool = True,
) -> int:
    """Write the page over `runs` to `target`, print table and answer, and count the runs left out.

    Parameters
    ----------
    runs : sequence of Path
        Of `find_runs`.
    target : Path
        Of the page.
    formats : sequence of {"svg", "pdf", "png"}
        Of figures, beside the page in ``<target>_figures/``; none by default.
    thumbnails : bool
        Whether the page has pictures, where the images are at hand.
    """
    from fewshot.report.answer import answer_text
    from fewshot.report.html import page_text
    from fewshot.report.payload import payload
    from fewshot.report.table import summary_table

    summary, episodes, predictions = read_runs(runs, COLUMNS)
    for line in store_warnings(summary):
        print(f"fewshot: {line}", file=sys.stderr)
    options: dict[str, Any] = {} if thumbnails else {"thumbnail_bytes": 0}
    found = payload(summary, episodes, predictions, **options)
    with writing("--output", target), atomic_path(target) as partial:
        partial.write_text(page_text(summary, found), encoding="utf-8", newline="\n")
    if len(summary["cells"]) <= MOST_PRINTED:
        print(summary_table(summary["cells"]))
    print(f"\n{answer_text(found.answer)}")
    if formats:
        _draw(target, summary, episodes, predictions, formats)
    many = len(summary["runs"])
    print(f"\nReport over {many} run{'s' * (many > 1)}: {target}")
    return len(summary["unreadable"])


def _draw(
    target: Path, summary: dict[str, Any], episodes: Any, predictions: Any, formats: Sequence[str]
) -> None:
    from fewshot.report.figures import write_figures

    folder = target.with_name(f"{target.stem}_figures")
    with writing("--figures", folder):
        folder.mkdir(parents=True, exist_ok=True)
        files = write_figures(folder, summary["cells"], episodes, predictions, formats)
    print(f"\nFigures: {folder}, {len(files)} file{'s' * (len(files) != 1)}")


def _write_tables(runs: Sequence[Path], kind: str, target: Path) -> None:
    """The tables of `fewshot.report.papers` as one file."""
    from fewshot.report.papers import paper_tables
    from fewshot.results.joining import Store

    text = paper_tables(Store(runs), kind)
    with writing(f"--{kind}", target), atomic_path(target) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
    print(f"Tables: {target}")
