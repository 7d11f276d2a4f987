"""Parts of a data set: base, validation and novel classes; training, validation and test images.

The words for them are the same in split files, lists of images, folders, feature files and data
sets of Hugging Face: ``SUBSET_NAMES`` and ``PART_NAMES``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.labels import as_text
from fewshot.exceptions import FewshotError, expect, suggestion

PARTS = ("base", "validation", "novel")
SUBSETS = ("train", "validation", "test")
# Words for a subset, in lower case: "dev" is the validation set of many lists.
SUBSET_NAMES = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
PART_OF_SUBSET = dict(zip(SUBSETS, PARTS, strict=True))
SUBSET_OF_PART = dict(zip(PARTS, SUBSETS, strict=True))
# Words for a part of the classes: those of a subset mean one, too, as in Meta-Dataset.
PART_NAMES = {part: part for part in PARTS} | {
    name: PART_OF_SUBSET[subset] for name, subset in SUBSET_NAMES.items()
}
# The same words for subsets, as lists call the images of base classes "base".
ROW_NAMES = SUBSET_NAMES | {part: SUBSET_OF_PART[part] for part in PARTS}
CODES = {"0": 0, "1": 1, "2": 2}  # positions in PARTS or SUBSETS, where a format has numbers


def parts_of_classes(split: NDArray, labels: NDArray, classnames: Sequence[str]) -> tuple[str, ...]:
    """One part per class from one part per row.

    Parameters
    ----------
    split : ndarray of shape (M,)
        Words of ``PART_NAMES``, in any case, or the numbers 0, 1, 2 for base, validation, novel.
    labels : ndarray of shape (M,), int64, in 0..C-1
    classnames : sequence of C str

    Returns
    -------
    tuple of C str
        "validation" for a class without rows, which is never drawn.

    Raises
    ------
    FewshotError
        Another word or number; a class in two parts.
    """
    codes = _codes("split", split, len(labels), PART_NAMES, PARTS)
    held = _held(labels, codes, len(classnames))
    twice = held.sum(axis=1) > 1
    if twice.any():
        c = int(np.argmax(twice))
        of_class = sorted(PARTS[code] for code in np.flatnonzero(held[c]))
        raise FewshotError(
            "split",
            f"class {classnames[c]!r} is in {' and in '.join(of_class)}; "
            "base and novel classes are disjoint",
            "Put every row of a class in one part; if images of a class are for training and "
            "others for test, say so in `subset` instead of `split`.",
        )
    return _first_parts(held)


def subsets_of_rows(subset: NDArray, rows: int) -> NDArray:
    """Subset of every row, of shape (rows,), str: "train", "validation" or "test".

    Parameters
    ----------
    subset : ndarray of shape (rows,)
        Words of ``SUBSET_NAMES``, in any case, or the numbers 0, 1, 2.
    rows : int

    Raises
    ------
    FewshotError
        Another word or number, another shape.
    """
    return np.array(SUBSETS)[_codes("subset", subset, rows, SUBSET_NAMES, SUBSETS)]


def parts_or_subsets(
    subset: NDArray, labels: NDArray, classes: int
) -> tuple[tuple[str, ...] | None, NDArray | None]:
    """Parts of classes, or else subsets of rows: (parts, None) or (None, subset).

    Where several subsets have no class in common, their classes are base, validation and novel.

    Parameters
    ----------
    subset : ndarray of shape (M,), str, of ``SUBSETS``
    labels : ndarray of shape (M,), int64, in 0..classes-1
    classes : int
    """
    names, rows = np.unique(subset, return_inverse=True)
    codes = np.array([SUBSETS.index(name) for name in names.tolist()], dtype=np.int64)
    codes = codes[rows.reshape(-1)]
    held = _held(labels, codes, classes)
    if len(names) < 2 or (held.sum(axis=1) > 1).any():
        return None, subset
    return _first_parts(held), None


def _held(labels: NDArray, codes: NDArray, classes: int) -> NDArray:
    """Whether classes have rows in parts, by number: (classes, 3), bool."""
    held = np.zeros((classes, len(PARTS)), dtype=bool)
    held[labels, codes] = True
    return held


def _first_parts(held: NDArray) -> tuple[str, ...]:
    """The first part of each class; "validation" for a class without rows."""
    parts = np.where(held.any(axis=1), np.array(PARTS)[held.argmax(axis=1)], "validation")
    return tuple(parts.tolist())


def _codes(
    argument: str, words: NDArray, rows: int, names: Mapping[str, str], order: Sequence[str]
) -> NDArray:
    """Position in `order` of every row's word or number, of shape (rows,), int64."""
    expect(
        words.shape == (rows,),
        argument,
        f"expected {rows} entries, one per row, got shape {words.shape}",
    )
    present, inverse = np.unique(as_text(argument, words), return_inverse=True)
    texts = [text.strip().removesuffix(".0") for text in present.tolist()]
    numbers = all(text.isdigit() for text in texts)
    table = CODES if numbers else {name: order.index(part) for name, part in names.items()}
    positions = [table.get(text.lower()) for text in texts]
    if None in positions:
        wrong = texts[positions.index(None)]
        raise FewshotError(
            argument,
            f"expected {order[0]}, {order[1]} or {order[2]}, got {wrong!r:.80}",
            f"{suggestion(wrong, names)} Or 0, 1, 2 for the three.",
        )
    return np.array(positions, dtype=np.int64)[inverse.reshape(-1)]
