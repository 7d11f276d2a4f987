"""``fewshot results compare``: heads or backbones on the same episodes, and over data sets."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from fewshot.cli.results_common import (
    add_filters,
    add_folders,
    check_format,
    emit,
    exit_code,
    filters_of,
    listed,
    opened,
    parser_of,
)
from fewshot.exceptions import expect
from fewshot.report.wording import percent

FILTERS = ("dataset", "head", "backbone", "feature", "ways", "shots", "seed")
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
    parser = parser_of("compare", main.__doc__ or "", EXAMPLES)
    add_folders(parser)
    parser.add_argument("--heads", type=listed, metavar="A,B")
    parser.add_argument("--backbones", type=listed, metavar="A,B")
    add_filters(parser, FILTERS)
    parser.add_argument("--format", default="table", help=", ".join(FORMATS))
    parser.add_argument("--output", metavar="FILE")
    given = parser.parse_args(argv)
    check_format(given.format, FORMATS)
    expect(
        (given.heads is None) != (given.backbones is None),
        "fewshot results compare",
        "expected one of --heads A,B and --backbones A,B",
    )
    from fewshot.results.comparing import compare

    of = "backbone" if given.heads is None else "head"
    with opened(given.folders, "compare") as store:
        found = compare(store, of, given.heads or given.backbones, filters_of(given))
        emit(_text(found, given.format), given.output)
        for line in _left_out(found["left_out"]):
            print(f"fewshot: not compared: {line}", file=sys.stderr)
    return exit_code(store)


def _text(found: Mapping[str, Any], form: str) -> str:
    if form == "json":
        return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    import pandas as pd

    from fewshot.report.text import rows as rows_text

    rows = pd.DataFrame([_row(one, form) for one in found["pairs"]])
    if form == "csv":
        return rows_text.csv_text(rows)
    write = rows_text.table_text if form == "table" else rows_text.markdown_text
    return f"{write(rows)}\n{_over(found['over_datasets'])}\n"


def _row(one: Mapping[str, Any], form: str) -> dict[str, Any]:
    """A pair; for programs with bounds, for the eye with half widths in points."""
    intervals = one["intervals"]
    apart = ("intervals", "mean", "lower", "upper")
    row = {key: value for key, value in one.items() if key not in apart}
    if form == "csv":
        bounds = {
            f"{name}_{side}": own[side]
            for name, own in intervals.items()
            for side in ("lower", "upper")
        }
        return {**row, "difference": one["mean"], **bounds}
    last = {key: row.pop(key) for key in ("better", "equal", "worse", "p")}
    halves = {f"± {name}": _half(own) for name, own in intervals.items()}
    return {**row, "difference": percent(one["mean"], digits=2, sign=True), **halves, **last}


def _half(interval: Mapping[str, Any]) -> str:
    if interval["lower"] is None:
        return "-"
    return f"{50 * (interval['upper'] - interval['lower']):.2f}"


def _over(over: Mapping[str, Any]) -> str:
    """The test over data sets in a few lines."""
    sets = over["datasets"]
    lines = [f"Over {len(sets)} data set{'s' * (len(sets) != 1)}:"]
    ranks = over.get("ranks", {})
    for name, mean in over.get("means", {}).items():
        rank = f", mean rank {ranks[name]:.2f}" if name in ranks else ""
        lines.append(f"  {name}: mean accuracy {100 * mean:.1f} %{rank}")
    if over["test"]:
        lines.append(f"  {over['test']}: p = {over['p']:.3g}")
    if "critical_difference" in over:
        apart = over["critical_difference"]
        lines.append(f"  critical difference of mean ranks (Nemenyi, 95 %): {apart:.2f}")
    if over["reason"]:
        lines.append(f"  {over['reason']}")
    return "\n".join(lines)


def _left_out(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per reason."""
    counted: dict[str, list[str]] = {}
    for one in entries:
        shots = f"{one['dataset']} {one['ways']}-way {one['shots']}-shot"
        other = one.get("backbone") or one.get("head")
        counted.setdefault(one["reason"], []).append(
            f"{one['first']} and {one['second']} ({other}) on {shots}"
        )
    return [
        f"{', '.join(own[:3])}{f' and {len(own) - 3} more' if len(own) > 3 else ''}: {reason}"
        for reason, own in counted.items()
    ]
