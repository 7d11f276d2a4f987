"""Episodes of Meta-Dataset: ways, shots and queries vary, and a taxonomy may relate the classes.

Triantafillou et al., "Meta-Dataset: A Dataset of Datasets for Learning to Learn from Few
Examples", ICLR 2020, section 3.2 and appendix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewshot.episodes.draws import check_memory, episode_generator
from fewshot.episodes.episode_set import GROUPS, ClassIndex, EpisodeSet
from fewshot.episodes.rows import PADDING
from fewshot.episodes.taxonomy import Group, Taxonomy
from fewshot.episodes.unlabelled_sampling import UnlabelledSampling, check_are_queries
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    expect_number,
    expect_positive_int,
)

STREAM = 12  # beside 0 to 2 of the other samplers
COMPOSITION, IMAGES = 0, 1  # what a generator of an episode decides
GRAPH, TWO_LEVELS = "graph", "two_levels"
HIERARCHIES = (GRAPH, TWO_LEVELS)
LEAST_IMAGES = 2  # a shot and a query


@dataclass(frozen=True)
class MetaDatasetRules:
    """Numbers of Meta-Dataset's sampler; the paper's by default.

    Attributes
    ----------
    min_ways, max_ways : int
        Fewest and most classes of an episode, >= 2; the classes to draw from may be fewer than
        `max_ways`.
    max_queries : int
        Most queries of a class, >= 1; half the images of the smallest class of the episode where
        that is less, the same number for all its classes.
    max_support : int
        Most shots of an episode, all classes together, >= `max_ways`.
    max_contribution : int
        Most images with which a class counts towards the size of the support, >= 1. It may have
        more shots than that.
    min_weight, max_weight : float
        A class has shots in proportion to its images times a weight whose logarithm is uniform
        between those of these two, > 0.
    max_spanned : int
        Most classes below a group of a taxonomy that is drawn; of a larger group the classes would
        hardly be related. 392 is the least number under which every class of ImageNet is drawn.
    hierarchy : {"graph", "two_levels"}, optional
        How a group of a taxonomy becomes an episode. "graph", as for ImageNet: with all its
        classes, or `max_ways` of them. "two_levels", as for Omniglot: with a uniform number of
        them. None: "two_levels" where no class is in two groups.

    Raises
    ------
    FewshotError
        A value outside of these.
    """

    min_ways: int = 5
    max_ways: int = 50
    max_queries: int = 10
    max_support: int = 500
    max_contribution: int = 100
    min_weight: float = 0.5
    max_weight: float = 2.0
    max_spanned: int = 392
    hierarchy: str | None = None

    def __post_init__(self) -> None:
        expect_positive_int("episodes.min_ways", self.min_ways, minimum=2)
        expect_positive_int("episodes.ways", self.max_ways, minimum=self.min_ways)
        expect_positive_int("episodes.queries", self.max_queries)
        expect_positive_int("episodes.max_support", self.max_support, minimum=self.max_ways)
        expect_positive_int("episodes.max_contribution", self.max_contribution)
        expect_number("episodes.min_weight", self.min_weight, 0, above=True)
        expect_number("episodes.max_weight", self.max_weight, self.min_weight)
        expect_positive_int("episodes.max_spanned", self.max_spanned, minimum=self.min_ways)
        if self.hierarchy is not None:
            expect_choice("episodes.hierarchy", self.hierarchy, HIERARCHIES)


def sample_meta_dataset(
    labels: ArrayLike,
    episodes: int = 600,
    seed: int = 0,
    rules: MetaDatasetRules | None = None,
    taxonomy: Taxonomy | None = None,
    *,
    classes: ArrayLike | None = None,
    classnames: Sequence[str] | None = None,
    identifiers: Sequence[str] | None = None,
    min_images: str = "raise",
    unlabelled: UnlabelledSampling | None = None,
) -> EpisodeSet:
    """Draw episodes as Meta-Dataset does.

    Episode e depends on (labels, classes, rules, taxonomy, seed, e) alone:

    1. Classes. Without a taxonomy N is uniform in [`min_ways`, min(`max_ways`, C)] and the classes
       are drawn uniformly. With one, a group is drawn uniformly among those that span `min_ways` to
       `max_spanned` of the classes, and the episode has its classes, see
       `MetaDatasetRules.hierarchy`.
    2. Queries: Q = min(`max_queries`, floor(n_min / 2)) of every class, where n_c are the images
       of class c and n_min those of the smallest class of the episode.
    3. Shots of all classes: min(`max_support`, sum over c of ceil(beta min(`max_contribution`,
       n_c - Q))), beta uniform in (0, 1], the same for all classes.
    4. Shots of class c: 1 + floor(p_c (all shots - N)), at most n_c - Q, where p_c is proportional
       to n_c times a weight exp(a), a uniform in [log `min_weight`, log `max_weight`].

    Parameters
    ----------
    labels : array-like of int, shape (M,)
    episodes : int
        E >= 1.
    seed : int
        >= 0.
    rules : MetaDatasetRules, optional
        The paper's by default.
    taxonomy : Taxonomy, optional
        Of all classes that are drawn from.
    classes : array-like of int, optional
        All that occur in `labels` by default.
    classnames : sequence of str, optional
        By class number, for the taxonomy and for messages; the numbers by default.
    identifiers : sequence of str, optional
        Further names of the classes, by class number, under which the taxonomy may have them.
    min_images : {"raise", "drop"}
        What to do about a class with a single image.
    unlabelled : UnlabelledSampling, optional
        Only the queries without their labels, without strangers.

    Returns
    -------
    EpisodeSet
        Classes (E, N) for the largest N, support (E, N, K) and query (E, N, Q), -1 in the padding.

    Raises
    ------
    FewshotError
        Fewer classes than `min_ways`, a class with too few images or without a place in the
        taxonomy, or no group of the right size.

    Examples
    --------
    >>> import numpy as np
    >>> from fewshot.episodes import sample_meta_dataset
    >>> drawn = sample_meta_dataset(np.repeat(np.arange(30), 40), episodes=100)
    >>> int(drawn.way_counts.min()) >= 5, int(drawn.way_counts.max()) <= 30
    (True, True)
    """
    labels = np.asarray(labels, dtype=np.int64)
    rules = rules or MetaDatasetRules()
    expect_positive_int("episodes.count", episodes)
    expect_positive_int("seed", seed, minimum=0)
    expect_choice("episodes.min_images", min_images, ("raise", "drop"))
    if unlabelled is not None:
        check_are_queries(unlabelled)
    pool = np.unique(labels[labels >= 0] if classes is None else np.asarray(classes, np.int64))
    index = ClassIndex.of(labels, int(pool.max(initial=0)) + 1)
    names = [str(c) for c in range(len(index.size))] if classnames is None else classnames
    pool = _large_enough(pool, index, names, min_images)
    expect(
        len(pool) >= rules.min_ways,
        "episodes.min_ways",
        f"expected at most the {len(pool)} classes to draw from, got {rules.min_ways}",
        "Lower episodes.min_ways or give more classes.",
    )
    pools = _Pools([pool], uniform=True)
    if taxonomy is not None:
        pools = _Pools.of(taxonomy, pool, names, identifiers, rules)
    check_memory(episodes, rules.min_ways, LEAST_IMAGES)  # before each is composed
    drawn = [
        _composition(pools, index.size, rules, episode_generator(seed, (STREAM, COMPOSITION), e))
        for e in range(episodes)
    ]
    widths = np.array([composition.widths for composition in drawn]).max(0)
    ways, shots, queries = (int(width) for width in widths)
    check_memory(episodes, ways, shots + queries)
    classes_of = np.full((episodes, ways), PADDING)
    support = np.full((episodes, ways, shots), PADDING)
    query = np.full((episodes, ways, queries), PADDING)
    for e, composition in enumerate(drawn):
        generator = episode_generator(seed, (STREAM, IMAGES), e)
        _fill((classes_of[e], support[e], query[e]), composition, index, generator)
    nominal = pools.nominal(index.size[pool], rules)
    return EpisodeSet(
        classes_of,
        support,
        query,
        labels,
        seed,
        unlabelled_sampling=unlabelled,
        nominal=nominal,
        protocol=_protocol(rules, pools, taxonomy is not None),
    )


def _protocol(rules: MetaDatasetRules, pools: _Pools, related: bool) -> str:
    """``meta_dataset(5-50 ways)``, with groups of a taxonomy and rules that are not the paper's.

    Groups are written as `EpisodeSet.related_classes` recognises them.
    """
    usual = asdict(MetaDatasetRules())
    parts = [f"{rules.min_ways}-{rules.max_ways} ways"]
    if related:
        parts.append(f"{len(pools.classes)} {GROUPS}, {TWO_LEVELS if pools.uniform else GRAPH}")
    for name, value in asdict(rules).items():
        if value != usual[name] and name not in ("min_ways", "max_ways", "hierarchy"):
            parts.append(f"{name}={value:g}")
    return f"meta_dataset({', '.join(parts)})"


@dataclass(frozen=True)
class _Pools:
    """Classes that an episode may have: all, or those of each group of a taxonomy.

    Attributes
    ----------
    classes : list of ndarray
        One pool is drawn uniformly.
    uniform : bool
        Whether the number of ways is uniform, or as large as the pool allows.
    """

    classes: list[NDArray]
    uniform: bool

    @classmethod
    def of(
        cls,
        taxonomy: Taxonomy,
        pool: NDArray,
        classnames: Sequence[str],
        identifiers: Sequence[str] | None,
        rules: MetaDatasetRules,
    ) -> _Pools:
        """The groups of a taxonomy with a fitting number of the classes in `pool`."""
        names = [str(classnames[c]) for c in pool]
        further = names if identifiers is None else [str(identifiers[c]) for c in pool]
        groups = taxonomy.groups(names, further)
        fitting = [
            pool[list(group.classes)]
            for group in groups
            if rules.min_ways <= len(group.classes) <= rules.max_spanned
        ]
        if not fitting:
            raise FewshotError(
                "episodes.taxonomy",
                f"expected a group of {rules.min_ways} to {rules.max_spanned} of the {len(pool)} "
                f"classes, got {_sizes(groups)}",
                "Lower episodes.min_ways, or give a taxonomy with other groups.",
            )
        members = [c for group in groups for c in group.classes]
        hierarchy = rules.hierarchy or (TWO_LEVELS if len(members) == len(set(members)) else GRAPH)
        return cls(fitting, hierarchy == TWO_LEVELS)

    def nominal(self, sizes: NDArray, rules: MetaDatasetRules) -> tuple[int, int]:
        """Expected ways, and shots per class of so many classes of median size at beta = 1/2.

        They do not depend on the seed, so that runs of several seeds have the same name.

        Parameters
        ----------
        sizes : ndarray of shape (C,), int
            Images of the classes to draw from.
        rules : MetaDatasetRules
        """
        most = np.minimum(rules.max_ways, [len(classes) for classes in self.classes])
        ways = round(float(((rules.min_ways + most) / 2 if self.uniform else most).mean()))
        images = np.full(ways, int(np.median(sizes)))
        queries = query_count(images, rules)
        return ways, max(1, round(support_size(images - queries, rules, 0.5) / ways))


def _sizes(groups: Sequence[Group]) -> str:
    """How many classes the groups span, for messages."""
    if not groups:
        return "no group of several classes"
    counts = [len(group.classes) for group in groups]
    if len(groups) == 1:
        return f"only {groups[0].name!r} with {counts[0]}"
    return f"{len(groups)} groups of {min(counts)} to {max(counts)}"


@dataclass(frozen=True)
class _Composition:
    """Classes (N,) of an episode, shots (N,) of each, and queries of any of them."""

    classes: NDArray
    shots: NDArray
    queries: int

    @property
    def widths(self) -> tuple[int, int, int]:
        return len(self.classes), int(self.shots.max()), self.queries


def _composition(
    pools: _Pools, size: NDArray, rules: MetaDatasetRules, generator: np.random.Generator
) -> _Composition:
    """Composition of an episode; `size` (C,) has the images of every class."""
    among = pools.classes[int(generator.integers(len(pools.classes)))]
    ways = min(rules.max_ways, len(among))
    if pools.uniform:
        ways = int(generator.integers(rules.min_ways, ways + 1))
    classes = generator.permutation(among)[:ways]
    images = size[classes]
    queries = query_count(images, rules)
    total = support_size(images - queries, rules, generator.random())
    low, high = math.log(rules.min_weight), math.log(rules.max_weight)
    weights = np.exp(generator.uniform(low, high, ways))
    return _Composition(classes, shots_per_class(images, queries, total, weights), queries)


def query_count(images: NDArray, rules: MetaDatasetRules) -> int:
    """Queries of each class of an episode whose classes have `images` (N,) images, >= 2."""
    return min(rules.max_queries, int(images.min()) // 2)


def support_size(left: NDArray, rules: MetaDatasetRules, beta: float) -> int:
    """Shots of all classes together.

    Parameters
    ----------
    left : ndarray of shape (N,), int
        Images of each class that are no queries, >= 1.
    rules : MetaDatasetRules
    beta : float in [0, 1)
        floor(beta n) + 1 has the distribution of the paper's ceil(beta n), beta in (0, 1].
    """
    contributions = np.minimum(rules.max_contribution, left)
    return int(min(rules.max_support, np.floor(beta * contributions + 1).sum()))


def shots_per_class(images: NDArray, queries: int, total: int, weights: NDArray) -> NDArray:
    """Shots (N,) of classes with `images` (N,) images and random `weights` (N,), >= 1 each."""
    share = images * weights / (images * weights).sum()
    desired = np.floor(share * (total - len(images))).astype(np.int64) + 1
    return np.minimum(desired, images - queries)


def _fill(
    arrays: tuple[NDArray, NDArray, NDArray],
    composition: _Composition,
    index: ClassIndex,
    generator: np.random.Generator,
) -> None:
    """Write an episode's classes (N,), support (N, K) and query (N, Q)."""
    classes, support, query = arrays
    classes[: len(composition.classes)] = composition.classes
    for way, (c, shots) in enumerate(zip(composition.classes, composition.shots, strict=True)):
        needed = int(shots) + composition.queries
        rows = index.rows_of(c)[generator.choice(index.size[c], needed, replace=False)]
        support[way, :shots] = rows[:shots]
        query[way, : composition.queries] = rows[shots:]


def _large_enough(
    pool: NDArray, index: ClassIndex, classnames: Sequence[str], min_images: str
) -> NDArray:
    small = pool[index.size[pool] < LEAST_IMAGES]
    if min_images == "raise" and len(small):
        first = int(small[0])
        others = f" (and {len(small) - 1} more classes have too few)" if len(small) > 1 else ""
        raise FewshotError(
            "episodes",
            f"class {str(classnames[first])!r} has {index.size[first]} images; a shot and a query "
            f"need {LEAST_IMAGES}{others}",
            "Set episodes.min_images=drop.",
        )
    return pool[index.size[pool] >= LEAST_IMAGES]
