"""Images without labels: files, and folders of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.fingerprint import images_digest
from fewshot.datasets.image_kinds import EXPECTED, KINDS, extension_of, kind_by_phrase, remedies
from fewshot.datasets.images import pixel_limit, read_image
from fewshot.datasets.unread import OtherFiles, unread_amounts, unread_remedy
from fewshot.datasets.walk import (
    image_files,
    is_file,
    is_folder,
    printable,
)
from fewshot.exceptions import FewshotError
from fewshot.file_kinds import kind_of
from fewshot.files import file_digests, path_of


def load_files(places: Sequence[str], argument: str = "--query") -> ImageDataset:
    """List image files and those of folders, at any depth, in order, without labels.

    A file that is given more than once, also by way of links, is one image, under its first name.
    Hidden files in folders are passed over; images of kinds that are not read are counted
    (``ImageDataset.unread``).

    Raises
    ------
    FewshotError
        A place does not exist, or holds no image.
    """
    file_of: dict[str, Path] = {}
    folders: dict[Path, str] = {}
    others, limit = OtherFiles(), pixel_limit()
    for place in (path_of(argument, place) for place in places):
        for file in _images_at(place, argument, others):
            file_of.setdefault(_true_path(file, folders), file)
    files = list(file_of.values())
    names = tuple(printable(str(file)) for file in files)

    def read(row: int) -> Image.Image:
        return read_image(files[row], limit)

    def fingerprint() -> str:
        return images_digest(names, files)

    labels = np.zeros(len(files), dtype=np.int64)
    return ImageDataset(
        "query", labels, ("unlabelled",), names, read, fingerprint, unread=others.unread(),
        digests=lambda: file_digests(files),
    )  # fmt: skip


def _true_path(file: Path, folders: dict[Path, str]) -> str:
    """The path without links; `folders` remembers that of a folder for all its files."""
    if file.is_symlink():
        return os.path.realpath(file)
    if file.parent not in folders:
        folders[file.parent] = os.path.realpath(file.parent)
    return f"{folders[file.parent]}/{file.name}"


def _images_at(place: Path, argument: str, others: OtherFiles) -> list[Path]:
    """The image itself, or those below a folder; other files are counted in `others`."""
    shown = printable(str(place))
    if is_file(place):
        _expect_image(place, argument)
        return [place]
    if not is_folder(place):
        raise FewshotError(argument, f"expected images or folders, got nothing at {shown}")
    beside = OtherFiles()
    images = image_files(place, argument, beside)
    others.update(beside)
    if images:
        return images
    if unread := beside.unread():
        problem = f"no image that can be read in {shown}: {unread_amounts(unread)}"
        raise FewshotError(argument, problem, unread_remedy(unread))
    raise FewshotError(argument, f"no image in {shown} ({EXPECTED})")


def _expect_image(file: Path, argument: str) -> None:
    """Refuse what is no image, by its extension or, where that says nothing, by its content."""
    shown, extension = printable(str(file)), extension_of(file)
    kind = KINDS.get(extension)
    if kind is not None and kind.readable():
        return
    content = kind_of(file)
    by_content = kind_by_phrase(content)
    if kind is not None:
        problem = f"no image in {shown}: {extension} files are not read here"
        raise FewshotError(argument, problem, remedies([extension]))
    if by_content is None:
        problem = f"no image in {shown}" + (f", which is {content}" if content else "")
        raise FewshotError(argument, f"{problem}; expected {EXPECTED}")
