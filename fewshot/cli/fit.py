"""``fewshot fit``: a classifier fitted on a few labelled images, as a file to take away."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fewshot.cli.arguments import Parser


def main(argv: Sequence[str]) -> int:
    """Fit a classifier and write it."""
    arguments = _parser().parse_args(argv)
    from fewshot.evaluation.notices import OnTerminal
    from fewshot.models.fit import fit

    classifier = fit(arguments.images, notices=OnTerminal())
    classifier.save(arguments.output, arguments.with_weights)
    print(f"Model: {arguments.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="fewshot fit", usage="fewshot fit DIR --output FILE [OPTIONS]")
    add = parser.add_argument
    add("images", metavar="DIR", help="one sub-folder of images per class")
    add("--output", metavar="FILE", required=True, help="where the model is written")
    add("--with-weights", action="store_true", help="pack the weights of the network")
    return parser
