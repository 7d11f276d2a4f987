"""``fewshot results``: queries, tables, comparisons and stores of the rows of runs."""

from __future__ import annotations

from collections.abc import Sequence

from fewshot.cli.arguments import run_action

ACTIONS = {
    "query": "fewshot.cli.results_query",
    "export": "fewshot.cli.results_export",
    "compare": "fewshot.cli.results_compare",
    "published": "fewshot.cli.results_published",
    "merge": "fewshot.cli.results_merge",
    "migrate": "fewshot.cli.results_migrate",
}
HELP = """\
usage: fewshot results ACTION ...

  query DIR ...              rows that are wanted, as a table, CSV or JSON; or SQL over them
  export DIR ...             a table for a paper, as LaTeX, Markdown or CSV
  compare DIR ...            heads or backbones on the same episodes, and over data sets
  published [DIR ...]        published figures, and rows of runs beside them
  merge SOURCE ... --into DIR   runs of several machines in one store
  migrate DIR ...            rewrite runs of earlier versions in the present form

DIR is a run, or a folder of runs. Damaged runs are left out and named on standard error; the
exit code is 2 then, although the rest is done. fewshot results ACTION --help says more.
"""


def main(argv: Sequence[str]) -> int:
    """Run an action of ``fewshot results``."""
    return run_action("fewshot results", ACTIONS, HELP, argv)
