"""Images without labels: files, and folders of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.fingerprint import images_digest
from fewshot.datasets.images import EXTENSIONS, read_image
from fewshot.datasets.walk import (
    image_files,
    is_file,
    is_folder,
    printable,
)
from fewshot.exceptions import FewshotError


def load_files(places: Sequence[str], argument: str = "--query") -> ImageDataset:
    """List image files and those of folders, at any depth, in order, without labels.

    A file that is given more than once, also by way of links, is one image, under its first name.
    Hidden files in folders are passed over.

    Raises
    ------
    FewshotError
        A place does not exist, or holds no image.
    """
    file_of: dict[str, Path] = {}
    folders: dict[Path, str] = {}
    for place in (Path(place).expanduser() for place in places):
        for file in _images_at(place, argument):
            file_of.setdefault(_true_path(file, folders), file)
    files = list(file_of.values())
    names = tuple(printable(str(file)) for file in files)

    def read(row: int) -> Image.Image:
        return read_image(files[row])

    def fingerprint() -> str:
        return images_digest(names, files)

    labels = np.zeros(len(files), dtype=np.int64)
    return ImageDataset("query", labels, ("unlabelled",), names, read, fingerprint)


def _true_path(file: Path, folders: dict[Path, str]) -> str:
    """The path without links; `folders` remembers that of a folder for all its files."""
    if file.is_symlink():
        return os.path.realpath(file)
    if file.parent not in folders:
        folders[file.parent] = os.path.realpath(file.parent)
    return f"{folders[file.parent]}/{file.name}"


def _images_at(place: Path, argument: str) -> list[Path]:
    shown = printable(str(place))
    if is_folder(place):
        images = image_files(place, argument)
    elif is_file(place):
        images = [place] if place.suffix.lower() in EXTENSIONS else []
    else:
        raise FewshotError(argument, f"expected images or folders, got nothing at {shown}")
    if not images:
        raise FewshotError(argument, f"no image in {shown} ({', '.join(sorted(EXTENSIONS))})")
    return images
