"""``fewshot bank``: features on disk."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from fewshot.cli.arguments import Parser
from fewshot.exceptions import expect_number
from fewshot.features import catalogue as shelf
from fewshot.features.catalogue import Entry
from fewshot.files import writing
from fewshot.paths import places_of_environment
from fewshot.units import size

Action = Callable[[argparse.Namespace, Path], int]

EPILOG = """\
A bank is named by its folder, or by the beginning of the folder's name or of its key.

examples:
  fewshot bank list
  fewshot bank show digits
  fewshot bank verify
  fewshot bank export digits --output digits.npz
  fewshot bank gc --dry-run
  fewshot bank gc --unused 90
"""


def main(argv: Sequence[str]) -> int:
    """Look at banks, check, export or delete them."""
    given = _parser().parse_args(argv)
    act: Action = given.act
    return act(given, places_of_environment(cache=given.cache).banks)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot bank", description=main.__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, act: Action) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = actions.add_parser(name, help=act.__doc__)
        made.set_defaults(act=act)
        made.add_argument("--cache", metavar="DIR", help="paths.cache of the runs")
        return made

    action("list", _list).add_argument("--json", action="store_true", help="print JSON")
    action("show", _show).add_argument("bank", metavar="BANK")
    verify = action("verify", _verify)
    verify.add_argument("banks", nargs="*", metavar="BANK", help="all by default")
    export = action("export", _export)
    export.add_argument("bank", metavar="BANK")
    export.add_argument(
        "--output", required=True, metavar="FILE", help=".npz, .safetensors or .parquet"
    )
    collect = action("gc", _collect)
    collect.add_argument("banks", nargs="*", metavar="BANK", help="delete these, whatever they are")
    collect.add_argument(
        "--unfinished", type=float, default=7, metavar="DAYS",
        help="unfinished ones that nobody worked on for so long (%(default)s)",
    )  # fmt: skip
    collect.add_argument(
        "--unused", type=float, metavar="DAYS", help="also banks that nobody read for so long"
    )
    collect.add_argument("-n", "--dry-run", action="store_true", help="only say what would go")
    return parser


def _list(given: argparse.Namespace, cache: Path) -> int:
    """banks, with what they hold"""
    known = shelf.entries(cache)
    if given.json:
        print(json.dumps([entry.facts() for entry in known], indent=2, ensure_ascii=False))
        return 0
    for entry in known:
        print(entry if entry.state != "ready" else f"{entry.name}\n    {entry}")
    total = size(sum(entry.bytes for entry in known))
    print(f"{len(known)} bank{'s' * (len(known) != 1)}, {total}, in {cache}")
    return 0


def _show(given: argparse.Namespace, cache: Path) -> int:
    """everything that is known of a bank"""
    entry = shelf.find(cache, given.bank)
    print(json.dumps(entry.facts() | {"note": entry.note}, indent=2, ensure_ascii=False))
    return 0


def _verify(given: argparse.Namespace, cache: Path) -> int:
    """read banks and compare them with what was written"""
    wanted = [shelf.find(cache, name) for name in given.banks] or shelf.entries(cache)
    bad = 0
    for entry in wanted:
        found = shelf.faults(entry)
        fine = entry.state in ("unfinished", "outdated")
        print(f"{entry.name}: {'; '.join(found) or 'ok'}")
        bad += bool(found) and not fine
    if bad:
        remedy = "delete them with fewshot bank gc BANK, and they are extracted again."
        print(f"fewshot: {bad} of {len(wanted)} banks are damaged; {remedy}", file=sys.stderr)
    return 2 if bad else 0


def _export(given: argparse.Namespace, cache: Path) -> int:
    """write a bank as one file that dataset=features reads"""
    from fewshot.features.bank import OF_IMAGES
    from fewshot.features.export import export
    from fewshot.features.store import open_bank

    entry = shelf.find(cache, given.bank)
    bank, target = replace(open_bank(entry.folder), normalize=OF_IMAGES), Path(given.output)
    export(bank, target)
    print(f"{entry}: {target}, {size(target.stat().st_size)}")
    return 0


def _collect(given: argparse.Namespace, cache: Path) -> int:
    """delete what is left of extractions that were given up, and damaged banks"""
    for option, days in (("--unfinished", given.unfinished), ("--unused", given.unused)):
        if days is not None:
            expect_number(option, days, 0)
    named = [shelf.find(cache, name) for name in given.banks]
    going: list[Entry] = named or list(shelf.leftovers(cache, given.unfinished, given.unused))
    for entry in going:
        if not given.dry_run:
            with writing("paths.cache", entry.folder):
                shelf.remove(entry)
        print(
            f"{'would delete' if given.dry_run else 'deleted'} {entry.name} "
            f"({entry.state}, {size(entry.bytes)})"
        )
    freed = size(sum(entry.bytes for entry in going))
    print(f"{len(going)} bank{'s' * (len(going) != 1)}, {freed}")
    return 0
