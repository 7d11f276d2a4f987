"""Where things are kept: caches, weights, data sets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot.resources import PACKAGE, resource_dir

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
