"""Labels of a data set without features, to try draws before anything is extracted."""

from __future__ import annotations

import numpy as np

from fewshot.datasets.base import ImageDataset
from fewshot.features.bank import FeatureBank


def labels_only(dataset: ImageDataset) -> FeatureBank:
    """A bank with a row per image and no columns."""
    empty = np.empty((len(dataset), 0), dtype=np.float32)
    return FeatureBank(
        empty,
        dataset.labels,
        dataset.classnames,
        parts=dataset.parts,
        subset=dataset.subset,
        info={"dataset": dataset.name},
        ids=dataset.ids,
        naming=dataset.naming,
    )
