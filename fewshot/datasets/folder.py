"""Image folders: one sub-folder per class."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.classnames import composed_names, expect_distinct
from fewshot.datasets.fingerprint import images_digest, index_of
from fewshot.datasets.images import pixel_limit, read_image
from fewshot.datasets.layout import SUBSET_ORDER, ClassFolder, class_folders
from fewshot.datasets.parts import PARTS
from fewshot.datasets.walk import is_folder, printable
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.files import file_digests


class Folder(ImageDataset):
    """Images under ``root/<class>/``, a sub-folder per class.

    Parameters
    ----------
    root : str or Path
    name : str, optional
        The folder's own by default.
    split : str
        Base and novel classes: "auto" (as the folders say), "random", "none", or a file.
    on_error : {"raise", "skip"}
        What to do about an empty class folder.
    max_pixels : int, optional
        Larger images are refused; see :func:`~fewshot.datasets.images.pixel_limit`.

    Raises
    ------
    FewshotError
        No such folder, or one whose classes are not where they are expected.
    """

    def __init__(
        self,
        root: str | Path,
        name: str | None = None,
        split: str = "auto",
        on_error: str = "raise",
        max_pixels: int | None = None,
    ) -> None:
        from fewshot.datasets import load_dataset

        folder = Path(root).expanduser()
        settings = {"kind": "folder", "name": name or folder.resolve().name, "root": str(folder)}
        settings |= {"split": split, "on_error": on_error}
        loaded = load_dataset(settings | {"max_pixels": max_pixels})
        for entry in fields(ImageDataset):
            object.__setattr__(self, entry.name, getattr(loaded, entry.name))


def load_folder(
    name: str,
    root: str | None = None,
    on_error: str = "raise",
    same_names: str = "raise",
    max_pixels: int | None = None,
    cache: Path | None = None,
    data: Path | None = None,
) -> ImageDataset:
    """List the images under ``root/<class>/``, at any depth, in order of their names.

    Under ``root/<train, val, test>/<class>/`` they come split: by image where a class is in
    several of the three, else by class into base, validation and novel; other folders beside two
    of them, and folders called "unlabeled", are left out (``ImageDataset.left_out``). Images of
    kinds that are not read here (``image_kinds``) are counted (``ImageDataset.unread``); other
    files, hidden ones, and what systems and devices leave behind (``walk.SYSTEM_FOLDERS``) are
    passed over.

    Parameters
    ----------
    name : str
    root : str, optional
        By default ``<data>/<name>``, if that exists.
    on_error : {"raise", "skip"}
        What to do about an empty class folder.
    same_names : {"raise", "keep"}
        What to do about classes whose names differ only in case, Unicode form, ``_``, ``-`` and
        spaces. Class names are in composed Unicode form (NFC).
    max_pixels : int, optional
        Larger images are refused; see :func:`~fewshot.datasets.images.pixel_limit`.
    cache : Path, optional
        Folder for remembered content hashes.
    data : Path, optional
        Folder of data sets.

    Raises
    ------
    FewshotError
        No such folder, or one whose classes are not where they are expected.
    """
    expect_choice("dataset.same_names", same_names, ("raise", "keep"))
    limit = pixel_limit(max_pixels)
    folder = _existing(root, data / name if data else None)
    layout = class_folders(folder, on_error)
    classes = _named(layout.classes, folder, same_names)
    files = [file for entry in classes for file in entry.files]
    classnames = tuple(dict.fromkeys(entry.name for entry in classes))
    number = {classname: c for c, classname in enumerate(classnames)}
    labels = np.repeat(
        [number[entry.name] for entry in classes], [len(entry.files) for entry in classes]
    )
    paths = tuple(printable(file.relative_to(folder).as_posix()) for file in files)
    split = classes[0].subset is not None

    def read(row: int) -> Image.Image:
        return read_image(files[row], limit)

    def fingerprint() -> str:
        # Without subsets, the paths determine the classes.
        return images_digest(paths, files, index_of(folder, cache), labels if split else None)

    return ImageDataset(
        name, labels.astype(np.int64), classnames, paths, read, fingerprint, *_split(classes),
        left_out=layout.left_out, unread=layout.unread,
        digests=lambda: file_digests(files, index_of(folder, cache)),
    )  # fmt: skip


def _existing(root: str | None, usual: Path | None) -> Path:
    if not root and usual and is_folder(usual):
        return usual
    if not root:
        raise FewshotError(
            "dataset.root",
            "expected a folder with one sub-folder per class, got nothing",
            "Say for instance: fewshot dataset=folder dataset.root=my_images"
            + (f", or put the data set at {usual}." if usual else "."),
        )
    folder = Path(str(root)).expanduser()
    if not is_folder(folder):
        what = "a file" if os.path.lexists(folder) else "nothing there"
        raise FewshotError(
            "dataset.root",
            f"expected a folder with one sub-folder per class, got {what}: {str(folder)!r}",
            "Check the path; it is relative to the current folder.",
        )
    return folder


def _named(folders: list[ClassFolder], folder: Path, same_names: str) -> list[ClassFolder]:
    """Class folders sorted by class name, then by subset."""
    classes: list[ClassFolder] = []
    for _, group in groupby(folders, key=lambda entry: entry.subset):
        same_subset = list(group)
        names = [entry.name for entry in same_subset]
        if same_names == "raise":
            expect_distinct("dataset.root", names, str(folder))
        pairs = zip(same_subset, composed_names(names), strict=True)
        classes += [replace(entry, name=name) for entry, name in pairs]
    if same_names == "raise":
        expect_distinct("dataset.root", sorted({entry.name for entry in classes}), str(folder))
    order = {subset: i for i, subset in enumerate((None, *SUBSET_ORDER))}
    return sorted(classes, key=lambda entry: (entry.name, order[entry.subset]))


def _split(
    classes: Sequence[ClassFolder],
) -> tuple[tuple[str, ...] | None, np.ndarray | None]:
    """Part of every class, or subset of every image, or (None, None)."""
    if classes[0].subset is None:
        return None, None
    subsets = defaultdict(set)
    for entry in classes:
        subsets[entry.name].add(entry.subset)
    several = len({entry.subset for entry in classes}) > 1
    if several and all(len(subset_names) == 1 for subset_names in subsets.values()):
        part = dict(zip(SUBSET_ORDER, PARTS, strict=True))
        return tuple(part[str(entry.subset)] for entry in classes), None
    counts = [len(entry.files) for entry in classes]
    return None, np.repeat([str(entry.subset) for entry in classes], counts)
