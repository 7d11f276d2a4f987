"""``fewshot results published``: rows of runs beside the figures of papers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.cli.results_common import (
    check_format,
    create_parser,
    exit_code,
    format_rows,
    open_store,
    split_list,
    write_output,
)
from fewshot.exceptions import FewshotError

if TYPE_CHECKING:
    from argparse import Namespace

    from fewshot.results.beside import Beside
    from fewshot.results.published import Figure

FILTERS = ("source", "head", "dataset", "backbone", "shots")
FORMATS = ("table", "csv", "json", "markdown", "yaml")
EXAMPLES = """\
  fewshot results published --dataset imagenet --backbone clip_rn50
  fewshot results published runs
  fewshot results published runs --source tip_adapter --format csv --output beside.csv
  fewshot results published runs --format yaml         entries of datasets/published/measured.yaml
  fewshot results published runs --figures my_figures  YAML files like those in datasets/published

Without DIR: the published figures, and what measuring them needs. within: whether the difference
is within the 95 % intervals of both; - where conditions other than the number of draws differ.
What the figures are: docs/published.md. fewshot -m sweep=published measures those of CLIP."""


def main(argv: Sequence[str]) -> int:
    """Print published figures; with runs, their cells beside the figures that they are of."""
    parser = create_parser("published", main.__doc__ or "", EXAMPLES)
    parser.add_argument("folders", nargs="*", metavar="DIR", help="runs, or folders of runs")
    for name in FILTERS:
        parser.add_argument(f"--{name}", type=split_list, metavar="A,B", help=f"only these: {name}")
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="figures of your own")
    parser.add_argument("--format", default="table", help=", ".join(FORMATS))
    parser.add_argument("--output", metavar="FILE")
    arguments = parser.parse_args(argv)
    check_format(arguments.format, FORMATS)
    from fewshot.results.published import published_figures

    folder = arguments.figures.expanduser() if arguments.figures else None
    figures = [figure for figure in published_figures(folder) if _is_wanted(figure, arguments)]
    if not figures:
        raise FewshotError(parser.prog, "no published figure is as chosen", "Choose less.")
    if not arguments.folders:
        write_output(_listed(figures, folder, arguments.format), arguments.output)
        return 0
    from fewshot.results.beside import beside

    with open_store(arguments.folders, "published") as store:
        rows, missing = beside(figures, store)
        if not rows:
            raise FewshotError(
                parser.prog,
                "no cell is of a published figure: none has its head, data set, backbone, "
                "protocol, ways and shots",
                "fewshot results published says which figures there are.",
            )
        write_output(_beside(rows, arguments.format), arguments.output)
        for line in missing:
            print(f"fewshot: not compared: {line}", file=sys.stderr)
    return exit_code(store)


def _is_wanted(figure: Figure, arguments: Namespace) -> bool:
    values = {"source": figure.name, "head": figure.head, "dataset": figure.dataset,
              "backbone": figure.backbone, "shots": str(figure.shots)}  # fmt: skip
    wanted = {name: getattr(arguments, name) for name in FILTERS}
    return all(chosen is None or values[name] in chosen for name, chosen in wanted.items())


def _listed(figures: Sequence[Figure], folder: Path | None, form: str) -> str:
    from fewshot.report.text.published import figure_rows, page_tables
    from fewshot.results.beside import recorded
    from fewshot.results.published import measurements, unverified

    measured = recorded(figures, measurements(folder))
    if form == "markdown":
        return page_tables(figures, measured, unverified(folder))
    if form == "yaml":
        return _beside(measured, form)
    return format_rows(figure_rows(figures, whole=form != "table"), form)


def _beside(rows: Sequence[Beside], form: str) -> str:
    from fewshot.report.text.published import as_measurements, beside_rows

    if form == "yaml":
        return as_measurements(rows)
    return format_rows(beside_rows(rows, whole=form != "table"), form)
