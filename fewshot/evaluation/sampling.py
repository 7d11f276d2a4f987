"""How episodes are drawn: the sampler and its numbers, or drawn episodes that are replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot.episodes import (
    EpisodeSet,
    MetaDatasetRules,
    Taxonomy,
    UnlabelledSampling,
    sample_all_way,
    sample_disjoint_episodes,
    sample_effective_episodes,
    sample_episodes,
    sample_imbalanced_episodes,
    sample_meta_dataset,
)
from fewshot.episodes.class_pool import number_of_classes
from fewshot.episodes.taxonomy import NAMES
from fewshot.episodes.unlabelled_sampling import check_are_queries
from fewshot.evaluation.ways import (
    AUTO,
    SAMPLERS_OF_WAYS,
    Ways,
    at_most,
    check_ways,
    fewer_notice,
    listed,
    suggested_ways,
    ways_of,
)
from fewshot.exceptions import expect, expect_choice, expect_positive_int
from fewshot.features.bank import FeatureBank
from fewshot.features.two_sets import expect_single
from fewshot.files import path_of
from fewshot.tasks.engine.judged_part import NOVEL, check_judged

# Settings that only some samplers have.
DISJOINT, ALL, META_DATASET = "disjoint", "all", "meta_dataset"
UNEQUAL = ("balanced", "imbalanced")  # samplers of unequal shots, if wanted
OF_META_DATASET = ("min_ways", "max_support", "max_contribution", "min_weight", "max_weight",
                   "max_spanned", "hierarchy", "taxonomy")  # fmt: skip
OF_EFFECTIVE = ("alpha", "k_eff", "queries_total", "query_shares")
OF_SAMPLER = {
    "balanced": ("shots_imbalance",),
    "imbalanced": ("alpha", "shots_imbalance"),
    "all_way": (),
    "effective": OF_EFFECTIVE,
    DISJOINT: (),
    META_DATASET: OF_META_DATASET,
}
OF_SAMPLERS = (*OF_EFFECTIVE, "shots_imbalance", *OF_META_DATASET)
SAMPLERS = tuple(OF_SAMPLER)


@dataclass(frozen=True)
class Sampling:
    """How episodes are drawn.

    Attributes
    ----------
    ways : tuple of int or "auto", optional
        Numbers N >= 2 of classes of an episode; "auto" for those that the data set suggests; None
        for a sampler that takes all.
    shots : tuple of int
        Numbers K of labelled images per class; a set of episodes for each pair of N and K.
    queries : int or "all"
        Query images per class, or all the rest.
    count : int or "all"
        Number of episodes of each set; all that the images allow with the sampler "disjoint".
    sampler : {"balanced", "imbalanced", "all_way", "effective", "disjoint", "meta_dataset"}
    min_images : {"raise", "drop"}
        What to do about a class with fewer images than an episode needs.
    part : {"novel", "validation", "base"}
        Classes that episodes are drawn from.
    alpha : float
        Of the Dirichlet distribution of the samplers "imbalanced" and "effective".
    k_eff, queries_total, query_shares
        Of the sampler "effective", see `sample_effective_episodes`.
    shots_imbalance : float
        Spread of unequal shots with the samplers "balanced" and "imbalanced".
    meta_dataset : MetaDatasetRules, optional
        Of the sampler "meta_dataset"; its `ways` and `queries` are the largest numbers.
    taxonomy : str, Path or Taxonomy, optional
        Of the sampler "meta_dataset": a file, or "names" for that in the names of the classes.
    unlabelled : UnlabelledSampling, optional
        How unlabelled images are drawn, the same for all numbers of shots.
    replay : EpisodeSet, optional
        Drawn episodes, in place of all this.
    """

    ways: Ways = AUTO
    shots: tuple[int, ...] = (5,)
    queries: int | str = "all"
    count: int | str = 600
    sampler: str = "balanced"
    min_images: str = "raise"
    part: str = NOVEL
    alpha: float = 2.0
    k_eff: int | Sequence[int] = 5
    queries_total: int = 75
    query_shares: str = "images"
    shots_imbalance: float = 0.0
    meta_dataset: MetaDatasetRules | None = None
    taxonomy: str | Path | Taxonomy | None = None
    unlabelled: UnlabelledSampling | None = None
    replay: EpisodeSet | None = None

    def __post_init__(self) -> None:
        if self.replay is not None:
            return
        check_ways(self.ways, self.sampler)
        expect(len(self.shots) > 0, "episodes.shots", "expected a number or a list of them, got []")
        for number in self.shots:
            expect_positive_int("episodes.shots", number, minimum=0)
        if self.sampler != DISJOINT or self.count != ALL:
            expect_positive_int("episodes.count", self.count)

    @property
    def numbers_of_shots(self) -> tuple[int, ...]:
        """Numbers of shots; of replayed episodes, the smallest number of a class."""
        return self.shots if self.replay is None else (self.replay.fewest_shots,)

    @property
    def has_unlabelled(self) -> bool:
        """Whether episodes have unlabelled images."""
        return self.unlabelled is not None if self.replay is None else self.replay.has_unlabelled

    @property
    def has_auto_ways(self) -> bool:
        """Whether the data set decides the numbers of ways."""
        return self.ways == AUTO and self.sampler in SAMPLERS_OF_WAYS and self.replay is None

    def numbers_of_ways(self, bank: FeatureBank) -> tuple[int | None, ...]:
        """Numbers of ways on a bank, of which labels do; None for all classes.

        Raises
        ------
        FewshotError
            "auto" and a class with too few images.
        """
        if self.has_auto_ways:
            return at_most(suggested_ways(bank), self._number_of_classes(bank))
        return (None,) if self.ways is None or isinstance(self.ways, str) else self.ways

    def notice_on_ways(self, bank: FeatureBank) -> str:
        """A line where "auto" takes fewer ways than it would of more classes; empty else."""
        if not self.has_auto_ways:
            return ""
        return fewer_notice(suggested_ways(bank), self._number_of_classes(bank))

    def draw(self, bank: FeatureBank, seed: int, *, trial: bool = False) -> list[EpisodeSet]:
        """A set of episodes per number of ways and shots; of one episode each with `trial`."""
        if self.replay is not None:
            return [] if trial else [check_judged(check_replay(self.replay, bank), bank)]
        count = 1 if trial else self.count
        return [
            draw_episodes(bank, self, ways, shots, count, seed)
            for ways in self.numbers_of_ways(bank)
            for shots in self.shots
        ]

    def _number_of_classes(self, bank: FeatureBank) -> int:
        """Classes that episodes of the most shots can be drawn from."""
        return number_of_classes(
            bank.labels, max(suggested_ways(bank)), max(self.shots), self.queries,
            unlabelled=self.unlabelled if self.sampler in UNEQUAL else None, **_pool(bank, self),
        )  # fmt: skip


def sampling_of(episodes: Mapping[str, Any]) -> Sampling:
    """The sampling of the settings ``episodes``; drawn episodes may stand in them as ``replay``."""
    expect_choice("episodes.sampler", episodes["sampler"], SAMPLERS)
    path, shots, replay = episodes["path"], episodes["shots"], episodes.get("replay")
    if path is not None and path != "":
        replay = EpisodeSet.load(path_of("episodes.path", path))
    if replay is not None:
        expect(
            isinstance(replay, EpisodeSet),
            "episodes",
            f"expected a number or an EpisodeSet, got {type(replay).__name__}",
        )
        expect(
            episodes.get("unlabelled") is None,
            "episodes.unlabelled",
            "expected null with drawn episodes, which have theirs",
        )
        return Sampling(part=episodes["part"] or NOVEL, replay=replay)
    own = {name: episodes[name] for name in OF_SAMPLERS if name in episodes}
    if episodes["sampler"] == META_DATASET:
        own, shots = _of_meta_dataset(episodes, own), 1  # the fewest of a class
    return Sampling(
        ways=ways_of(episodes["ways"], episodes["sampler"]),
        shots=listed(shots),
        queries=episodes["queries"],
        count=episodes["count"],
        sampler=episodes["sampler"],
        min_images=episodes["min_images"],
        part=episodes["part"] or NOVEL,
        **own,
        unlabelled=UnlabelledSampling.of(
            episodes.get("unlabelled"),
            episodes.get("unlabelled_shares", "equal"),
            episodes.get("strangers", 0.0),
        ),
    )


def _of_meta_dataset(episodes: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Sampling` of the sampler "meta_dataset", from all settings and its own."""
    shots = episodes["shots"]
    expect(
        shots is None or (isinstance(shots, list | tuple) and set(shots) <= {None}),
        "episodes.shots",
        f"expected null with the sampler meta_dataset, which draws them, got {shots}",
        "Set episodes.max_support for the most shots of an episode.",
    )
    rules = {name: value for name, value in own.items() if name != "taxonomy"}
    for name, limit in (("ways", "max_ways"), ("queries", "max_queries")):
        if episodes[name] is not None:
            rules[limit] = episodes[name]
    taxonomy = own.get("taxonomy")
    if taxonomy is not None and not isinstance(taxonomy, str | Path | Taxonomy):
        taxonomy = Taxonomy.of_pairs(taxonomy)
    return {"meta_dataset": MetaDatasetRules(**rules), "taxonomy": taxonomy}


def draw_episodes(
    bank: FeatureBank,
    sampling: Sampling,
    ways: int | None,
    shots: int,
    episodes: int | str,
    seed: int,
) -> EpisodeSet:
    """Draw episodes from the novel classes of a bank, or from all classes without a split.

    Sets up to the largest number of shots have the same unlabelled images.
    """
    sampler, queries = sampling.sampler, sampling.queries
    pool = _pool(bank, sampling)
    if sampler == DISJOINT:
        expect_single(bank, "the sampler disjoint")
        return sample_disjoint_episodes(
            bank.labels, ways or 0, shots, queries, episodes, seed,
            queries_unlabelled=_are_queries(sampling.unlabelled, sampler), **pool,
        )  # fmt: skip
    episodes = int(episodes)
    if sampler == "effective":
        if ways is not None:
            expect_single(bank, "the sampler effective and a number of ways")
        return sample_effective_episodes(
            bank.labels, ways, shots, sampling.k_eff, sampling.queries_total, episodes, seed,
            sampling.query_shares, sampling.alpha, subset=bank.subset,
            queries_unlabelled=_are_queries(sampling.unlabelled, sampler), **pool,
        )  # fmt: skip
    if sampler == META_DATASET:
        expect_single(bank, "the sampler meta_dataset")
        _are_queries(sampling.unlabelled, sampler)
        del pool["largest_shots"]
        return sample_meta_dataset(
            bank.labels, episodes, seed, sampling.meta_dataset, _taxonomy(sampling, bank),
            identifiers=bank.identifiers, unlabelled=sampling.unlabelled, **pool,
        )  # fmt: skip
    pool["unlabelled"] = sampling.unlabelled
    if sampler == "all_way":
        return sample_all_way(bank.labels, shots, episodes, seed, subset=bank.subset, **pool)
    if sampler == "imbalanced":
        expect_positive_int("episodes.queries", queries)
        total = int(ways or 0) * int(queries)
        return sample_imbalanced_episodes(
            bank.labels, int(ways or 0), shots, total, episodes, seed, sampling.alpha, **pool
        )
    return sample_episodes(bank.labels, ways or 0, shots, queries, episodes, seed, **pool)


def _pool(bank: FeatureBank, sampling: Sampling) -> dict[str, Any]:
    """The classes and images that episodes are drawn from, as arguments of the samplers."""
    sampler, uneven = sampling.sampler, sampling.shots_imbalance
    expect_choice("episodes.sampler", sampler, SAMPLERS)
    novel = None if bank.parts is None else bank.classes("novel")
    expect(
        novel is None or len(novel) > 0,
        "split",
        "expected some classes to be novel, got none",
        "Episodes are drawn from novel classes; mark some, or give no split.",
    )
    expect(
        uneven == 0 or sampler in UNEQUAL,
        "episodes.shots_imbalance",
        f"expected 0 with the sampler {sampler}, got {uneven}",
        f"Take one of {', '.join(UNEQUAL)}.",
    )
    pool: dict[str, Any] = {
        "classes": novel, "classnames": bank.classnames, "min_images": sampling.min_images,
        "largest_shots": max(sampling.shots),
    }  # fmt: skip
    if sampler in UNEQUAL:
        pool["shots_imbalance"] = uneven
        if "queries_from" in bank.info:  # two data sets in one bank
            pool["subset"] = bank.subset
    return pool


def _taxonomy(sampling: Sampling, bank: FeatureBank) -> Taxonomy | None:
    """The taxonomy of a file, of the names of the classes that are drawn from, or none."""
    taxonomy = sampling.taxonomy
    if taxonomy == NAMES:
        pool = bank.classes(None if bank.parts is None else "novel")
        return Taxonomy.of_names([bank.classnames[c] for c in pool])
    if isinstance(taxonomy, str | Path):
        return Taxonomy.load(path_of("episodes.taxonomy", taxonomy))
    return taxonomy if isinstance(taxonomy, Taxonomy) else None


def _are_queries(unlabelled: UnlabelledSampling | None, sampler: str) -> bool:
    """Whether the queries are the unlabelled images, of a sampler that has no others."""
    if unlabelled is not None:
        check_are_queries(unlabelled, sampler)
    return unlabelled is not None


def check_replay(episodes: EpisodeSet, bank: FeatureBank) -> EpisodeSet:
    """Return `episodes`; raise unless they were drawn from the labels of this bank."""
    expect(
        episodes.labels.shape == bank.labels.shape and bool((episodes.labels == bank.labels).all()),
        "episodes",
        "expected episodes that were drawn from these labels, got others",
        "Replay them on the data set (and the same version of it) that they were saved with.",
    )
    return episodes
