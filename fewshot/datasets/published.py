"""Functions shared by the loaders of published image sets."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.fingerprint import images_digest, index_of
from fewshot.datasets.images import read_image
from fewshot.exceptions import FewshotError


def data_folder(root: str | None, data: Path | None, name: str) -> Path:
    """Folder of a data set: `root` if it is set, else the folder `name` in `data`."""
    if root:
        return Path(str(root)).expanduser()
    if data is None:
        raise FewshotError(
            "dataset.root",
            f"expected the folder of {name}, got nothing",
            "Name it, or name the folder of all data sets by paths.data or FEWSHOT_DATA.",
        )
    return data / name


def from_files(
    name: str,
    root: Path,
    paths: Sequence[str],
    labels: NDArray,
    classnames: tuple[str, ...],
    cache: Path | None = None,
    **more: Any,
) -> ImageDataset:
    """A data set of the M files `paths`, relative to `root`; `more` goes to ``ImageDataset``."""
    labels = np.asarray(labels, dtype=np.int64)

    def read(row: int) -> Image.Image:
        return read_image(root / paths[row])

    def fingerprint() -> str:
        files = [root / path for path in paths]
        content = images_digest(paths, files, index_of(root, cache, name), labels)
        return hashlib.sha256("\n".join((*classnames, content)).encode()).hexdigest()

    return ImageDataset(name, labels, classnames, tuple(paths), read, fingerprint, **more)


def expect_whole(
    name: str, root: Path, paths: Sequence[str] | None, listed: int, published: int | None
) -> None:
    """Refuse a set that was extracted in part: fewer images than published, or files missing.

    Parameters
    ----------
    paths : sequence of M str, or None
        Files to look for under `root`; None where they were listed from the disk or are arrays.
    listed, published : int
        Number of images listed, and according to the card (None: unknown).
    """
    missing = [path for path in paths or () if not (root / path).is_file()]
    if missing:
        problem = f"{len(missing):,} of {listed:,} images are missing, the first is {missing[0]}"
    elif published is not None and listed < published:
        problem = f"found {listed:,} of {published:,} images"
    else:
        return
    raise FewshotError(
        "dataset",
        f"{name} in {str(root)!r} is not complete: {problem}",
        "Extract its archives again (remove what is there first), "
        "or take it as it is with dataset.on_error=skip.",
    )
