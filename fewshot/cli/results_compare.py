"""``fewshot results compare``: heads or backbones on the same episodes, and over data sets."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fewshot.cli.arguments import reworded
from fewshot.cli.results_common import (
    add_filters,
    add_folders,
    check_format,
    create_parser,
    exit_code,
    filters_of,
    open_store,
    split_list,
    write_output,
)
from fewshot.exceptions import FewshotError, expect
from fewshot.statistics.intervals import half_width
from fewshot.tasks.base import EPISODIC_KEYS
from fewshot.units import counted, percent

if TYPE_CHECKING:
    from fewshot.results.comparing import Comparison, Pair, PairLeftOut

FILTERS = (
    "task", "dataset", "part", "head", "variant", "backbone", "feature", "ways", "shots", "seed",
    *EPISODIC_KEYS,
)  # fmt: skip
FORMATS = ("table", "csv", "json", "markdown")
EXAMPLES = """\
  fewshot results compare runs --heads ncm,lda
  fewshot results compare runs --backbones resnet18,dinov2_vits14 --format csv
  fewshot results compare runs --heads ncm,lda,ridge --format json --output compared.json

difference: accuracy of the first minus that of the second in points, on the same episodes, with
its 95 % interval for other episodes, other images, other classes; - where there is none. p: of a
sign-flip test over episodes. Over data sets: Wilcoxon's test for two, Friedman's with Nemenyi's
critical difference for more."""


def main(argv: Sequence[str]) -> int:
    """Compare two or more heads, or backbones, wherever they were judged on the same episodes."""
    parser = create_parser("compare", main.__doc__ or "", EXAMPLES)
    add_folders(parser)
    parser.add_argument("--heads", type=split_list, metavar="A,B")
    parser.add_argument("--backbones", type=split_list, metavar="A,B")
    parser.add_argument("--measure", metavar="NAME", help="default: accuracy, or the task's own")
    add_filters(parser, FILTERS)
    parser.add_argument("--format", default="table", help=", ".join(FORMATS))
    parser.add_argument("--output", metavar="FILE")
    arguments = parser.parse_args(argv)
    check_format(arguments.format, FORMATS)
    expect(
        (arguments.heads is None) != (arguments.backbones is None),
        "fewshot results compare",
        "expected one of --heads A,B and --backbones A,B",
    )
    from fewshot.results.comparing import compare

    of = "backbone" if arguments.heads is None else "head"
    with open_store(arguments.folders, "compare") as store:
        try:
            comparison = compare(
                store,
                of,
                arguments.heads or arguments.backbones,
                filters_of(arguments),
                arguments.measure,
            )
        except FewshotError as error:
            raise reworded(error, {f"{of}s": f"--{of}s"}, {}) from None
        write_output(_text(comparison, arguments.format), arguments.output)
        for line in _left_out(comparison["left_out"]):
            print(f"fewshot: not compared: {line}", file=sys.stderr)
    return exit_code(store)


def _text(comparison: Comparison, form: str) -> str:
    if form == "json":
        return json.dumps(comparison, indent=2, ensure_ascii=False) + "\n"
    import pandas as pd

    from fewshot.report.text import rows as rows_text

    rows = pd.DataFrame([_row(pair, form) for pair in comparison["pairs"]])
    if form == "csv":
        return rows_text.csv_text(rows)
    write = rows_text.table_text if form == "table" else rows_text.markdown_text
    return f"{write(rows)}\n{_over(comparison)}\n"


def _row(pair: Pair, form: str) -> dict[str, object]:
    """Return a row of the table: with bounds as CSV, else with half widths in points."""
    intervals = pair["intervals"]
    omitted = ("intervals", "mean", "lower", "upper")
    row = {key: value for key, value in pair.items() if key not in omitted}
    if form == "csv":
        bounds = {
            f"{name}_{side}": interval[side]
            for name, interval in intervals.items()
            for side in ("lower", "upper")
        }
        return {**row, "difference": pair["mean"], **bounds}
    last = {key: row.pop(key) for key in ("better", "equal", "worse", "p")}
    halves = {
        f"± {name}": percent(half_width(interval), digits=2) for name, interval in intervals.items()
    }
    return {**row, "difference": percent(pair["mean"], digits=2, sign=True), **halves, **last}


def _over(comparison: Comparison) -> str:
    """Format the test over data sets in a few lines."""
    over, measure = comparison["over_datasets"], comparison["measure"].replace("_", " ")
    sets = over["datasets"]
    lines = [f"Over {counted(len(sets), 'data set')}:"]
    ranks = over.get("ranks", {})
    for name, mean in over.get("means", {}).items():
        rank = f", mean rank {ranks[name]:.2f}" if name in ranks else ""
        lines.append(f"  {name}: mean {measure} {percent(mean)} %{rank}")
    if over["test"]:
        lines.append(f"  {over['test']}: p = {over['p']:.3g}")
    if "critical_difference" in over:
        apart = over["critical_difference"]
        lines.append(f"  critical difference of mean ranks (Nemenyi, 95 %): {apart:.2f}")
    if over["reason"]:
        lines.append(f"  {over['reason']}")
    return "\n".join(lines)


def _left_out(entries: Sequence[PairLeftOut]) -> list[str]:
    """Return a line per reason, with the pairs that were left out for it."""
    by_reason: dict[str, list[str]] = {}
    for entry in entries:
        shots = f"{entry['dataset']} {entry['ways']}-way {entry['shots']}-shot"
        other = entry.get("backbone") or entry.get("head")
        by_reason.setdefault(entry["reason"], []).append(
            f"{entry['first']} and {entry['second']} ({other}) on {shots}"
        )
    return [
        f"{', '.join(pairs[:3])}{f' and {len(pairs) - 3} more' if len(pairs) > 3 else ''}: {reason}"
        for reason, pairs in by_reason.items()
    ]
