"""``fewshot classify``: labels of images by a model file, the doubtful first."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.cli.arguments import Parser, print_json, reworded, share_of
from fewshot.exceptions import FewshotError, expect

if TYPE_CHECKING:
    from fewshot.models.classifier import Classifier
    from fewshot.models.labels import Labels

DESCRIPTION = """\
Label images by a model of `fewshot fit`: a label, how probable it is, the runner-up, and which of
the images to look at yourself so that of the others few are wrong. The first line says it all; the
table below it has the most doubtful images first.

examples:
  fewshot classify model.fewshot new_images
  fewshot classify model.fewshot new_images --errors 2% --page labels.html
  fewshot classify model.fewshot a.jpg b.jpg more/ --json > labels.json
  fewshot classify model.fewshot new_images --output labels.csv --order given
"""
EPILOG = """\
--json prints one list, an object per image: file, label, probability, runner_up,
runner_up_probability, look, none_of_these, classes. Images that cannot be read are in no list; each
is named on standard error. exit codes: 0 done, 2 a mistake in what was given, or no image that can
be read.
"""
# Arguments below this command, and those of the command line that stand for them in errors.
ARGUMENTS = {
    "images": "IMAGES", "dataset": "IMAGES", "budget": "--errors", "level": "--level",
    "device": "--device", "weights": "--weights", "backbone": "--backbone", "head": "--head",
}  # fmt: skip
OF_MODEL = {"path": "MODEL", "model": "MODEL"}
WORDS = {
    "name it: backbone=": "name it: --backbone ",
    "load with head=": "give --head ",
    " or features.batch_size": "",
    "Set device=": "Give --device ",
    "set device=": "give --device ",
}
SKIP = ", or set dataset.on_error=skip"


def main(argv: Sequence[str]) -> int:
    """Print labels of images, and write them as files if asked to."""
    arguments = _parser().parse_args(argv)
    try:
        return _classify(arguments)
    except FewshotError as error:
        words = {SKIP: ", or leave out --strict" if arguments.strict else ""}
        raise reworded(error, ARGUMENTS, words | WORDS) from None


def _classify(arguments: argparse.Namespace) -> int:
    from fewshot.evaluation.notices import OnTerminal
    from fewshot.models.classifying import classify
    from fewshot.report.wording import plain
    from fewshot.tasks.classification.labelling.labels import BUDGET, LEVEL

    budget = BUDGET if arguments.errors is None else share_of("--errors", arguments.errors)
    level = LEVEL if arguments.level is None else share_of("--level", arguments.level)
    page, table = _targets(arguments)
    labels = classify(
        _loaded(arguments),
        arguments.images,
        budget=budget,
        level=level,
        on_error="raise" if arguments.strict else "skip",
        notices=OnTerminal(),
    )
    for image in labels.skipped:
        remedy = f". {plain(image['remedy'])}" if image.get("remedy") else ""
        text = f"{plain(image['path'])} ({plain(image['reason'])}){remedy}"
        print(f"fewshot: not classified: {text}", file=sys.stderr)
    written = _write(labels, page, table, arguments)
    if arguments.json:
        print_json(labels.as_json(arguments.order))
    else:
        text = labels.text(
            order=arguments.order, everything=arguments.all, sets=arguments.level is not None,
            rest="--all shows them, --output FILE has them",
        )  # fmt: skip
        print("\n\n".join([text, *(["\n".join(written)] if written else [])]))
    return 0


def _loaded(arguments: argparse.Namespace) -> Classifier:
    from fewshot.models.loading import load_classifier

    try:
        return load_classifier(
            arguments.model, device=arguments.device, weights=arguments.weights,
            backbone=arguments.backbone, head=arguments.head,
        )  # fmt: skip
    except FewshotError as error:
        raise reworded(error, OF_MODEL, {}) from None


def _targets(arguments: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Where the page and the table are written: neither over what is read, nor over the other."""
    from fewshot.files import file_to_write

    read = [arguments.model, *arguments.images]
    page, table = (
        None if value is None else file_to_write(option, value, read, example)
        for option, value, example in (
            ("--page", arguments.page, "labels.html"),
            ("--output", arguments.output, "labels.csv"),
        )
    )
    same = page is not None and table is not None and page.resolve() == table.resolve()
    expect(not same, "--page", "expected another file than --output, got the same")
    return page, table


def _write(
    labels: Labels, page: Path | None, table: Path | None, arguments: argparse.Namespace
) -> list[str]:
    """Write the files that are asked for; lines that say where they are."""
    from fewshot.report.labels.csv import write_labels
    from fewshot.report.wording import plain

    lines = []
    if table is not None:
        write_labels("--output", table, labels.ordered(arguments.order))
        lines.append(f"Labels: {plain(arguments.output)}")
    if page is not None:
        labels.page(page, "--page")
        lines.append(f"Page: {plain(arguments.page)}")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot classify",
        usage="fewshot classify MODEL IMAGES ... [OPTIONS]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="a file of `fewshot fit`")
    add("images", metavar="IMAGES", nargs="+",
        help="images, and folders of them at any depth; for a model of features, files of "
        "features")  # fmt: skip
    add("--errors", metavar="SHARE",
        help="how many of the labels that you do not look at may be wrong, as 2%% or 0.02 "
        "(default: 5%%)")  # fmt: skip
    add("--level", metavar="SHARE",
        help="also print, for every image, a set of classes that has the true one for so many of "
        "the images (default, in --json and --output: 90%%)")  # fmt: skip
    add("--page", metavar="FILE", help="write an HTML page with thumbnails")
    add("--output", metavar="FILE", help="write the labels as CSV")
    add("--json", action="store_true", help="print JSON instead of words")
    add("--all", action="store_true", help="print all images, and not the first 20 alone")
    add("--order", choices=("doubt", "given"), default="doubt",
        help="of the images in all of these: the most doubtful first, or as they were given "
        "(default: %(default)s)")  # fmt: skip
    add("--strict", action="store_true",
        help="stop at images that cannot be read, instead of passing over them")  # fmt: skip
    add("--weights", metavar="DIR", help="where weights are looked for first")
    add("-b", "--backbone", metavar="NAME",
        help="the backbone of the model, where it is code of your own "
        "(callable:MODULE:FUNCTION)")  # fmt: skip
    add("--head", metavar="NAME", help="its head, where that is a class of your own")
    add("--device", default="auto", help="auto, cpu, cuda ... (default: %(default)s)")
    return parser
