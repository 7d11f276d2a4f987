"""Shared arguments and output of the commands on results."""

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
from fewshot.tasks import known_tasks

if TYPE_CHECKING:
    import pandas as pd

    from fewshot.results.joining import Store

RUN = "runs or folders of runs: a path, latest, or a part of the name of a run in runs/"
FILTERS = (
    "task", "dataset", "part", "backbone", "feature", "head", "variant", "estimator", "ways",
    "shots", "seed", "queries",
)  # fmt: skip


def create_parser(action: str, description: str, examples: str) -> Parser:
    """Create a parser whose help ends with examples."""
    return Parser(
        prog=f"fewshot results {action}",
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_folders(parser: Parser) -> None:
    """Add the argument ``RUN ...``."""
    parser.add_argument("folders", nargs="+", metavar="RUN", help=RUN)


def filter_names() -> tuple[str, ...]:
    """Names of the filters: those of any cell, and keys of tasks, as ``source``."""
    keys = (name for task in known_tasks() for name in task.keys)
    return tuple(dict.fromkeys([*FILTERS, *keys]))


def add_filters(parser: Parser, filters: Sequence[str] | None = None) -> None:
    """Add an option like ``--head a,b`` per filter; the help explains only the first.

    All of `filter_names` by default; one that is an option already is left out.
    """
    taken = {option for action in parser._actions for option in action.option_strings}
    names = filter_names() if filters is None else filters
    first, *others = [name for name in names if f"--{name}" not in taken]
    parser.add_argument(f"--{first}", type=split_list, metavar="A,B", help=f"only these: {first}")
    for name in others:
        parser.add_argument(f"--{name}", type=split_list, metavar="A,B", help=argparse.SUPPRESS)
    listed = ", ".join(f"--{name}" for name in others)
    parser.epilog = f"{listed} work alike.\n\n{parser.epilog}"


def filters_of(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Return the values of the options of `filter_names` that are set."""
    names = filter_names()
    return {name: value for name in names if (value := getattr(arguments, name, None))}


def split_list(text: str) -> list[str]:
    """Split ``a,b`` at commas outside parentheses, which names of variants of a head have."""
    parts = re.split(r",(?![^()]*\))", text)
    return [part for part in (part.strip() for part in parts) if part]


@contextmanager
def open_store(folders: Sequence[str], action: str) -> Iterator[Store]:
    """Yield all runs under the folders; warn of unreadable runs at the end, also after errors."""
    from fewshot.results.folders import find_runs
    from fewshot.results.joining import Store
    from fewshot.results.store import store_warnings

    argument = f"fewshot results {action}"
    store = Store(find_runs(folders, argument), argument)
    try:
        yield store
    finally:
        for line in store_warnings(store.summary()) if store.runs else ():
            print(f"fewshot: {line}", file=sys.stderr)


def exit_code(store: Store) -> int:
    """Return 2 if runs were left out, else 0."""
    return 2 if store.unreadable else 0


def check_format(name: str, formats: Sequence[str]) -> None:
    """Raise unless the format is one of `formats`."""
    expect_choice("--format", name, formats)


def format_rows(rows: pd.DataFrame, form: str) -> str:
    """Rows as a table, CSV, JSON or Markdown."""
    from fewshot.report.text import rows as rows_text

    return {
        "table": rows_text.table_text,
        "csv": rows_text.csv_text,
        "json": rows_text.json_text,
        "markdown": rows_text.markdown_text,
    }[form](rows)


def write_output(text: str, output: str | None) -> None:
    """Print `text`, or write it to the file `output` atomically."""
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
