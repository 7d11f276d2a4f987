"""``fewshot predict``: predicted error of a classifier fitted on a few labelled images."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.cli.arguments import Parser, reworded
from fewshot.exceptions import FewshotError

if TYPE_CHECKING:
    from fewshot.evaluation.predict import Forecasts
    from fewshot.tasks import Task

# Arguments of `fewshot.predict` that are options here.
OPTIONS = (
    "backbone", "head", "base", "unlabelled", "query", "calibrator", "level", "device", "weights",
    "size",
)  # fmt: skip
# Options that only labels of whole images have.
OF_CLASSIFICATION = ("base", "unlabelled", "query", "calibrator", "output", "scores",
                     "skip_unreadable")  # fmt: skip
SETTING = re.compile(r"(dataset|backbone|segmentation)\.[\w.]+=.*", re.DOTALL)
EPILOG = """\
examples:
  fewshot predict my_images
  fewshot predict my_images --backbone efficientnet_lite0,dinov2_vits14 --head ncm,lda
  fewshot predict my_images --backbone efficientnet_lite0,resnet18 --scores
  fewshot predict my_images --base other_labelled_classes
  fewshot predict my_images --unlabelled camera_roll
  fewshot predict my_scenes --task segmentation
  fewshot predict my_images --query to_label --output labels.csv
"""


def main(argv: Sequence[str]) -> int:
    """Print predicted errors, and labels of query images."""
    settings = [word for word in argv if SETTING.fullmatch(word)]
    arguments = _parser().parse_args([word for word in argv if word not in settings])
    arguments.settings = settings
    try:
        return _predict(arguments)
    except FewshotError as error:
        # Replace settings of a run by the arguments of this command.
        words = {"set dataset.on_error=skip": "give --skip-unreadable", "dataset.root": "DIR"}
        words |= {"estimator.auto.level": "--level", "backbone.size": "--size"}
        words |= {" or features.batch_size": ""}
        here = reworded(error, {}, words)
        argument = here.argument.removeprefix("segmentation.")
        if argument in OPTIONS:
            argument = f"--{argument}"
        elif argument == "images":
            argument = "DIR"
        raise FewshotError(argument, here.problem, here.remedy) from None


def _predict(arguments: argparse.Namespace) -> int:
    from fewshot.evaluation.notices import OnTerminal
    from fewshot.evaluation.predict import HEADS, predict
    from fewshot.tasks import task_named

    task = task_named(arguments.task)
    if task.forecast is None:
        raise FewshotError("--task", f"nothing is predicted from a folder for {task.name}")
    if not task.takes_features:
        return _predict_for(task, arguments)
    if arguments.settings:
        raise FewshotError(arguments.settings[0], f"{task.name} takes options, and no settings")
    if arguments.size is not None and not arguments.size.isdecimal():
        raise FewshotError("--size", f"expected a number of pixels, got {arguments.size!r}")
    forecasts = predict(
        arguments.support,
        backbone=_names(arguments.backbone),
        head=_names(arguments.head or ",".join(HEADS)),
        base=arguments.base,
        unlabelled=arguments.unlabelled,
        query=arguments.query,
        calibrator=arguments.calibrator,
        level=arguments.level,
        on_error="skip" if arguments.skip_unreadable else "raise",
        device=arguments.device,
        weights=arguments.weights,
        size=None if arguments.size is None else int(arguments.size),
        notices=OnTerminal(),
    )
    labels = forecasts.labels() if arguments.query else []
    if arguments.output and labels:
        _write_labels(Path(arguments.output), labels)
    if arguments.json:
        print(json.dumps(_as_json(forecasts, labels), indent=2, ensure_ascii=False))
        return 0
    from fewshot.report.forecast.text import outlook_text, scores_text

    names = list(dict.fromkeys(str(image["path"]) for image in forecasts.skipped))
    print(
        outlook_text(
            forecasts.rows, forecasts.sizes, arguments.level, labels, names, forecasts.notes
        )
    )
    if arguments.scores:
        print(f"\n{scores_text(forecasts.scores)}")
    if arguments.output and labels:
        print(f"\nLabels: {arguments.output}")
    return 0


def _predict_for(task: Task, arguments: argparse.Namespace) -> int:
    """Print what is predicted for a task with data of its own."""
    from fewshot import __version__
    from fewshot.evaluation.notices import OnTerminal
    from fewshot.importing import attribute_at

    for name in OF_CLASSIFICATION:
        if getattr(arguments, name):
            option = f"--{name.replace('_', '-')}"
            raise FewshotError(option, f"expected none with --task {task.name}")
    heads = {} if arguments.head is None else {"head": _names(arguments.head)}
    forecasts = attribute_at(str(task.forecast))(
        arguments.support,
        backbone=_names(arguments.backbone),
        level=arguments.level,
        options={} if arguments.size is None else {"size": arguments.size},
        settings=arguments.settings,
        device=arguments.device,
        weights=arguments.weights,
        notices=OnTerminal(),
        **heads,
    )
    if arguments.json:
        content = {"fewshot": __version__, **forecasts.as_json()}
        print(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        print(forecasts)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot predict",
        description="Predict the error of a classifier fitted on a few labelled images: a folder "
        "with one sub-folder per class. No validation set is needed.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "support",
        metavar="DIR",
        help="one sub-folder of images per class; or a .npz file of features and labels, which "
        "get unit length as those of images do",
    )
    parser.add_argument(
        "--task", default="classification", metavar="NAME",
        help="segmentation: the mean IoU, from images/ and masks/ (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "-b", "--backbone", metavar="NAMES", default="efficientnet_lite0",
        help="one or more, with commas: names of `fewshot list backbones`, timm:MODEL, "
        "torchvision:MODEL/PRETRAINED, open_clip:MODEL/PRETRAINED, resnet12:FILE, "
        "callable:MODULE:FUNCTION (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--head", metavar="NAMES",
        help="one or more, with commas; `fewshot list heads` (default: ncm,lda; of segmentation "
        "pixel_lda,prototype)",
    )  # fmt: skip
    parser.add_argument(
        "--unlabelled", nargs="+", action="extend", metavar="PATH",
        help="images without labels, or folders of them at any depth, most of them of these "
        "classes: a much sharper prediction, beside the one from DIR alone; with features, a "
        "file of features",
    )  # fmt: skip
    parser.add_argument(
        "--query", nargs="+", action="extend", metavar="PATH",
        help="images or folders to label; they count as --unlabelled too",
    )  # fmt: skip
    parser.add_argument("--output", metavar="FILE", help="write the labels as CSV")
    parser.add_argument(
        "--base", metavar="DIR",
        help="other classes with labels, of the same kind of images: a sharper prediction",
    )  # fmt: skip
    parser.add_argument("--calibrator", metavar="FILE", help="JSON of `fewshot calibrate`")
    parser.add_argument("--level", type=float, default=0.9, help="of the interval (%(default)s)")
    parser.add_argument("--skip-unreadable", action="store_true", help="pass over bad images")
    parser.add_argument("--weights", metavar="DIR", help="where weights are looked for first")
    parser.add_argument("--size", metavar="PIXELS", help="input of the network")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ... (%(default)s)")
    parser.add_argument(
        "--scores", action="store_true",
        help="also print LogME, H-score, TransRate and GBC of every backbone, published criteria "
        "for choosing one; --json always has them",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON instead of words")
    return parser


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _write_labels(target: Path, labels: Sequence[dict[str, Any]]) -> None:
    from fewshot.report.text.csv_cells import write_csv

    write_csv("--output", target, ["file", "label", "runner_up", "lead"], labels)


def _as_json(forecasts: Forecasts, labels: list[dict[str, Any]]) -> dict[str, Any]:
    from fewshot import __version__

    best = forecasts.best
    return {
        "fewshot": __version__,
        "images": forecasts.sizes,
        "skipped": forecasts.skipped,
        **({"notes": list(forecasts.notes)} if best.seen else {}),
        "best": {"backbone": best.backbone, "head": best.head},
        "forecasts": [row.row() for row in forecasts.rows],
        "scores": [entry.row() for entry in forecasts.scores],
        "labels": labels,
    }
