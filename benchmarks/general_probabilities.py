"""Fit what turns scores into probabilities: data sets to the probabilities.json of the package.

    python general_probabilities.py sets --caltech101 DIR --clip DIR --output probabilities.json \\
        --calibrators DIR --without caltech101 flowers digits mnist photographs

Data sets, groups and cache are those of general_calibrator.py. The error of an episode, which the
temperature rests on, is predicted by general.without_GROUP.json of --calibrators, fitted without
its group, and by the calibrator of the package where there is none. For every group of --without,
probabilities.without_GROUP.json beside the output is fitted on the same episodes less that group's:
what probabilities on it have to be judged with (probabilities.py).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from general_calibrator import SOURCES, WEIGHTS, Places, banks_of

from fewshot.features import FeatureBank
from fewshot.tasks import ScorePlan, fit_score_calibrator, score_cells

NOTES = (
    "Temperatures of heads. Twelve groups of images, each under one to four backbones; a group "
    "weighs the same whatever its size, photographs three times as much as drawings, glyphs, icons "
    "and scans. Tasks of 2 to 20 classes with 1 to 20 images each, at most 100 together; half of "
    "random classes, half of classes near each other. Coefficients of the least log loss of 5 new "
    "images per class (2 with 20 classes); errors of the tasks predicted by calibrators that were "
    "fitted without the group for {honest}, by the one of the package for the others. left_out: "
    "on groups "
    "that were left out of the fit. Made by benchmarks/general_probabilities.py."
)


def main() -> None:
    """Score the episodes once, fit on all groups, and without each of some."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", type=Path)
    parser.add_argument("--caltech101", type=Path, metavar="DIR")
    parser.add_argument("--clip", type=Path, metavar="DIR")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/fewshot/calibration")
    parser.add_argument("--calibrators", type=Path, metavar="DIR")
    parser.add_argument("--output", type=Path, metavar="FILE", required=True)
    parser.add_argument("--episodes", type=int, default=12, help="per cell (%(default)s)")
    parser.add_argument("--without", nargs="*", default=[], choices=sorted(SOURCES))
    options = parser.parse_args()
    groups: dict[str, list[FeatureBank]] = {}
    for group, bank in banks_of(
        Places(options.sets, options.caltech101, options.clip, options.cache)
    ):
        groups.setdefault(group, []).append(bank)
    fit(groups, options.episodes, options.output, options.without, options.calibrators)


def fit(
    groups: dict[str, list[FeatureBank]],
    episodes: int,
    output: Path,
    without: list[str],
    calibrators: Path | None,
) -> None:
    """The coefficients on all groups, and those without one: the episodes are looked at once."""
    files = {} if calibrators is None else {g: _without(calibrators, g) for g in groups}
    honest = {group: file for group, file in files.items() if file.is_file()}
    plan = ScorePlan(episodes=episodes, calibrators=honest)
    cells = score_cells(groups, plan, lambda text: print(text, file=sys.stderr, flush=True))
    notes = NOTES.format(honest=", ".join(sorted(honest)) or "none")
    every = fit_score_calibrator(cells, WEIGHTS, notes, described(groups))
    every.save(output)
    for group in without:
        others = [cell for cell in cells if cell.group != group]
        banks = {name: members for name, members in groups.items() if name != group}
        notes_without = f"Fitted without {group}. {notes}"
        file = output.with_suffix(f".without_{group}.json")
        fit_score_calibrator(others, WEIGHTS, notes_without, described(banks), every).save(file)


def described(groups: dict[str, list[FeatureBank]]) -> list[dict[str, Any]]:
    """Record of the data sets."""
    return [
        {
            "group": group,
            "dataset": bank.info["dataset"],
            "backbone": bank.info["backbone"],
            "images": len(bank),
            "classes": len(bank.classnames),
            "features": bank.hash(),
        }
        for group, members in groups.items()
        for bank in members
    ]


def _without(folder: Path, group: str) -> Path:
    return folder / f"general.without_{group}.json"


if __name__ == "__main__":
    main()
