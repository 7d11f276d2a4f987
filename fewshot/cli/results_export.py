"""``fewshot results export``: a table for a paper."""

from __future__ import annotations

import sys
from collections.abc import Sequence

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

FORMATS = ("csv", "markdown", "latex")
EXAMPLES = """\
  fewshot results export runs --format latex --output table.tex
  fewshot results export runs --rows head --columns dataset,shots --backbone resnet18
  fewshot results export runs --measure mae --estimator auto --rows dataset,head --columns shots
  fewshot results export runs --format csv --measure mae --rows estimator --columns head,shots

measures: accuracy, error; of estimators mae, rmse, bias, predicted_error, coverage, width, skill,
spearman, slope; of task=verification auroc, average_precision, fpr95; of task=open_set auroc,
closed_accuracy, oscr, average_precision, fpr95; of task=one_class macro_f1, f1, balanced_accuracy,
auroc, average_precision, regret.
Numbers are means over the seeds. The best of a column is bold, what is not clearly worse on the
same episodes is underlined. A note says how all was made; LaTeX needs \\usepackage{booktabs}."""


def main(argv: Sequence[str]) -> int:
    """Print a table with a row per head and backbone and a column per data set and shots."""
    parser = create_parser("export", main.__doc__ or "", EXAMPLES)
    add_folders(parser)
    parser.add_argument("--format", default="markdown", help=", ".join(FORMATS))
    parser.add_argument("--rows", type=split_list, metavar="A,B", help="default: head,backbone")
    parser.add_argument("--columns", type=split_list, metavar="A,B", help="default: dataset,shots")
    parser.add_argument("--measure", metavar="NAME", help="default: accuracy, or the task's own")
    parser.add_argument(
        "--interval", default="episodes", metavar="NAME", help="episodes, images, classes or none"
    )
    parser.add_argument("--output", metavar="FILE")
    add_filters(parser)
    arguments = parser.parse_args(argv)
    check_format(arguments.format, FORMATS)
    filters = filters_of(arguments)
    estimators = filters.pop("estimator", None)
    from fewshot.report.text.pivot import csv_table, latex_table, markdown_table
    from fewshot.results.measures import main_measure
    from fewshot.results.pivot import pivot, tasks_left

    write = {
        "csv": csv_table,
        "markdown": markdown_table,
        "latex": latex_table,
    }[arguments.format]
    with open_store(arguments.folders, "export") as store:
        table = pivot(
            store,
            arguments.rows,
            arguments.columns,
            arguments.measure,
            estimators,
            arguments.interval,
            filters,
        )
        write_output(write(table), arguments.output)
        for task in tasks_left(store, table.measure, filters):
            print(f"fewshot: not shown: {task} (--measure {main_measure(task)})", file=sys.stderr)
    return exit_code(store)
