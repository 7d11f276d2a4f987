"""``fewshot classify``: labels of images by a model file, doubt first."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from fewshot.cli.arguments import Parser


def main(argv: Sequence[str]) -> int:
    """Print labels."""
    arguments = _parser().parse_args(argv)
    from fewshot.models.loading import load

    labels = load(arguments.model).classify(arguments.images)
    if arguments.json:
        print(json.dumps(labels.as_json(), indent=2, ensure_ascii=False))
    else:
        print(labels.table.to_string())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="fewshot classify", usage="fewshot classify MODEL IMAGES ... [OPTIONS]")
    add = parser.add_argument
    add("model", metavar="MODEL", help="a file of `fewshot fit`")
    add("images", metavar="IMAGES", nargs="+", help="images, and folders of them at any depth")
    add("--json", action="store_true", help="print JSON instead of words")
    return parser
