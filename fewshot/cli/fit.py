"""``fewshot fit``: a classifier fitted on a few labelled images, as a file to take away."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.cli.arguments import Parser, print_json
from fewshot.cli.predict_options import (
    SUPPORT,
    add_calibration,
    add_networks_and_heads,
    add_reading,
    add_unlabelled,
    in_options,
    shared_options,
)
from fewshot.exceptions import FewshotError, expect_choice

if TYPE_CHECKING:
    from fewshot.evaluation.forecasts import Forecasts

DESCRIPTION = """\
Fit a classifier on a few labelled images and write it to a file: the backbone and the head whose
predicted error is the lowest, of those that are named. No validation set is needed.

examples:
  fewshot fit my_images --output birds.fewshot
  fewshot fit my_images --output birds.fewshot --backbone efficientnet_lite0,dinov2_vits14
  fewshot fit my_images --output birds.fewshot --head lda --with-weights
  fewshot fit features.npz --output birds.fewshot
  fewshot classify birds.fewshot new_images
  fewshot card birds.fewshot
  fewshot fit my_scenes --task segmentation --output scenes.fewshot
"""
MASKS = "segmentation"


def main(argv: Sequence[str]) -> int:
    """Fit a classifier, write it, and print what it is."""
    if task_of(argv) == MASKS:  # which has other options
        from fewshot.cli.fit_masks import main as fit_masks

        return fit_masks(argv)
    arguments = _parser().parse_args(argv)
    expect_choice("--task", arguments.task, ("classification", MASKS))
    try:
        return _fit(arguments)
    except FewshotError as error:
        here = in_options(error, path="--output", strict=arguments.strict)
        argument = "--with-weights" if here.argument == "with_weights" else here.argument
        raise FewshotError(argument, here.problem, here.remedy) from None


def task_of(argv: Sequence[str]) -> str | None:
    """The value of --task, on which the other options depend."""
    parser = Parser(prog="fewshot fit", add_help=False, allow_abbrev=False)
    parser.add_argument("--task")
    task: str | None = parser.parse_known_args(argv)[0].task
    return task


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot fit",
        usage="fewshot fit DIR --output FILE [OPTIONS]",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("support", metavar="DIR", help=SUPPORT)
    add("--output", metavar="FILE", required=True,
        help="where the model is written, by custom NAME.fewshot; a model there is "
        "replaced")  # fmt: skip
    add("--with-weights", action="store_true",
        help="pack the weights of the network into the file, for machines that lack "
        "them")  # fmt: skip
    add("--task", default="classification", metavar="NAME",
        help="classification, or segmentation, which has options of its own: "
        "`fewshot fit --task segmentation --help`")  # fmt: skip
    add("--json", action="store_true", help="print JSON instead of words")
    add_networks_and_heads(parser)
    add_unlabelled(parser)
    add_calibration(parser)
    add_reading(parser)
    return parser


def _fit(arguments: argparse.Namespace) -> int:
    from fewshot.evaluation.predict import predict
    from fewshot.models.classifier import Classifier
    from fewshot.models.file import model_to_write

    read = [arguments.support, arguments.base, arguments.calibrator, *(arguments.unlabelled or ())]
    target = model_to_write("path", arguments.output, read)
    forecasts = predict(arguments.support, **shared_options(arguments))
    Classifier.of(forecasts).save(target, arguments.with_weights)
    if arguments.json:
        print_json(_as_json(forecasts, target))
    else:
        print(_in_words(forecasts, target))
    return 0


def _as_json(forecasts: Forecasts, target: Path) -> dict[str, Any]:
    from fewshot import __version__
    from fewshot.models.file import read_model
    from fewshot.models.header import header_facts

    content = forecasts.as_json()
    kept = {key: content[key] for key in ("answer", "taken", "images", "skipped", "forecasts")}
    model = header_facts(read_model(target, "path").header)
    del model["card"]
    file = {"path": str(target), "bytes": target.stat().st_size}
    return {"fewshot": __version__, **kept, "file": file, "model": model}


def _in_words(forecasts: Forecasts, target: Path) -> str:
    from fewshot.models.card import in_short
    from fewshot.models.file import read_model
    from fewshot.report.aligned import terminal_width

    header = read_model(target, "path").header
    following = "" if header.backbone is None else "fewshot classify {} IMAGES"
    answer = forecasts.answer.text(terminal_width())
    return f"{answer}\n\n{file_text(target, in_short(header), following)}"


def file_text(target: Path, content: str, following: str) -> str:
    """The lines about a model file that was written.

    Parameters
    ----------
    target : Path
    content : str
        What is in it, in a sentence or two.
    following : str
        A command that uses the model, with ``{}`` for its name; empty if there is none.
    """
    from fewshot.report.aligned import terminal_width, wrapped_to
    from fewshot.report.wording import plain
    from fewshot.units import size

    name = plain(shlex.quote(str(target)))
    file = f"Model: {plain(target)}, {size(target.stat().st_size)}. {content}"
    lines = [*wrapped_to(file, terminal_width()), f"Its card: fewshot card {name}"]
    if following:
        lines.append(f"Next: {following.replace('{}', name)}")
    return "\n".join(lines)
