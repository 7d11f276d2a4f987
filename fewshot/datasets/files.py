"""Images without labels: files, and folders of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.fingerprint import file_digests
from fewshot.datasets.images import EXTENSIONS, read_image
from fewshot.exceptions import FewshotError


def load_files(places: Sequence[str], argument: str = "--query") -> ImageDataset:
    """List image files and those of folders, at any depth, in order, without labels.

    Raises
    ------
    FewshotError
        A place does not exist, or holds no image.
    """
    files: list[Path] = []
    for place in map(Path, places):
        if not place.exists():
            raise FewshotError(argument, f"expected images or folders, got nothing at {place}")
        found = [place] if place.is_file() else sorted(place.rglob("*"))
        images = [one for one in found if one.suffix.lower() in EXTENSIONS and one.is_file()]
        if not images:
            kinds = ", ".join(sorted(EXTENSIONS))
            raise FewshotError(argument, f"no image in {place} ({kinds})")
        files += images

    def read(row: int) -> Image.Image:
        return read_image(files[row])

    def fingerprint() -> str:
        digest = hashlib.sha256()
        for file, content in zip(files, file_digests(files, None), strict=True):
            digest.update(f"{file}\0{content}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    labels = np.zeros(len(files), dtype=np.int64)
    names = tuple(map(str, files))
    return ImageDataset("query", labels, ("unlabelled",), names, read, fingerprint)
