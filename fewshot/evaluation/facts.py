"""Facts of a run for its summary: data, extraction, environment."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.datasets.labels import unlabelled
from fewshot.datasets.naming import DATA, unnamed
from fewshot.datasets.parts import PARTS
from fewshot.episodes import EpisodeSet
from fewshot.episodes.class_pool import TRAIN, images_needed
from fewshot.episodes.meta_dataset import LEAST_IMAGES
from fewshot.features.bank import FeatureBank
from fewshot.paths import PACKAGE
from fewshot.results.images import write_images
from fewshot.tasks.base import RunData, TaskOutput
from fewshot.tasks.engine.class_gaussians import learned_classes
from fewshot.tasks.engine.judged_part import NOVEL
from fewshot.text.gaussians.fitted import TextGaussians


class BankData(RunData):
    """The features of a run and its episodes, and the settings of the backbone."""

    def __init__(
        self, bank: FeatureBank, drawn: list[EpisodeSet], backbone: Mapping[str, Any]
    ) -> None:
        self.bank, self.drawn, self.backbone, self.info = bank, drawn, backbone, bank.info

    def facts(self) -> dict[str, Any]:
        """Counts of images, classes and copies, what was left out of them, and the extraction."""
        extraction = extraction_facts(self.bank, self.backbone)
        return data_facts(self.bank, self.drawn) | {"extraction": extraction}

    def write(self, folder: Path) -> None:
        """Write the table of images that were shots."""
        write_images(folder, self.bank, self.drawn)


def run_data(output: TaskOutput, backbone: Mapping[str, Any] | None = None) -> RunData:
    """The data of a run, of whatever task.

    Parameters
    ----------
    output : TaskOutput
    backbone : mapping, optional
        Settings of the backbone; None where features are given.
    """
    data = output.bank
    return data if isinstance(data, RunData) else BankData(data, output.drawn, backbone or {})


def data_facts(bank: FeatureBank, drawn: list[EpisodeSet]) -> dict[str, Any]:
    """Return counts of images, classes and copies, and the skipped images and dropped classes."""
    parts_by_class = bank.info.get("parts", bank.parts)  # as they were before `episodes.part`
    counts = {part: (parts_by_class or ()).count(part) for part in PARTS}
    return {
        "images": len(bank),
        "classes": len(bank.classes()),
        "classes_by_part": None if parts_by_class is None else counts,
        "part": bank.info.get("part", NOVEL),
        "feature_dim": bank.dim,
        "normalize": bank.normalize,
        "skipped": bank.info.get("skipped", []),
        "classnames": naming_facts(bank),
        "left_out_folders": bank.info.get("left_out", []),
        "unread_files": bank.info.get("unread", []),
        "copies": bank.info.get("copies"),
        "labelled_minus_one": unlabelled(bank.labels, bank.classnames),
        "text": bank.info.get("text"),
        "predictor": _predictor(bank),
        "transform": bank.info.get("causes", {}).get("backbone", {}).get("transform"),
        "dropped_classes": _dropped(bank, drawn),
    } | {key: bank.info[key] for key in ("queries_from", "without_queries") if key in bank.info}


def naming_facts(bank: FeatureBank) -> dict[str, Any]:
    """Return the source of the class names, and the names that look like identifiers."""
    return {"from": DATA} | bank.naming | {"identifiers": unnamed(bank)}


def extraction_facts(bank: FeatureBank, backbone: Mapping[str, Any]) -> dict[str, Any]:
    """Return the duration, speed and platform of the extraction; null where unknown.

    For all images that went through the backbone, also those that this run does not use.
    """
    seconds = bank.info.get("seconds")
    images = bank.info.get("images", len(bank))
    return {
        "seconds": seconds,
        "images_per_second": round(images / seconds, 2) if seconds else None,
        "parameters": backbone.get("parameters") if "causes" in bank.info else None,
        "platform": bank.info.get("platform"),
    }


def _dropped(bank: FeatureBank, drawn: list[EpisodeSet]) -> dict[str, list[str]]:
    """Return the names of the classes with too few images for an episode, by shots."""
    pool = bank.classes(None if bank.parts is None else "novel")
    size = np.bincount(bank.labels, minlength=len(bank.classnames))
    dropped = {}
    if "queries_from" in bank.info:  # two data sets: the shots must be of the first
        assert bank.subset is not None
        size = np.bincount(bank.labels[bank.subset == TRAIN], minlength=len(bank.classnames))
    for episodes in drawn:
        needed = images_needed(episodes.shots, episodes.mean_queries)
        if not episodes.equal_ways:  # shots and queries follow the sizes of the classes
            needed = LEAST_IMAGES
        needed = episodes.shots if "queries_from" in bank.info else needed
        small = pool[size[pool] < needed]
        if len(small):
            dropped[str(episodes.nominal_shots)] = [bank.classnames[c] for c in small]
    return dropped


def _predictor(bank: FeatureBank) -> dict[str, Any] | None:
    """Return the record of a fitted predictor, and the evaluated classes it was fitted on."""
    if not isinstance(bank.predictor, TextGaussians):
        return None
    record = {key: value for key, value in bank.predictor.record.items() if key != "ids"}
    return record | {"classes_in_common": _in_common(bank, bank.predictor)}


def _in_common(bank: FeatureBank, predictor: TextGaussians) -> list[str]:
    """Return the evaluated classes that a predictor was fitted on, by name or identifier."""
    judged = bank.classes(None if bank.parts is None else "novel")
    names = {name.casefold() for name in predictor.classnames}
    same = predictor.record.get("dataset") == bank.info.get("dataset", "features")
    ids = set(learned_classes(predictor)) if same else set()
    return [
        bank.classnames[c] for c in judged
        if bank.classnames[c].casefold() in names or bank.identifiers[c] in ids
    ]  # fmt: skip


def overlap_warning(bank: FeatureBank) -> str | None:
    """Return a warning if a predictor was fitted on evaluated classes of the same data set."""
    predictor = bank.predictor
    dataset = bank.info.get("dataset", "features")
    if not isinstance(predictor, TextGaussians) or predictor.record.get("dataset") != dataset:
        return None
    names = _in_common(bank, predictor)
    if not names:
        return None
    what = f"{len(names)} of the classes that are evaluated, for instance {names[0]!r}"
    return f"text.predictor: it has learned from images of {what}"


PACKAGES = ("torch", "torchvision", "timm", "open_clip_torch", "numpy", "scikit-learn", "pillow")


def environment(device: str, threads: int) -> dict[str, Any]:
    """Return versions, platform, device, threads, memory and, in a clone, the git commit."""
    import fewshot

    versions = {name: _version(name) for name in PACKAGES}
    return {
        "fewshot": fewshot.__version__,
        "python": platform.python_version(),
        **versions,
        "platform": platform.platform(),
        "device": device,
        "threads": threads,
        "peak_memory_mib": peak_memory(),
        "git_commit": _git_commit(),
    }


def peak_memory() -> int | None:
    """Return the peak memory of this process so far in MiB; None where it is unavailable."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // (2**20 if sys.platform == "darwin" else 2**10)


@cache  # called for every job of a sweep
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@cache  # the commit of the loaded code, which a later checkout does not change
def _git_commit() -> str | None:
    """Return the commit of the clone that this package runs from; None for a wheel."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
