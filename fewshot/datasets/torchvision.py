"""Classification data sets of torchvision."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.cards import card_classnames, facts_of, parts_of
from fewshot.datasets.classnames import folded
from fewshot.datasets.published import data_folder, expect_whole, from_files
from fewshot.datasets.torchvision_build import build, expect_source
from fewshot.datasets.torchvision_rows import Rows, rows_of
from fewshot.exceptions import FewshotError, expect


def load_torchvision(
    name: str,
    card: str | None = None,
    source: str | None = None,
    options: Mapping[str, Any] | None = None,
    class_split: str | None = None,
    root: str | None = None,
    download: bool = True,
    on_error: str = "raise",
    cache: Path | None = None,
    data: Path | None = None,
) -> ImageDataset:
    """Join the splits of a torchvision data set; no image is decoded.

    Parameters
    ----------
    name : str
        Name in results.
    card : str, optional
        Card with the class of torchvision, splits to join, class names, class split.
    source : str, optional
        A class of ``torchvision.datasets``, for a set without a card.
    options : mapping, optional
        Further arguments of that class, such as DTD's ``partition``.
    class_split : str, optional
        One of the card's ``other_splits``.
    root : str, optional
        Folder in torchvision's layout; by default the card's folder in `data`.
    download : bool
        Whether torchvision may download what is not there.
    on_error : {"raise", "skip"}
        With "skip", a set that was extracted in part is taken as it is.
    cache : Path, optional
        Folder for remembered content hashes.
    data : Path, optional
        Folder of all data sets.

    Raises
    ------
    FewshotError
        Not there, not complete, or a set of another kind than images with a class each.
    """
    facts = facts_of(card)
    plan = facts.get("torchvision", {})
    source = expect_source(source or plan.get("class"))
    name = source if name == "torchvision" else name
    folder = data_folder(root, data, plan.get("folder") or card or name)
    expect(isinstance(download, bool), "dataset.download", f"expected true or false: {download!r}")
    splits = plan.get("splits") or [{}]
    rows = [
        rows_of(build(source, folder, _arguments(split, options), download, facts))
        for split in splits
    ]
    labels, classnames, parts = _join_classes(rows, splits)
    _refuse_unlabelled(labels)
    card_names = None if rows[0].ids else card_classnames(facts)  # ids already determine the names
    named = _named(name, labels, card_names, classnames)
    more = {
        "ids": rows[0].ids or None,
        "parts": parts_of(facts, named, class_split) or parts,
        "subset": _subset(rows, splits),
        "input": facts.get("input", {}),
    }
    pixels = [part.pixels for part in rows if part.pixels is not None]
    if pixels:
        return _from_arrays(name, pixels, labels, named, _numbered(name, rows, splits), more)
    paths = [_relative(file, folder) for part in rows for file in part.files or ()]
    if on_error == "raise":
        expect_whole(name, folder, paths, len(paths), facts.get("images"))
    return from_files(name, folder, paths, labels, named, cache, **more)


def _refuse_unlabelled(labels: NDArray) -> None:
    """Raise for images without a label, to which torchvision gives -1."""
    count = int((labels < 0).sum())
    expect(
        not count,
        "dataset.options",
        f"{count} of {len(labels)} images have no label",
        "Choose a split whose images are labelled.",
    )


def _arguments(split: Mapping[str, Any], options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Arguments of torchvision's class: those of the split, fixed by the card, and `options`."""
    fixed, more = split.get("arguments", {}), dict(options or {})
    for name in sorted(fixed.keys() & more.keys()):
        raise FewshotError(
            "dataset.options",
            f"{name!r} is set by the card, which joins all splits",
            "Choose images with dataset.subset.",
        )
    return {**fixed, **more}


def _join_classes(
    rows: Sequence[Rows], splits: Sequence[Mapping[str, Any]]
) -> tuple[NDArray, tuple[str, ...], tuple[str, ...] | None]:
    """Labels, class names and parts of several splits.

    Splits that are a ``part`` each have classes of their own (Omniglot); others share them.
    """
    if "part" not in splits[0]:
        names = {part.classnames for part in rows}
        if len(names) > 1:
            raise FewshotError("dataset", "its splits have different classes; is it complete?")
        return np.concatenate([part.labels for part in rows]), names.pop(), None
    offsets = np.cumsum([0, *(len(part.classnames) for part in rows)])
    labels = [part.labels + offset for part, offset in zip(rows, offsets, strict=False)]
    classnames = tuple(name for part in rows for name in part.classnames)
    pairs = zip(rows, splits, strict=True)
    parts = tuple(split["part"] for part, split in pairs for _ in part.classnames)
    return np.concatenate(labels), classnames, parts


def _named(
    name: str, labels: NDArray, listed: Sequence[str] | None, library: tuple[str, ...]
) -> tuple[str, ...]:
    """Class names of the card if they differ from torchvision's, else these, else numbers."""
    top = int(labels.max(initial=-1))
    if (
        listed
        and library
        and {folded(name) for name in library} <= {folded(name) for name in listed}
    ):
        listed = None
    named = tuple(listed or library or map(str, range(top + 1)))
    expect(
        top < len(named) and len(library) in (0, len(named)),
        "dataset",
        f"{name} has {len(library) or top + 1} classes, but {len(named)} names are known",
        "The data may be altered or not complete.",
    )
    return named


def _subset(rows: Sequence[Rows], splits: Sequence[Mapping[str, Any]]) -> NDArray | None:
    if "subset" not in splits[0]:
        return None
    pairs = zip(rows, splits, strict=True)
    return np.concatenate([np.full(len(part.labels), split["subset"]) for part, split in pairs])


def _numbered(
    name: str, rows: Sequence[Rows], splits: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Names for images without files: ``cifar10/train/00017``."""
    pairs = zip(rows, splits, strict=True)
    return tuple(
        f"{name}/{split.get('subset', 'all')}/{row:05d}"
        for part, split in pairs
        for row in range(len(part.labels))
    )


def _relative(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _from_arrays(
    name: str,
    pixels: Sequence[NDArray],
    labels: NDArray,
    classnames: tuple[str, ...],
    paths: tuple[str, ...],
    more: Mapping[str, Any],
) -> ImageDataset:
    """A data set of images in arrays, one of shape (M, H, W[, 3]) per split."""
    starts = np.cumsum([0, *(len(array) for array in pixels)])

    def read(row: int) -> Image.Image:
        split = int(np.searchsorted(starts, row, side="right")) - 1
        image = np.ascontiguousarray(pixels[split][row - starts[split]])
        return Image.fromarray(image).convert("RGB")

    def fingerprint() -> str:
        whole = hashlib.sha256("\n".join(classnames).encode())
        whole.update(labels.astype("<i8").tobytes())
        for array in pixels:
            whole.update(f"{array.shape}".encode())
            whole.update(np.ascontiguousarray(array).data)
        return whole.hexdigest()

    return ImageDataset(name, labels, classnames, paths, read, fingerprint, **more)
