"""Every head on its episodes, whatever the task is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.errors.base import ErrorEstimator
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.heads.verification import verifier
from fewshot.results.result import Result
from fewshot.results.schema import ONE_CLASS, VERIFICATION
from fewshot.tasks.classification import TASK, evaluate_cell
from fewshot.tasks.settings import Settings
from fewshot.tasks.verification import evaluate_verification, note_comparisons

TASKS = (TASK, VERIFICATION, ONE_CLASS)  # the last one has neither heads nor episodes


def check_heads(task: str, heads: Mapping[str, Head]) -> None:
    """Raise unless all `heads` can do `task`; worth knowing before features are extracted."""
    if task == VERIFICATION:
        for name, head in heads.items():
            verifier(name, head)


def evaluate_all(
    task: str,
    bank: FeatureBank,
    pairs: Sequence[tuple[EpisodeSet, tuple[str, Head]]],
    estimators: Mapping[str, ErrorEstimator],
    settings: Settings,
    seed: int,
) -> list[Result]:
    """A cell per pair of episodes and head; estimators predict errors of classification only."""
    if task == VERIFICATION:
        cells = [evaluate_verification(bank, *pair, settings, seed) for pair in pairs]
        episodes = [drawn for drawn, _ in pairs]
        note_comparisons(zip(episodes, cells, strict=True))
        return cells
    return [evaluate_cell(bank, *pair, estimators, settings, seed) for pair in pairs]
