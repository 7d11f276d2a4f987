"""Features of every image of a data set, with labels and file names."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fewshot.datasets.labels import as_array, encode_labels
from fewshot.datasets.parts import parts_of_classes, subsets_of_rows
from fewshot.exceptions import FewshotError, expect, expect_choice
from fewshot.features.arrays import feature_matrix, label_vector
from fewshot.features.mapping import prefetch
from fewshot.features.ranges import unit_length

if TYPE_CHECKING:
    from fewshot.text.gaussians.fitted import TextGaussians
    from fewshot.text.gaussians.predictors.base import TextPredictor

NORMALIZATIONS = ("none", "l2")
OF_IMAGES = "l2"  # default normalisation of features of images in runs
ROWS_PER_CHECK = 65536
OF_ALL_ROWS = ("key", "magnitudes", "copies")  # keys of `info` that hold only for the whole bank


@dataclass(frozen=True, eq=False)
class FeatureBank:
    """One row per image; in memory or memory-mapped.

    Attributes
    ----------
    features : ndarray of shape (M, D), floating
    labels : ndarray of shape (M,), int64, in 0..C-1
    classnames : tuple of C str
    paths : sequence of M str, or None
        File names, where there are files.
    parts : tuple of C str, or None
        "base", "validation" or "novel" for every class; None without a split.
    subset : ndarray of shape (M,), str, or None
        "train", "validation" or "test" for every row, where the data set comes split by image.
    text : ndarray of shape (C, D), or None
        A unit-length vector per class name, in the space of the features.
    logit_scale : float
        Factor of the dual encoder for cosines of image and text.
    predictor : str, TextPredictor or TextGaussians
        Predictor of Gaussians of classes from `text`: one of
        ``fewshot.text.gaussians.predictors``, by name or as an object, which is fitted on the
        base classes, or a fitted ``TextGaussians``.
    normalize : {"none", "l2"}
        "l2" gives every row that is taken unit length; the stored rows do not change.
    ids : tuple of C str, or None
        Identifiers of the classes where these differ from the names: folders, WordNet ids.
    naming : dict
        Origin of the names, as in ``ImageDataset``.
    info : dict
        Origin of the bank: dataset, backbone, feature kind, key, skipped images, copies.
    """

    features: NDArray
    labels: NDArray
    classnames: tuple[str, ...]
    paths: Sequence[str] | None = None
    parts: tuple[str, ...] | None = None
    normalize: str = "none"
    subset: NDArray | None = None
    text: NDArray | None = None
    logit_scale: float = 100.0
    predictor: str | TextPredictor | TextGaussians = "ridge"
    info: dict[str, Any] = field(default_factory=dict)
    ids: tuple[str, ...] | None = None
    naming: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with warnings.catch_warnings():
            # Rows are only read, so that memory which may not be written is fine.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            object.__setattr__(self, "_tensor", torch.from_numpy(self.features))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def dim(self) -> int:
        """D, the number of feature dimensions."""
        return self.features.shape[1]

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        """Features (len(rows), D) of some rows, float32 or wider, normalised if so set.

        Only these rows are read from a memory map.
        """
        prefetch(self.features, rows)
        taken: torch.Tensor = self._tensor.index_select(0, rows)  # type: ignore[attr-defined]
        if taken.dtype == torch.float16:
            taken = taken.float()
        return unit_length(taken) if self.normalize == "l2" else taken

    def means_of(self, rows: torch.Tensor) -> torch.Tensor:
        """Means (E, D) of rows (E, K), added up as they are read where they need no change."""
        if self.features.dtype != np.float32 or self.normalize != "none" or rows.shape[1] < 2:
            return self.take(rows.reshape(-1)).view(*rows.shape, -1).mean(1)
        prefetch(self.features, rows)
        means: torch.Tensor = torch.nn.functional.embedding_bag(
            rows,
            self._tensor,  # type: ignore[attr-defined]
            mode="mean",
        )
        return means

    def take_rows(self, rows: NDArray) -> FeatureBank:
        """The bank of the rows with these numbers; all class names stay."""
        chosen = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            features=self.features[chosen],
            labels=self.labels[chosen],
            paths=None if self.paths is None else tuple(self.paths[row] for row in chosen),
            subset=None if self.subset is None else self.subset[chosen],
            info={key: value for key, value in self.info.items() if key not in OF_ALL_ROWS},
        )

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Identifiers of the C classes: `ids`, or the class names without them."""
        return self.ids or self.classnames

    def classes(self, part: str | None = None) -> NDArray:
        """Class numbers of one part; all that occur when `part` is None."""
        if part is None:
            return np.unique(self.labels)
        if self.parts is None:
            return np.empty(0, dtype=np.int64)
        return np.array([c for c, name in enumerate(self.parts) if name == part], dtype=np.int64)

    def hash(self) -> str:
        """SHA-256 over the content; from the stored key for a bank that was opened from disk."""
        return self._hash

    @cached_property
    def _hash(self) -> str:  # every cell of a run states it, and a bank does not change
        if "key" in self.info:
            return hashlib.sha256(f"{self.info['key']} {self.normalize}".encode()).hexdigest()
        what = f"{self.features.dtype}{self.features.shape}{self.normalize}"
        digest = hashlib.sha256(what.encode())
        for start in range(0, len(self), ROWS_PER_CHECK):
            digest.update(np.ascontiguousarray(self.features[start : start + ROWS_PER_CHECK]).data)
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return digest.hexdigest()


def make_bank(
    features: Any,
    labels: Any,
    classnames: Sequence[str] | None = None,
    paths: Sequence[str] | None = None,
    split: Any = None,
    info: dict[str, Any] | None = None,
    normalize: str = "none",
    text: Any = None,
    subset: Any = None,
) -> FeatureBank:
    """Check arrays or tensors from a user and make a bank of them.

    Parameters
    ----------
    features : array-like or tensor of shape (M, D)
        Finite numbers. Axes of length 1 are left out.
    labels : array-like or tensor of shape (M,)
        Integers or strings, none missing. With `classnames`, integers are positions in it. Also
        of shape (M, 1), booleans, or a column per class (one-hot).
    classnames : sequence of str, optional
    paths : sequence of M str, optional
    split : array-like of M str, optional
        "base", "validation" or "novel" (or "train", "val", "test", or 0, 1, 2) for every row;
        the same for all rows of a class.
    info : dict, optional
    normalize : {"none", "l2"}
    text : array-like or tensor of shape (C, D), optional
        A vector per class name in the space of the features; given unit length here.

    subset : array-like of M str, optional
        "train", "validation" or "test" for every row.

    Raises
    ------
    FewshotError
        NaN, infinite or masked features, missing labels, lengths that differ, a class in two
        parts, text vectors that do not fit.
    """
    expect_choice("normalize", normalize, NORMALIZATIONS)
    features, notices = feature_matrix(features, _length(labels))
    labels, reshaped = label_vector(labels, len(features), classnames is not None)
    numbers, names = encode_labels(labels, classnames)
    for name, count in Counter(names).items():
        expect(count == 1, "classnames", f"{count} classes have the name {name!r}", "Rename them.")
    check_finite(features)
    if paths is not None:
        expect(
            len(paths) == len(features),
            "paths",
            f"expected {len(features)} file names, got {len(paths)}",
        )
        paths = tuple(str(path) for path in paths)
    parts = None if split is None else parts_of_classes(as_array(split), numbers, names)
    vectors = None if text is None else _unit_text(text, len(names), features.shape[1])
    row_subset = None if subset is None else subsets_of_rows(as_array(subset), len(features))
    info = dict(info or {})
    if noticed := [*info.get("notices", ()), *notices, *reshaped]:
        info["notices"] = noticed
    return FeatureBank(
        features, numbers, names, paths, parts, normalize, row_subset, vectors, info=info
    )


def _length(labels: Any) -> int | None:
    """Number of labels, also of (1, M)."""
    shape = getattr(labels, "shape", None)
    if shape is None:
        return len(labels) if hasattr(labels, "__len__") else None
    return int(max(shape) if 1 in shape else shape[0]) if len(shape) else None


def _unit_text(text: Any, classes: int, dim: int) -> NDArray:
    vectors = as_array(text)
    expect(
        vectors.shape == (classes, dim),
        "text",
        f"expected a vector per class in the space of the features, ({classes}, {dim}), got "
        f"{vectors.shape}",
    )
    check_finite(vectors, "text")
    expect(bool(vectors.any(1).all()), "text", "a vector of length zero says nothing of its class")
    return unit_length(torch.from_numpy(vectors.astype(np.float64))).numpy().astype(np.float32)


def check_finite(features: NDArray, argument: str = "features") -> None:
    """Raise at the first NaN or infinity, naming its row; a map is read in pieces."""
    for start in range(0, len(features), ROWS_PER_CHECK):
        block = features[start : start + ROWS_PER_CHECK]
        finite = np.isfinite(block)
        if not finite.all():
            bad = np.flatnonzero(~finite.all(axis=1))
            raise FewshotError(
                argument,
                f"expected finite numbers, got NaN or infinity in row {start + int(bad[0])}",
                "Remove such rows, or store the features in a wider type.",
            )
