"""``fewshot fit``: a classifier fitted on a few labelled images, as a file to take away."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fewshot.cli.arguments import Parser
from fewshot.exceptions import expect_choice


def main(argv: Sequence[str]) -> int:
    """Fit a classifier and write it."""
    if task_of(argv) == "segmentation":
        from fewshot.cli.fit_masks import main as fit_masks

        return fit_masks(argv)
    arguments = _parser().parse_args(argv)
    expect_choice("--task", arguments.task, ("classification", "segmentation"))
    from fewshot.evaluation.notices import OnTerminal
    from fewshot.models.fit import fit

    classifier = fit(arguments.images, notices=OnTerminal())
    classifier.save(arguments.output, arguments.with_weights)
    print(f"Model: {arguments.output}")
    return 0


def task_of(argv: Sequence[str]) -> str | None:
    """The value of --task, by which the other options are read."""
    words = [word.partition("=") for word in argv]
    for word, (name, equals, value) in enumerate(words):
        if name == "--task":
            return value if equals else next(iter(argv[word + 1 : word + 2]), None)
    return None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="fewshot fit", usage="fewshot fit DIR --output FILE [OPTIONS]")
    add = parser.add_argument
    add("images", metavar="DIR", help="one sub-folder of images per class")
    add("--task", default="classification", metavar="NAME",
        help="classification, or segmentation (see --task segmentation --help)")  # fmt: skip
    add("--output", metavar="FILE", required=True, help="where the model is written")
    add("--with-weights", action="store_true", help="pack the weights of the network")
    return parser
