"""Image sets in the format of Hugging Face's ``datasets``: from the hub or from a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.huggingface_columns import (
    image_column,
    label_column,
    numbered,
    package,
)
from fewshot.datasets.images import UnreadableImageError, pixel_limit, read_image
from fewshot.datasets.parts import (
    PART_NAMES,
    PARTS,
    ROW_NAMES,
    parts_of_classes,
    parts_or_subsets,
)
from fewshot.download_errors import brief, download_failure
from fewshot.exceptions import FewshotError, expect

SAVED = ("dataset_dict.json", "state.json")  # files that ``save_to_disk`` writes


def load_huggingface(
    name: str,
    path: str | None,
    config: str | None = None,
    image: str | None = None,
    label: str | None = None,
    hf_split: str | None = None,
    revision: str | None = None,
    max_pixels: int | None = None,
) -> ImageDataset:
    """Join splits of a set with an image column and a label column; no image is decoded.

    No code of a data set is ever run: releases 4 and later of ``datasets`` know none.

    Parameters
    ----------
    name : str
    path : str
        Name on the hub, or a folder: saved by ``save_to_disk``, Parquet files, or images.
    config : str, optional
        Configuration, where the set has several.
    image, label : str, optional
        Columns; by default found by their types (Image, ClassLabel).
    hf_split : str, optional
        Splits to join, such as ``train+test``; by default all.
    revision : str, optional
        Branch, tag or commit on the hub.
    max_pixels : int, optional
        Larger images are refused; see :func:`~fewshot.datasets.images.pixel_limit`.

    Notes
    -----
    The fingerprint is made of the fingerprints that ``datasets`` keeps of its tables, which change
    with the files that they were made from, of the numbers of rows and of the labels. Images are
    not read for it.

    Raises
    ------
    FewshotError
        Not found, no connection, ambiguous columns or labels, ``datasets`` not installed.
    """
    limit = pixel_limit(max_pixels)
    tables = chosen_tables(load_tables(path, config, revision), hf_split)
    first = next(iter(tables.values()))
    picture, kind = image_column(first, image), label_column(first, label)
    labels, classnames = numbered(tables, kind)
    readers = [image_reader(table, picture, limit) for table in tables.values()]
    sizes = [len(table) for table in tables.values()]
    starts = np.cumsum([0, *sizes])
    title = str(path).rstrip("/").rpartition("/")[2] if name == "huggingface" else name

    def read(row: int) -> Image.Image:
        split = int(np.searchsorted(starts, row, side="right")) - 1
        return readers[split](int(row - starts[split]))

    def fingerprint() -> str:
        whole = hashlib.sha256("\n".join((picture, kind, *classnames)).encode())
        for split, table in tables.items():
            whole.update(f"{split}\0{table._fingerprint}\0{len(table)}\n".encode())
        whole.update(labels.astype("<i8").tobytes())
        return whole.hexdigest()

    return ImageDataset(
        title,
        labels,
        classnames,
        tuple(f"{split}/{row:06d}" for split, table in tables.items() for row in range(len(table))),
        read,
        fingerprint,
        *_split(list(tables), sizes, labels, classnames),
    )


def load_tables(path: str | None, config: str | None, revision: str | None) -> dict[str, Any]:
    """Tables by the names of their splits."""
    expect(
        bool(path),
        "dataset.path",
        "expected a name on the Hugging Face hub or a folder, got nothing",
        "Say for instance: fewshot dataset=huggingface dataset.path=NAME.",
    )
    datasets = package()
    folder = Path(str(path)).expanduser()
    where = str(folder) if folder.exists() else str(path)
    try:
        if any((folder / file).is_file() for file in SAVED):
            loaded = datasets.load_from_disk(where)
        else:
            loaded = datasets.load_dataset(where, name=config, revision=revision)
    except Exception as error:  # the hub, the file system, builders: each has errors of its own
        raise _unloadable(where, folder.exists(), error) from None
    if isinstance(loaded, Mapping):
        return dict(loaded)
    return {str(loaded.split or "all"): loaded}


def _unloadable(path: str, local: bool, error: Exception) -> FewshotError:
    if local:
        remedy = "Expected: a folder by save_to_disk, with Parquet files, or with images."
        return FewshotError("dataset.path", f"cannot load {path!r}: {brief(error)}", remedy)
    from huggingface_hub import constants

    server = str(urlsplit(constants.ENDPOINT).hostname)
    failure = download_failure(error, server, f"{constants.ENDPOINT}/datasets/{path}")
    if failure.kind == "unknown":
        reason, remedy = brief(error), "Check the name, dataset.config and the network."
    else:
        reason, remedy = failure.what, failure.remedy
    return FewshotError(
        "dataset.path",
        f"cannot load {path!r} of the hub: {reason}",
        f"{remedy} Or name a folder that was saved elsewhere with "
        "`load_dataset(NAME).save_to_disk(FOLDER)`.",
    )


def chosen_tables(tables: dict[str, Any], hf_split: str | None) -> dict[str, Any]:
    """The splits that ``train+test`` names, in that order."""
    names = [name.strip() for name in str(hf_split).split("+")] if hf_split else list(tables)
    for name in names:
        if name not in tables:
            raise FewshotError(
                "dataset.hf_split",
                f"expected {', '.join(tables)} or several joined by +, got {hf_split!r}",
            )
    return {name: tables[name] for name in names}


def image_reader(table: Any, column: str, limit: int) -> Callable[[int], Image.Image]:
    """A function from row number to image, decoded by :func:`read_image`."""
    encoded = table.select_columns([column]).cast_column(column, package().Image(decode=False))

    def read(row: int) -> Image.Image:
        cell = encoded[row][column]
        if not cell or not (cell["bytes"] or cell["path"]):
            raise UnreadableImageError("the cell is empty")
        return read_image(cell["bytes"] or Path(cell["path"]), limit)

    return read


def _split(
    splits: list[str], sizes: list[int], labels: NDArray, classnames: tuple[str, ...]
) -> tuple[tuple[str, ...] | None, NDArray | None]:
    """Parts of the classes, or subset of every image, by the names of the splits, or neither."""
    words = [split.lower() for split in splits]
    if len(splits) == 1 or any(word not in ROW_NAMES for word in words):
        return None, None
    if any(word in PARTS[::2] for word in words):  # "base" or "novel"
        parts = np.repeat(np.array([PART_NAMES[word] for word in words]), sizes)
        return parts_of_classes(parts, labels, classnames), None
    subset = np.repeat(np.array([ROW_NAMES[word] for word in words]), sizes)
    return parts_or_subsets(subset, labels, len(classnames))
