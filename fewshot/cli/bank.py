"""``fewshot bank``: list, verify, export and delete features on disk."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from fewshot.cli.arguments import Parser
from fewshot.exceptions import expect, expect_number
from fewshot.features import catalogue
from fewshot.features.catalogue import Entry
from fewshot.files import writing
from fewshot.paths import places_of_environment
from fewshot.units import counted, size

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
    arguments = _parser().parse_args(argv)
    act: Action = arguments.act
    return act(arguments, places_of_environment(cache=arguments.cache).banks)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot bank", description=main.__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, act: Action) -> argparse.ArgumentParser:
        subparser: argparse.ArgumentParser = actions.add_parser(name, help=act.__doc__)
        subparser.set_defaults(act=act)
        subparser.add_argument("--cache", metavar="DIR", help="paths.cache of the runs")
        return subparser

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


def _list(arguments: argparse.Namespace, cache: Path) -> int:
    """banks, with what they hold"""
    entries = catalogue.entries(cache)
    if arguments.json:
        print(json.dumps([entry.facts() for entry in entries], indent=2, ensure_ascii=False))
        return 0
    for entry in entries:
        print(entry if entry.state != "ready" else f"{entry.name}\n    {entry}")
    total = size(sum(entry.bytes for entry in entries))
    print(f"{counted(len(entries), 'bank')}, {total}, in {cache}")
    return 0


def _show(arguments: argparse.Namespace, cache: Path) -> int:
    """everything that is known of a bank"""
    entry = catalogue.find(cache, arguments.bank)
    print(json.dumps(entry.facts() | {"note": entry.note}, indent=2, ensure_ascii=False))
    return 0


def _verify(arguments: argparse.Namespace, cache: Path) -> int:
    """read banks and compare them with what was written"""
    entries = [catalogue.find(cache, name) for name in arguments.banks] or catalogue.entries(cache)
    bad = 0
    for entry in entries:
        faults = catalogue.faults(entry)
        harmless = entry.state in ("unfinished", "outdated")
        print(f"{entry.name}: {'; '.join(faults) or 'ok'}")
        bad += bool(faults) and not harmless
    if bad:
        remedy = "delete them with fewshot bank gc BANK, and they are extracted again."
        print(f"fewshot: {bad} of {len(entries)} banks are damaged; {remedy}", file=sys.stderr)
    return 2 if bad else 0


def _export(arguments: argparse.Namespace, cache: Path) -> int:
    """write a bank as one file that dataset=features reads"""
    from fewshot.features.bank import OF_IMAGES
    from fewshot.features.export import export
    from fewshot.features.store import open_bank

    entry = catalogue.find(cache, arguments.bank)
    problem = f"{entry.name!r} holds grids of dense features, and files of features hold a row each"
    expect(not entry.of_grids, "bank", problem)
    bank, target = replace(open_bank(entry.folder), normalize=OF_IMAGES), Path(arguments.output)
    export(bank, target)
    print(f"{entry}: {target}, {size(target.stat().st_size)}")
    return 0


def _collect(arguments: argparse.Namespace, cache: Path) -> int:
    """delete what is left of extractions that were given up, and damaged banks"""
    for option, days in (("--unfinished", arguments.unfinished), ("--unused", arguments.unused)):
        if days is not None:
            expect_number(option, days, 0)
    named = [catalogue.find(cache, name) for name in arguments.banks]
    entries: list[Entry] = named or list(
        catalogue.leftovers(cache, arguments.unfinished, arguments.unused)
    )
    for entry in entries:
        if not arguments.dry_run:
            with writing("paths.cache", entry.folder):
                catalogue.remove(entry)
        print(
            f"{'would delete' if arguments.dry_run else 'deleted'} {entry.name} "
            f"({entry.state}, {size(entry.bytes)})"
        )
    freed = size(sum(entry.bytes for entry in entries))
    print(f"{counted(len(entries), 'bank')}, {freed}")
    return 0
