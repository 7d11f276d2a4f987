"""Fit the general-purpose calibrator: folders of images to the general.json of the package.

    python general_calibrator.py sets --caltech101 DIR --clip DIR --output general.json \\
        --without caltech101 flowers imagenet

`sets` is what calibration_sets.py wrote, --caltech101 a folder of its classes, --clip a folder with
features of CLIP's ViT-B/32: caltech101.npz, oxford_flowers.npz, imagenet.npz. What is not there is
said and left out. Features are extracted in float32, once (--cache). For every group of --without,
general.without_GROUP.json beside the output is fitted on the same episodes less that group's: what
predictions on it have to be judged with. `fewshot calibrate` does the same for files of features.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from common import features_of

from fewshot.backbones import load
from fewshot.datasets import load_dataset
from fewshot.features import Extraction, FeatureBank, make_bank, open_or_extract
from fewshot.tasks import CalibrationPlan, calibration_cells, fit_calibrator, nested_errors

LITE0, LITE0_64, MOBILENET = "efficientnet_lite0", "efficientnet_lite0_64px", "mobilenet_v2"
# Group of images: sets of it, each with the backbones that see it.
SOURCES: dict[str, dict[str, tuple[str, ...]]] = {
    "caltech101": {"caltech101": (LITE0, LITE0_64, MOBILENET, "clip_vitb32")},
    "flowers": {"oxford_flowers": ("clip_vitb32",)},
    "imagenet": {"imagenet": ("clip_vitb32",)},
    "clipart": {"clipart": (LITE0, MOBILENET)},
    "emoji": {"emoji_skin": (LITE0,), "emoji_subcategory": (MOBILENET,)},
    "icons": {"icon_name": (LITE0,), "icon_style": (MOBILENET,)},
    "fonts": {
        "font_identity": (LITE0,),
        "glyph_kana": (LITE0,),
        "glyph_latin": (MOBILENET,),
        "glyph_cyrillic_greek": (MOBILENET,),
    },
    "textures": {"texture_crop": (LITE0,), "texture_family": (MOBILENET,)},
    "photographs": {
        "photo_crop": (LITE0, MOBILENET),
        "photo_blurred": (LITE0,),
        "photo_small": (MOBILENET,),
        "photo_noisy": (LITE0,),
    },
    "game_art": {
        "wesnoth_race": (LITE0,),
        "wesnoth_terrain": (MOBILENET,),
        "wesnoth_unit": (LITE0,),
    },
    "digits": {"digits": (LITE0, MOBILENET)},
    "mnist": {"mnist": (LITE0, MOBILENET)},
}
WEIGHTS = {"caltech101": 3.0, "flowers": 3.0, "imagenet": 3.0, "photographs": 3.0}
NOTES = (
    "General-purpose calibrator. Twelve groups of images, each under one to four backbones. A "
    "group weighs the same whatever its size, photographs three times as much as drawings, glyphs, "
    "icons and scans, as most images of users are photographs, some of them poor. Half of the "
    "classes of a bank, at random, give the episodes, of random and of confusable classes; the "
    "others serve as base classes for the regimes that have them. Unlabelled images: 5, 15 and 50 "
    "per class, or the queries, with uneven shares and strangers. Learning curves: nested supports "
    "of all classes. left_out: 5-way figures, random classes, on groups that were left out of the "
    "fit. Made by benchmarks/general_calibrator.py."
)


@dataclass(frozen=True)
class Places:
    """Folders of images, of CLIP's features and of what is extracted."""

    sets: Path
    caltech101: Path | None
    clip: Path | None
    cache: Path

    def bank(self, group: str, name: str, backbone: str) -> FeatureBank | None:
        """Features of a set under a backbone; None if its images or features are not there."""
        if backbone == "clip_vitb32":
            file = None if self.clip is None else self.clip / f"{name}.npz"
            return None if file is None or not file.is_file() else _from_file(file, name)
        if name == "digits":
            return self._extracted({"kind": "digits", "name": name, "split": "none"}, backbone)
        folder = self.caltech101 if name == "caltech101" else self.sets / group / name
        if folder is None or not folder.is_dir():
            return None
        settings = {"kind": "folder", "name": name, "root": str(folder), "split": "none"}
        return self._extracted(settings, backbone)

    def _extracted(self, settings: dict[str, str], backbone: str) -> FeatureBank:
        dataset = load_dataset(settings)
        model, _, pixels = backbone.partition("_64")
        network = load(model, weights=self.cache, size=64 if pixels else None)
        if not pixels:
            network.with_input(**dataset.input)
        bank = open_or_extract(dataset, network, self.cache, Extraction(precision="float32"))
        return replace(bank, normalize="l2", info=bank.info | {"backbone": backbone})


def _from_file(file: Path, name: str) -> FeatureBank:
    features, labels = features_of(file)
    info = {"dataset": name, "backbone": "clip_vitb32"}
    return replace(make_bank(features, labels), normalize="l2", info=info)


def banks_of(places: Places) -> Iterator[tuple[str, FeatureBank]]:
    """Group and features of everything that is there; what is not is said."""
    for group, sets in SOURCES.items():
        for name, backbones in sets.items():
            for backbone in backbones:
                bank = places.bank(group, name, backbone)
                if bank is None:
                    print(f"{group}: no {name} for {backbone}, left out", file=sys.stderr)
                else:
                    print(f"{group}: {name}, {backbone}: {len(bank)}", file=sys.stderr, flush=True)
                    yield group, bank


def main() -> None:
    """Extract what is missing, fit, and fit again without each of some groups."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", type=Path)
    parser.add_argument("--caltech101", type=Path, metavar="DIR")
    parser.add_argument("--clip", type=Path, metavar="DIR")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/fewshot/calibration")
    parser.add_argument("--output", type=Path, metavar="FILE")
    parser.add_argument("--episodes", type=int, default=60, help="per cell (%(default)s)")
    parser.add_argument("--without", nargs="*", default=[], choices=sorted(SOURCES))
    parser.add_argument("--extract-only", action="store_true")
    options = parser.parse_args()
    places = Places(options.sets, options.caltech101, options.clip, options.cache)
    groups: dict[str, list[FeatureBank]] = {}
    for group, bank in banks_of(places):
        groups.setdefault(group, []).append(bank)
    if not options.extract_only:
        if options.output is None:
            parser.error("expected --output")
        fit(groups, options.episodes, options.output, options.without)


def fit(
    groups: dict[str, list[FeatureBank]], episodes: int, output: Path, without: list[str]
) -> None:
    """The calibrator on all groups, and those without one: the episodes are looked at once."""
    weights = {group: weight for group, weight in WEIGHTS.items() if group in groups}
    plan = CalibrationPlan(episodes=episodes, weights=weights)
    cells = calibration_cells(groups, plan, lambda text: print(text, file=sys.stderr, flush=True))
    ladders = nested_errors(groups, plan)
    fit_calibrator(cells, groups, plan, NOTES, ladders).save(output)
    for group in without:
        others = {name: banks for name, banks in groups.items() if name != group}
        kept = replace(plan, weights={name: w for name, w in weights.items() if name != group})
        file = output.with_suffix(f".without_{group}.json")
        notes = f"Fitted without {group}. {NOTES}"
        fit_calibrator(cells, others, kept, notes, ladders).save(file)


if __name__ == "__main__":
    main()
