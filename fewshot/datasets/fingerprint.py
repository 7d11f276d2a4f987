"""Content hashes of files, computed again only for files that changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from numpy.typing import NDArray

from fewshot.files import file_digests


def images_digest(
    names: Sequence[str],
    files: Sequence[Path],
    index: Path | None = None,
    labels: NDArray | None = None,
) -> str:
    """Hash of the names and contents of images, in that order, and of their labels if given.

    Parameters
    ----------
    names : sequence of M str
    files : sequence of M Path
    index : Path, optional
        File where content hashes are remembered.
    labels : ndarray of shape (M,), int, optional
        Needed where the names do not determine the classes.
    """
    digest = hashlib.sha256()
    for row, (name, content) in enumerate(zip(names, file_digests(files, index), strict=True)):
        label = "" if labels is None else f"\0{labels[row]}"
        digest.update(f"{name}\0{content}{label}\n".encode())
    return digest.hexdigest()


def index_of(folder: Path, cache: Path | None, use: str = "") -> Path | None:
    """File in which the content hashes of a folder's files are cached, one per `use`."""
    if cache is None:
        return None
    digest = hashlib.sha256(os.fsencode(folder.resolve()) + use.encode()).hexdigest()[:16]
    return cache / f"{digest}.json"
