"""Episodes with shots of many classes, and queries of only a few of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewshot.episodes.all_way import TEST, sample_all_way
from fewshot.episodes.balanced import QUERIES, sample_episodes
from fewshot.episodes.class_pool import places_before
from fewshot.episodes.draws import (
    check_memory,
    episode_generator,
    sample_without_replacement,
    uniform,
)
from fewshot.episodes.episode_set import ClassIndex, EpisodeSet
from fewshot.episodes.rows import PADDING
from fewshot.episodes.shares import SHARES, apportioned, dirichlet
from fewshot.episodes.unlabelled import Reserved
from fewshot.episodes.unlabelled_sampling import QUERIES as UNLABELLED
from fewshot.episodes.unlabelled_sampling import UnlabelledSampling
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    expect_number,
    expect_positive_int,
)

IMAGES, EQUAL, DIRICHLET = "images", "equal", "dirichlet"
QUERY_SHARES = (IMAGES, EQUAL, DIRICHLET)
USUAL_QUERIES = 75
# What a stream of uniform numbers decides, beside 0 to 9: which classes have queries, how many.
PRESENT, NUMBER, POOLED = 10, 11, 12


def sample_effective_episodes(
    labels: ArrayLike,
    ways: int | None = None,
    shots: int = 5,
    k_eff: int | Sequence[int] = 5,
    queries_total: int = USUAL_QUERIES,
    episodes: int = 600,
    seed: int = 0,
    query_shares: str = IMAGES,
    alpha: float = 2.0,
    *,
    subset: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    classnames: Sequence[str] | None = None,
    min_images: str = "raise",
    queries_unlabelled: bool = False,
    largest_shots: int | None = None,
) -> EpisodeSet:
    """Draw episodes of N classes whose queries are of k_eff of them.

    The protocol that PADDLE (Martin et al., NeurIPS 2022), EM-Dirichlet (Martin et al., CVPR 2024)
    and StatA (Zanella et al., CVPR 2025) were made for: a batch of images shows few of the classes
    that a classifier knows. Which classes is not told to any head. By default the queries of an
    episode are drawn uniformly from all images of its k_eff classes, as those programs do.

    Episode e depends on (labels, classes, seed, e) alone. Supports are those of `sample_episodes`
    under the same seed, or of `sample_all_way` without `ways`; K shots are the beginning of K + 1
    shots. Which classes have queries does not depend on the number of shots.

    Parameters
    ----------
    labels : array-like of int, shape (M,)
    ways : int, optional
        N >= 2 classes with shots; all of them by default, in the order of the class numbers.
    shots : int
        K >= 0 images of each of the N classes.
    k_eff : int or (int, int)
        Classes with queries, 1 <= k_eff <= N; of a pair, uniform between both numbers.
    queries_total : int
        Queries of an episode, >= 1; fewer where its classes do not have so many images.
    episodes : int
        E >= 1.
    seed : int
        >= 0.
    query_shares : {"images", "equal", "dirichlet"}
        Shares of these classes among the queries: by their numbers of images, all alike, or from a
        symmetric Dirichlet distribution. Shares become counts by largest remainders.
    alpha : float
        > 0, of the Dirichlet distribution.
    subset : array-like of str, shape (M,), optional
        "train", "validation" or "test" for every image, only without `ways`: shots are training
        images, queries test images.
    classes : array-like of int, optional
        Classes to draw from; all that occur in `labels` by default.
    classnames : sequence of str, optional
        For messages.
    min_images : {"raise", "drop"}
        What to do about a class without images for its shots and one query.
    queries_unlabelled : bool
        Whether estimators see the queries without their labels.
    largest_shots : int, optional
        Largest K of the sets of episodes that shall have the same queries; `shots` by default.

    Returns
    -------
    EpisodeSet
        Queries (E, N, Qmax), -1 in the padding; classes without queries have none.

    Raises
    ------
    FewshotError
        Fewer classes than `ways`, fewer ways than `k_eff`, a class with too few images.

    Examples
    --------
    >>> import numpy as np
    >>> from fewshot.episodes import sample_effective_episodes
    >>> drawn = sample_effective_episodes(np.repeat(np.arange(20), 40), shots=1, k_eff=3)
    >>> counts = (drawn.query >= 0).sum(-1)
    >>> counts.shape, set(counts.sum(1).tolist()), set((counts > 0).sum(1).tolist()) <= {1, 2, 3}
    ((600, 20), {75}, True)
    """
    expect_positive_int("episodes.queries_total", queries_total)
    expect_positive_int("episodes.count", episodes)
    expect_choice("episodes.query_shares", query_shares, QUERY_SHARES)
    expect_number("episodes.alpha", alpha, 0.01)
    fewest, most = _range(k_eff)
    apart = ways is None and subset is not None  # shots and queries are of other subsets
    taken = shots if largest_shots is None else largest_shots
    expect_positive_int("largest_shots", taken, minimum=shots)
    taken = taken if apart else places_before(taken)
    supports = _supports(labels, ways, taken, episodes, seed, subset, classes=classes,
                         classnames=classnames, min_images=min_images)  # fmt: skip
    if most > supports.ways:
        raise FewshotError(
            "episodes.k_eff",
            f"expected at most the {supports.ways} classes of an episode, got {most}",
            "Lower episodes.k_eff, or raise episodes.ways.",
        )
    index = ClassIndex.of(supports.labels)
    reserved = Reserved(np.sort(supports.place_of[supports.support], axis=-1))
    if apart:
        tests = np.where(np.asarray(subset) == TEST, supports.labels, -1)
        index = ClassIndex.of(tests, len(index.size))
        reserved = Reserved.none(supports.classes)
    room = index.size[supports.classes] - reserved.counts
    room = np.where(_present(fewest, most, episodes, supports.ways, seed), room, 0)
    total = np.minimum(queries_total, room.sum(1, keepdims=True))
    counts = _counts(query_shares, room, total, alpha, seed)
    check_memory(episodes, supports.ways, int(counts.max()))
    return replace(
        supports,
        support=supports.support[..., :shots],
        query=_queries(supports.classes, index, counts, reserved, seed),
        unlabelled_sampling=UnlabelledSampling(UNLABELLED) if queries_unlabelled else None,
        protocol=_protocol((fewest, most), queries_total, query_shares, alpha),
    )


def _range(k_eff: int | Sequence[int]) -> tuple[int, int]:
    """Smallest and largest number of classes with queries."""
    ends: list[Any] = list(k_eff) if isinstance(k_eff, list | tuple) else [k_eff]
    for number in ends:
        expect_positive_int("episodes.k_eff", number)
    expect(
        len(ends) in (1, 2) and ends == sorted(ends),
        "episodes.k_eff",
        f"expected a number, or the smallest and the largest one, got {k_eff}",
    )
    return int(ends[0]), int(ends[-1])


def _supports(
    labels: ArrayLike,
    ways: int | None,
    shots: int,
    episodes: int,
    seed: int,
    subset: ArrayLike | None,
    **pool: Any,
) -> EpisodeSet:
    """Episodes with `shots` images of every class, beside which at least one is left."""
    if ways is None:
        return sample_all_way(labels, shots, episodes, seed, subset=subset, **pool)
    return sample_episodes(labels, ways, shots, 1, episodes, seed, **pool)


def _present(fewest: int, most: int, episodes: int, ways: int, seed: int) -> NDArray:
    """Which classes (E, N), bool, of each episode have queries."""
    draws = uniform(seed, (0, NUMBER), 0, episodes, 1)
    number = np.minimum(fewest + (draws * (most - fewest + 1)).astype(np.int64), most)
    return uniform(seed, (0, PRESENT), 0, episodes, ways).argsort(1).argsort(1) < number


def _counts(shares: str, room: NDArray, total: NDArray, alpha: float, seed: int) -> NDArray:
    """Queries (E, N) of each class, that sum to `total` (E, 1); none where there is no `room`."""
    if shares == IMAGES:
        counts = np.zeros_like(room)
        for e, images in enumerate(room):
            generator = episode_generator(seed, (0, POOLED), e)
            (present,) = np.nonzero(images)
            counts[e, present] = generator.multivariate_hypergeometric(images[present], total[e, 0])
        return counts
    weights = (room > 0).astype(np.float64)
    if shares == DIRICHLET:
        weights *= dirichlet(seed, len(room), room.shape[1], alpha, (0, SHARES))
    return apportioned(weights / weights.sum(1, keepdims=True), total, room)


def _queries(
    classes: NDArray, index: ClassIndex, counts: NDArray, shots: Reserved, seed: int
) -> NDArray:
    """Row numbers (E, N, Qmax) of `counts` (E, N) images of every class that are no shots."""
    present = counts > 0
    most = int(counts.max())
    draws = np.stack(
        [uniform(seed, (0, QUERIES, i), 0, *counts.shape)[present] for i in range(most)]
    )
    size = (index.size[classes] - shots.counts)[present]
    # Steps beyond the size of a class draw nothing that is used, but may point outside of it.
    place = np.minimum(sample_without_replacement(draws, size), size - 1).T
    place = Reserved(shots.places[present]).past(place)
    drawn = np.arange(most) < counts[present][:, None]
    rows = np.full((*counts.shape, most), PADDING, dtype=np.int64)
    rows[present] = np.where(
        drawn, index.rows[index.start[classes[present]][:, None] + place], PADDING
    )
    return rows


def _protocol(k_eff: tuple[int, int], queries_total: int, query_shares: str, alpha: float) -> str:
    """``effective(k_eff=5)``, with what is not as usual."""
    fewest, most = k_eff
    parts = [f"k_eff={fewest}" if fewest == most else f"k_eff={fewest}-{most}"]
    if queries_total != USUAL_QUERIES:
        parts.append(f"queries={queries_total}")
    if query_shares != IMAGES:
        parts.append(f"shares={query_shares}")
    if query_shares == DIRICHLET:
        parts.append(f"alpha={alpha:g}")
    return f"effective({', '.join(parts)})"
