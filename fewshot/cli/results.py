"""``fewshot results``: what to do with the rows of many runs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from fewshot.exceptions import FewshotError, UnknownNameError

# None is imported before it is asked for.
ACTIONS = {
    "query": "fewshot.cli.results_query",
    "export": "fewshot.cli.results_export",
    "compare": "fewshot.cli.results_compare",
    "merge": "fewshot.cli.results_merge",
    "migrate": "fewshot.cli.results_migrate",
}
HELP = """\
usage: fewshot results ACTION ...

  query DIR ...              rows that are wanted, as a table, CSV or JSON; or SQL over them
  export DIR ...             a table for a paper, as LaTeX, Markdown or CSV
  compare DIR ...            heads or backbones on the same episodes, and over data sets
  merge SOURCE ... --into DIR   runs of several machines in one store
  migrate DIR ...            rewrite runs of earlier versions in the present form

DIR is a run, or a folder of runs. Damaged runs are left out and named on standard error; the
exit code is 2 then, although the rest is done. fewshot results ACTION --help says more.
"""


def main(argv: Sequence[str]) -> int:
    """Hand the arguments to one of the actions."""
    action, *rest = argv or [""]
    if action in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if not action:
        raise FewshotError("fewshot results", "expected an action, got none", "See --help.")
    if action not in ACTIONS:
        raise UnknownNameError("fewshot results", action, ACTIONS)
    run = import_module(ACTIONS[action]).main
    return int(run(rest))
