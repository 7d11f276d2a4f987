"""Episodes whose queries have Dirichlet-distributed shares of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewshot.episodes.balanced import QUERIES, SHOTS, sample_episodes
from fewshot.episodes.class_pool import indices, places_before
from fewshot.episodes.draws import sample_without_replacement, uniform
from fewshot.episodes.episode_set import ClassIndex, EpisodeSet
from fewshot.episodes.rows import PADDING
from fewshot.episodes.shares import apportioned, dirichlet
from fewshot.episodes.unlabelled import Reserved, unlabelled_rows
from fewshot.episodes.unlabelled_sampling import EQUAL, UnlabelledSampling
from fewshot.exceptions import expect_number, expect_positive_int


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
    unlabelled: int | str | UnlabelledSampling | None = None,
    unlabelled_shares: str = EQUAL,
    strangers: float = 0.0,
    largest_shots: int | None = None,
    subset: ArrayLike | None = None,
    shots_imbalance: float = 0.0,
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
        (one more at zero shots, as in balanced episodes), and N more where some are unlabelled.
    unlabelled, unlabelled_shares, strangers, largest_shots, subset
        As in `sample_episodes`. The shares of unlabelled images are drawn apart from those of the
        queries.

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
    sampling = UnlabelledSampling.of(unlabelled, unlabelled_shares, strangers)
    drawn_apart = None if sampling is None or sampling.are_queries else sampling
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
        unlabelled=drawn_apart,
        largest_shots=largest_shots,
        subset=subset,
        shots_imbalance=shots_imbalance,
    )
    shots = balanced.shots  # the most of a class
    train, tests = indices(balanced.labels, subset)
    index, before, reserved = train, places_before(shots), Reserved.of(balanced)
    if tests is not None:
        index, before, reserved = tests, 0, Reserved.none(balanced.classes)
    room = index.size[balanced.classes] - reserved.counts - before
    counts = apportioned(dirichlet(seed, episodes, ways, alpha), queries_total, room)
    query = _queries(balanced, index, counts, seed, reserved, before)
    extra = balanced.unlabelled
    if sampling is not None and sampling.are_queries:
        pool = np.unique(balanced.labels[balanced.labels >= 0] if classes is None else classes)
        asked = np.full(episodes, queries_total)
        extra = unlabelled_rows(
            sampling, reserved, index, balanced.classes, pool, asked, seed, stream=0
        )
    uneven = f", shots_imbalance={shots_imbalance:g}" if shots_imbalance else ""
    return replace(
        balanced,
        query=query,
        unlabelled=extra,
        unlabelled_sampling=sampling,
        protocol=f"imbalanced(alpha={alpha:g}{uneven})",
    )


def _queries(
    balanced: EpisodeSet,
    index: ClassIndex,
    counts: NDArray,
    seed: int,
    reserved: Reserved,
    K: int,
) -> NDArray:
    """Row numbers (E, N, Qmax) of the first `counts` (E, N) queries of every class, after K."""
    E, N = balanced.classes.shape
    most = int(counts.max())
    size = (index.size[balanced.classes] - reserved.counts).reshape(-1)
    purposes = [(SHOTS, i) for i in range(K)] + [(QUERIES, i) for i in range(most)]
    draws = np.stack([uniform(seed, (0, *one), 0, E, N).reshape(-1) for one in purposes])
    place = sample_without_replacement(draws, size)
    # Steps beyond the size of a class draw nothing that is used, but may point outside of it.
    place = np.minimum(place, size - 1).T.reshape(E, N, K + most)[..., K:]
    place = reserved.past(place)
    rows = index.rows[index.start[balanced.classes][..., None] + place]
    return np.where(np.arange(most) < counts[..., None], rows, PADDING)
