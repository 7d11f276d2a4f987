"""Settings of open-set classification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from fewshot.exceptions import expect_choice, expect_positive_int
from fewshot.tasks.open_set.known import SCORES


@dataclass(frozen=True)
class OpenSetSettings:
    """The settings ``open_set``.

    Attributes
    ----------
    unknown_ways : int >= 1
        Classes outside of the episode that unknown queries are of.
    unknown_queries : int >= 1
        Queries of each of them.
    score : {"probability", "entropy", "score"}
        What a query is taken for known by: its largest softmax probability, minus the entropy of
        its probabilities, or its largest score (the logit; of a head that scores one class at a
        time, as task=verification asks for, that score).

    Raises
    ------
    FewshotError
        A value outside of these.
    """

    unknown_ways: int = 5
    unknown_queries: int = 15
    score: str = "probability"

    def __post_init__(self) -> None:
        expect_positive_int("open_set.unknown_ways", self.unknown_ways)
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

    @property
    def unknown(self) -> str:
        """``5 x 15``: classes and queries of each, which identify a cell."""
        return f"{self.unknown_ways} x {self.unknown_queries}"
