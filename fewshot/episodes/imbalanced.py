"""Episodes whose queries have Dirichlet-distributed shares of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewshot.episodes.balanced import (
    QUERIES,
    SHOTS,
    places_before,
    sample_episodes,
)
from fewshot.episodes.draws import sample_without_replacement, uniform
from fewshot.episodes.episode_set import PADDING, ClassIndex, EpisodeSet
from fewshot.exceptions import expect_number, expect_positive_int

SHARES = 3  # purpose of a stream, beside the classes, shots and queries of balanced episodes


def sample_imbalanced_episodes(
    labels: ArrayLike,
    ways: int = 5,
    shots: int = 5,
    queries_total: int = 75,
    episodes: int = 600,
    seed: int = 0,
    alpha: float = 2.0,
    *,
    classes: ArrayLike | None = None,
    classnames: Sequence[str] | None = None,
    min_images: str = "raise",
) -> EpisodeSet:
    """Draw episodes with balanced supports and imbalanced queries.

    Veilleux et al., "Realistic Evaluation of Transductive Few-Shot Learning", NeurIPS 2021: the
    shares of the N classes among the queries are drawn from a symmetric Dirichlet distribution,
    alpha = 2. Classes, supports and the first queries of every class are those of
    ``sample_episodes`` under the same seed, so that both evaluations are paired. Episode e depends
    on (labels, classes, seed, e) and, for its shares, on N and alpha alone.

    Shares become counts by largest remainders. A class with too few images gives all it has, and
    the others share its surplus in proportion: the total is always the same.

    Parameters
    ----------
    labels : array-like of int, shape (M,)
        Class of every row.
    ways, shots : int
        N >= 2 and K >= 0.
    queries_total : int
        Queries of an episode, all classes together, >= 1.
    episodes : int
        E >= 1.
    seed : int
        >= 0.
    alpha : float
        > 0: large for nearly balanced queries, 1 for all shares alike, below for few classes.
    classes : array-like of int, optional
        Classes to draw from; all that occur in `labels` by default.
    classnames : sequence of str, optional
        For messages.
    min_images : {"raise", "drop"}
        What to do about a class with fewer than ``shots + ceil(queries_total / ways)`` images
        (one more at zero shots, as in balanced episodes).

    Returns
    -------
    EpisodeSet
        Queries (E, N, Qmax), -1 in the padding; a class may have none.

    Raises
    ------
    FewshotError
        Fewer classes than ways, or a class with too few images.

    Examples
    --------
    >>> import numpy as np
    >>> from fewshot.episodes.imbalanced import sample_imbalanced_episodes
    >>> drawn = sample_imbalanced_episodes(np.repeat(np.arange(8), 90), shots=1, episodes=100)
    >>> bool(((drawn.query >= 0).sum((1, 2)) == 75).all())
    True
    """
    expect_positive_int("episodes.ways", ways, minimum=2)
    expect_positive_int("episodes.queries_total", queries_total)
    expect_number("episodes.alpha", alpha, 0.01)
    expect_positive_int("episodes.count", episodes)
    balanced = sample_episodes(
        labels,
        ways,
        shots,
        -(-queries_total // ways),
        episodes,
        seed,
        classes=classes,
        classnames=classnames,
        min_images=min_images,
    )
    index = ClassIndex.of(balanced.labels)
    room = index.size[balanced.classes] - places_before(shots)
    counts = apportioned(dirichlet(seed, episodes, ways, alpha), queries_total, room)
    query = _queries(balanced, index, counts, seed)
    return EpisodeSet(balanced.classes, balanced.support, query, balanced.labels, seed)


def dirichlet(seed: int, episodes: int, ways: int, alpha: float) -> NDArray:
    """Symmetric Dirichlet shares (E, N): gamma variates, from uniform ones by their quantiles."""
    from scipy.special import gammaincinv

    draws = uniform(seed, (0, SHARES), 0, episodes, ways)
    gamma = gammaincinv(alpha, draws) + np.finfo(float).tiny
    return gamma / gamma.sum(1, keepdims=True)


def apportioned(shares: NDArray, total: int, room: NDArray) -> NDArray:
    """Whole numbers (E, N) near ``shares * total`` that sum to `total` and leave no room overfull.

    Parameters
    ----------
    shares : ndarray of shape (E, N)
        Sum to 1.
    total : int
    room : ndarray of shape (E, N), int
        Sums to `total` at least.
    """
    quota = shares * total
    for _ in range(shares.shape[1]):  # each round fills one class at least
        full = quota >= room
        spare = total - np.where(full, room, 0).sum(1, keepdims=True)
        rest = np.where(full, 0.0, shares)
        scale = spare / np.maximum(rest.sum(1, keepdims=True), np.finfo(float).tiny)
        quota = np.where(full, room, rest * scale)
    counts = np.floor(quota).astype(np.int64)
    missing = total - counts.sum(1, keepdims=True)
    rank = np.argsort(np.argsort(counts - quota, axis=1, kind="stable"), axis=1)
    return counts + (rank < missing)


def _queries(balanced: EpisodeSet, index: ClassIndex, counts: NDArray, seed: int) -> NDArray:
    """Row numbers (E, N, Qmax) of the first `counts` (E, N) queries of every class."""
    E, N = balanced.classes.shape
    K = places_before(balanced.shots)
    most = int(counts.max())
    size = index.size[balanced.classes].reshape(-1)
    purposes = [(SHOTS, i) for i in range(K)] + [(QUERIES, i) for i in range(most)]
    draws = np.stack([uniform(seed, (0, *one), 0, E, N).reshape(-1) for one in purposes])
    place = sample_without_replacement(draws, size)
    # Steps beyond the size of a class draw nothing that is used, but may point outside of it.
    place = np.minimum(place, size - 1).T.reshape(E, N, K + most)[..., K:]
    rows = index.rows[index.start[balanced.classes][..., None] + place]
    return np.where(np.arange(most) < counts[..., None], rows, PADDING)
