"""Where the configuration and the data set cards are, in a clone and in an installed wheel."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fewshot.exceptions import UnknownNameError

PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """The folder ``conf``, or ``cards``, ``confusers`` or ``templates`` of ``datasets``.

    A wheel carries them inside the package; a clone has them at its top.
    """
    packaged = PACKAGE / "_resources" / name
    return packaged if packaged.is_dir() else PACKAGE.parent / name


def options(group: str, pattern: str = "*") -> dict[str, dict[str, Any]]:
    """Content of every YAML file of a config group whose name matches a shell pattern."""
    folder = resource_dir("conf") / group
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    return {name: read_yaml(folder / f"{name}.yaml") for name in fnmatch.filter(names, pattern)}


def option(group: str, name: str) -> dict[str, Any]:
    """One of the options of a group; an unknown name gets a suggestion."""
    known = options(group)
    if name not in known:
        raise UnknownNameError(group, name, known)
    return known[name]


def card(name: str) -> dict[str, Any]:
    """What is known of a data set: ``datasets/cards/<name>.yaml``, or nothing."""
    path = resource_dir("datasets/cards") / f"{name}.yaml"
    return read_yaml(path) if path.is_file() else {}


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a dict, by the safe loader."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, ten times as fast
    return yaml.load(path.read_text(encoding="utf-8"), loader) or {}


# Beside the runs: finished cells of runs that are not complete, a small run folder each.
KEPT = ".cells"


@dataclass(frozen=True)
class Places:
    """Folders of one run.

    Attributes
    ----------
    cache : Path
        Feature banks and remembered hashes.
    weights : Path
        Where weights are looked for before any hub is asked.
    data : Path
        Data sets, a sub-folder each.
    """

    cache: Path
    weights: Path
    data: Path

    @property
    def digests(self) -> Path:
        """Remembered content hashes of files."""
        return self.cache / "digests"

    @property
    def banks(self) -> Path:
        """Feature banks."""
        return self.cache / "features"


def places_of(paths: Mapping[str, Any]) -> Places:
    """The folders that the settings ``paths`` name; None stands for the usual place.

    The usual place of data sets is ``datasets/`` of a clone, beside their cards, and the cache's
    for an installed package.
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    cache = Path(str(paths.get("cache") or f"{base}/fewshot")).expanduser()
    clone = resource_dir("datasets/cards").is_relative_to(PACKAGE) is False
    data = PACKAGE.parent / "datasets" if clone else cache / "datasets"
    return Places(
        cache,
        Path(str(paths.get("weights") or cache / "weights")).expanduser(),
        Path(str(paths.get("data") or data)).expanduser(),
    )


def places_of_environment(**given: Any) -> Places:
    """The folders of commands without a configuration; what is given goes first."""
    names = {"cache": "FEWSHOT_CACHE", "weights": "FEWSHOT_WEIGHTS", "data": "FEWSHOT_DATA"}
    return places_of({key: given.get(key) or os.environ.get(name) for key, name in names.items()})
