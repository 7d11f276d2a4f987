"""``fewshot segment``: masks of further images, by a model or as annotated ones are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.cli.arguments import Parser, print_json, reworded
from fewshot.cli.mask_options import SETTING, add_dense_head
from fewshot.exceptions import FewshotError, expect

if TYPE_CHECKING:
    from fewshot.models.segmentation.segments import Segments
    from fewshot.tasks.segmentation.estimators.base import SegmentationPrediction

EPILOG = """\
A head is fitted on all annotated images of DIR: those of train.txt, or all where there is none.
DIR has images/ and masks/, or another layout of docs/datasets.md. A MODEL, of `fewshot fit DIR
--task segmentation --output MODEL`, was fitted so before, and takes no annotated image. Masks are
written as PNG files of class numbers with a palette, with the images' names, and beside them
classes.txt.

examples:
  fewshot segment scenes.fewshot new_images --out masks
  fewshot segment new_images --like annotated --out masks
  fewshot segment new_images --like annotated --out masks --head auto --overlay
  fewshot segment a.jpg b.jpg --like cells --out masks dataset.binary=true
"""
# Arguments below this command, and those of the command line that stand for them in errors.
ARGUMENTS = {"images": "IMAGES", "out": "--out", "head": "--head",
             "backbone": "--backbone", "device": "--device",
             "weights": "--weights", "segmentation.size": "--size",
             "options": "--size"}  # fmt: skip
OF_LIKE = ("like", "dataset", "dataset.root")
WORDS = {"set dataset.on_error=skip": "give --skip-unreadable", "Set device=": "Give --device ",
         "name it: backbone=": "name it: --backbone ",
         "load with head=": "name it: --head "}  # fmt: skip
MOST_LINES, MOST_CLASSES = 40, 4


def main(argv: Sequence[str]) -> int:
    """Write masks, and print which share of every image each class has."""
    settings = [word for word in argv if SETTING.fullmatch(word)]
    arguments = _parser().parse_args([word for word in argv if word not in settings])
    like = "--like" if arguments.like else "MODEL"
    _take_model(arguments)
    try:
        return _segment(arguments, settings)
    except FewshotError as error:
        names = ARGUMENTS | dict.fromkeys(OF_LIKE, like)
        if error.argument == "settings":
            names["settings"] = settings[0]
        raise reworded(error, names, WORDS) from None


def _take_model(arguments: argparse.Namespace) -> None:
    """Without --like the first of the images is the file of a model.

    Raises
    ------
    FewshotError
        It is a folder or an image, or no image follows it.
    """
    if arguments.like is not None:
        return
    from fewshot.datasets.image_kinds import KINDS, extension_of
    from fewshot.files import path_of

    first, *images = arguments.images
    file = path_of("MODEL", first)
    expect(
        not file.is_dir() and extension_of(file) not in KINDS,
        "fewshot segment",
        f"expected MODEL, a file of `fewshot fit`, before the images, or --like DIR; got {first}",
        "See fewshot segment --help.",
    )
    expect(file.exists(), "MODEL", f"expected a file of `fewshot fit`, got nothing at {first}")
    expect(bool(images), "IMAGES", f"expected images after the model {first}, got none")
    arguments.like, arguments.images = first, images


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot segment",
        usage="fewshot segment MODEL IMAGES ... --out FOLDER [OPTIONS]\n"
        "       fewshot segment IMAGES ... --like DIR --out FOLDER [OPTIONS] [SETTING=VALUE ...]",
        description="Segment images by a head that is fitted on a few annotated ones.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("images", metavar="IMAGES", nargs="+", help="images, and folders of them at any depth")
    add("--like", metavar="DIR",
        help="annotated images, a name of `fewshot list datasets`, or a model")  # fmt: skip
    add("--out", metavar="FOLDER", required=True, help="where masks are written")
    add("--overlay", action="store_true",
        help="write the images with their masks over them, too: FOLDER_overlays")  # fmt: skip
    add_dense_head(parser)
    add("--skip-unreadable", action="store_true", help="pass over bad images")
    add("--output", metavar="FILE", help="write the shares of all classes as CSV")
    add("--json", action="store_true", help="print JSON instead of words")
    add("--weights", metavar="DIR", help="where weights are looked for first")
    add("--device", default="auto", help="auto, cpu, cuda ... (%(default)s)")
    return parser


def _segment(arguments: argparse.Namespace, settings: Sequence[str]) -> int:
    from fewshot.models.segmentation.segment import segment

    segments = segment(
        arguments.images,
        arguments.like,
        arguments.head,
        out=arguments.out,
        overlay=arguments.overlay,
        backbone=arguments.backbone,
        options={} if arguments.size is None else {"size": arguments.size},
        settings=settings,
        on_error="skip" if arguments.skip_unreadable else "raise",
        device=arguments.device,
        weights=arguments.weights,
    )
    from fewshot.report.text.segmented import prediction_text
    from fewshot.report.wording import plain

    folder = Path(arguments.out).expanduser()
    if arguments.output:
        _write_table(segments, Path(arguments.output))
    predicted = None if arguments.no_prediction else segments.predicted
    if arguments.json:
        print_json(_as_json(segments, predicted, folder))
        return 0
    print(_in_words(segments))
    if predicted is not None:
        print(f"\n{prediction_text(predicted, segments.level)}")
    print(f"\nMasks: {plain(folder)}")
    if arguments.overlay:
        print(f"Overlays: {plain(segments.overlays(folder))}")
    for image in segments.skipped:
        text = f"{plain(image['path'])} ({plain(image['reason'])})"
        print(f"fewshot: not segmented: {text}", file=sys.stderr)
    return 0


def _in_words(segments: Segments) -> str:
    """What the head was fitted on, and the largest classes of every image."""
    from fewshot.report.aligned import aligned
    from fewshot.report.wording import plain
    from fewshot.units import counted, rough_percent

    fitted = segments.fitted
    title = (
        f"{plain(fitted.name_of_head)}, fitted on "
        f"{counted(fitted.dense.annotated, 'annotated image')} of {plain(fitted.header_.name)}, "
        f"{len(segments.classnames)} classes"
    )
    table = segments.table
    rows = [["image", "share of the pixels"]]
    for _, row in table.head(MOST_LINES).iterrows():
        shares = row[list(segments.classnames)].astype(float).sort_values(ascending=False)
        shown = [f"{plain(name)} {rough_percent(share)}" for name, share in shares.items() if share]
        more = f", {len(shown) - MOST_CLASSES} more" * (len(shown) > MOST_CLASSES)
        rows.append([plain(row["file"]), ", ".join(shown[:MOST_CLASSES]) + more])
    width = max(len(row[1]) for row in rows)
    lines = aligned([[row[0], row[1].ljust(width)] for row in rows])
    lines = [line.rstrip() for line in lines]
    rest = [f"... and {len(table) - MOST_LINES} more"] if len(table) > MOST_LINES else []
    return "\n".join([title, "", *lines, *rest])


def _write_table(segments: Segments, target: Path) -> None:
    from fewshot.report.text.csv_cells import write_csv

    table = segments.table
    records = [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]
    write_csv("--output", target, list(table.columns), records)


def _as_json(
    segments: Segments, predicted: SegmentationPrediction | None, folder: Path
) -> dict[str, object]:
    from fewshot import __version__
    from fewshot.report.text.segmented import prediction_facts

    return {
        "fewshot": __version__,
        "head": segments.fitted.name_of_head,
        "like": segments.fitted.header_.name,
        "annotated": segments.fitted.dense.annotated,
        "classes": list(segments.classnames),
        "predicted": None
        if predicted is None
        else prediction_facts(predicted, segments.classnames, segments.level),
        "masks": str(folder),
        "images": [
            {"file": row["file"], "shares": {name: row[name] for name in segments.classnames}}
            for row in segments.table.to_dict("records")
        ],
        "skipped": segments.skipped,
    }
