"""Caltech-UCSD Birds-200-2011, from the lists that come with its images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.cards import facts_of, parts_of
from fewshot.datasets.published import data_folder, expect_whole, from_files
from fewshot.exceptions import FewshotError
from fewshot.files import regular_file

TOP = "CUB_200_2011"  # what the archive extracts to


def load_cub(
    name: str,
    card: str = "cub",
    class_split: str | None = None,
    root: str | None = None,
    on_error: str = "raise",
    cache: Path | None = None,
    data: Path | None = None,
) -> ImageDataset:
    """Read ``classes.txt``, ``images.txt``, ``image_class_labels.txt``, ``train_test_split.txt``.

    Classes are called "Black footed Albatross" and so on, without their numbers.

    Parameters
    ----------
    name : str
    card : str
        Name of the card with the class split and the number of images.
    class_split : str, optional
        One of the card's ``other_splits``.
    root : str, optional
        Folder with ``CUB_200_2011/``, or that folder itself; by default ``cub`` in `data`.
    on_error : {"raise", "skip"}
        With "skip", missing images are passed over when they are read.
    cache, data : Path, optional
        Folders of remembered content hashes and of all data sets.

    Raises
    ------
    FewshotError
        A list is missing or damaged, or images are.
    """
    facts = facts_of(card)
    folder = data_folder(root, data, card)
    top = folder / TOP if (folder / TOP).is_dir() else folder
    classes, images, labels, in_train = (
        _column(top / f"{file}.txt", facts)
        for file in ("classes", "images", "image_class_labels", "train_test_split")
    )
    try:
        rows = sorted(images, key=int)
        paths = [f"images/{images[row]}" for row in rows]
        numbers = np.array([int(labels[row]) - 1 for row in rows], dtype=np.int64)
        train = np.array([in_train[row] == "1" for row in rows])
        names = [classes[str(c + 1)] for c in range(len(classes))]
        names = [line.partition(".")[2].replace("_", " ") for line in names]
        parts = parts_of(facts, names, class_split)
    except (KeyError, ValueError) as error:
        if isinstance(error, FewshotError):
            raise
        raise FewshotError(
            "dataset.root", f"the lists in {str(top)!r} do not fit each other: {error!r}"
        ) from None
    if on_error == "raise":
        expect_whole(name, top, paths, len(paths), facts.get("images"))
    subset = np.where(train, "train", "test")
    return from_files(name, top, paths, numbers, tuple(names), cache, parts=parts, subset=subset)


def _column(path: Path, facts: dict) -> dict[str, str]:
    """Text of every line by its number."""
    try:
        lines = regular_file("dataset.root", path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise FewshotError(
            "dataset.root",
            f"cannot read {str(path)!r}: {error.strerror}",
            facts.get("obtain", ""),
        ) from None
    pairs = (line.strip().partition(" ") for line in lines if line.strip())
    return {number: text for number, _, text in pairs}
