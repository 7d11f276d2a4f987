"""``fewshot reproduce``: compute a run again, and say whether its rows are the same."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fewshot.cli.arguments import Parser, print_json

if TYPE_CHECKING:
    from fewshot.evaluation.reproducing import Reproduction
    from fewshot.results.agreement import CellAgreement

DIFFERENT = 3  # exit code
EXAMPLES = """\
examples:
  fewshot reproduce runs/2026-01-31_12-00-00_digits_efficientnet_lite0
  fewshot reproduce their_run dataset.root=/data/birds device=cpu    what differs on this machine
  fewshot reproduce their_run paths.cache=/tmp/empty                 features extracted anew, too

Every cell is computed, whatever earlier runs have; nothing is written. Exit codes: 0 all rows are
the same to the last bit, 3 they are not, 2 a mistake in what was given."""


def main(argv: Sequence[str]) -> int:
    """Repeat a run and print how far its rows agree."""
    arguments = _parser().parse_args(argv)
    from fewshot.evaluation.reproducing import reproduce
    from fewshot.results.folders import find_runs

    done = [reproduce(run, arguments.settings) for run in find_runs([arguments.run], "RUN")]
    if arguments.json:
        print_json([_facts(one) for one in done])
    else:
        print("\n\n".join(map(_text, done)))
    return 0 if all(one.is_same for one in done) else DIFFERENT


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot reproduce",
        usage="fewshot reproduce RUN [SETTING=VALUE ...] [--json]",
        description="Compute a run again from the settings in its folder, and compare all rows.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="a run, or a folder of runs")
    parser.add_argument("settings", nargs="*", metavar="SETTING=VALUE", help="to replace the run's")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    return parser


def _text(done: Reproduction) -> str:
    from fewshot.report.wording import plain
    from fewshot.units import counted

    same = sum(cell.is_same for cell in done.cells)
    lines = [f"{same} of {counted(len(done.cells), 'cell')} have the same rows, to the last bit."]
    lines += [_difference(cell) for cell in done.cells if not cell.is_same]
    lines += [f"  failed: {line}" for line in done.failed]
    if done.environment:
        changes = "; ".join(f"{name} {change}" for name, change in done.environment.items())
        lines.append(f"The environment differs: {changes}.")
    return "\n".join(plain(line) for line in [str(done.folder), *lines])


def _difference(agreed: CellAgreement) -> str:
    from fewshot.tasks.base import head_label

    cell = agreed.cell
    name = f"  {head_label(cell)}, {cell['ways']}-way {cell['shots']}-shot, seed {cell['seed']}"
    if agreed.missing:
        return f"{name}: not computed again"
    if not agreed.same_features:
        return f"{name}: other features: the images, the backbone or its arithmetic differ"
    if not agreed.same_episodes:
        return f"{name}: other episodes"
    gaps = (
        f"{table}: {'other entries' if math.isnan(gap) else f'numbers differ by up to {gap:.2g}'}"
        for table, gap in agreed.tables.items()
        if gap
    )
    return f"{name}: the same features and episodes; {', '.join(gaps)}"


def _facts(done: Reproduction) -> dict[str, Any]:
    return {
        "run": str(done.folder),
        "same": done.is_same,
        "environment": done.environment,
        "failed": done.failed,
        "cells": [
            {
                **{name: agreed.cell.get(name) for name in ("task", "head", "variant", "ways",
                                                            "shots", "seed")},
                "same": agreed.is_same,
                "missing": agreed.missing,
                "same_features": agreed.same_features,
                "same_episodes": agreed.same_episodes,
                "largest_difference": {
                    table: None if math.isnan(gap) else gap for table, gap in agreed.tables.items()
                },
            }
            for agreed in done.cells
        ],
    }  # fmt: skip
