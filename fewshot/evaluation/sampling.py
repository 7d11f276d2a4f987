"""How episodes are drawn: the sampler and its numbers, or drawn episodes that are replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fewshot.episodes import (
    EpisodeSet,
    UnlabelledSampling,
    sample_all_way,
    sample_disjoint_episodes,
    sample_effective_episodes,
    sample_episodes,
    sample_imbalanced_episodes,
)
from fewshot.exceptions import expect, expect_choice, expect_positive_int
from fewshot.features.bank import FeatureBank
from fewshot.files import path_of
from fewshot.tasks.engine.judged_part import NOVEL, check_judged

SAMPLERS = ("balanced", "imbalanced", "all_way", "effective", "disjoint")

# Settings that only some samplers have.
DISJOINT, ALL = "disjoint", "all"
OF_SAMPLERS = ("alpha", "k_eff", "queries_total", "query_shares")


@dataclass(frozen=True)
class Sampling:
    """How episodes are drawn.

    Attributes
    ----------
    ways : int, optional
        N >= 2 classes of an episode; None for a sampler that takes all.
    shots : tuple of int
        Numbers K of labelled images per class, a set of episodes each.
    queries : int or "all"
        Query images per class, or all the rest.
    count : int or "all"
        Number of episodes of each set; all that the images allow with the sampler "disjoint".
    sampler : {"balanced", "imbalanced", "all_way", "effective", "disjoint"}
    min_images : {"raise", "drop"}
        What to do about a class with fewer images than an episode needs.
    part : {"novel", "validation", "base"}
        Classes that episodes are drawn from.
    alpha : float
        Of the Dirichlet distribution of the samplers "imbalanced" and "effective".
    k_eff, queries_total, query_shares
        Of the sampler "effective", see `sample_effective_episodes`.
    unlabelled : UnlabelledSampling, optional
        How unlabelled images are drawn, the same for all numbers of shots.
    replay : EpisodeSet, optional
        Drawn episodes, in place of all this.
    """

    ways: int | None = 5
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
    unlabelled: UnlabelledSampling | None = None
    replay: EpisodeSet | None = None

    def __post_init__(self) -> None:
        if self.replay is not None:
            return
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

    def draw(self, bank: FeatureBank, seed: int, *, trial: bool = False) -> list[EpisodeSet]:
        """A set of episodes per number of shots; of a single episode each with `trial`."""
        if self.replay is not None:
            return [] if trial else [check_judged(check_replay(self.replay, bank), bank)]
        count = 1 if trial else self.count
        return [draw_episodes(bank, self, shots, count, seed) for shots in self.shots]


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
    return Sampling(
        ways=episodes["ways"],
        shots=tuple(shots if isinstance(shots, list | tuple) else [shots]),
        queries=episodes["queries"],
        count=episodes["count"],
        sampler=episodes["sampler"],
        min_images=episodes["min_images"],
        part=episodes["part"] or NOVEL,
        **{name: episodes[name] for name in OF_SAMPLERS if name in episodes},
        unlabelled=UnlabelledSampling.of(
            episodes.get("unlabelled"),
            episodes.get("unlabelled_shares", "equal"),
            episodes.get("strangers", 0.0),
        ),
    )


def draw_episodes(
    bank: FeatureBank, sampling: Sampling, shots: int, episodes: int | str, seed: int
) -> EpisodeSet:
    """Draw episodes from the novel classes of a bank, or from all classes without a split.

    Sets up to the largest number of shots have the same unlabelled images.
    """
    sampler, ways, queries = sampling.sampler, sampling.ways, sampling.queries
    expect_choice("episodes.sampler", sampler, SAMPLERS)
    novel = None if bank.parts is None else bank.classes("novel")
    expect(
        novel is None or len(novel) > 0,
        "split",
        "expected some classes to be novel, got none",
        "Episodes are drawn from novel classes; mark some, or give no split.",
    )
    pool: dict[str, Any] = {
        "classes": novel, "classnames": bank.classnames, "min_images": sampling.min_images,
        "largest_shots": max(sampling.shots),
    }  # fmt: skip
    if sampler == DISJOINT:
        expect(ways is not None, "episodes.ways", "expected a number, got none")
        return sample_disjoint_episodes(
            bank.labels, ways or 0, shots, queries, episodes, seed,
            queries_unlabelled=_are_queries(sampling.unlabelled), **pool,
        )  # fmt: skip
    episodes = int(episodes)
    if sampler == "effective":
        return sample_effective_episodes(
            bank.labels, ways, shots, sampling.k_eff, sampling.queries_total, episodes, seed,
            sampling.query_shares, sampling.alpha, subset=bank.subset,
            queries_unlabelled=_are_queries(sampling.unlabelled), **pool,
        )  # fmt: skip
    pool["unlabelled"] = sampling.unlabelled
    if sampler == "all_way":
        return sample_all_way(bank.labels, shots, episodes, seed, subset=bank.subset, **pool)
    if sampler == "imbalanced":
        expect_positive_int("episodes.ways", ways, minimum=2)
        expect_positive_int("episodes.queries", queries)
        total = int(ways or 0) * int(queries)
        return sample_imbalanced_episodes(
            bank.labels, int(ways or 0), shots, total, episodes, seed, sampling.alpha, **pool
        )
    expect(ways is not None, "episodes.ways", "expected a number, got none")
    return sample_episodes(bank.labels, ways or 0, shots, queries, episodes, seed, **pool)


def _are_queries(unlabelled: UnlabelledSampling | None) -> bool:
    """Whether the queries are the unlabelled images, of a sampler that has no others."""
    expect(
        unlabelled is None or (unlabelled.are_queries and not unlabelled.strangers),
        "episodes.unlabelled",
        "expected queries or null with this sampler, and no strangers",
    )
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
