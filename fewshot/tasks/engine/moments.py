"""Means and covariance of the base classes of a bank."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from fewshot.episodes.episode_set import ClassIndex
from fewshot.estimators.moments import Moments
from fewshot.features.bank import FeatureBank


def has_moments(bank: FeatureBank) -> bool:
    """Whether any base class has at least two images."""
    classes = bank.classes("base")
    index = ClassIndex.of(bank.labels, len(bank.classnames))
    return len(classes) > 0 and bool(index.size[classes].max() > 1)


@lru_cache(maxsize=6)  # the same for every head, shot and seed of a run; and its folds
def base_moments(bank: FeatureBank) -> Moments:
    """Moments of the base classes, one class in memory at a time."""
    index = ClassIndex.of(bank.labels, len(bank.classnames))
    scatter = torch.zeros(bank.dim, bank.dim, dtype=torch.float64)
    means, counts = [], []
    for c in bank.classes("base"):
        rows = index.rows[index.start[c] : index.start[c] + index.size[c]]
        if len(rows) < 2:
            continue
        features = bank.take(torch.from_numpy(np.sort(rows)))
        means.append(features.mean(0).double())
        counts.append(float(len(rows)))
        features = features - features.mean(0)
        scatter += (features.mT @ features).double()
    count = torch.tensor(counts, dtype=torch.float64)
    return Moments(torch.stack(means), count, scatter / (count - 1).sum())
