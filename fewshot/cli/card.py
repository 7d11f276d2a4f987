"""``fewshot card``: the card of a model file, or its whole header."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fewshot.cli.arguments import Parser, print_json
from fewshot.exceptions import FewshotError


def main(argv: Sequence[str]) -> int:
    """Print the card of a model."""
    arguments = _parser().parse_args(argv)
    from fewshot.files import path_of
    from fewshot.models.file import read_model
    from fewshot.models.header import header_facts
    from fewshot.report.wording import plain

    try:
        header = read_model(path_of("path", arguments.model), "path").header
    except FewshotError as error:
        argument = "MODEL" if error.argument == "path" else error.argument
        raise FewshotError(argument, error.problem, error.remedy) from None
    if arguments.json:
        print_json(header_facts(header))
    else:
        # Line by line, as a file of others may hold anything.
        print("\n".join(plain(line) for line in header.card.rstrip("\n").split("\n")))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot card",
        usage="fewshot card MODEL [--json]",
        description="Print what a model tells apart, its predicted error, and what it needs, as "
        "Markdown.",
    )
    parser.add_argument("model", metavar="MODEL", help="a file of `fewshot fit`")
    parser.add_argument("--json", action="store_true", help="print the header of the file as JSON")
    return parser
