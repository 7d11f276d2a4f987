"""Row numbers of episodes: within range, none twice, sorted by class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fewshot.exceptions import expect

PADDING = -1


def check_range(name: str, rows: NDArray, labels: NDArray) -> None:
    """Raise FewshotError unless rows are -1 or numbers of the labels (M,)."""
    expect(
        rows.size == 0 or (rows.max() < len(labels) and rows.min() >= PADDING),
        f"episodes.{name}",
        f"row numbers outside 0..{len(labels) - 1}",
        "These episodes belong to another data set.",
    )


def check_disjoint(support: NDArray, query: NDArray) -> None:
    """Raise FewshotError for a row twice in an episode, which would be scored on itself."""
    rows = np.concatenate([support, query], axis=-1)
    twice = repeated(rows.reshape(len(rows), -1))
    expect(not twice, "episodes", "an image stands twice in one episode")


def by_class(rows: NDArray, classes: NDArray, labels: NDArray) -> NDArray:
    """Those of the rows (E, U) of episodes that are of their classes (E, N), by class.

    Returns
    -------
    ndarray of shape (E, N, U')
        -1 pads; U' = 0 if no row is of a class of its episode.
    """
    many = int(max(labels.max(initial=0), classes.max(initial=0))) + 2  # and -1, the padding
    ways = (np.arange(len(classes))[:, None] * many + classes + 1).reshape(-1)
    order = np.argsort(ways)  # to find the way of a row by its episode and class
    episode, column = np.nonzero(rows >= 0)
    row = rows[episode, column]
    episode, row = episode[labels[row] >= 0], row[labels[row] >= 0]
    wanted = episode * many + labels[row] + 1
    place = np.minimum(np.searchsorted(ways, wanted, sorter=order), len(ways) - 1)
    way = order[place]
    way, row = way[ways[way] == wanted], row[ways[way] == wanted]
    grouped = np.argsort(way, kind="stable")
    way, row = way[grouped], row[grouped]
    position = np.arange(len(way)) - np.searchsorted(way, way)
    width = int(position.max(initial=-1)) + 1
    sorted_rows = np.full((len(ways), width), PADDING, dtype=np.int64)
    sorted_rows[way, position] = row
    return sorted_rows.reshape(*classes.shape, width)


def repeated(rows: NDArray) -> bool:
    """Whether any episode has a row twice, of rows (E, T), -1 in the padding."""
    rows = np.sort(rows, axis=-1)
    return bool(((rows[:, 1:] == rows[:, :-1]) & (rows[:, 1:] >= 0)).any())
