"""Paths of the configuration, the data set cards and the caches, in a clone and in a wheel."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fewshot.exceptions import FewshotError, UnknownNameError, shown

PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """Return the folder ``conf``, or ``cards``, ``confusers`` or ``templates`` of ``datasets``.

    A wheel carries them inside the package; a clone has them at its top.
    """
    packaged = PACKAGE / "_resources" / name
    return packaged if packaged.is_dir() else PACKAGE.parent / name


def options(group: str, pattern: str = "*") -> dict[str, dict[str, Any]]:
    """Return the content of every YAML file of a config group whose name matches `pattern`."""
    folder = resource_dir("conf") / group
    names = fnmatch.filter(option_names(group), pattern)
    return {name: read_yaml(folder / f"{name}.yaml") for name in names}


def option_names(group: str) -> list[str]:
    """Return the names of the YAML files of a config group, sorted."""
    return sorted(path.stem for path in (resource_dir("conf") / group).glob("*.yaml"))


def option(group: str, name: str, others: Iterable[str] = ()) -> dict[str, Any]:
    """Return the content of one option of a config group.

    Parameters
    ----------
    group, name : str
    others : iterable of str
        Names of the group that have no file, for suggestions.

    Raises
    ------
    UnknownNameError
        The group has no option of that name.
    """
    names = option_names(group)
    if name not in names:
        raise UnknownNameError(group, name, [*names, *others])
    return read_yaml(resource_dir("conf") / group / f"{name}.yaml")


def card(name: str) -> dict[str, Any]:
    """Return the card of a data set, ``datasets/cards/<name>.yaml``; empty without a card."""
    path = resource_dir("datasets/cards") / f"{name}.yaml"
    return read_yaml(path) if path.is_file() else {}


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file as a dict, by the safe loader."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, ten times as fast
    return yaml.load(path.read_text(encoding="utf-8"), loader) or {}


# Folder beside the runs with the finished cells of incomplete runs, a small run folder each.
KEPT = ".cells"


@dataclass(frozen=True)
class Places:
    """Folders of one run.

    Attributes
    ----------
    cache : Path
        Feature banks and cached hashes.
    weights : Path
        Searched for weights before any download.
    data : Path
        Data sets, one sub-folder each.
    """

    cache: Path
    weights: Path
    data: Path

    @property
    def digests(self) -> Path:
        """Folder of the cached content hashes of files."""
        return self.cache / "digests"

    @property
    def banks(self) -> Path:
        """Folder of the feature banks."""
        return self.cache / "features"


def places_of(paths: Mapping[str, Any]) -> Places:
    """Return the folders of the settings ``paths``; None stands for the default folder.

    The default folder of data sets is ``datasets/`` of a clone, beside their cards, and
    ``datasets/`` of the cache for an installed package.
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


def places_of_environment(**folders: Any) -> Places:
    """Return the folders of commands without a configuration.

    Arguments have precedence over the variables ``FEWSHOT_CACHE``, ``FEWSHOT_WEIGHTS`` and
    ``FEWSHOT_DATA``.

    Raises
    ------
    FewshotError
        One of them is no path.
    """
    paths: dict[str, Path | None] = {}
    for key in ("cache", "weights", "data"):
        variable = f"FEWSHOT_{key.upper()}"
        argument, value = key, folders.get(key)
        if value is None or value == "":
            argument, value = variable, os.environ.get(variable) or None
        paths[key] = None if value is None else _folder(argument, value)
    return places_of(paths)


def _folder(argument: str, value: object) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise FewshotError(argument, f"expected a path, got {shown(value)}")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        problem = "there is no home folder for a path that begins with ~"
        raise FewshotError(argument, problem) from None
