"""Data sets from a list of images and classes: tables, JSON files of CoOp and others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.fingerprint import images_digest, index_of
from fewshot.datasets.images import pixel_limit, read_image
from fewshot.datasets.locating import located
from fewshot.datasets.parts import parts_or_subsets
from fewshot.datasets.split_files import ImageList, read_image_list
from fewshot.datasets.split_files.images import metadata_files
from fewshot.datasets.walk import direct_images, is_file, is_folder, printable
from fewshot.exceptions import FewshotError

SPLIT_FILE = "dataset.split_file"


def load_listed(
    name: str,
    root: str | None = None,
    split_file: str | None = None,
    columns: Mapping[str, str | None] | None = None,
    same_names: str = "raise",
    on_error: str = "raise",
    max_pixels: int | None = None,
    cache: Path | None = None,
    data: Path | None = None,
) -> ImageDataset:
    """The images that `split_file` lists, wherever they lie below `root`.

    Paths in the list may be relative to `root`, to its folder ``images``, to another sub-folder of
    it or to the folder of the list, or absolute; images may lie flat or in folders named after
    their classes. See :func:`~fewshot.datasets.locating.located`.

    Parameters
    ----------
    name : str
    root : str, optional
        By default ``<data>/<name>``.
    split_file : str, optional
        See :func:`~fewshot.datasets.split_files.read_image_list`; relative to the current folder
        or to `root`. By default `root`'s only ``split_*.json``, its metadata.csv or .jsonl, or
        `root` with its train.csv.
    columns : mapping, optional
        Columns of the list by role, "path", "label" and "subset", where their names are unusual.
    same_names : {"raise", "keep"}
        What to do about classes of one name, see
        :func:`~fewshot.datasets.classnames.distinct_names`.
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
    listed = read_image_list(place, SPLIT_FILE, columns, same_names, absolute=True)
    beside = place if is_folder(place) else place.parent
    files = located(listed, folder, beside, place, SPLIT_FILE)
    exists = is_folder if listed.folders else is_file
    present = np.array([exists(file) for file in files])
    if not present.all() and (on_error != "skip" or not present.any()):
        raise _missing(listed, files, present, folder, place)
    files = [file for file, there in zip(files, present, strict=True) if there]
    labels = listed.labels[present]
    if listed.folders:
        files, labels = _images_in(files, labels, place)
    parts, subset = listed.parts, None
    if listed.subset is not None:
        parts, subset = parts_or_subsets(listed.subset[present], labels, len(listed.classnames))
    if parts and set(parts) == {"base"}:
        parts = None  # the only list, called train: there is nothing that it is the base of
    paths = tuple(_relative(file, folder) for file in files)

    def read(row: int) -> Image.Image:
        return read_image(files[row], limit)

    def fingerprint() -> str:
        return images_digest(paths, files, index_of(folder, cache, "listed"), labels)

    dataset_name = folder.resolve().name if name == "listed" else name
    return ImageDataset(
        dataset_name, labels, listed.classnames, paths, read, fingerprint, parts, subset
    )  # fmt: skip


def _images_in(
    folders: list[Path], labels: np.ndarray, place: Path
) -> tuple[list[Path], np.ndarray]:
    """The images right in folders, and the labels of their folders."""
    images = [direct_images(folder) for folder in folders]
    for folder, files in zip(folders, images, strict=True):
        if not files:
            raise FewshotError(
                SPLIT_FILE, f"{printable(str(folder))!r}, which {place} lists, has no image"
            )
    return [file for files in images for file in files], np.repeat(labels, list(map(len, images)))


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
    if not lists and (metadata := metadata_files(folder)):
        return metadata.get("", folder)
    if not lists and any(is_file(folder / f"{part}.csv") for part in ("train", "val", "test")):
        return folder
    names = ", ".join(path.name for path in lists) if lists else "none"
    raise FewshotError(
        SPLIT_FILE,
        f"expected a file that lists images, got nothing; {str(folder)!r} has {names} to choose",
        "Say dataset.split_file=FILE.json or FILE.csv.",
    )


def _missing(
    listed: ImageList, files: list[Path], present: np.ndarray, root: Path, place: Path
) -> FewshotError:
    count, first = int((~present).sum()), int(np.argmin(present))
    where = printable(str(files[first]))
    path = listed.paths[first]
    tried = f"; looked in {str(root)!r}, its sub-folders and beside the list"
    if path.startswith("/"):
        tried = f"; looked for the ends of such paths in {str(root)!r} and its sub-folders"
    remedy = "Check dataset.root: it should be the folder that the paths of the list start from."
    return FewshotError(
        SPLIT_FILE,
        f"{count} of {len(files)} {'folders' if listed.folders else 'images'} that {place} lists "
        f"are missing, first {path!r:.300} at {where!r:.300}{'' if present.any() else tried}",
        "Set dataset.on_error=skip to go without them." if present.any() else remedy,
    )


def _relative(file: Path, root: Path) -> str:
    inside = file.is_relative_to(root)
    return printable((file.relative_to(root) if inside else file).as_posix())
