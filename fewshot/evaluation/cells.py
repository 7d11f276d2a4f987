"""Evaluation of every head on its episodes, for any task with heads."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.estimators.base import ErrorEstimator
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.heads.verifier import verifier
from fewshot.report.text.left_out import failure_text
from fewshot.results.cells import alone_with, find_cells, keep_cell
from fewshot.results.result import Result
from fewshot.results.schema import ONE_CLASS, TASK, VERIFICATION
from fewshot.tasks.classification.task import evaluate_cell
from fewshot.tasks.engine.keys import cell_key
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.verification.task import evaluate_verification, note_comparisons

TASKS = (TASK, VERIFICATION, ONE_CLASS)  # the last one has neither heads nor episodes
POLICIES = ("only-missing", "always", "never")

Pair = tuple[EpisodeSet, tuple[str, Head]]


class Evaluated(NamedTuple):
    """Finished cells in order, and failed cells.

    A failed cell has ``head``, ``ways``, ``shots``, ``error`` and ``defect``, whether the error
    is an internal one.
    """

    cells: list[Result]
    failed: list[dict[str, Any]]


def check_heads(task: str, heads: Mapping[str, Head]) -> None:
    """Raise unless all `heads` support `task`; called before features are extracted."""
    if task == VERIFICATION:
        for name, head in heads.items():
            verifier(name, head)


def evaluate_missing(
    task: str,
    bank: FeatureBank,
    pairs: Sequence[Pair],
    estimators: Mapping[str, ErrorEstimator],
    settings: Settings,
    seed: int,
    *,
    runs: Path,
    policy: str = "only-missing",
    report_failure: Callable[[dict[str, Any], Exception], object] = lambda *_: None,
) -> Evaluated:
    """Return a cell per pair of episodes and head, from an earlier run or computed and stored.

    Estimators predict errors of classification only.

    Parameters
    ----------
    runs : Path
        Folder that is searched for earlier runs, and in which finished cells are stored until
        `fewshot.results.cells.forget_cells` is called.
    policy : {"only-missing", "always", "never"}
        Which cells to compute.
    report_failure : callable
        Called with each cell that fails and its exception. The other cells are still computed,
        also after an internal error, as of a user's head, or when memory runs out.

    Raises
    ------
    FewshotError
        A cell is missing and `policy` is "never".
    Exception
        The first error, if every cell failed.
    """
    keys = [cell_key(task, bank, *pair, estimators, settings, seed) for pair in pairs]
    earlier = {} if policy == "always" else find_cells(runs, keys)
    if policy == "never":
        _check_complete(pairs, [key in earlier for key in keys])
    done: list[tuple[EpisodeSet, Result]] = []
    failed, errors = list[dict[str, Any]](), list[Exception]()
    for key, (episodes, head) in zip(keys, pairs, strict=True):
        compute = partial(_evaluate, task, bank, (episodes, head), estimators, settings, seed)
        cell = earlier[key] if key in earlier else _compute_cell(compute, runs, key, policy)
        if key in earlier and settings.progress:
            settings.progress(len(episodes))
        if isinstance(cell, Result):
            done.append((episodes, cell))
            continue
        if len(pairs) == 1:
            raise cell
        errors.append(cell)
        failed.append(_failure(episodes, head[0], cell))
        report_failure(failed[-1], cell)
    if errors and not done:
        raise errors[0]
    if task == VERIFICATION:  # an earlier run may have had other heads
        for _, cell in done:
            cell.summary["comparisons"] = []
        note_comparisons(done)
    return Evaluated([cell for _, cell in done], failed)


def _evaluate(
    task: str,
    bank: FeatureBank,
    pair: Pair,
    estimators: Mapping[str, ErrorEstimator],
    settings: Settings,
    seed: int,
) -> Result:
    if task == VERIFICATION:
        return evaluate_verification(bank, *pair, settings, seed)
    return evaluate_cell(bank, *pair, estimators, settings, seed)


def _compute_cell(
    compute: Callable[[], Result], runs: Path, key: str, policy: str
) -> Result | Exception:
    """Compute and store a cell, unless another process has; return it, or the error."""
    with alone_with(runs, key, policy) as kept:
        if kept is not None:
            return kept
        try:
            cell = compute()
        except Exception as error:
            return error
        cell.summary.update(key=key, reused_from=None)
        keep_cell(runs, cell)
        return cell


def _failure(episodes: EpisodeSet, head: str, error: Exception) -> dict[str, Any]:
    defect = not isinstance(error, FewshotError)
    text = " ".join(f"{type(error).__name__}: {error}".split()) if defect else str(error)
    cell = {"head": head, "ways": episodes.ways, "shots": episodes.shots}
    return {**cell, "error": text, "defect": defect}


def recall_cells(keys: Sequence[str], runs: Path, policy: str) -> dict[str, Result] | None:
    """Return cells by key from earlier runs; None unless all are available.

    Raises
    ------
    FewshotError
        A cell is missing and `policy` is "never".
    """
    cells = {} if policy == "always" else find_cells(runs, keys)
    if keys and len(cells) == len(set(keys)):
        return cells
    if policy == "never":
        raise FewshotError(
            "results.policy",
            f"never to compute, but no earlier run has {len(keys)} cells such as these",
            "Set results.policy=only-missing to compute them.",
        )
    return None


def _check_complete(pairs: Sequence[Pair], available: Sequence[bool]) -> None:
    missing = [
        f"{head} with {episodes.shots} shot{'s' * (episodes.shots != 1)}"
        for (episodes, (head, _)), exists in zip(pairs, available, strict=True)
        if not exists
    ]
    if missing:
        raise FewshotError(
            "results.policy",
            f"never to compute, but no earlier run has {', '.join(missing)}",
            "Set results.policy=only-missing to compute what is missing.",
        )


class FailureLog:
    """Prints failed cells on standard error, and the traceback of each internal error once."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def __call__(self, failed: Mapping[str, Any], error: Exception) -> None:
        """Print one failed cell, an entry of ``failed`` in ``summary.json``."""
        if not isinstance(error, FewshotError) and failed["error"] not in self._shown:
            self._shown.add(failed["error"])
            tqdm.write("".join(traceback.format_exception(error)), file=sys.stderr, end="")
        tqdm.write(f"fewshot: failed: {failure_text(failed)}", file=sys.stderr)


def exit_code(failed: Iterable[Mapping[str, Any]]) -> int:
    """Return 1 if a cell failed by an internal error, 2 if by another error, else 0."""
    codes = [1 if cell["defect"] else 2 for cell in failed]
    return min(codes, default=0)
