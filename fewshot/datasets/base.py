"""The interface of image data sets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from fewshot.datasets.unread import UnreadFiles


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Images with labels and names; none is decoded before it is read.

    Attributes
    ----------
    name : str
    labels : ndarray of shape (M,), int64
    classnames : tuple of C str
        Class names in prompts and reports.
    paths : tuple of M str
        Path of every image relative to the folder of the data set.
    read : callable
        Row number to RGB image; raises ``UnreadableImageError``.
    fingerprint : callable
        Hash of names, labels and content of all images.
    parts : tuple of C str, or None
        "base", "validation" or "novel" for every class, where the data set defines it.
    subset : ndarray of shape (M,), str, or None
        "train", "validation" or "test" for every image, where the data set comes split by image.
    ids : tuple of C str, or None
        Identifiers of the classes where these differ from the names: folders, WordNet ids.
    naming : dict
        Origin of the names: "from" ("clip", "card", "data", "wordnet", "file") and "source".
    input : dict
        Settings of the transform that the images need (``size``, ``crop_pct``).
    left_out : tuple of str
        Folders with images that belong to no class.
    unread : tuple of UnreadFiles
        Images in its folders that are of a kind that is not read.
    digests : callable, or None
        Hashes of the content of all images, where each is a file.
    """

    name: str
    labels: NDArray
    classnames: tuple[str, ...]
    paths: tuple[str, ...]
    read: Callable[[int], Image.Image]
    fingerprint: Callable[[], str]
    parts: tuple[str, ...] | None = None
    subset: NDArray | None = None
    input: dict[str, Any] = field(default_factory=dict)
    ids: tuple[str, ...] | None = None
    naming: dict[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    unread: tuple[UnreadFiles, ...] = ()
    digests: Callable[[], Sequence[str]] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take_rows(self, rows: NDArray) -> ImageDataset:
        """The data set of some images, given by their row numbers, in that order.

        All class names stay, so that class numbers mean the same.
        """
        chosen = np.asarray(rows, dtype=np.int64)

        def fingerprint() -> str:
            whole = hashlib.sha256(self.fingerprint().encode())
            whole.update(chosen.astype("<i8").tobytes())
            return whole.hexdigest()

        def digests() -> Sequence[str]:
            assert self.digests is not None
            content = self.digests()
            return [content[row] for row in chosen]

        changes = {
            "labels": self.labels[chosen],
            "paths": tuple(self.paths[row] for row in chosen),
            "read": lambda row: self.read(int(chosen[row])),
            "fingerprint": fingerprint,
            "subset": None if self.subset is None else self.subset[chosen],
            "digests": None if self.digests is None else digests,
        }
        # Not of the class of `self`: that may be created from other arguments, as a folder is.
        return ImageDataset(
            **{entry.name: getattr(self, entry.name) for entry in fields(ImageDataset)} | changes
        )
