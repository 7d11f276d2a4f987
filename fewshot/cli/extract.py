"""``fewshot extract``: extraction of features without an evaluation."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from fewshot.cli.arguments import Parser, expect_overrides
from fewshot.exceptions import FewshotError

EPILOG = """\
The settings are those of a run: fewshot --cfg job.

examples:
  fewshot extract dataset=folder dataset.root=my_images backbone=dinov2_vits14
  fewshot extract --dry-run dataset=flowers102 backbone=clip_vitl14
  fewshot extract -m dataset=flowers102,dtd backbone=resnet50,dinov2_vits14
  fewshot extract --shard 0/4 dataset=imagenet     on the first of four machines with one disk

An extraction that was stopped goes on where it was. Several processes that extract the same
features at once share the work; --shard says beforehand which part is whose.
"""


def main(argv: Sequence[str]) -> int:
    """Extract features, or estimate the duration; return 2 if one of the combinations failed."""
    arguments, overrides = _parser().parse_known_args(argv)
    expect_overrides("fewshot extract", overrides)
    from fewshot.config.compose import combinations, settings_from

    if not arguments.multirun:
        _extract(settings_from(overrides), arguments)
        return 0
    failed = 0
    for chosen in combinations(overrides):
        try:
            _extract(settings_from(chosen), arguments)
        except FewshotError as error:
            print(f"fewshot: error: {' '.join(chosen)}: {error}", file=sys.stderr)
            failed = 2
    return failed


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot extract",
        usage="fewshot extract [--dry-run] [--shard I/N] [-m] [SETTING=VALUE ...]",
        description="Run a backbone over all images of a data set and keep the features.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-n", "--dry-run", action="store_true",
        help="try a few batches and say how long it would take",
    )  # fmt: skip
    parser.add_argument("--shard", metavar="I/N", help="the I-th of N parts, counted from 0")
    parser.add_argument("-m", "--multirun", action="store_true", help="every combination")
    return parser


def _extract(settings: dict[str, Any], arguments: argparse.Namespace) -> None:
    from fewshot.datasets.images import unreadable_of
    from fewshot.evaluation.build import (
        described_backbone,
        extraction_settings,
        load_images,
        warn_left_out,
    )
    from fewshot.features.bank import FeatureBank
    from fewshot.features.catalogue import Entry
    from fewshot.features.data_warnings import copies_warning
    from fewshot.features.extraction.estimate import estimate
    from fewshot.features.store import extract
    from fewshot.hardware import device_named
    from fewshot.paths import places_of

    extraction = extraction_settings(settings, device_named(settings["device"]), arguments.shard)
    dataset = load_images(settings)
    if isinstance(dataset, FeatureBank):
        raise FewshotError("dataset", "expected images, got features that are extracted already")
    backbone = described_backbone(settings, dataset)
    banks = places_of(settings["paths"]).banks
    if arguments.dry_run:
        print(estimate(dataset, backbone, banks, extraction))
        return
    begun = time.perf_counter()
    folder = extract(dataset, backbone, banks, extraction)
    if folder is None:
        print(
            f"Shard {extraction.shard} of {backbone.name} features of {dataset.name} is done; "
            "the bank is made when the others are."
        )
        return
    bank = Entry.read(folder)
    copies = copies_warning(bank.note.get("copies"), bank.note.get("images", 0))
    warn_left_out(dataset)
    if copies:
        print(f"fewshot: {copies}", file=sys.stderr)
    skipped = bank.note.get("skipped", [])
    if skipped and extraction.on_error == "raise":  # an earlier run has skipped them
        raise unreadable_of(skipped)
    passed_over = f"; unreadable images skipped: {len(skipped)}" if skipped else ""
    print(f"{bank}{passed_over}; {time.perf_counter() - begun:.1f} s\n{folder}")
