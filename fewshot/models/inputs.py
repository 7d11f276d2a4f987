"""Images in files and in memory, as users of a classifier give them, as a data set."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.files import load_files
from fewshot.datasets.images import UnreadableImageError, decode_image, pixel_limit, read_image
from fewshot.datasets.walk import is_folder, printable
from fewshot.exceptions import FewshotError, expect
from fewshot.files import file_digests, path_of
from fewshot.models.pixels import CHANNELS, EXPECTED, check_pixels, dtype_name, picture_of

OF_DATA = ("images", "dataset", "features")  # arguments of errors about images and features
SKIPPING = ", or set dataset.on_error=skip"  # end of a remedy, for runs


@dataclass(frozen=True, eq=False)
class ImageFile:
    """An image in a file.

    Attributes
    ----------
    name : str
        Path as it was given.
    path : Path
    """

    name: str
    path: Path

    def read(self, limit: int) -> Image.Image:
        """The image in RGB; raises `UnreadableImageError`."""
        return read_image(self.path, limit)


@dataclass(frozen=True, eq=False)
class ImageInMemory:
    """An image of Pillow, which may still have to be decoded.

    Attributes
    ----------
    name : str
        The file that it was opened from, or its place among the images: "X[3]".
    image : Image
    lock : Lock
        The same for all entries that are the same image: Pillow decodes it once.
    """

    name: str
    image: Image.Image
    lock: Any = field(default_factory=Lock)

    def read(self, limit: int) -> Image.Image:
        """The image in RGB; raises `UnreadableImageError`."""
        with self.lock:
            return decode_image(self.image, limit)

    def digest(self, limit: int) -> str:
        """Hash of its pixels in RGB; one that cannot be read equals no other."""
        try:
            image = self.read(limit)
        except UnreadableImageError:
            return f"unreadable {self.name}"
        size = "{} {} ".format(*image.size)
        return hashlib.sha256(size.encode() + image.tobytes()).hexdigest()


def image_dataset(
    X: Any,
    argument: str = "X",
    labels: NDArray | None = None,
    classnames: tuple[str, ...] = ("unlabelled",),
) -> ImageDataset:
    """Images as a data set: a row per entry and in their order, the same entry twice as well.

    Parameters
    ----------
    X : path, image, or M of them
        Paths, PIL images, uint8 arrays (H, W), (H, W, 3) or (H, W, 4), uint16 greys, uint8 tensors
        (also (3, H, W)): a sequence, an array or series of paths, an array (M, H, W, 3) or
        (M, H, W) of greys. A folder stands for the images in it, at any depth.
    argument : str
        For messages.
    labels : ndarray of shape (M,), int, optional
        Class numbers.
    classnames : tuple of C str

    Raises
    ------
    FewshotError
        Something else, no image at all, a folder among several entries, or another number of
        labels.
    """
    if isinstance(X, ImageDataset):
        return X if labels is None else _relabelled(X, labels, classnames)
    if isinstance(X, str | os.PathLike) and labels is None:
        return load_files([_path_text(X)], argument)
    entries = [X] if isinstance(X, str | os.PathLike) else _entries(X, argument)
    expect(len(entries) > 0, argument, "expected at least one image, got none")
    locks: dict[int, Lock] = {}
    sources = [_source(entry, argument, row, locks) for row, entry in enumerate(entries)]
    names, limit = tuple(source.name for source in sources), pixel_limit()
    numbers = np.zeros(len(sources), dtype=np.int64) if labels is None else labels
    _check_labels(numbers, len(sources))

    @cache
    def digests() -> list[str]:
        files = [source.path for source in sources if isinstance(source, ImageFile)]
        of_files = iter(file_digests(files))
        return [
            next(of_files) if isinstance(source, ImageFile) else source.digest(limit)
            for source in sources
        ]

    def fingerprint() -> str:
        rows = zip(names, digests(), numbers.tolist(), strict=True)
        text = "".join(f"{name}\0{content}\0{label}\n" for name, content, label in rows)
        return hashlib.sha256(text.encode()).hexdigest()

    return ImageDataset(
        "images", numbers, classnames, names, lambda row: sources[row].read(limit), fingerprint,
        digests=digests,
    )  # fmt: skip


def _relabelled(
    dataset: ImageDataset, labels: NDArray, classnames: tuple[str, ...]
) -> ImageDataset:
    """The same images with other labels."""
    _check_labels(labels, len(dataset))

    def fingerprint() -> str:
        text = f"{dataset.fingerprint()} {labels.tolist()}"
        return hashlib.sha256(text.encode()).hexdigest()

    plain = dataset.take_rows(np.arange(len(dataset)))  # of no class with other arguments
    return replace(
        plain, labels=labels, classnames=classnames, fingerprint=fingerprint, parts=None, ids=None
    )


def _check_labels(labels: NDArray, images: int) -> None:
    problem = f"expected a label per image, {images} of them, got {len(labels)}"
    expect(len(labels) == images, "y", problem)


def images_to_label(images: Any, argument: str = "images") -> ImageDataset:
    """As `image_dataset`; paths among several may be folders, and every file is listed once."""
    several = list(images) if isinstance(images, list | tuple) else []
    if several and all(isinstance(entry, str | os.PathLike) for entry in several):
        return load_files([_path_text(entry) for entry in several], argument)
    return image_dataset(images, argument)


@contextmanager
def errors_of(argument: str) -> Iterator[None]:
    """Errors about images or features name the argument that they came by."""
    try:
        yield
    except FewshotError as error:
        if error.argument not in OF_DATA:
            raise
        remedy = error.remedy.replace(SKIPPING, "")
        raise FewshotError(argument, error.problem, remedy) from None


def is_feature_array(X: Any) -> bool:
    """Whether it is a matrix (M, D) of floats: an array, a tensor or a data frame."""
    if len(getattr(X, "shape", ())) != 2:
        return False
    if isinstance(X, torch.Tensor):
        return X.is_floating_point()
    kinds = [X.dtype] if hasattr(X, "dtype") else list(getattr(X, "dtypes", ()))
    return bool(kinds) and all(getattr(kind, "kind", "") == "f" for kind in kinds)


def are_images(X: Any) -> bool:
    """Whether these are paths or pictures, where features are expected."""
    first = X[0] if isinstance(X, list | tuple) and X else X
    if isinstance(first, str | os.PathLike | Image.Image | ImageDataset):
        return True
    several = first is not X and len(getattr(first, "shape", ())) in (2, 3)
    return several or len(getattr(X, "shape", ())) in (3, 4)


def _path_text(path: str | os.PathLike[Any]) -> str:
    return os.fsdecode(os.fspath(path))


def _entries(X: Any, argument: str) -> list[Any]:
    """The entries of what holds several images; a single image is an entry."""
    if isinstance(X, Image.Image):
        return [X]
    if isinstance(X, np.ndarray | torch.Tensor) or hasattr(X, "iloc"):
        return _of_array(X if isinstance(X, torch.Tensor) else np.asarray(X), argument)
    if isinstance(X, bytes | Mapping | Set) or not isinstance(X, Iterable):
        raise FewshotError(argument, f"{EXPECTED}, got {_kind(X)}")
    return list(X)


def _of_array(X: Any, argument: str) -> list[Any]:
    """Paths of an array or a column, or the images of an array of pixels."""
    shape = tuple(X.shape)
    if not isinstance(X, torch.Tensor) and X.dtype.kind in "OUTS":
        column = len(shape) < 2 or shape[1:] == (1,)
        expect(column, argument, f"expected a column of paths, got an array {shape} of texts")
        return [*X.reshape(-1)]
    if len(shape) not in (3, 4):
        raise FewshotError(
            argument,
            f"{EXPECTED}, got an array {shape} of {dtype_name(X)}",
            f"Of a single image give [{argument}]. Features need no backbone: "
            "Classifier(backbone=None).",
        )
    # Else greys, however many: three rows of them are no image with its channels first.
    alone = len(shape) == 3 and shape[2] in CHANNELS[1:]
    check_pixels(X, argument, several=not alone)
    return [X] if alone else [*X]


def _source(
    entry: Any, argument: str, row: int, locks: dict[int, Lock]
) -> ImageFile | ImageInMemory:
    """An entry, checked as far as it can be without decoding anything."""
    name = f"{argument}[{row}]"
    if isinstance(entry, str | os.PathLike):
        text = _path_text(entry)
        path = path_of(name, text)
        if is_folder(path):
            raise FewshotError(
                argument,
                f"expected files of images, got the folder {printable(text)} as {name}",
                "Give a folder alone, or list the files in it.",
            )
        return ImageFile(printable(text), path)
    if isinstance(entry, Image.Image):
        lock = locks.setdefault(id(entry), Lock())
        file = getattr(entry, "filename", "")
        return ImageInMemory(printable(_path_text(file)) if file else name, entry, lock)
    if isinstance(entry, np.ndarray | torch.Tensor):
        check_pixels(entry, name)
        return ImageInMemory(name, picture_of(entry))
    raise FewshotError(argument, f"{EXPECTED}, got {_kind(entry)} as {name}")


def _kind(value: Any) -> str:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return repr(value) if missing else type(value).__name__
