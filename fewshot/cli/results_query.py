"""``fewshot results query``: rows that are wanted, or SQL over them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fewshot.cli.results_common import (
    add_filters,
    add_folders,
    check_format,
    create_parser,
    exit_code,
    filters_of,
    format_rows,
    open_store,
    split_list,
    write_output,
)
from fewshot.exceptions import expect

if TYPE_CHECKING:
    import pandas as pd

    from fewshot.results.joining import Store

FORMATS = ("table", "csv", "json", "markdown")
# Number of rows that are printed as a table without --limit.
SHOWN = 100
EXAMPLES = """\
  fewshot results query runs --sort accuracy:desc --limit 10
  fewshot results query runs --head ncm,lda --shots 1,5 --columns dataset,head,shots,accuracy
  fewshot results query runs --table episodes --dataset eurosat --format csv --output rows.csv
  fewshot results query runs --sql 'SELECT head, avg(accuracy) FROM episodes GROUP BY head'

tables: cells (a row per cell: means, intervals, each estimator's numbers as auto_mae ...),
episodes, predictions, verification, one_class, and those of other tasks; their columns are in
docs/results.md.
--sql needs the extra: pip install '.[sql]' in the clone. It sees these tables and no file."""


def main(argv: Sequence[str]) -> int:
    """Print the rows of runs that are wanted."""
    parser = create_parser("query", main.__doc__ or "", EXAMPLES)
    add_folders(parser)
    parser.add_argument("--table", metavar="NAME", help="default: cells")
    parser.add_argument("--columns", type=split_list, metavar="A,B", help="default: all")
    parser.add_argument("--sort", metavar="COLUMN[:desc]")
    parser.add_argument("--limit", type=int, metavar="N", help=f"a table shows {SHOWN} by default")
    parser.add_argument("--sql", metavar="STATEMENT", help="in place of all these")
    parser.add_argument("--format", default="table", help=", ".join(FORMATS))
    parser.add_argument("--output", metavar="FILE")
    add_filters(parser)
    arguments = parser.parse_args(argv)
    check_format(arguments.format, FORMATS)
    expect(
        arguments.limit is None or arguments.limit > 0,
        "--limit",
        f"expected > 0, got {arguments.limit}",
    )
    chosen = filters_of(arguments)
    if arguments.sql is not None:
        others = [
            *chosen,
            *(name for name in ("table", "columns", "sort") if getattr(arguments, name)),
        ]
        expect(
            not others,
            "--sql",
            f"says all itself, got --{' --'.join(others)} too",
            "Write that into the statement.",
        )
    with open_store(arguments.folders, "query") as store:
        rows = _rows(store, arguments, chosen)
        shorten = (
            arguments.limit is None and arguments.output is None and arguments.format == "table"
        )
        write_output(
            format_rows(rows.head(SHOWN) if shorten else rows, arguments.format), arguments.output
        )
        if shorten and len(rows) > SHOWN:
            print(f"... and {len(rows) - SHOWN:,} more rows; --limit shows more", file=sys.stderr)
    return exit_code(store)


def _rows(
    store: Store, arguments: argparse.Namespace, chosen: dict[str, list[str]]
) -> pd.DataFrame:
    if arguments.sql is not None:
        from fewshot.results.sql import query_sql

        rows = query_sql(store, arguments.sql)
        return rows if arguments.limit is None else rows.head(arguments.limit)
    from fewshot.results.querying import CELLS, query

    table = arguments.table or CELLS
    return query(store, table, chosen, arguments.columns, arguments.sort, arguments.limit)
