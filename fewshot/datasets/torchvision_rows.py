"""Labels, names and files of a data set that torchvision made, without decoding an image.

The classes of torchvision keep them in attributes of different names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.cards import unique_names
from fewshot.exceptions import FewshotError


@dataclass(frozen=True)
class Rows:
    """M images of one split.

    Attributes
    ----------
    labels : ndarray of shape (M,), int64
    classnames : tuple of C str
        Empty where torchvision has no names.
    ids : tuple of C str
        WordNet ids, where torchvision has them.
    files : list of M Path, or None
    pixels : ndarray of shape (M, H, W) or (M, H, W, 3), uint8, or None
        Where the set is kept in arrays instead of image files.
    """

    labels: NDArray
    classnames: tuple[str, ...]
    ids: tuple[str, ...] = ()
    files: list[Path] | None = None
    pixels: NDArray | None = None


def rows_of(made: Any) -> Rows:
    """Labels, class names and files or pixels of a torchvision data set.

    Files are sorted by name: some classes list them in the file system's order.

    Raises
    ------
    FewshotError
        A data set that keeps no label per image, such as one for segmentation.
    """
    source = type(made).__name__
    pairs = _pairs(made, source)
    names = _classnames(made, source)
    if pairs is not None:
        pairs = sorted((str(file), int(label)) for file, label in pairs)
        numbers = np.array([label for _, label in pairs], dtype=np.int64)
        ids = tuple(getattr(made, "wnids", None) or ())
        return Rows(numbers, names, ids, files=[Path(file) for file, _ in pairs])
    labels = getattr(made, "targets", getattr(made, "labels", None))
    pixels = getattr(made, "data", None)
    if labels is None or not hasattr(pixels, "shape"):
        raise FewshotError(
            "dataset.source",
            f"torchvision's {source} has no list of images with a class each",
            "Take another, or lay the images out in folders: dataset=folder.",
        )
    pixels = np.asarray(pixels)
    if pixels.ndim == 4 and pixels.shape[1] == 3:  # SVHN, STL10: channels first
        pixels = pixels.transpose(0, 2, 3, 1)
    return Rows(np.asarray(labels, dtype=np.int64), names, pixels=pixels)


def _pairs(made: Any, source: str) -> Sequence[tuple[Any, int]] | None:
    """File and label of every image; None where there are no files."""
    if source in SPECIAL:
        return SPECIAL[source](made)
    for files in ("_image_files", "_images"):
        if hasattr(made, files):
            return list(zip(getattr(made, files), made._labels, strict=True))
    return getattr(made, "samples", getattr(made, "_samples", None))


def _omniglot(made: Any) -> list[tuple[Path, int]]:
    # Its classes come in the file system's order as well.
    order = {name: i for i, name in enumerate(sorted(made._characters))}
    return [
        (Path(made.target_folder, made._characters[c], file), order[made._characters[c]])
        for file, c in made._flat_character_images
    ]


def _inaturalist(made: Any) -> list[tuple[Path, int]]:
    return [(Path(made.root, made.all_categories[c], file), c) for c, file in made.index]


def _caltech101(made: Any) -> list[tuple[Path, int]]:
    top = Path(made.root, "101_ObjectCategories")
    rows = zip(made.y, made.index, strict=True)
    return [(top / made.categories[c] / f"image_{i:04d}.jpg", c) for c, i in rows]


def _caltech256(made: Any) -> list[tuple[Path, int]]:
    top = Path(made.root, "256_ObjectCategories")
    rows = zip(made.y, made.index, strict=True)
    return [(top / made.categories[c] / f"{c + 1:03d}_{i:04d}.jpg", c) for c, i in rows]


SPECIAL: dict[str, Callable[[Any], list[tuple[Path, int]]]] = {
    "Omniglot": _omniglot,
    "INaturalist": _inaturalist,
    "Caltech101": _caltech101,
    "Caltech256": _caltech256,
}


def _classnames(made: Any, source: str) -> tuple[str, ...]:
    """Readable class names: spaces, no leading numbers, no duplicates."""
    for attribute in ("classes", "categories", "all_categories", "_characters"):
        if raw := getattr(made, attribute, None):
            break
    else:
        return ()
    if source == "Omniglot":
        raw = sorted(raw)
    # ImageNet gives a tuple of synonyms per class.
    first = [name if isinstance(name, str) else name[0] for name in raw]
    ids = getattr(made, "wnids", None) or [name.split("_")[0] for name in first]
    if len(set(ids)) < len(first):
        ids = list(map(str, range(len(first))))
    return unique_names([TIDY.get(source, _plain)(name) for name in first], ids)


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


TIDY: dict[str, Callable[[str], str]] = {
    # "001.ak47", "251.airplanes-101": a number before, and "-101" for classes of Caltech-101.
    "Caltech256": lambda name: re.sub(r"^\d+\.|-101$", "", name).replace("-", " "),
    "SUN397": lambda name: _plain(name.replace("/", " ")),
    # The lineage of a species, from which fewshot.datasets.taxonomy reads its name.
    "INaturalist": str,
    "ImageNet": str,
}
