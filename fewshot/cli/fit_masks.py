"""``fewshot fit --task segmentation``: a model of a few annotated images, as a file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.cli.arguments import Parser, print_json, reworded
from fewshot.cli.mask_options import SETTING, add_dense_head
from fewshot.cli.predict_options import file_text
from fewshot.exceptions import FewshotError

if TYPE_CHECKING:
    from fewshot.models.segmentation.segmenter import Segmenter

EPILOG = """\
DIR has images/ and masks/, or another layout of docs/datasets.md. The head is fitted on those of
train.txt, or on all where there is none.

examples:
  fewshot fit my_scenes --task segmentation --output scenes.fewshot
  fewshot fit my_scenes --task segmentation --output scenes.fewshot --head auto --size short:512
  fewshot segment scenes.fewshot new_images --out masks
"""
# Arguments below this command, and those of the command line that stand for them in errors.
ARGUMENTS = {"images": "DIR", "dataset": "DIR", "dataset.root": "DIR", "path": "--output",
             "head": "--head", "backbone": "--backbone", "device": "--device",
             "with_weights": "--with-weights", "weights": "--weights",
             "segmentation.size": "--size"}  # fmt: skip
WORDS = {"Set device=": "Give --device "}


def main(argv: Sequence[str]) -> int:
    """Fit a segmentation model, write it, and print what is predicted of it."""
    settings = [word for word in argv if SETTING.fullmatch(word)]
    arguments = _parser().parse_args([word for word in argv if word not in settings])
    try:
        return _fit(arguments, settings)
    except FewshotError as error:
        raise reworded(error, ARGUMENTS, WORDS) from None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot fit",
        usage="fewshot fit DIR --task segmentation --output MODEL [OPTIONS] [SETTING=VALUE ...]",
        description="Fit a head on a few annotated images, and write it as a model to take away.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("images", metavar="DIR", help="annotated images, or a name of `fewshot list datasets`")
    add("--task", help="segmentation")
    add("--output", metavar="MODEL", required=True, help="where the model is written")
    add("--with-weights", action="store_true", help="pack the weights of the network")
    add_dense_head(parser)
    add("--json", action="store_true", help="print JSON instead of words")
    add("--weights", metavar="DIR", help="where weights are looked for first")
    add("--device", default="auto", help="auto, cpu, cuda ... (%(default)s)")
    return parser


def _fit(arguments: argparse.Namespace, settings: Sequence[str]) -> int:
    from fewshot.models.file import model_to_write
    from fewshot.models.fit import fit

    target = model_to_write("path", arguments.output, [arguments.images])
    segmenter = fit(
        arguments.images,
        task="segmentation",
        head=arguments.head,
        backbone=arguments.backbone,
        options={} if arguments.size is None else {"size": arguments.size},
        settings=settings,
        prediction=not arguments.no_prediction,
        device=arguments.device,
        weights=arguments.weights,
    )
    segmenter.save(target, arguments.with_weights)
    if arguments.json:
        print_json(_as_json(segmenter, target))
    else:
        print(_in_words(segmenter, target))
    return 0


def _in_words(segmenter: Segmenter, target: Path) -> str:
    from fewshot.models.card import weights_text
    from fewshot.models.file import read_model
    from fewshot.report.text.segmented import model_text

    content = weights_text(read_model(target, "path").header)
    file = file_text(target, content, "fewshot segment {} IMAGES --out FOLDER")
    return f"{model_text(segmenter)}\n\n{file}"


def _as_json(segmenter: Segmenter, target: Path) -> dict[str, object]:
    from fewshot import __version__
    from fewshot.report.text.segmented import prediction_facts

    predicted, header = segmenter.predicted, segmenter.header_
    return {
        "fewshot": __version__,
        "model": str(target),
        "head": segmenter.name_of_head,
        "backbone": header.backbone and header.backbone.name,
        "dataset": header.name,
        "annotated": segmenter.dense.annotated,
        "images": header.images,
        "predicted": predicted
        and prediction_facts(predicted, segmenter.classnames, segmenter.dense.level),
    }
