"""What to type for a path or a name that stands where a setting or a command is expected."""

from __future__ import annotations

import difflib
import itertools
import json
import shlex
import struct
from collections.abc import Iterator
from pathlib import Path

from fewshot.config.nodes import GROUPS, options_of
from fewshot.exceptions import FewshotError
from fewshot.file_kinds import kind_of
from fewshot.files import exists
from fewshot.paths import option_names

# Entries of a folder that are looked at.
LOOKED_AT = 200
WEIGHTS = (".pth", ".pt", ".bin", ".ckpt")
TABLES = (".csv", ".tsv", ".json", ".jsonl", ".txt")
ARRAYS = (".npz", ".npy", ".parquet", ".feather", ".arrow", ".mat", ".h5", ".hdf5", ".pkl")


def stray_word(word: str) -> FewshotError | None:
    """The error for an argument that is neither a command nor SETTING=VALUE.

    None for a word that is no path and names nothing.
    """
    path, name = Path(word).expanduser(), shlex.quote(word)
    commands: list[str]
    remedy = ""
    if exists(path):
        what, commands = _of_path(path, word)
    elif groups := _groups_of(word):
        what = f"which is a {' and a '.join(groups)}".replace("dataset", "data set")
        many = "-m " * (groups == ["sweep"])
        commands = [f"fewshot {many}{group}={name}" for group in groups]
    elif len(path.parts) > 1 or path.suffix or " " in word:
        what, commands, remedy = "and nothing is there", [], _similar(path)
    else:
        return None
    remedy = f"Say {' or '.join(commands)}." if commands else remedy or "See fewshot --help."
    return FewshotError(
        "arguments", f"expected a command or SETTING=VALUE, got {word!r}, {what}", remedy
    )


def as_dataset(path: str) -> str:
    """The settings that make a data set of a folder or a file, quoted for a shell."""
    from fewshot.features.paths import is_bank  # imports torch

    where = Path(path).expanduser()
    if where.is_dir() and not is_bank(where):
        kind, setting = "folder", "root"
    elif where.suffix.lower() in TABLES:
        kind, setting = "listed", "split_file"
    else:
        kind, setting = "features", "path"
    return f"dataset={kind} {shlex.quote(f'dataset.{setting}={path}')}"


def _of_path(path: Path, word: str) -> tuple[str, list[str]]:
    """What is at a path, and commands that take it."""
    if path.is_dir():
        return _of_folder(path, word)
    name, suffix, kind = shlex.quote(word), path.suffix.lower(), kind_of(path) or "a file"
    commands: list[str] = []
    if kind.endswith("image"):
        commands = [f"fewshot oneclass CLASS {name}", f"fewshot predict DIR --query {name}"]
    elif suffix == ".safetensors":
        kind, commands = _of_tensors(path, word)
    elif suffix in WEIGHTS:
        weights = shlex.quote(f"backbone.weights={word}")
        commands = [f"fewshot backbone=NAME {weights}", f"fewshot {as_dataset(word)}"]
    elif suffix in TABLES:
        split = shlex.quote(f"dataset.split={word}")
        commands = [
            f"fewshot dataset.root=DIR {as_dataset(word)} (a list of images)",
            f"fewshot dataset=folder dataset.root=DIR {split} (a split by class)",
        ]
    elif suffix == ".py":
        target = f"backbone.target={path.stem}:FUNCTION"
        commands = [f"fewshot backbone=callable {shlex.quote(target)}"]
    elif suffix in ARRAYS:
        commands = [f"fewshot {as_dataset(word)}", f"fewshot predict {name}"]
    return kind, commands


def _of_folder(path: Path, word: str) -> tuple[str, list[str]]:
    from fewshot.features.paths import is_bank

    name = shlex.quote(word)
    entries = list(itertools.islice(path.iterdir(), LOOKED_AT))
    folders = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    if is_bank(path):
        return "a feature bank", [f"fewshot {as_dataset(word)}", f"fewshot bank show {name}"]
    if any((place / "summary.json").is_file() for place in (path, *folders)):
        return "a folder of runs", [f"fewshot report {name}", f"fewshot results query {name}"]
    if folders:
        return _of_sub_folders(path, word)
    if any((kind_of(entry) or "").endswith("image") for entry in entries[:10]):
        return "a folder of images, without a sub-folder per class", [
            f"fewshot oneclass CLASS {name}",
            f"fewshot predict DIR --query {name}",
        ]
    if any(entry.suffix.lower() in TABLES for entry in entries):
        root = shlex.quote(f"dataset.root={word}")
        return "a folder with lists", [f"fewshot dataset=listed {root}"]
    return "a folder without images", []


def _of_sub_folders(path: Path, word: str) -> tuple[str, list[str]]:
    """Images with masks, or classes."""
    from fewshot.tasks.segmentation.masks.folder import parts_of_folder

    name, settings = shlex.quote(word), as_dataset(word)
    if parts_of_folder(path):
        return "a folder of images with masks", [
            f"fewshot task=segmentation {settings}",
            f"fewshot predict {name} --task segmentation",
        ]
    return "a folder with sub-folders", [f"fewshot predict {name}", f"fewshot {settings}"]


def _of_tensors(path: Path, word: str) -> tuple[str, list[str]]:
    """Features, episodes, a predictor of ``fewshot text fit`` or weights of a network."""
    name, header = shlex.quote(word), _header(path)
    entries = {key: entry for key, entry in header.items() if key != "__metadata__"}
    weights = shlex.quote(f"backbone.weights={word}")
    metadata = header.get("__metadata__")
    if isinstance(metadata, dict) and "text_gaussians" in metadata:
        return "a predictor of Gaussians from text", [f"fewshot text show {name}"]
    if {"support", "query"} & entries.keys():
        episodes = shlex.quote(f"episodes.path={word}")
        return "saved episodes", [f"fewshot {episodes}"]
    if entries and not any("." in key for key in entries):
        return "a safetensors file", [f"fewshot {as_dataset(word)}", f"fewshot predict {name}"]
    return kind_of(path) or "a file", [f"fewshot backbone=NAME {weights}"]


def _header(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
            header: object = json.loads(file.read(min(size, 1 << 24)))
    except (OSError, ValueError, struct.error):
        return {}
    return header if isinstance(header, dict) else {}


def _groups_of(name: str) -> list[str]:
    """The groups that have an option of this name."""
    named: Iterator[str] = (
        group
        for group in ("dataset", "backbone", "head", "estimator", "episodes", "sweep")
        if name in (options_of(group) if group in GROUPS else option_names(group))
    )
    return list(named)


def _similar(path: Path) -> str:
    """A question that names the nearest in the same folder; empty without one."""
    try:
        names = [entry.name for entry in itertools.islice(path.parent.iterdir(), 10 * LOOKED_AT)]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"Did you mean {str(path.with_name(near[0]))!r}?" if near else ""
