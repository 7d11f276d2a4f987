"""``fewshot predict``: predicted error of a classifier fitted on a few labelled images."""

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
    """Print predicted errors, and labels of query images."""
    arguments = _parser().parse_args(argv)
    try:
        return _predict(arguments)
    except FewshotError as error:
        # Replace settings of a run by the arguments of this command.
        words = {"set dataset.on_error=skip": "give --skip-unreadable", "dataset.root": "DIR"}
        words |= {"estimator.auto.level": "--level"}
        texts = [error.argument, error.problem, error.remedy]
        for run, here in words.items():
            texts = [text.replace(run, here) for text in texts]
        raise FewshotError(*texts) from None


def _predict(arguments: argparse.Namespace) -> int:
    backbones, heads = _names(arguments.backbone), _names(arguments.head)
    expect(bool(backbones), "--backbone", "expected at least one, got none")
    expect(bool(heads), "--head", "expected at least one, got none")
    if _is_file(arguments.support):
        expect(
            not arguments.query,
            "--query",
            "expected a folder of images to go with it, got features",
        )
        backbones = backbones[:1]
    banks = {name: _banks(arguments, name) for name in backbones}
    rows = _forecasts(arguments, banks, heads)
    best = rows[0]
    by_name = {
        str(parts["support"].info.get("backbone", "unknown")): parts for parts in banks.values()
    }
    labels = _labels(arguments, by_name[best.backbone], best) if arguments.query else []
    sizes = _sizes(banks[backbones[0]]["support"])
    skipped = _skipped(banks)
    if arguments.json:
        record = _as_json(rows, sizes, labels, skipped)
        print(json.dumps(record, indent=2, ensure_ascii=False))
        return 0
    from fewshot.report.text.forecast import outlook_text

    names = list(dict.fromkeys(str(image["path"]) for image in skipped))
    print(outlook_text(rows, sizes, arguments.level, labels, names))
    if arguments.output and labels:
        print(f"\nLabels: {arguments.output}")
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


def _banks(arguments: argparse.Namespace, backbone: str) -> dict[str, FeatureBank]:
    """Return the features of support, base classes and queries under a backbone."""
    roots = {"support": arguments.support, "base": arguments.base}
    if _is_file(arguments.support):
        return {kind: _from_file(place, kind) for kind, place in roots.items() if place}
    from fewshot.backbones import load_backbone
    from fewshot.backbones.base import Folders
    from fewshot.datasets import load_dataset
    from fewshot.datasets.files import load_files
    from fewshot.features.extraction.settings import Extraction
    from fewshot.features.store import open_or_extract
    from fewshot.hardware import device_named
    from fewshot.paths import places_of_environment

    places = places_of_environment(weights=arguments.weights)
    on_error = "skip" if arguments.skip_unreadable else "raise"
    datasets: dict[str, Any] = {}
    for kind, root in roots.items():
        if root:
            name = Path(root).expanduser().resolve().name
            settings = {"kind": "folder", "name": name, "root": root, "split": "none"}
            datasets[kind] = load_dataset(settings | {"on_error": on_error}, places)
            warn_left_out(datasets[kind])
    if arguments.query:
        datasets["query"] = load_files(arguments.query)
    settings = backbone_settings(backbone)
    if arguments.size is not None:
        expect_positive_int("--size", arguments.size)
        settings["size"] = arguments.size
    network = load_backbone(settings, Folders(places.weights, places.digests))
    extraction = Extraction(device_named(arguments.device), on_error=on_error)
    banks = {}
    for kind, dataset in datasets.items():
        bank = open_or_extract(dataset, network, places.banks, extraction)
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
    arguments: argparse.Namespace, banks: dict[str, dict[str, FeatureBank]], heads: list[str]
) -> list[Forecast]:
    """Return the forecasts of every head on every backbone, sorted by predicted error."""
    from fewshot.estimators.auto import Auto
    from fewshot.heads import heads as registry
    from fewshot.tasks.calibration.choosing import space_of
    from fewshot.tasks.classification.forecast import forecast

    objects = {name: registry.create(name) for name in heads}
    estimator = Auto(calibrator=arguments.calibrator, level=arguments.level)
    rows: list[Forecast] = []
    for parts in banks.values():
        estimator.general().check_space(space_of(parts["support"]))
        rows += forecast(parts["support"], objects, base=parts.get("base"), estimator=estimator)
    return sorted(rows, key=lambda row: row.error)


def _labels(
    arguments: argparse.Namespace, banks: dict[str, FeatureBank], best: Forecast
) -> list[dict[str, Any]]:
    from fewshot.heads import heads as registry
    from fewshot.tasks.classification.forecast import classify

    labels = classify(banks["support"], banks["query"], registry.create(best.head))
    if arguments.output:
        from fewshot.files import atomic_path, writing

        target = Path(arguments.output)
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
    """Return the unreadable images of all backbones."""
    return [
        image
        for parts in banks.values()
        for bank in parts.values()
        for image in bank.info["skipped"]
    ]


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
