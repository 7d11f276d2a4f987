"""Settings of open-set classification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.exceptions import expect_choice, expect_positive_int
from fewshot.tasks.open_set.known import SCORES

USUAL_QUERIES = 15  # of each class in PEELER (CVPR 2020) and most of what followed


@dataclass(frozen=True)
class OpenSetSettings:
    """The settings ``open_set``.

    Attributes
    ----------
    unknown_ways : int >= 1, optional
        Classes outside of the episode that unknown queries are of; None: as many as known ones,
        or as many as episodes of varying ways have on average.
    unknown_queries : int >= 1, optional
        Queries of each of them; None: as many as of a known class, 15 where these differ.
    score : {"probability", "entropy", "score"}
        What a query is taken for known by: its largest softmax probability, minus the entropy of
        its probabilities, or its largest score (the logit; of a head that scores one class at a
        time, as task=verification asks for, that score).

    Raises
    ------
    FewshotError
        A value outside of these.
    """

    unknown_ways: int | None = None
    unknown_queries: int | None = None
    score: str = "probability"

    def __post_init__(self) -> None:
        if self.unknown_ways is not None:
            expect_positive_int("open_set.unknown_ways", self.unknown_ways)
        if self.unknown_queries is not None:
            expect_positive_int("open_set.unknown_queries", self.unknown_queries)
        expect_choice("open_set.score", self.score, SCORES)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> OpenSetSettings:
        """The settings of a configuration, or the ``options`` of `fewshot.evaluate`.

        Raises
        ------
        FewshotError
            A setting that there is not, or a value outside of those allowed.
        """
        for name in settings:
            expect_choice("open_set", name, [field.name for field in fields(cls)])
        return cls(**settings)

    def numbers(self, episodes: EpisodeSet) -> tuple[int, int]:
        """Unknown classes of each of the episodes, and queries of each class."""
        counts = None if episodes.query is None else episodes.query_counts
        even = counts is not None and counts.min() == counts.max()
        queries = int(counts.max()) if even and counts is not None else USUAL_QUERIES
        return self.unknown_ways or episodes.nominal_ways, self.unknown_queries or queries
