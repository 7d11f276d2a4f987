"""One evaluation: everything a task needs, checked, as objects.

The command line makes it from its settings (`fewshot.evaluation.settings`), Python from arguments
(`fewshot.api`); from here on both are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, Self, cast

from typing_extensions import TypeVar

from fewshot.episodes import EpisodeSet
from fewshot.estimators.base import ErrorEstimator
from fewshot.evaluation.facts import overlap_warning
from fewshot.evaluation.notices import Notices
from fewshot.evaluation.sampling import Sampling
from fewshot.evaluation.sources import Source
from fewshot.exceptions import FewshotError, expect, expect_positive_int
from fewshot.features.bank import FeatureBank
from fewshot.features.data_warnings import data_warnings
from fewshot.heads.base import Head
from fewshot.memory import expect_fits
from fewshot.progress import bar, counted_work
from fewshot.results.cells import CellStore
from fewshot.tasks.base import Task, TaskOutput
from fewshot.tasks.engine.judged_part import judged_part
from fewshot.tasks.engine.settings import Settings

NamedHead = tuple[str, Head]


class AnyHead(Protocol):
    """What tasks call a head has a variant: its parameters that are not the defaults."""

    def variant(self) -> str:
        """Parameters that differ from the defaults: ``shrinkage=0.1``."""


class AnySampling(Protocol):
    """What draws episodes, for several numbers of shots or by a file."""

    @property
    def numbers_of_shots(self) -> tuple[int, ...]:
        """Numbers of shots."""

    @property
    def replay(self) -> object | None:
        """Drawn episodes, which have a seed of their own; None: they are drawn."""


# What differs between tasks: those without a word of their own evaluate heads on features.
SourceT = TypeVar("SourceT", default=Source)
HeadT = TypeVar("HeadT", bound=AnyHead, default=Head)
EstimatorT = TypeVar("EstimatorT", default=ErrorEstimator)
SamplingT = TypeVar("SamplingT", bound=AnySampling, default=Sampling)


SHIFTED = (
    "predicted errors are of queries like the shots; what it costs that queries come from {} is "
    "not in them, nor in their intervals"
)
BYTES_PER_ROW = 500  # of a table while a cell is made of it; measured: 2,000 of them at most


@dataclass(frozen=True)
class Evaluation(Generic[SourceT, HeadT, EstimatorT, SamplingT]):
    """Heads on the episodes of one set of features, under a task.

    A task with a source, heads, estimators or a sampling of its own names their types:
    ``Evaluation[MaskSource, DenseHead, DenseEstimator, DrawSampling]``.

    Attributes
    ----------
    task : Task
    source : Source
        Where the features come from, or whatever the task takes.
    heads : tuple of (str, Head)
        Names for the rows; heads of one name differ in their parameters.
    estimators : mapping of str to ErrorEstimator
    sampling : Sampling
        How episodes are drawn.
    seeds : tuple of int
        Every number of shots is drawn under every seed.
    settings : Settings
        Calibration, device, threads and progress.
    options : mapping
        Settings of the task itself: the section of its name in the configuration.
    store : CellStore
        Where finished cells are found and kept.
    notices : Notices
        What is told on the way.
    """

    task: Task
    source: SourceT
    heads: tuple[tuple[str, HeadT], ...] = ()
    estimators: Mapping[str, EstimatorT] = field(default_factory=dict)
    sampling: SamplingT = field(default_factory=cast("Callable[[], SamplingT]", Sampling))
    seeds: tuple[int, ...] = (0,)
    settings: Settings = field(default_factory=Settings)
    options: Mapping[str, Any] = field(default_factory=dict)
    store: CellStore = field(default_factory=CellStore)
    notices: Notices = field(default_factory=Notices)

    def __post_init__(self) -> None:
        expect(len(self.seeds) > 0, "seed", "expected a number or a list of them, got none")
        for seed in self.seeds:
            expect_positive_int("seed", seed, minimum=0)
        twice = _repeated((name, head.variant()) for name, head in self.heads)
        if twice is not None:
            name = f"{twice[0]} ({twice[1]})" if twice[1] else twice[0]
            raise FewshotError("head", f"expected different heads, got {name} twice")
        twice = _repeated(self.seeds)
        expect(twice is None, "seed", f"expected different seeds, got {twice} twice")
        several = len(self.seeds) > 1 and self.sampling.replay is not None
        expect(not several, "seed", "expected one seed with drawn episodes, which have theirs")

    @property
    def shots(self) -> tuple[int, ...]:
        """Numbers of shots."""
        return self.sampling.numbers_of_shots

    def run(self) -> TaskOutput:
        """Evaluate all cells, or take those that the store has."""
        return self.task.run(self)

    def bank(self: Evaluation, uses: frozenset[str] = frozenset()) -> FeatureBank:
        """The features, after a check that episodes can be drawn from their labels.

        Parameters
        ----------
        uses : frozenset of str
            What the heads need beside the shots, as ``text``.
        """
        part = self.sampling.part
        bank = judged_part(self.source.bank(uses, self._check_drawable), part)
        for text in data_warnings(bank):
            self.notices.warn(text)
        if self.estimators and (other := bank.info.get("queries_from")):
            self.notices.warn(f"episodes.queries_from: {SHIFTED.format(other)}")
        if "text_gaussians" in uses and (warning := overlap_warning(bank)):
            self.notices.warn(warning)
        return bank

    def labels(self: Evaluation) -> FeatureBank:
        """The labels that episodes are drawn from; nothing is extracted for that."""
        return judged_part(self.source.labels(), self.sampling.part)

    def _check_drawable(self: Evaluation, labels: FeatureBank) -> None:
        """Raise FewshotError before the extraction if no episode can be drawn."""
        self.sampling.draw(judged_part(labels, self.sampling.part), self.seeds[0], trial=True)

    def episodes(self: Evaluation, bank: FeatureBank) -> list[tuple[int, EpisodeSet]]:
        """Seed and episodes, for every seed, number of ways and of shots.

        Raises
        ------
        FewshotError
            The memory that is available does not hold the rows of so many.
        """
        count = self.sampling.count
        if self.sampling.replay is None and not isinstance(count, str):  # else as images allow
            rows = max(1, len(self.heads)) * (1 + len(self.estimators))
            sets = len(self.seeds) * len(self.sampling.numbers_of_ways(bank)) * len(self.shots)
            expect_fits("episodes.count", count, BYTES_PER_ROW * rows * sets,
                        "episodes")  # fmt: skip
        seeds = counted_work(self.seeds, "drawing episodes", "seeds")
        sets_by_seed = [(seed, drawn) for seed in seeds for drawn in self.sampling.draw(bank, seed)]
        if notice := self.sampling.notice_on_ways(bank):
            self.notices.warn(notice)
        return sets_by_seed

    @contextmanager
    def progress(self, total: int, unit: str = "episode") -> Iterator[Self]:
        """This evaluation with progress of `total` units, unless it has some already."""
        if self.settings.progress is not None:
            yield self
            return
        with bar(total, f"{unit}s", unit) as work:
            yield replace(self, settings=replace(self.settings, progress=work.update))


def _repeated(values: Iterable[Any]) -> Any:
    """The first value that occurs twice; None if there is none."""
    seen = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
