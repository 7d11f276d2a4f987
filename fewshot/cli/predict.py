"""``fewshot predict``: predicted error of a classifier fitted on a few labelled images."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.cli.arguments import Parser, print_json, share_of
from fewshot.cli.predict_options import (
    SUPPORT,
    add_calibration,
    add_networks_and_heads,
    add_reading,
    add_unlabelled,
    in_options,
    integer,
    names_of,
    shared_options,
)
from fewshot.exceptions import FewshotError

if TYPE_CHECKING:
    from fewshot.evaluation.predict import Forecasts
    from fewshot.tasks import Task

# Options that only labels of whole images have.
OF_CLASSIFICATION = ("base", "unlabelled", "query", "calibrator", "output", "scores",
                     "skip_unreadable", "strict", "target", "more", "fail_above", "page",
                     "next")  # fmt: skip
TAKE_AWAY = (
    "To take this classifier away, with the same options: fewshot fit DIR --output model.fewshot"
)
ABOVE = 3  # exit code where the predicted error is above --fail-above
SETTING = re.compile(r"(dataset|backbone|segmentation)\.[\w.]+=.*", re.DOTALL)
DESCRIPTION = """\
Predict the error of a classifier fitted on a few labelled images: a folder with one sub-folder per
class. No validation set is needed. The first line is the answer; what follows is what it rests on,
what to do next, and which images to look at.

examples:
  fewshot predict my_images
  fewshot predict my_images --target 5% --page forecast.html
  fewshot predict my_images --unlabelled camera_roll --next 20
  fewshot predict my_images --query to_label --output labels.csv
  fewshot predict my_images --backbone efficientnet_lite0,dinov2_vits14 --head ncm,lda
  fewshot predict my_images --fail-above 15% --json > forecast.json
  fewshot predict my_scenes --task segmentation
"""
EPILOG = """\
exit codes: 0 done, 2 a mistake in what was given, 3 the predicted error is above --fail-above.
"""


def main(argv: Sequence[str]) -> int:
    """Print predicted errors, and labels of query images."""
    settings = [word for word in argv if SETTING.fullmatch(word)]
    arguments = _parser().parse_args([word for word in argv if word not in settings])
    arguments.settings = settings
    try:
        return _predict(arguments)
    except FewshotError as error:
        raise in_options(
            error, path="--page", strict=arguments.strict, settings=bool(settings)
        ) from None


def _predict(arguments: argparse.Namespace) -> int:
    from fewshot import __version__
    from fewshot.evaluation.predict import MORE, predict
    from fewshot.report.aligned import terminal_width, wrapped_to
    from fewshot.report.forecast.text import scores_text
    from fewshot.report.wording import plain
    from fewshot.tasks import task_named

    task = task_named(arguments.task)
    if task.forecast is None:
        raise FewshotError("--task", f"nothing is predicted from a folder for {task.name}")
    if not task.takes_features:
        return _predict_for(task, arguments)
    if arguments.settings:
        raise FewshotError(arguments.settings[0], f"{task.name} takes options, and no settings")
    limit = _share("--fail-above", arguments.fail_above)
    page, table = _targets(arguments)
    if page is not None and table is not None and page.resolve() == table.resolve():
        raise FewshotError("--page", "expected another file than --output, got the same")
    if arguments.output and not arguments.query:
        raise FewshotError(
            "--output", "expected images to label, got none", "Name them by --query."
        )
    forecasts = predict(
        arguments.support,
        query=arguments.query,
        target=_share("--target", arguments.target),
        more=MORE if arguments.more is None else _integers("--more", arguments.more),
        next_labels=None if arguments.next is None else integer("--next", arguments.next),
        **shared_options(arguments),
    )
    labels = forecasts.labels() if arguments.query else []
    written = []
    if table is not None and labels:
        _write_labels(table, labels)
        written.append(f"Labels: {plain(arguments.output)}")
    if page is not None:
        forecasts.page(page, limit)
        written.append(f"Page: {plain(arguments.page)}")
    if arguments.json:
        print_json({"fewshot": __version__, **forecasts.as_json(labels)})
    else:
        scores = [scores_text(forecasts.scores, terminal_width())] if arguments.scores else []
        hint = "\n".join(wrapped_to(TAKE_AWAY, terminal_width()))
        words = [forecasts.text(labels), hint, *scores, *(["\n".join(written)] if written else [])]
        print("\n\n".join(words))
    return _checked(forecasts, limit)


def _targets(arguments: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Where the page and the labels are written, neither of them over what is read."""
    from fewshot.files import file_to_write

    read = [arguments.support, arguments.base, arguments.calibrator]
    read += [*(arguments.unlabelled or ()), *(arguments.query or ())]
    page, table = (
        None if value is None else file_to_write(option, value, read, example)
        for option, value, example in (
            ("--page", arguments.page, "forecast.html"),
            ("--output", arguments.output, "labels.csv"),
        )
    )
    return page, table


def _checked(forecasts: Forecasts, limit: float | None) -> int:
    """The exit code; a line on standard error where the predicted error is above the limit."""
    from fewshot.report.forecast.answer import combination
    from fewshot.units import rough_percent, short_percent

    best = forecasts.best
    if limit is None or best.error <= limit:
        return 0
    interval = f"{rough_percent(best.lower)} to {rough_percent(best.upper)}"
    print(
        f"fewshot: predicted error {rough_percent(best.error)} "
        f"({short_percent(forecasts.level)} interval {interval}) of {combination(best)} is above "
        f"{short_percent(limit)}, the limit of --fail-above.",
        file=sys.stderr,
    )
    return ABOVE


def _predict_for(task: Task, arguments: argparse.Namespace) -> int:
    """Print what is predicted for a task with data of its own."""
    from fewshot import __version__
    from fewshot.evaluation.notices import OnTerminal
    from fewshot.importing import attribute_at
    from fewshot.results.encoding import without_nan

    for name in OF_CLASSIFICATION:
        if getattr(arguments, name):
            option = f"--{name.replace('_', '-')}"
            raise FewshotError(option, f"expected none with --task {task.name}")
    heads = {} if arguments.head is None else {"head": names_of(arguments.head)}
    forecasts = attribute_at(str(task.forecast))(
        arguments.support,
        backbone=names_of(arguments.backbone),
        level=arguments.level,
        options={} if arguments.size is None else {"size": arguments.size},
        settings=arguments.settings,
        device=arguments.device,
        weights=arguments.weights,
        notices=OnTerminal(),
        **heads,
    )
    if arguments.json:
        print_json(without_nan({"fewshot": __version__, **forecasts.as_json()}))
    else:
        print(forecasts)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot predict",
        usage="fewshot predict DIR [OPTIONS]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("support", metavar="DIR", help=SUPPORT)
    add("--target", metavar="ERROR",
        help="how many images per class this error takes, as 5%% or 0.05")  # fmt: skip
    add("--fail-above", metavar="ERROR",
        help="exit with code 3 if the predicted error is above it, as 15%%")  # fmt: skip
    add("--page", metavar="FILE", help="write it all as an HTML page, with the images")
    add("--json", action="store_true", help="print JSON instead of words")
    add_networks_and_heads(parser)
    add("--more", metavar="N,N,...",
        help="further images per class to look ahead to (default: 1,5,10,20)")  # fmt: skip
    add_unlabelled(parser)
    add("--next", metavar="N", help="length of that list (default: 10)")
    add("--query", nargs="+", action="extend", metavar="PATH",
        help="images or folders to label; they count as --unlabelled too")  # fmt: skip
    add("--output", metavar="FILE", help="write the labels as CSV")
    add("--scores", action="store_true",
        help="also print LogME, H-score, TransRate and GBC of every backbone, published criteria "
        "for choosing one; --json always has them")  # fmt: skip
    add_calibration(parser)
    add_reading(parser)
    add("--task", default="classification", metavar="NAME",
        help="segmentation: the mean IoU, from images/ and masks/ (default: "
        "%(default)s)")  # fmt: skip
    return parser


def _share(option: str, text: str | None) -> float | None:
    return None if text is None else share_of(option, text)


def _integers(option: str, text: str) -> list[int]:
    return [integer(option, part.strip()) for part in text.split(",")]


def _write_labels(target: Path, labels: Sequence[dict[str, Any]]) -> None:
    from fewshot.evaluation.forecasts import LABEL_COLUMNS
    from fewshot.report.text.csv_cells import write_csv

    write_csv("--output", target, list(LABEL_COLUMNS), labels)
