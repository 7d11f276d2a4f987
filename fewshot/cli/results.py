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

  query RUN ...              rows that are wanted, as a table, CSV or JSON; or SQL over them
  export RUN ...             a table for a paper, as LaTeX, Markdown or CSV
  compare RUN ...            heads or backbones on the same episodes, and over data sets
  published [RUN ...]        published figures, and rows of runs beside them
  merge SOURCE ... --into DIR   runs of several machines in one store
  migrate RUN ...            rewrite runs of earlier versions in the present form

RUN is a run or a folder of runs, `latest`, or a part of the name of a single run in runs/. Damaged
runs are left out and named on standard error; the exit code is 2 then, although the rest is done.
fewshot results ACTION --help says more.
"""


def main(argv: Sequence[str]) -> int:
    """Run an action of ``fewshot results``."""
    return run_action("fewshot results", ACTIONS, HELP, argv)
