"""``fewshot calibrate``: fit a calibrator of error predictions on labelled data sets."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fewshot.cli.arguments import Parser
from fewshot.exceptions import FewshotError, expect_positive_int

DESCRIPTION = """\
Fit a calibrator on features of three data sets or more (.npz or .safetensors files as
for dataset=features). Files of the same images under several backbones go together,
with commas: they are left out together when the fit is tested.

  fewshot calibrate a.npz b.npz c_clip.npz,c_dinov2.npz --output mine.json
  fewshot calibration.source=datasets calibration.calibrator=mine.json ...
  fewshot calibrate --show mine.json
"""


def main(argv: Sequence[str]) -> int:
    """Fit, save and describe a calibrator, or describe a saved one."""
    parser = Parser(
        prog="fewshot calibrate",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", metavar="FILE[,FILE]", help="features with labels")
    parser.add_argument("--output", metavar="FILE", help="JSON to write")
    parser.add_argument("--backbone", default="unknown", help="name of their backbone, if only one")
    parser.add_argument("--normalize", choices=("l2", "none"), default="l2")
    parser.add_argument("--episodes", type=int, default=120, help="per cell (%(default)s)")
    parser.add_argument(
        "--weight", action="append", default=[], metavar="NAME=W",
        help="let a data set (the name of its first file) count for more or less than 1",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--notes", default="", help="kept in the file")
    parser.add_argument(
        "--show", nargs="?", const="", metavar="FILE", help="describe one; the package's by default"
    )
    arguments = parser.parse_args(argv)
    from fewshot.estimators.calibration.transferred import load_general
    from fewshot.files import file_to_write
    from fewshot.report.text.calibrator import calibrator_text

    if arguments.show is not None:
        print(calibrator_text(load_general(Path(arguments.show) if arguments.show else None)))
        return 0
    if not arguments.files or not arguments.output:
        raise FewshotError("fewshot calibrate", "expected files and --output", "See --help.")
    expect_positive_int("--episodes", arguments.episodes, minimum=20)
    read = [path for paths in arguments.files for path in (paths, *paths.split(","))]
    file_to_write("--output", arguments.output, read, "calibrator.json")
    _fit(arguments)
    print(calibrator_text(load_general(Path(arguments.output))))
    print(f"\nCalibrator: {arguments.output}")
    return 0


def _fit(arguments: argparse.Namespace) -> None:
    from dataclasses import replace

    from fewshot.features.given import load_features
    from fewshot.features.ranges import check_range
    from fewshot.files import writing
    from fewshot.tasks.calibration import CalibrationPlan, fit_general

    groups = {}
    for paths in arguments.files:
        banks = []
        for path in [paths] if Path(paths).exists() else paths.split(","):
            bank = load_features("features", path)
            for notice in bank.info.get("notices", ()):
                print(f"fewshot: {notice}", file=sys.stderr)
            info = bank.info | {"backbone": arguments.backbone}
            banks.append(replace(bank, normalize=arguments.normalize, info=info))
            check_range(banks[-1])
        groups[str(banks[0].info["dataset"])] = banks

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    plan = CalibrationPlan(
        episodes=arguments.episodes, seed=arguments.seed, weights=_weights(arguments.weight)
    )
    fitted = fit_general(groups, plan, arguments.notes, say)
    with writing("--output", Path(arguments.output)):
        fitted.save(Path(arguments.output))


def _weights(pairs: Sequence[str]) -> dict[str, float]:
    weights = {}
    for pair in pairs:
        name, _, text = pair.rpartition("=")  # a file may be called epoch=3
        try:
            weights[name] = float(text)
        except ValueError:
            weights[name] = 0.0
        if not 0 < weights[name] < float("inf"):
            raise FewshotError("--weight", f"expected NAME=NUMBER above 0, got {pair!r}")
    return weights
