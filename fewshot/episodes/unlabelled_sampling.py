"""How the unlabelled images of episodes are drawn: how many, of which classes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from fewshot.episodes.draws import uniform
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    expect_number,
    expect_positive_int,
)

QUERIES = "queries"
EQUAL, DIRICHLET, MIXED = "equal", "dirichlet", "mixed"
SHARES = (EQUAL, DIRICHLET)
ALPHA = 2.0  # of the Dirichlet distribution of the shares
MOST_MIXED = 0.4  # largest share of strangers where it is mixed
LEAST_OUTSIDE = 3  # classes that mixed strangers are drawn from at least
# What a stream of uniform numbers decides, beside 0 to 3 of labelled images.
IMAGES, OF_CLASSES, STRANGERS, ORDER, KINDS = 4, 5, 6, 7, 8


@dataclass(frozen=True)
class UnlabelledSampling:
    """How the unlabelled images of an episode are drawn.

    Attributes
    ----------
    count : int or "queries"
        N >= 1 unlabelled images per class of the episode on average, apart from its shots and
        queries; or the queries without their labels.
    shares : {"equal", "dirichlet", "mixed"}
        Whether every class has N of them, or the classes share N times the number of classes by a
        symmetric Dirichlet distribution, alpha = 2; "mixed": each in half of the episodes.
    strangers : float in [0, 1), or "mixed"
        Share, of all unlabelled images, of those of classes outside of the episode; "mixed": none
        in half of the episodes, and in the others uniform in [0, 0.4], as far as there are such
        images; none with fewer than three classes outside.
    queries_left : int
        Images of each class that are left for queries at least, where all the rest are queries.

    Raises
    ------
    FewshotError
        A value outside of these.
    """

    count: int | str
    shares: str = EQUAL
    strangers: float | str = 0.0
    queries_left: int = 1

    def __post_init__(self) -> None:
        if self.count != QUERIES:
            if isinstance(self.count, str):
                raise FewshotError(
                    "episodes.unlabelled",
                    f"expected a number per class, 'queries' or null, got {self.count!r}",
                )
            expect_positive_int("episodes.unlabelled", self.count)
            object.__setattr__(self, "count", int(self.count))
        expect_choice("episodes.unlabelled_shares", self.shares, (*SHARES, MIXED))
        expect(
            self.count != QUERIES or self.shares == EQUAL,
            "episodes.unlabelled_shares",
            f"got {self.shares!r} with episodes.unlabelled=queries, which have their own",
            "Set episodes.unlabelled to a number per class, or episodes.sampler=imbalanced.",
        )
        if self.strangers != MIXED:
            expect_number("episodes.strangers", self.strangers, 0)
            expect(
                float(self.strangers) < 1,
                "episodes.strangers",
                f"expected a share of the unlabelled images in [0, 1), got {self.strangers}",
            )
            object.__setattr__(self, "strangers", float(self.strangers))

    @classmethod
    def of(
        cls, count: int | str | UnlabelledSampling | None, shares: str, strangers: float
    ) -> UnlabelledSampling | None:
        """The sampling of these settings; None without unlabelled images.

        Raises
        ------
        FewshotError
            A value that is not allowed, or shares or strangers without unlabelled images.
        """
        if isinstance(count, UnlabelledSampling):
            return count
        expect_choice("episodes.unlabelled_shares", shares, SHARES)
        expect_number("episodes.strangers", strangers, 0)
        if count is not None:
            return cls(count, shares, float(strangers))
        for name, value, default in (
            ("unlabelled_shares", shares, EQUAL),
            ("strangers", strangers, 0),
        ):
            expect(
                value == default,
                f"episodes.{name}",
                f"got {value} without unlabelled images",
                "Set episodes.unlabelled to a number per class or to queries.",
            )
        return None

    @property
    def are_queries(self) -> bool:
        """Whether the queries of an episode are its unlabelled images."""
        return self.count == QUERIES

    @property
    def per_class(self) -> int:
        """Images per class that are neither shots nor queries, on average."""
        return 0 if self.are_queries else int(self.count)

    def stranger_counts(self, others: NDArray, room: NDArray, seed: int, stream: int) -> NDArray:
        """Number of strangers (E,) beside `others` (E,) unlabelled images of an episode's classes.

        Parameters
        ----------
        others : ndarray of shape (E,), int
        room : ndarray of shape (E,), int
            Images of classes outside of each episode.
        seed, stream : int
            Decide the shares where they are mixed.

        Raises
        ------
        FewshotError
            Fewer images than that in the classes outside, unless the shares are mixed.
        """
        if self.strangers == MIXED:
            draws = uniform(seed, (stream, KINDS, 1), 0, len(others), 1)[:, 0]
            share = MOST_MIXED * np.maximum(0.0, 2 * draws - 1)
            return np.minimum(np.rint(others * share / (1 - share)).astype(np.int64), room)
        share_of_all = float(self.strangers)
        counts = np.rint(others * share_of_all / (1 - share_of_all)).astype(np.int64)
        if (counts > room).any():
            e = int(np.argmax(counts - room))
            raise FewshotError(
                "episodes.strangers",
                f"a share of {share_of_all:g} needs {counts[e]} images of classes outside of an "
                f"episode, and there are {room[e]}",
                "Lower episodes.strangers, episodes.unlabelled or episodes.ways.",
            )
        return counts

    def dirichlet_episodes(self, episodes: int, seed: int, stream: int) -> NDArray:
        """Which episodes (E,), bool, have Dirichlet shares."""
        if self.shares == MIXED:
            return uniform(seed, (stream, KINDS, 0), 0, episodes, 1)[:, 0] < 0.5
        return np.full(episodes, self.shares == DIRICHLET)

    def to_json(self) -> str:
        """Return the attributes as JSON, for hashes and files."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> UnlabelledSampling:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError, TypeError, FewshotError
            The text is something else.
        """
        return cls(**json.loads(text))


def check_are_queries(sampling: UnlabelledSampling) -> None:
    """Raise unless they are the queries, of a sampler that draws no other unlabelled images."""
    of_others = "Take the sampler balanced, imbalanced or all_way for others."
    expect(
        sampling.are_queries,
        "episodes.unlabelled",
        f"expected queries or null with this sampler, got {sampling.count}",
        of_others,
    )
    expect(
        sampling.strangers == 0,
        "episodes.strangers",
        f"expected 0 with this sampler, got {sampling.strangers}",
        of_others,
    )
