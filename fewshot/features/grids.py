"""Grids of features on disk: a file per image, named by a hash of the image.

Unlike a feature bank, which is extracted as a whole, such a folder grows by the images that are
asked for: those of the support, of which there are few, with a grid of vectors each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot.files import atomic_path, forget_abandoned

NOTE = "grids.json"
DTYPE = "float16"
# Increased when the layout of files changes.
FORMAT = 1
NOTED = {"key", "causes", "dataset", "backbone", "feature", "dim", "precision"}
FILE = re.compile(r"([0-9a-f]{64})\.([0-9]+)x([0-9]+)\.npy")
PARTIAL = re.compile(r"\..+\.npy\.[0-9]+\.[0-9a-f]+\.partial")


class Grid(NamedTuple):
    """Features of an image.

    Attributes
    ----------
    features : ndarray of shape (rows, columns, D), float16 or float32
        Mapped. float32 for an image whose features exceed the range of float16.
    native : (int, int)
        Height and width of the image in pixels.
    """

    features: NDArray[np.floating]
    native: tuple[int, int]


class Grids:
    """A folder of grids of one backbone.

    Parameters
    ----------
    folder : Path
        Need not exist.
    dim : int
        D.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self.folder, self.dim = folder, dim
        self._paths: dict[str, Path] = {}

    def begin(self, note: Mapping[str, Any]) -> None:
        """Create the folder and its note, which says what the grids are of; forget torn files."""
        if not (self.folder / NOTE).is_file():
            with atomic_path(self.folder / NOTE) as partial:
                partial.write_text(json.dumps(dict(note)), encoding="utf-8")
        for path in self.folder.glob(".*.partial"):
            forget_abandoned(path)
        with suppress(OSError):
            (self.folder / NOTE).touch()  # so that it counts as used

    def names(self) -> set[str]:
        """Hashes of the images that have a readable grid."""
        paths = [path for path in files(self.folder) if self._read(path) is not None]
        self._paths = {path.name[:64]: path for path in paths}
        return set(self._paths)

    def get(self, name: str) -> Grid | None:
        """The grid of an image by its hash; None without one, and where it is damaged."""
        if name not in self._paths:
            self.names()
        return self._read(self._paths[name]) if name in self._paths else None

    def put(self, name: str, grid: Grid) -> None:
        """Store a grid under the hash of its image, atomically.

        It is kept as float16, or as float32 where that has no number as large.
        """
        small = _fitting(grid.features)
        height, width = grid.native
        target = self.folder / f"{name}.{height}x{width}.npy"
        with atomic_path(target) as partial, partial.open("wb") as file:
            np.save(file, small, allow_pickle=False)
        self._paths[name] = target

    def _read(self, path: Path) -> Grid | None:
        try:
            return read_grid(path, self.dim)
        except (OSError, ValueError, EOFError):
            return None


def _fitting(features: NDArray[np.floating]) -> NDArray[np.floating]:
    within = np.abs(features).max(initial=0) <= np.finfo(np.float16).max
    return np.ascontiguousarray(features, np.float16 if within else np.float32)


def files(folder: Path) -> Iterator[Path]:
    """Files of grids in a folder, by name."""
    if folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if FILE.fullmatch(path.name))


def read_grid(path: Path, dim: int) -> Grid:
    """A stored grid, mapped.

    Raises
    ------
    OSError, ValueError, EOFError
        It is torn, or of another kind.
    """
    match = FILE.fullmatch(path.name)
    features = np.load(path, mmap_mode="r", allow_pickle=False)
    kind = features.dtype in (np.float16, np.float32)
    if match is None or not kind or features.ndim != 3 or features.shape[2] != dim:
        raise ValueError(f"expected (rows, columns, {dim}), got {features.dtype} {features.shape}")
    return Grid(features, (int(match[2]), int(match[3])))


def faults_of(folder: Path, dim: int) -> Iterator[str]:
    """Faults of the files of a folder: torn ones, and features that are not finite."""
    for path in files(folder):
        try:
            if not np.isfinite(read_grid(path, dim).features).all():
                yield f"{path.name} has features that are not finite"
        except (OSError, ValueError, EOFError) as error:
            yield f"{path.name} cannot be read ({error})"


def only_grids(folder: Path) -> bool:
    """Whether a folder holds nothing but grids, so that it can be removed safely."""
    return all(
        path.name == NOTE or FILE.fullmatch(path.name) or PARTIAL.fullmatch(path.name)
        for path in folder.iterdir()
    )
