"""Accuracy of every class, and the classes that its queries were taken for, over all episodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.results.schema import CellColumns
from fewshot.statistics.clustered import clustered_shares
from fewshot.tasks.base import EPISODIC_KEYS, columns_of
from fewshot.tasks.classification.schema import CLASSES, CONFUSION
from fewshot.tasks.engine.confusion import ConfusionCounts, opportunities


def class_rows(
    cell: CellColumns,
    names: Sequence[str],
    episodes: EpisodeSet,
    errors: NDArray,
    queries: NDArray,
) -> pd.DataFrame:
    """A row per class that was asked for: its accuracy over all its queries, with an interval.

    Parameters
    ----------
    cell : dict
        Columns of the cell.
    names : sequence of str
        Of all classes of the bank.
    errors : ndarray of shape (E, N)
        Share of misclassified queries, NaN where there are none.
    queries : ndarray of shape (E, N)
    """
    there = queries > 0
    asked = queries[there]
    right = np.rint((1 - errors[there]) * asked)
    shares = clustered_shares(right, asked, episodes.classes[there], len(names))
    (number,) = np.nonzero(shares.clusters)
    rows = pd.DataFrame({"class": np.array(names, dtype=object)[number]}).assign(**cell)
    rows["episodes"], rows["queries"] = shares.clusters[number], shares.total[number]
    rows["accuracy"] = shares.share[number]
    rows["lower"], rows["upper"] = shares.lower[number], shares.upper[number]
    return rows[list(columns_of(CLASSES, EPISODIC_KEYS))]


def confusion_rows(
    cell: CellColumns,
    names: Sequence[str],
    episodes: EpisodeSet,
    queries: NDArray,
    counts: ConfusionCounts,
) -> pd.DataFrame:
    """A row per pair of classes of which a query of one was taken for the other.

    Parameters
    ----------
    queries : ndarray of shape (E, N)
    counts : ConfusionCounts
        Of all these episodes.
    """
    true, predicted, number = counts.pairs()
    named = np.array(names, dtype=object)
    rows = pd.DataFrame({"class": named[true], "taken_for": named[predicted]}).assign(**cell)
    rows["queries"] = number
    rows["opportunities"] = opportunities(episodes, queries, true, predicted, len(names))
    return rows[list(columns_of(CONFUSION, EPISODIC_KEYS))]
