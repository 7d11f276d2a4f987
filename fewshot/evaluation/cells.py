"""Every head on its episodes, whatever the task is."""

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
    """Cells in order, and those that failed.

    Of the latter ``head``, ``ways``, ``shots``, ``error``, and whether it was a ``defect``.
    """

    cells: list[Result]
    failed: list[dict[str, Any]]


def check_heads(task: str, heads: Mapping[str, Head]) -> None:
    """Raise unless all `heads` can do `task`; worth knowing before features are extracted."""
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
    tell: Callable[[dict[str, Any], Exception], object] = lambda *_: None,
) -> Evaluated:
    """A cell per pair of episodes and head, from an earlier run or computed and kept at once.

    Estimators predict errors of classification only.

    Parameters
    ----------
    runs : Path
        Where earlier runs are looked for, and finished cells are kept until
        `fewshot.results.cells.forget_cells` is called.
    policy : {"only-missing", "always", "never"}
        Which cells to compute.
    tell : callable
        Called with each cell that fails and its exception, when it does. The others go on, also
        after a defect, say of a head of one's own, or when memory does not suffice for one.

    Raises
    ------
    FewshotError
        A cell is missing that is not to be computed.
    Exception
        The first one, if every cell failed.
    """
    keys = [cell_key(task, bank, *pair, estimators, settings, seed) for pair in pairs]
    found = {} if policy == "always" else find_cells(runs, keys)
    if policy == "never":
        _check_all_there(pairs, [key in found for key in keys])
    done: list[tuple[EpisodeSet, Result]] = []
    failed, errors = list[dict[str, Any]](), list[Exception]()
    for key, (episodes, head) in zip(keys, pairs, strict=True):
        work = partial(_evaluate, task, bank, (episodes, head), estimators, settings, seed)
        cell = found[key] if key in found else _computed(work, runs, key, policy)
        if key in found and settings.progress:
            settings.progress(len(episodes))
        if isinstance(cell, Result):
            done.append((episodes, cell))
            continue
        if len(pairs) == 1:
            raise cell
        errors.append(cell)
        failed.append(_failure(episodes, head[0], cell))
        tell(failed[-1], cell)
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


def _computed(work: Callable[[], Result], runs: Path, key: str, policy: str) -> Result | Exception:
    """A cell, kept at once, or from another process that was at it; or why it failed."""
    with alone_with(runs, key, policy) as there:
        if there is not None:
            return there
        try:
            cell = work()
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


def recalled(keys: Sequence[str], runs: Path, policy: str) -> dict[str, Result] | None:
    """Cells that only come together, from earlier runs; None where they are to be computed.

    Raises
    ------
    FewshotError
        They are not there and not to be computed.
    """
    found = {} if policy == "always" else find_cells(runs, keys)
    if keys and len(found) == len(set(keys)):
        return found
    if policy == "never":
        raise FewshotError(
            "results.policy",
            f"never to compute, but no earlier run has {len(keys)} cells such as these",
            "Set results.policy=only-missing to compute them.",
        )
    return None


def _check_all_there(pairs: Sequence[Pair], there: Sequence[bool]) -> None:
    missing = [
        f"{head} with {episodes.shots} shot{'s' * (episodes.shots != 1)}"
        for (episodes, (head, _)), known in zip(pairs, there, strict=True)
        if not known
    ]
    if missing:
        raise FewshotError(
            "results.policy",
            f"never to compute, but no earlier run has {', '.join(missing)}",
            "Set results.policy=only-missing to compute what is missing.",
        )


class FailureTeller:
    """Prints a line for each; before it the traceback of a defect, once if many cells have it."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def __call__(self, failed: Mapping[str, Any], error: Exception) -> None:
        """Tell of one cell, an entry of ``failed`` in ``summary.json``."""
        if not isinstance(error, FewshotError) and failed["error"] not in self._shown:
            self._shown.add(failed["error"])
            tqdm.write("".join(traceback.format_exception(error)), file=sys.stderr, end="")
        tqdm.write(f"fewshot: failed: {failure_text(failed)}", file=sys.stderr)


def exit_code(failed: Iterable[Mapping[str, Any]]) -> int:
    """1 if a cell met a defect, 2 if one failed otherwise, else 0."""
    codes = [1 if one["defect"] else 2 for one in failed]
    return min(codes, default=0)
