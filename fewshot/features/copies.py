"""Counts of duplicate images in a data set, which inflate accuracy when both are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.features.bank import FeatureBank
from fewshot.features.extraction.signatures import groups_alike
from fewshot.features.row_keys import row_keys

PIXELS, FEATURES = "pixels", "features"


def copies_by_pixels(
    signatures: NDArray, labels: NDArray, paths: Sequence[str] | None
) -> dict[str, Any]:
    """Counts of duplicate images, also rescaled or re-encoded, from signatures (M, 66).

    Returns
    -------
    dict
        ``by``: "pixels"; ``images``: how many there would be less without copies; ``sets``: groups
        of images that look the same; ``sets_in_several_classes``; ``first``: names of two, or row
        numbers where there are no names; None without copies.
    """
    return _copy_counts(PIXELS, groups_alike(signatures), labels, paths)


def copies_by_features(bank: FeatureBank) -> dict[str, Any]:
    """Counts of rows with equal features; as ``copies_by_pixels``, ``by`` is "features"."""
    keys = row_keys(bank.features)
    _, group = np.unique(keys, return_inverse=True)
    return _copy_counts(FEATURES, group.reshape(-1), bank.labels, bank.paths)


def with_copies(bank: FeatureBank) -> FeatureBank:
    """The bank with ``info["copies"]``, from its extraction or else from its features."""
    if bank.info.get("copies") is not None:
        return bank
    return replace(bank, info=bank.info | {"copies": copies_by_features(bank)})


def _copy_counts(
    by: str, group: NDArray, labels: NDArray, paths: Sequence[str] | None
) -> dict[str, Any]:
    """Counts of duplicates from group numbers (M,) of images."""
    _, group, size = np.unique(group, return_inverse=True, return_counts=True)
    pairs = np.unique(np.column_stack((group.reshape(-1), labels)), axis=0)
    classes = np.bincount(pairs[:, 0], minlength=len(size))
    first = None
    several = np.flatnonzero(size[group] > 1)
    if len(several):
        rows = np.flatnonzero(group == group[several[0]])[:2].tolist()
        first = rows if paths is None else [paths[row] for row in rows]
    return {
        "by": by,
        "images": int((size - 1).sum()),
        "sets": int((size > 1).sum()),
        "sets_in_several_classes": int((classes > 1).sum()),
        "first": first,
    }
