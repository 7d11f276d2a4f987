"""Parts of a data set: base, validation and novel classes; training, validation and test images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.labels import as_text
from fewshot.exceptions import FewshotError, expect

PARTS = ("base", "validation", "novel")


SUBSETS = ("train", "validation", "test")


def parts_of_classes(split: NDArray, labels: NDArray, classnames: Sequence[str]) -> tuple[str, ...]:
    """One part per class from one part per row; a class in two parts is an error."""
    expect(
        split.shape == labels.shape,
        "split",
        f"expected {len(labels)} entries, one per row, got shape {split.shape}",
    )
    rows = as_text("split", split)
    rows = np.where(rows == "val", "validation", rows)
    unknown = sorted(set(rows.tolist()) - set(PARTS))
    if unknown:
        raise FewshotError("split", f"expected base, validation or novel, got {unknown[0]!r}")
    parts: list[str] = []
    for c, name in enumerate(classnames):
        of_class = sorted(set(rows[labels == c].tolist()))
        if len(of_class) > 1:
            raise FewshotError(
                "split",
                f"class {name!r} is in {' and in '.join(of_class)}; "
                "base and novel classes are disjoint",
                "Put every row of a class in one part.",
            )
        # A class without rows is never drawn.
        parts.append(of_class[0] if of_class else "validation")
    return tuple(parts)
