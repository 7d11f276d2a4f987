"""What the commands on results share: folders, filters, where the answer goes."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.cli.arguments import Parser
from fewshot.exceptions import expect, expect_choice
from fewshot.files import atomic_path, writing

if TYPE_CHECKING:
    from fewshot.results.joining import Store

FILTERS = (
    "task", "dataset", "backbone", "feature", "head", "estimator", "ways", "shots", "seed",
    "queries", "source", "against",
)  # fmt: skip


def parser_of(action: str, description: str, examples: str) -> Parser:
    """A parser whose help ends with examples."""
    return Parser(
        prog=f"fewshot results {action}",
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_folders(parser: Parser) -> None:
    """``DIR ...``"""
    parser.add_argument("folders", nargs="+", metavar="DIR", help="runs, or folders of runs")


def add_filters(parser: Parser, filters: Sequence[str] = FILTERS) -> None:
    """``--head a,b`` and the like; one stands for all in the help."""
    first, *others = filters
    parser.add_argument(f"--{first}", type=listed, metavar="A,B", help=f"only these: {first}")
    for name in others:
        parser.add_argument(f"--{name}", type=listed, metavar="A,B", help=argparse.SUPPRESS)
    names = ", ".join(f"--{name}" for name in others)
    parser.epilog = f"{names} work alike.\n\n{parser.epilog}"


def filters_of(given: argparse.Namespace) -> dict[str, list[str]]:
    """What was given of `FILTERS`."""
    return {name: value for name in FILTERS if (value := getattr(given, name, None))}


def listed(text: str) -> list[str]:
    """``a,b`` as a list; names of variants of a head have commas in parentheses."""
    parts = re.split(r",(?![^()]*\))", text)
    return [one for one in (part.strip() for part in parts) if one]


@contextmanager
def opened(folders: Sequence[str], action: str) -> Iterator[Store]:
    """All runs under the folders; what was left out is said in the end, after mistakes too."""
    from fewshot.results.joining import Store
    from fewshot.results.store import find_runs, store_warnings

    argument = f"fewshot results {action}"
    store = Store(find_runs(folders, argument), argument)
    try:
        yield store
    finally:
        for line in store_warnings(store.summary()) if store.runs else ():
            print(f"fewshot: {line}", file=sys.stderr)


def exit_code(store: Store) -> int:
    """2 where runs were left out."""
    return 2 if store.unreadable else 0


def check_format(given: str, formats: Sequence[str]) -> None:
    """Raise unless the format is one of them."""
    expect_choice("--format", given, formats)


def emit(text: str, output: str | None) -> None:
    """Print `text`, or write the file `output`, whole or not at all."""
    if output is None:
        with writing("stdout", Path("standard output")):
            sys.stdout.write(text)
            sys.stdout.flush()  # here, where a closed pipe is expected
        return
    path = Path(output).expanduser()
    expect(bool(path.name), "--output", f"expected a file, got {output!r}")
    with writing("--output", path), atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"Written: {path}", file=sys.stderr)
