"""Tasks whose cells are a head on episodes: the loop over cells, with earlier ones reused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from fewshot.exceptions import FewshotError
from fewshot.memory import memory_error
from fewshot.progress import announce
from fewshot.tasks.base import EPISODIC_KEYS, Task, TaskOutput
from fewshot.units import counted

if TYPE_CHECKING:
    from fewshot.episodes.episode_set import EpisodeSet
    from fewshot.evaluation.evaluation import Evaluation
    from fewshot.evaluation.notices import Notices
    from fewshot.features.bank import FeatureBank
    from fewshot.heads.base import Head
    from fewshot.results.result import Result
    from fewshot.results.schema import Failed

    NamedHead = tuple[str, Head]
    Job = tuple[EpisodeSet, NamedHead, int]  # with the seed


class EpisodicTask(Task):
    """A task whose cells are one head on one set of episodes.

    A derived class declares its rows and measures, and implements `evaluate`; the rest has
    defaults. ``keys`` of its own come beside those of this class, ``{**EpisodicTask.keys, ...}``.
    """

    keys: ClassVar[Mapping[str, str]] = EPISODIC_KEYS

    def evaluate(
        self,
        bank: FeatureBank,
        episodes: EpisodeSet,
        head: NamedHead,
        evaluation: Evaluation,
        seed: int,
    ) -> Result:
        """Rows and summary of one head on one set of episodes.

        Parameters
        ----------
        bank : FeatureBank
        episodes : EpisodeSet
        head : (str, Head)
            Name for the rows, and an unfitted head.
        evaluation : Evaluation
            With the estimators and the settings of the computation.
        seed : int
            Of the episodes, for the rows.

        Returns
        -------
        Result
            Tables of `tables` with a column ``episode``, in order; columns that identify the cell
            and facts that all tasks have in their summary (hashes, numbers of episodes, parameters
            of the head) are added where they are missing.
        """
        raise NotImplementedError

    def check(self, evaluation: Evaluation, bank: FeatureBank) -> None:
        """Raise FewshotError before anything is computed, if the features do not do."""

    def causes(self, evaluation: Evaluation) -> dict[str, Any]:
        """What determines the rows of a cell beside features, texts, episodes, head and seed.

        JSON types; it becomes a part of the key by which a cell is found again.
        """
        return {}

    def compare(self, done: Sequence[tuple[EpisodeSet, Result]]) -> None:
        """Add comparisons between the finished cells to their summaries."""

    def estimate(self, evaluation: Evaluation) -> str:
        """The cells and episodes of a run, and the time of the extraction of its features."""
        plan = self._plan(evaluation, evaluation.labels())
        return f"{plan}.\nFeatures: {super().estimate(evaluation)}"

    def _plan(self, evaluation: Evaluation, bank: FeatureBank | None = None) -> str:
        """``4 cells of 600 episodes: 2 heads, 2 numbers of shots, 1 seed``.

        Without the labels of a bank the number of ways, and so that of cells, is not known.
        """
        heads, numbers, seeds = evaluation.heads, evaluation.shots, evaluation.seeds
        sampling = evaluation.sampling
        count = sampling.count if sampling.replay is None else len(sampling.replay)
        each = "all disjoint episodes" if isinstance(count, str) else counted(count, "episode")
        several_ways = ""
        if bank is not None:
            ways = sampling.numbers_of_ways(bank)
            cells = counted(len(heads) * len(ways) * len(numbers) * len(seeds), "cell")
            several_ways = f"{counted(len(ways), 'number')} of ways, " if len(ways) > 1 else ""
            each = f"{cells} of {each}"
        return (
            f"{each}: {counted(len(heads), 'head')}, {several_ways}"
            f"{counted(len(numbers), 'number')} of shots, {counted(len(seeds), 'seed')}"
        )

    def run(self, evaluation: Evaluation) -> TaskOutput:
        """Evaluate every head on the episodes of every number of ways and shots, and seed."""
        from fewshot.tasks.engine.context import check_uses
        from fewshot.tasks.engine.least_shots import left_out, unequally_few

        for name, head in evaluation.heads:
            self.check_head(name, head)
        announce(self._plan(evaluation))
        omitted = left_out(evaluation.heads, evaluation.shots)  # before features are extracted
        uses: frozenset[str] = frozenset().union(*(head.uses for _, head in evaluation.heads))
        bank = evaluation.bank(uses)
        for name, head in evaluation.heads:
            check_uses(bank, name, head.uses)
        self.check(evaluation, bank)
        announce(self._plan(evaluation, bank))
        drawn_sets = evaluation.episodes(bank)
        omitted += unequally_few(evaluation.heads, [episodes for _, episodes in drawn_sets])
        evaluation.notices.left_out(omitted)
        jobs: list[Job] = [
            (episodes, (name, head), seed)
            for seed, episodes in drawn_sets
            for name, head in evaluation.heads
            if head.least_shots <= episodes.fewest_shots
        ]
        drawn = list(dict.fromkeys(episodes for episodes, _, _ in jobs))
        with evaluation.progress(sum(len(episodes) for episodes, _, _ in jobs)) as running:
            cells, failed = evaluate_missing(self, running, bank, jobs)
        announce("")
        return TaskOutput(bank, cells, drawn, omitted, failed)


def evaluate_missing(
    task: EpisodicTask, evaluation: Evaluation, bank: FeatureBank, jobs: Sequence[Job]
) -> tuple[list[Result], list[Failed]]:
    """Return a cell per job, from an earlier run or computed and stored, and the failed ones.

    Other cells are still computed if one fails, also by an internal error, as of a user's head, or
    when memory runs out.

    Raises
    ------
    FewshotError
        A cell is missing and the policy is "never".
    Exception
        The first error, if every cell failed.
    """
    from fewshot.results.result import Result

    keys = [_key(task, evaluation, bank, job) for job in jobs]
    store = evaluation.store
    earlier = store.find(keys)
    if earlier:
        missing = counted(len(set(keys) - set(earlier)), "cell")
        announce(f"{missing} to compute, {len(earlier)} taken from earlier runs")
    if store.policy == "never":
        several = len({episodes.nominal_ways for episodes, _, _ in jobs}) > 1
        expect_complete(
            f"{head} with {f'{episodes.nominal_ways} ways, ' if several else ''}"
            f"{counted(episodes.nominal_shots, 'shot')}"
            for key, (episodes, (head, _), _) in zip(keys, jobs, strict=True)
            if key not in earlier
        )
    done: list[tuple[EpisodeSet, Result]] = []
    failures = Failures(evaluation.notices)
    for key, (episodes, head, seed) in zip(keys, jobs, strict=True):
        compute = partial(_evaluated, task, evaluation, bank, (episodes, head, seed))
        cell = earlier[key] if key in earlier else _computed(compute, evaluation, key)
        if key in earlier and evaluation.settings.progress:
            evaluation.settings.progress(len(episodes))
        if isinstance(cell, Result):
            done.append((episodes, cell))
            failures.report()
            continue
        if len(jobs) == 1:
            raise cell
        failures.add(failure_of(episodes, head, seed, cell), cell)
        if done or not failures.are_one_mistake:
            failures.report()
    if failures.errors and not done:
        raise failures.errors[0]
    task.compare(done)
    return [cell for _, cell in done], failures.entries


class Failures:
    """Cells that failed.

    A mistake that every cell meets, as a setting of the only head, is reported once, by the error
    that ends the run: notices wait until it is clear that others do not fail with it.

    Attributes
    ----------
    entries : list of Failed
    errors : list of Exception
    """

    def __init__(self, notices: Notices) -> None:
        self.entries: list[Failed] = []
        self.errors: list[Exception] = []
        self._notices, self._reported = notices, 0

    def add(self, entry: Failed, error: Exception) -> None:
        """Keep a cell that failed."""
        self.entries.append(entry)
        self.errors.append(error)

    @property
    def are_one_mistake(self) -> bool:
        """Whether all of them failed with the same message to the user."""
        first = self.errors[0]
        return isinstance(first, FewshotError) and all(str(e) == str(first) for e in self.errors)

    def report(self) -> None:
        """Tell of those that have not been told of."""
        for n in range(self._reported, len(self.entries)):
            self._notices.failed(self.entries[n], self.errors[n])
        self._reported = len(self.entries)


def _key(task: EpisodicTask, evaluation: Evaluation, bank: FeatureBank, job: Job) -> str:
    from fewshot.tasks.engine.keys import cell_key

    episodes, head, seed = job
    return cell_key(task, bank, episodes, head, seed, task.causes(evaluation))


def _evaluated(task: EpisodicTask, evaluation: Evaluation, bank: FeatureBank, job: Job) -> Result:
    from fewshot.tasks.engine.rows import completed

    episodes, head, seed = job
    result = task.evaluate(bank, episodes, head, evaluation, seed)
    return completed(task, result, bank, episodes, head, seed)


def _computed(
    compute: Callable[[], Result], evaluation: Evaluation, key: str
) -> Result | Exception:
    """Compute and store a cell, unless another process has; return it, or the error."""
    with evaluation.store.alone_with(key) as kept:
        if kept is not None:
            return kept
        try:
            cell = compute()
        except Exception as error:
            return memory_error(error) or error
        cell.summary["key"], cell.summary["reused_from"] = key, None
        evaluation.store.keep(cell)
        return cell


class Drawn(Protocol):
    """Episodes of features, or whatever a task draws in their place.

    Of episodes of varying ways or shots, ``nominal`` are those that they are named by.
    """

    @property
    def ways(self) -> int:
        """Number of classes."""

    @property
    def shots(self) -> int:
        """Number of shots."""


class AnyHead(Protocol):
    """A head of any task."""

    def variant(self) -> str:
        """Parameters that differ from the defaults."""


def failure_of(drawn: Drawn, head: tuple[str, AnyHead], seed: int, error: Exception) -> Failed:
    """What the summary of a run says of a cell that failed."""
    defect = not isinstance(error, FewshotError)
    text = " ".join(f"{type(error).__name__}: {error}".split()) if defect else str(error)
    ways, shots = getattr(drawn, "nominal", None) or (drawn.ways, drawn.shots)
    return {
        "head": head[0],
        "ways": ways,
        "shots": shots,
        "seed": seed,
        "variant": head[1].variant(),
        "error": text,
        "defect": defect,
    }


def expect_complete(missing: Iterable[str]) -> None:
    """Raise if cells are missing that the policy "never" forbids to compute.

    Parameters
    ----------
    missing : iterable of str
        What to call them, as ``ncm with 5 shots``.
    """
    names = list(missing)
    if names:
        raise FewshotError(
            "results.policy",
            f"never to compute, but no earlier run has {', '.join(names)}",
            "Set results.policy=only-missing to compute what is missing.",
        )
