"""Data sets from a list of images and classes: JSON files of CoOp, CSV files of miniImageNet."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.fingerprint import images_digest, index_of
from fewshot.datasets.images import pixel_limit, read_image
from fewshot.datasets.split_files import ImageList, read_image_list
from fewshot.datasets.walk import (
    is_file,
    is_folder,
    printable,
    sub_folders,
)
from fewshot.exceptions import FewshotError

SPLIT_FILE = "dataset.split_file"
TRIED = 32  # images, spread over the list, by which the folder of images is found


def load_listed(
    name: str,
    root: str | None = None,
    split_file: str | None = None,
    on_error: str = "raise",
    max_pixels: int | None = None,
    cache: Path | None = None,
    data: Path | None = None,
) -> ImageDataset:
    """The images that `split_file` lists, wherever they lie below `root`.

    Paths in the list may be relative to `root`, to its folder ``images``, to another sub-folder of
    it or to the folder of the list; images may lie flat or in folders named after their classes.

    Parameters
    ----------
    name : str
    root : str, optional
        By default ``<data>/<name>``.
    split_file : str, optional
        See :func:`~fewshot.datasets.split_files.read_image_list`; relative to the current folder
        or to `root`. By default `root`'s only ``split_*.json``, or `root` with its train.csv.
    on_error : {"raise", "skip"}
        What to do about listed images that do not exist.
    max_pixels : int, optional
        Larger images are refused; see :func:`~fewshot.datasets.images.pixel_limit`.
    cache : Path, optional
        Folder for remembered content hashes.
    data : Path, optional
        Folder of data sets.

    Raises
    ------
    FewshotError
        No such folder or list, a malformed list, or missing images.
    """
    limit = pixel_limit(max_pixels)
    folder = _root(name, root, data)
    place = _split_place(folder, split_file)
    listed = read_image_list(place, SPLIT_FILE)
    files = _located(listed, folder, place if is_folder(place) else place.parent)
    present = np.array([is_file(file) for file in files])
    if not present.all() and (on_error != "skip" or not present.any()):
        raise _missing(listed, files, present, folder, place)
    files = [file for file, exists in zip(files, present, strict=True) if exists]
    labels = listed.labels[present]
    subset = None if listed.subset is None else listed.subset[present]
    paths = tuple(_relative(file, folder) for file in files)

    def read(row: int) -> Image.Image:
        return read_image(files[row], limit)

    def fingerprint() -> str:
        return images_digest(paths, files, index_of(folder, cache, "listed"), labels)

    dataset_name = folder.resolve().name if name == "listed" else name
    return ImageDataset(
        dataset_name, labels, listed.classnames, paths, read, fingerprint, listed.parts, subset
    )  # fmt: skip


def _root(name: str, root: str | None, data: Path | None) -> Path:
    folder = Path(str(root)).expanduser() if root else (data or Path()) / name
    if not is_folder(folder):
        raise FewshotError(
            "dataset.root",
            f"expected the folder of the data set, got no folder: {str(folder)!r}",
            "" if root else "Say dataset.root=DIR, or put the data set there.",
        )
    return folder


def _split_place(folder: Path, split_file: str | None) -> Path:
    """The list: a file, or a folder of CSV files."""
    if split_file:
        path = Path(str(split_file)).expanduser()
        for place in (path, folder / path):
            if is_file(place) or is_folder(place):
                return place
        raise FewshotError(
            SPLIT_FILE, f"expected a file or folder, got nothing there: {str(split_file)!r}"
        )
    lists = sorted(folder.glob("split_*.json"))
    if len(lists) == 1:
        return lists[0]
    if not lists and any(is_file(folder / f"{part}.csv") for part in ("train", "val", "test")):
        return folder
    names = ", ".join(path.name for path in lists) if lists else "none"
    raise FewshotError(
        SPLIT_FILE,
        f"expected a file that lists images, got nothing; {str(folder)!r} has {names} to choose",
        "Say dataset.split_file=FILE.json or FILE.csv.",
    )


Rule = Callable[[int], str]  # row number to a path relative to a folder


def _located(listed: ImageList, root: Path, beside: Path) -> list[Path]:
    """A file for every row, existing or not, by the folder and the rule that fit best."""
    rows = np.unique(np.linspace(0, len(listed.paths) - 1, TRIED).round().astype(int)).tolist()
    best, choice = -1, (root, _rules(listed)[0])
    for folder in _folders(root, beside):
        for rule in _rules(listed):
            hits = sum(is_file(_on_disk(folder, rule(row))) for row in rows)
            if hits > best:
                best, choice = hits, (folder, rule)
            if best == len(rows):
                break
    folder, rule = choice
    return [_on_disk(folder, rule(row)) for row in range(len(listed.paths))]


def _folders(root: Path, beside: Path) -> Iterator[Path]:
    """Where images may lie, the usual places first."""
    yield from dict.fromkeys((root, root / "images", beside, beside / "images", *sub_folders(root)))


def _rules(listed: ImageList) -> list[Rule]:
    """Ways to lay out listed images in a folder."""
    paths, labels, lists = listed.paths, listed.labels, listed.lists
    return [
        lambda row: paths[row],
        lambda row: f"{listed.classnames[labels[row]]}/{paths[row]}",
        lambda row: f"{lists[row]}/{paths[row]}",
        lambda row: f"{lists[row]}/{listed.classnames[labels[row]]}/{paths[row]}",
    ]


def _on_disk(folder: Path, path: str) -> Path:
    """The file, also where the disk has another Unicode form of its name."""
    file = folder / path
    if not path.isascii() and not is_file(file):
        for form in ("NFC", "NFD"):
            if is_file(other := folder / unicodedata.normalize(form, path)):
                return other
    return file


def _missing(
    listed: ImageList, files: list[Path], present: np.ndarray, root: Path, place: Path
) -> FewshotError:
    count, first = int((~present).sum()), int(np.argmin(present))
    where = printable(str(files[first]))
    tried = (
        "" if present.any() else f"; looked in {str(root)!r}, its sub-folders and beside the list"
    )
    return FewshotError(
        SPLIT_FILE,
        f"{count} of {len(files)} images that {place} lists are missing, first "
        f"{listed.paths[first]!r} at {where!r}{tried}",
        "Set dataset.on_error=skip to go without them." if present.any() else "Check dataset.root.",
    )


def _relative(file: Path, root: Path) -> str:
    inside = file.is_relative_to(root)
    return printable((file.relative_to(root) if inside else file).as_posix())
