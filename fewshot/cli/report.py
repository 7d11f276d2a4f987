"""One page over any set of runs, and tables and figures for papers on request."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fewshot.cli.arguments import Parser
from fewshot.cli.results_common import RUN
from fewshot.exceptions import expect_choice
from fewshot.report.text.terminal import CHOICES, RECOMMENDED
from fewshot.report.write import check_figures, join_report, write_tables
from fewshot.results.folders import find_runs, named_folder

EXAMPLES = """\
examples:
  fewshot report runs                                     runs/report.html over all runs below
  fewshot report runs/a runs/b --output both.html
  fewshot report latest --estimators all                  the newest run, with all estimators
  fewshot report runs --figures svg,pdf                   and runs/report_figures/*.svg, *.pdf
  fewshot report runs --latex tables.tex --markdown tables.md

The page opens without a network and holds everything. Damaged runs are left out and named on
standard error and in the page; the exit code is 2 then. For other tables see
`fewshot results export`."""


def main(argv: Sequence[str]) -> int:
    """Write the report and print its path."""
    parser = Parser(
        prog="fewshot report",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", metavar="RUN", help=RUN)
    parser.add_argument("--output", metavar="FILE", help="default: report.html in the first RUN")
    parser.add_argument(
        "--estimators", default=RECOMMENDED, metavar="all",
        help="and all estimators in the printed table: default auto, where it is one of them",
    )  # fmt: skip
    parser.add_argument("--figures", default="", metavar="svg,pdf,png", help="and figures as files")
    parser.add_argument("--markdown", metavar="FILE", help="and tables for a README")
    parser.add_argument("--latex", metavar="FILE", help="and tables for a paper")
    parser.add_argument("--no-thumbnails", action="store_true", help="and no pictures in the page")
    arguments = parser.parse_args(argv)
    formats = [name.strip() for name in arguments.figures.split(",") if name.strip()]
    check_figures("--figures", formats)
    expect_choice("--estimators", arguments.estimators, CHOICES)
    folders = [named_folder(name) for name in arguments.folders]
    target = Path(arguments.output) if arguments.output else folders[0] / "report.html"
    runs = find_runs(folders)
    left_out = join_report(
        runs, target, formats=formats, thumbnails=not arguments.no_thumbnails,
        estimators=arguments.estimators,
    )  # fmt: skip
    for kind in ("markdown", "latex"):
        if getattr(arguments, kind):
            write_tables(runs, kind, Path(getattr(arguments, kind)))
    return 2 if left_out else 0
