"""``fewshot results merge``: runs of several machines in one store."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fewshot.cli.results_common import create_parser

EXAMPLES = """\
  fewshot results merge /mnt/node1/runs /mnt/node2/runs --into runs
  fewshot results merge laptop_runs --into runs --dry-run

A run is copied whole or not at all, to the same place below DIR as below its SOURCE. A run that
DIR has already, under whatever name, is passed over; another one of the same name gets a number.
Damaged runs are refused, the others go on, and the exit code is 2. Cells that interrupted runs
kept (.cells) come along, so that those runs may be continued here."""


def main(argv: Sequence[str]) -> int:
    """Copy the runs under each SOURCE into one folder of runs."""
    from fewshot.results.merging import (
        COPIED,
        REFUSED,
        THERE,
        merge,
    )

    parser = create_parser("merge", main.__doc__ or "", EXAMPLES)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="runs, or folders of runs")
    parser.add_argument("--into", required=True, metavar="DIR", help="made if it is not there")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    arguments = parser.parse_args(argv)
    into = Path(arguments.into).expanduser()
    done: Counter[str] = Counter()
    words = {COPIED: "would copy" if arguments.dry_run else "copied", THERE: "already there"}
    for outcome in merge(
        [Path(source).expanduser() for source in arguments.sources], into, arguments.dry_run
    ):
        done[outcome.what] += 1
        if outcome.what == REFUSED:
            print(f"fewshot: refused: {outcome.source}: {outcome.reason}", file=sys.stderr)
        else:
            arrow = "as" if outcome.what == THERE else "to"
            print(f"{words[outcome.what]}: {outcome.source} {arrow} {outcome.target}")
    total = f"{done[COPIED]} {words[COPIED]}, {done[THERE]} already there, {done[REFUSED]} refused"
    print(f"{into}: {total}.")
    return 2 if done[REFUSED] else 0
