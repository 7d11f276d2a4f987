"""Labels of made-up images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.images import UnreadableImageError
from fewshot.tasks.classification.labelling.labels import (
    Label,
    LabelledImages,
    ModelFacts,
)

FACTS = ModelFacts(
    "beach", "lda", "net", {"ant": 5, "crab": 5, "lobster": 5}, 0.13, 0.06, 0.25, 0.9, None,
    "2026-03-01T12:00:00+00:00",
)  # fmt: skip


def label(file, name, probability, other="lobster", *, none=False, classes=None):
    """A label, to be looked at below 0.9; the runner-up has what is left."""
    classes = (name,) if classes is None else classes
    look = none or probability < 0.9
    return Label(file, name, probability, other, 1 - probability, look, none, classes)


def labelled(rows, budget=0.05, *, skipped=(), facts=FACTS):
    """Labels of images by a classifier."""
    names = tuple(dict.fromkeys(name for row in rows for name in (row.label, row.runner_up)))
    return LabelledImages(list(rows), list(skipped), names, budget, 0.9, facts)


def pictures(labels, broken=()):
    """Images without files of all of them, in colours of their own; those in `broken` are gone."""
    paths = tuple(row.file for row in labels.rows)

    def read(row):
        if paths[row] in broken:
            raise UnreadableImageError("gone")
        pixels = np.random.default_rng(row).integers(0, 255, (40, 60, 3), dtype=np.uint8)
        return Image.fromarray(pixels)

    numbers = np.zeros(len(paths), dtype=np.int64)
    return ImageDataset("query", numbers, ("unlabelled",), paths, read, str)


@pytest.fixture
def beach():
    """Sure ones, doubtful ones, one of none of the classes, one that could not be read."""
    rows = [label(f"beach/{n:02d}.jpg", "ant" if n % 3 else "crab", 0.99) for n in range(30)]
    rows += [
        label("beach/doubt.jpg", "crab", 0.61, classes=("crab", "lobster")),
        label("beach/shoe.jpg", "ant", 0.97, none=True),
    ]
    return labelled(rows, skipped=[{"path": "beach/torn.jpg", "reason": "it is truncated"}])
