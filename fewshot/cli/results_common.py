"""What the commands on results share: folders, filters, where the answer goes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.cli.parser import Parser
from fewshot.exceptions import expect_choice
from fewshot.storage import atomic_path, writing

if TYPE_CHECKING:
    from fewshot.results.joining import Store

FILTERS = ("task", "dataset", "backbone", "feature", "head", "estimator", "ways", "shots", "seed")


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


def add_filters(parser: Parser) -> None:
    """``--head a,b`` and the like."""
    for name in FILTERS:
        parser.add_argument(
            f"--{name}", type=listed, metavar="A,B", help=f"only these: {name}" if name == "task"
            else argparse.SUPPRESS,
        )  # fmt: skip
    names = ", ".join(f"--{name}" for name in FILTERS[1:])
    parser.epilog = f"{names} work alike.\n\n{parser.epilog}"


def filters_of(given: argparse.Namespace) -> dict[str, list[str]]:
    """What was given of `FILTERS`."""
    return {name: value for name in FILTERS if (value := getattr(given, name))}


def listed(text: str) -> list[str]:
    """``a,b`` as a list."""
    return [one for one in (part.strip() for part in text.split(",")) if one]


def opened(folders: Sequence[str], action: str) -> Store:
    """All runs under the folders."""
    from fewshot.results.joining import Store
    from fewshot.results.store import find_runs

    argument = f"fewshot results {action}"
    return Store(find_runs(folders, argument), argument)


def ended(store: Store) -> int:
    """Say what was left out, and give the exit code."""
    from fewshot.results.store import store_warnings

    for line in store_warnings(store.summary()):
        print(f"fewshot: {line}", file=sys.stderr)
    return 2 if store.unreadable else 0


def check_format(given: str, formats: Sequence[str]) -> None:
    """Raise unless the format is one of them."""
    expect_choice("--format", given, formats)


def emit(text: str, output: str | None) -> None:
    """Print `text`, or write the file `output`, whole or not at all."""
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()  # here, where a closed pipe is expected
        return
    path = Path(output).expanduser()
    with writing("--output", path), atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"Written: {path}", file=sys.stderr)
