"""Thumbnails of the shots on the page, where the data set is on this machine."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.exceptions import FewshotError
from fewshot.progress import counted_work
from fewshot.report.payload.names import DatasetNames, NameBook

if TYPE_CHECKING:
    from PIL.Image import Image

    from fewshot.datasets.base import ImageDataset

PIXELS = 64
QUALITY = 60
# Bytes of base64 for all thumbnails of a page: about two thousand images.
THUMBNAIL_BYTES = 3_000_000
NO_FILE = 0xFFFFFFFF
PREFIX = "data:image/webp;base64,"


def thumbnails(
    names: NameBook,
    cells: Sequence[Any],
    points: Sequence[Any],
    sets: Sequence[Any],
    budget: int = THUMBNAIL_BYTES,
) -> dict[str, dict[str, str]]:
    """Thumbnails by data set and number of the file, as many as fit into the budget.

    Images of the worst episodes come first, then the episodes of every set in order. A data set
    that cannot be opened here without a download has none, nor have two of the same name.

    Parameters
    ----------
    names : NameBook
        Names of the files by data set.
    cells, points, sets : sequence of dict
        As in the data of the page.
    budget : int
        Bytes of base64 of all thumbnails.
    """
    if budget <= 0:
        return {}
    files_by_dataset = _files_by_priority(names, cells, points, sets)
    pictures: dict[str, dict[str, str]] = {}
    share = budget // max(1, sum(bool(numbers) for numbers in files_by_dataset.values()))
    for name, numbers in files_by_dataset.items():
        opened = reopen_dataset(names.datasets[name]) if numbers else None
        if opened is not None:
            pictures[name] = dict(_pictures(opened, names.datasets[name], numbers, share))
    return pictures


def _files_by_priority(
    names: NameBook, cells: Sequence[Any], points: Sequence[Any], sets: Sequence[Any]
) -> dict[str, list[int]]:
    """Numbers of files by data set, those with the highest priority first."""
    worst: dict[int, set[int]] = {}
    for cell in cells:
        if cell["points"] is not None:
            chosen = worst.setdefault(points[cell["points"]]["set"], set())
            chosen.update(entry["episode"] for entry in cell["worst"])
    tables: dict[str, list[tuple[int, int, int]]] = {name: [] for name in names.datasets}
    for number, entry in enumerate(sets):
        if entry["support"] is None:
            continue
        files = np.frombuffer(base64.b64decode(entry["support"]), dtype="<u4")
        for place, row in enumerate(files.reshape(len(entry["episodes"]), -1)):
            later = entry["episodes"][place] not in worst.get(number, ())
            tables[entry["dataset"]] += [
                (int(later), place if later else 0, file) for file in row[row != NO_FILE].tolist()
            ]
    return {
        name: list(dict.fromkeys(file for _, _, file in sorted(table, key=lambda entry: entry[:2])))
        for name, table in tables.items()
    }


def reopen_dataset(book: DatasetNames) -> ImageDataset | None:
    """The data set of a run from its saved configuration; None if it is not here."""
    from fewshot.datasets import load_dataset
    from fewshot.datasets.base import ImageDataset
    from fewshot.paths import places_of

    if len(book.locations) > 1:
        return None  # two data sets of the same name: the images could be of either
    settings = book.run.settings if book.run else {}
    described = settings.get("dataset")
    if not isinstance(described, dict) or described.get("kind") == "features":
        return None
    if described.get("kind") == "huggingface" and not Path(str(described.get("path"))).is_dir():
        return None
    if "download" in described:
        described = described | {"download": False}
    try:
        loaded = load_dataset(described, places_of(settings["paths"]))
    except (FewshotError, OSError, ImportError, KeyError, TypeError):
        return None  # moved, or on another machine
    return loaded if isinstance(loaded, ImageDataset) else None


def _pictures(
    dataset: ImageDataset, book: DatasetNames, numbers: list[int], budget: int
) -> Iterator[tuple[str, str]]:
    """Number and thumbnail of each file until the budget is spent."""
    from fewshot.datasets.images import UnreadableImageError

    files = list(book.files)
    rows = {printable(path): row for row, path in enumerate(dataset.paths)}
    for number in counted_work(numbers, "thumbnails of the report"):
        row = rows.get(files[number])
        if row is None:
            continue
        try:
            picture = thumbnail(dataset.read(row))
        except (UnreadableImageError, OSError):
            continue
        budget -= len(picture) + 12
        if budget < 0:
            return
        yield str(number), picture


def thumbnail(image: Image, pixels: int = PIXELS) -> str:
    """Thumbnail of an image as a data URL, at most `pixels` a side."""
    small = image.convert("RGB")
    if max(small.size) > pixels:
        small.thumbnail((pixels, pixels))
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=QUALITY, method=2)
    return PREFIX + base64.b64encode(buffer.getvalue()).decode("ascii")


def printable(path: object) -> str:
    """A file name as in ``images.parquet``: bytes that are not UTF-8 as escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode()
