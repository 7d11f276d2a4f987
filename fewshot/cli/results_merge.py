"""``fewshot results merge``: runs of several machines in one store."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fewshot.cli.results_common import parser_of

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

    parser = parser_of("merge", main.__doc__ or "", EXAMPLES)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="runs, or folders of runs")
    parser.add_argument("--into", required=True, metavar="DIR", help="made if it is not there")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    given = parser.parse_args(argv)
    into = Path(given.into).expanduser()
    done: Counter[str] = Counter()
    words = {COPIED: "would copy" if given.dry_run else "copied", THERE: "already there"}
    for one in merge([Path(source).expanduser() for source in given.sources], into, given.dry_run):
        done[one.what] += 1
        if one.what == REFUSED:
            print(f"fewshot: refused: {one.source}: {one.reason}", file=sys.stderr)
        else:
            arrow = "as" if one.what == THERE else "to"
            print(f"{words[one.what]}: {one.source} {arrow} {one.target}")
    total = f"{done[COPIED]} {words[COPIED]}, {done[THERE]} already there, {done[REFUSED]} refused"
    print(f"{into}: {total}.")
    return 2 if done[REFUSED] else 0
