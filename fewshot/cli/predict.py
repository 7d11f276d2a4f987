"""``fewshot predict``: how well a classifier of one's own few images will do."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.cli.arguments import Parser
from fewshot.evaluation.build import backbone_settings, warn_left_out
from fewshot.exceptions import FewshotError, expect, expect_positive_int

if TYPE_CHECKING:
    from fewshot.features.bank import FeatureBank
    from fewshot.tasks.classification.forecast import Forecast

EPILOG = """\
examples:
  fewshot predict my_images
  fewshot predict my_images --backbone efficientnet_lite0,dinov2_vits14 --head ncm,lda
  fewshot predict my_images --base other_labelled_classes
  fewshot predict my_images --query unlabelled --output labels.csv
"""


def main(argv: Sequence[str]) -> int:
    """Print what to expect, and labels for query images."""
    given = _parser().parse_args(argv)
    try:
        return _predict(given)
    except FewshotError as error:
        # The settings of a run go by other names here.
        words = {"set dataset.on_error=skip": "give --skip-unreadable", "dataset.root": "DIR"}
        words |= {"estimator.auto.level": "--level"}
        texts = [error.argument, error.problem, error.remedy]
        for run, here in words.items():
            texts = [text.replace(run, here) for text in texts]
        raise FewshotError(*texts) from None


def _predict(given: argparse.Namespace) -> int:
    backbones, heads = _names(given.backbone), _names(given.head)
    expect(bool(backbones), "--backbone", "expected at least one, got none")
    expect(bool(heads), "--head", "expected at least one, got none")
    if _is_file(given.support):
        expect(
            not given.query, "--query", "expected a folder of images to go with it, got features"
        )
        backbones = backbones[:1]
    banks = {name: _banks(given, name) for name in backbones}
    rows = _forecasts(given, banks, heads)
    best = rows[0]
    by_name = {str(own["support"].info.get("backbone", "unknown")): own for own in banks.values()}
    labels = _labels(given, by_name[best.backbone], best) if given.query else []
    sizes = _sizes(banks[backbones[0]]["support"])
    skipped = _skipped(banks)
    if given.json:
        found = _as_json(rows, sizes, labels, skipped)
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    from fewshot.report.text.forecast import outlook_text

    names = list(dict.fromkeys(str(one["path"]) for one in skipped))
    print(outlook_text(rows, sizes, given.level, labels, names))
    if given.output and labels:
        print(f"\nLabels: {given.output}")
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
        "--backbone", metavar="NAMES", default="efficientnet_lite0",
        help="one or more, with commas: names of `fewshot list backbones`, timm:MODEL, "
        "torchvision:MODEL/PRETRAINED, open_clip:MODEL/PRETRAINED, resnet12:FILE, "
        "callable:MODULE:FUNCTION (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--head", metavar="NAMES", default="ncm,lda",
        help="one or more, with commas; `fewshot list heads` (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--query", nargs="+", metavar="PATH", help="images or folders to label")
    parser.add_argument("--output", metavar="FILE", help="write the labels as CSV")
    parser.add_argument(
        "--base", metavar="DIR",
        help="other classes with labels, of the same kind of images: a sharper prediction",
    )  # fmt: skip
    parser.add_argument("--calibrator", metavar="FILE", help="JSON of `fewshot calibrate`")
    parser.add_argument("--level", type=float, default=0.9, help="of the interval (%(default)s)")
    parser.add_argument("--skip-unreadable", action="store_true", help="pass over bad images")
    parser.add_argument("--weights", metavar="DIR", help="where weights are looked for first")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="input of the network")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ... (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of words")
    return parser


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _banks(given: argparse.Namespace, backbone: str) -> dict[str, FeatureBank]:
    """Features of the support, of base classes and of queries under one backbone."""
    roots = {"support": given.support, "base": given.base}
    if _is_file(given.support):
        return {kind: _from_file(place, kind) for kind, place in roots.items() if place}
    from fewshot.backbones import load_backbone
    from fewshot.backbones.base import Folders
    from fewshot.datasets import load_dataset
    from fewshot.datasets.files import load_files
    from fewshot.features.extraction.settings import Extraction
    from fewshot.features.store import open_or_extract
    from fewshot.hardware import device_named
    from fewshot.paths import places_of_environment

    places = places_of_environment(weights=given.weights)
    on_error = "skip" if given.skip_unreadable else "raise"
    datasets: dict[str, Any] = {}
    for kind, root in roots.items():
        if root:
            name = Path(root).expanduser().resolve().name
            settings = {"kind": "folder", "name": name, "root": root, "split": "none"}
            datasets[kind] = load_dataset(settings | {"on_error": on_error}, places)
            warn_left_out(datasets[kind])
    if given.query:
        datasets["query"] = load_files(given.query)
    settings = backbone_settings(backbone)
    if given.size is not None:
        expect_positive_int("--size", given.size)
        settings["size"] = given.size
    network = load_backbone(settings, Folders(places.weights, places.digests))
    how = Extraction(device_named(given.device), on_error=on_error)
    banks = {}
    for kind, dataset in datasets.items():
        bank = open_or_extract(dataset, network, places.banks, how)
        banks[kind] = replace(bank, normalize="l2")
    return banks


def _is_file(place: str) -> bool:
    return Path(place).suffix in (".npz", ".safetensors")


def _from_file(place: str, kind: str) -> FeatureBank:
    from fewshot.features.given import load_features

    expect(_is_file(place), f"--{kind}", f"expected a file of features, as the support is: {place}")
    bank = load_features("features", place)
    return replace(bank, parts=None, normalize="l2", info=bank.info | {"skipped": []})


def _forecasts(
    given: argparse.Namespace, banks: dict[str, dict[str, FeatureBank]], heads: list[str]
) -> list[Forecast]:
    """Of every head on every backbone, the lowest predicted error first."""
    from fewshot.estimators.auto import Auto
    from fewshot.heads import heads as registry
    from fewshot.tasks.calibration.choosing import space_of
    from fewshot.tasks.classification.forecast import forecast

    made = {name: registry.create(name) for name in heads}
    estimator = Auto(calibrator=given.calibrator, level=given.level)
    rows: list[Forecast] = []
    for own in banks.values():
        estimator.general().check_space(space_of(own["support"]))
        rows += forecast(own["support"], made, base=own.get("base"), estimator=estimator)
    return sorted(rows, key=lambda one: one.error)


def _labels(
    given: argparse.Namespace, banks: dict[str, FeatureBank], best: Forecast
) -> list[dict[str, Any]]:
    from fewshot.heads import heads as registry
    from fewshot.tasks.classification.forecast import classify

    labels = classify(banks["support"], banks["query"], registry.create(best.head))
    if given.output:
        from fewshot.files import atomic_path, writing

        target = Path(given.output)
        with (
            writing("--output", target),
            atomic_path(target) as partial,
            partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        ):
            table = csv.DictWriter(file, ["file", "label", "runner_up", "lead"])
            table.writeheader()
            table.writerows(labels)
    return labels


def _sizes(bank: FeatureBank) -> dict[str, int]:
    import numpy as np

    size = np.bincount(bank.labels, minlength=len(bank.classnames))
    return {name: int(size[c]) for c, name in enumerate(bank.classnames) if size[c]}


def _skipped(banks: dict[str, dict[str, FeatureBank]]) -> list[dict[str, Any]]:
    """Images of any backbone that could not be read."""
    return [one for own in banks.values() for bank in own.values() for one in bank.info["skipped"]]


def _as_json(
    rows: list[Forecast],
    sizes: dict[str, int],
    labels: list[dict[str, Any]],
    skipped: list[dict[str, Any]],
) -> dict[str, Any]:
    from fewshot import __version__

    return {
        "fewshot": __version__,
        "images": sizes,
        "skipped": skipped,
        "best": {"backbone": rows[0].backbone, "head": rows[0].head},
        "forecasts": [asdict(row) for row in rows],
        "labels": labels,
    }
