"""``fewshot results migrate``: rewrite runs of earlier versions in the present form."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fewshot.cli.results_common import add_folders, create_parser
from fewshot.exceptions import FewshotError

EXAMPLES = """\
  fewshot results migrate runs

No command needs this: earlier versions are read as they are. Other programs may. Files are
replaced one by one, each whole or not at all; an interrupted migration is continued by the same
command. Rows stay what they are, bit for bit."""


def main(argv: Sequence[str]) -> int:
    """Rewrite run folders of earlier versions, and cells that interrupted runs kept."""
    parser = create_parser("migrate", main.__doc__ or "", EXAMPLES)
    add_folders(parser)
    arguments = parser.parse_args(argv)
    from fewshot.results.folders import named_folder, runs_and_kept
    from fewshot.results.schema import SCHEMA_VERSION
    from fewshot.results.store import migrate_run

    given = (named_folder(name, parser.prog) for name in arguments.folders)
    runs_by_folder = (runs_and_kept(folder, parser.prog) for folder in given)
    folders = list(dict.fromkeys(run for runs in runs_by_folder for run in runs))
    counted, refused = 0, 0
    for folder in folders:
        try:
            before = migrate_run(folder)
        except FewshotError as error:
            if error.remedy.startswith("Free some space"):
                raise
            refused += 1
            print(f"fewshot: refused: {folder}: {error.problem}. {error.remedy}", file=sys.stderr)
            continue
        if before is not None:
            counted += 1
            print(f"{folder}: version {before} to {SCHEMA_VERSION}")
    alike = len(folders) - counted - refused
    print(f"{counted} rewritten, {alike} of version {SCHEMA_VERSION} already, {refused} refused.")
    return 2 if refused else 0
