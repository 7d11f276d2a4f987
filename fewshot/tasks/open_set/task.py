"""Open-set few-shot classification as a task: its rows, measures and defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fewshot.registry import Entry
from fewshot.tasks.base import HIGHER, LOWER, Measure
from fewshot.tasks.engine.episodic import EpisodicTask
from fewshot.tasks.open_set.schema import EPISODES, KEYS, NAME, OpenSetSummary

if TYPE_CHECKING:
    from fewshot.episodes.episode_set import EpisodeSet
    from fewshot.evaluation.evaluation import Evaluation
    from fewshot.features.bank import FeatureBank
    from fewshot.heads.base import Head
    from fewshot.results.result import Result
    from fewshot.tasks.open_set.settings import OpenSetSettings


class OpenSet(EpisodicTask):
    """Of which class is a query, or is it of none? Queries of classes outside are among them."""

    name = NAME
    title = "Open set"
    references = ("liu2020few", "boudiaf2023open", "dhamija2018reducing")
    tables = (EPISODES,)
    measures = (
        Measure("auroc", HIGHER, table=EPISODES.name),
        Measure("closed_accuracy", HIGHER, table=EPISODES.name),
        Measure("oscr", HIGHER, table=EPISODES.name),
        Measure("average_precision", HIGHER, table=EPISODES.name),
        Measure("fpr95", LOWER, table=EPISODES.name),
    )
    keys: ClassVar[Mapping[str, str]] = {**EpisodicTask.keys, **KEYS}
    episode_sets = False  # of the known classes alone
    sections = (
        Entry(
            NAME,
            "fewshot.tasks.open_set.settings:OpenSetSettings",
            "For task=open_set: of which class is an image, or is it of none?",
        ),
    )
    defaults: ClassVar[Mapping[str, Any]] = {"episodes.queries": 15}
    arguments: ClassVar[Mapping[str, Any]] = {**EpisodicTask.arguments, "queries": 15}
    report = "fewshot.report.tasks.open_set:OpenSetReport"

    def evaluate(
        self,
        bank: FeatureBank,
        episodes: EpisodeSet,
        head: tuple[str, Head],
        evaluation: Evaluation,
        seed: int,
    ) -> Result:
        """A row per episode, with `evaluate_open_set`."""
        from fewshot.tasks.open_set.cell import evaluate_open_set

        options = _settings(evaluation)
        return evaluate_open_set(bank, episodes, head, options, evaluation.settings, seed)

    def check(self, evaluation: Evaluation, bank: FeatureBank) -> None:
        """Raise FewshotError if there are no unknown classes for an episode."""
        from fewshot.features.two_sets import expect_single
        from fewshot.tasks.open_set.cell import unknown_of

        expect_single(bank, "task=open_set")
        for episodes in evaluation.sampling.draw(bank, evaluation.seeds[0], trial=True)[:1]:
            unknown_of(bank, episodes, _settings(evaluation), evaluation.seeds[0])

    def causes(self, evaluation: Evaluation) -> dict[str, Any]:
        """The unknown queries and the score."""
        options = _settings(evaluation)
        numbers = [options.unknown_ways, options.unknown_queries]
        return {"unknown": numbers, "score": options.score}

    def compare(self, done: Sequence[tuple[EpisodeSet, Result]]) -> None:
        """Add the paired differences of heads on the same episodes to the summaries."""
        from fewshot.tasks.open_set.cell import note_comparisons

        for _, cell in done:  # an earlier run may have had other heads
            cast("OpenSetSummary", cell.summary)["comparisons"] = []
        note_comparisons(done)


def _settings(evaluation: Evaluation) -> OpenSetSettings:
    from fewshot.tasks.open_set.settings import OpenSetSettings

    return OpenSetSettings.of(evaluation.options)
