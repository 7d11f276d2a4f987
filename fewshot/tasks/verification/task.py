"""Open-set verification as a task: its rows and measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from fewshot.tasks.base import HIGHER, LOWER, Measure
from fewshot.tasks.engine.episodic import EpisodicTask
from fewshot.tasks.verification.schema import NAME, TARGETS, VerificationSummary

if TYPE_CHECKING:
    from fewshot.episodes.episode_set import EpisodeSet
    from fewshot.evaluation.evaluation import Evaluation
    from fewshot.features.bank import FeatureBank
    from fewshot.heads.base import Head
    from fewshot.results.result import Result


class Verification(EpisodicTask):
    """Is a query of class c? One class of an episode at a time, the others are impostors."""

    name = NAME
    title = "Verification"
    references = ()
    tables = (TARGETS,)
    measures = (
        Measure("auroc", HIGHER, table=TARGETS.name),
        Measure("average_precision", HIGHER, table=TARGETS.name),
        Measure("fpr95", LOWER, table=TARGETS.name),
    )
    report = "fewshot.report.tasks.verification:VerificationReport"

    def check_head(self, name: str, head: Head) -> None:
        """Raise unless the head scores one class at a time."""
        from fewshot.heads.verifier import verifier

        verifier(name, head)

    def evaluate(
        self,
        bank: FeatureBank,
        episodes: EpisodeSet,
        head: tuple[str, Head],
        evaluation: Evaluation,
        seed: int,
    ) -> Result:
        """A row per episode and target, with `evaluate_verification`."""
        from fewshot.tasks.verification.cell import evaluate_verification

        return evaluate_verification(bank, episodes, head, evaluation.settings, seed)

    def compare(self, done: Sequence[tuple[EpisodeSet, Result]]) -> None:
        """Add the paired differences of heads on the same episodes to the summaries."""
        from fewshot.tasks.verification.cell import note_comparisons

        for _, cell in done:  # an earlier run may have had other heads
            cast("VerificationSummary", cell.summary)["comparisons"] = []
        note_comparisons(done)
