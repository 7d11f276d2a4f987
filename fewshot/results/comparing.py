"""Paired comparison of heads or backbones on the same episodes, and tests over data sets."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NotRequired, cast

import numpy as np
from typing_extensions import TypedDict

from fewshot.datasets.part_names import of_one_part
from fewshot.episodes.episode_set import EpisodeSet
from fewshot.exceptions import FewshotError, expect, suggestion
from fewshot.results.folders import episodes_file
from fewshot.results.joining import Store
from fewshot.results.measures import LABELS, chosen_cells, names_of
from fewshot.results.pairing import (
    Values,
    episode_values,
    key_of,
    same_episodes,
)
from fewshot.results.reading import identity
from fewshot.results.schema import CellSummary, Interval, JoinedCell, LeftAside
from fewshot.statistics.paired import (
    ENOUGH_SETS,
    compare_on_episodes,
    compare_values,
    rank_test,
    signed_rank,
)
from fewshot.tasks import Task, known_tasks

OTHERS = ("dataset", "part", "backbone", "head", "variant", "feature", "ways", "shots", "seed")
SHOWN = "shown"  # key of the name by which a cell was asked for
# With fewer data sets the p-value of Wilcoxon's test cannot be below 0.05.
FEWEST_SETS = 6

Context = tuple[tuple[str, object], ...]  # the other keys of a cell, with their values


class ShownCell(JoinedCell):
    """A cell with the name by which it was asked for."""

    shown: str


class PairLabels(TypedDict):
    """Names of a pair, and the keys that both cells share."""

    first: str
    second: str
    dataset: str
    part: str
    backbone: NotRequired[str]
    feature: NotRequired[str]
    head: NotRequired[str]
    variant: NotRequired[str]
    ways: int
    shots: int
    seed: int
    unlabelled_images: NotRequired[str]
    protocol: NotRequired[str]


class PairLeftOut(PairLabels):
    """A pair that is not compared, and why."""

    reason: str


class Compared(TypedDict):
    """Mean of first minus second with its interval over episodes, and by population."""

    episodes: int
    mean: float
    lower: float | None
    upper: float | None
    intervals: dict[str, Interval]
    better: int
    equal: int
    worse: int
    p: float


class Pair(PairLabels, Compared):
    """A pair that is compared."""


class _SetMeans(TypedDict):
    datasets: list[str]
    means: NotRequired[dict[str, float]]


class OverDatasets(_SetMeans):
    """A test over data sets; `test` and `p` are None where there are too few."""

    test: str | None
    p: float | None
    ranks: NotRequired[dict[str, float]]
    reason: str | None
    critical_difference: NotRequired[float]


class Comparison(TypedDict):
    """What `compare` returns."""

    measure: str
    pairs: list[Pair]
    over_datasets: OverDatasets
    left_out: list[PairLeftOut]
    left_aside: list[LeftAside]


def compare(
    store: Store,
    of: str,
    names: Sequence[str],
    filters: Mapping[str, Sequence[str]] | None = None,
    measure: str | None = None,
) -> Comparison:
    """Paired differences of a measure, and tests over data sets.

    Parameters
    ----------
    of : {"head", "backbone"}
    names : sequence of str
        Two or more of them; heads also as shown with their variant, ``lda (shrinkage=0.1)``.
    filters : mapping of str to sequence of str, optional
        Values to select, by key of a cell.
    measure : str, optional
        With a value per episode; by default the main one of the first task that has one.

    Returns
    -------
    Comparison
        ``pairs``, one per pair and values of the other keys: ``first``, ``second``, `OTHERS`
        less `of`, the task's keys where there are any, ``episodes``, ``mean``, ``lower`` and
        ``upper`` (over episodes), ``intervals`` by population, ``better``, ``equal``,
        ``worse``, ``p``;
        ``over_datasets``: the test, its ``p``, ``datasets`` and ``means`` or ``ranks``, or the
        ``reason`` why there is none or why its power is low; ``left_out``: pairs not on the
        same episodes; ``left_aside``: of the cells compared, those that another run has over more
        episodes or with later settings.

    Raises
    ------
    FewshotError
        Fewer than two names, an unknown one, or a backbone with several feature kinds.
    """
    expect(len(set(names)) > 1, f"{of}s", f"expected two or more, got {', '.join(names)}")
    names = list(dict.fromkeys(names))
    task, measure = _measured(chosen_cells(store.summary()["cells"], filters or {}), measure)
    values = episode_values(store, measure)  # before the summary: damaged tables join those
    summary = store.summary()
    of_task = [cell for cell in summary["cells"] if cell["task"] == task.name]
    cells = _named_as(chosen_cells(of_task, filters or {}), of, names)
    pairs: list[Pair] = []
    left_out: list[PairLeftOut] = []
    reader = _EpisodeReader(store)
    for context, by_name in _contexts(cells, of, names, task.keys).items():
        for first, second in itertools.combinations([name for name in names if name in by_name], 2):
            named = cast("PairLabels", {"first": first, "second": second, **dict(context)})
            if not same_episodes(by_name[first], by_name[second]):
                left_out.append({**named, "reason": "they were not judged on the same episodes"})
                continue
            try:
                episodes = reader.of(by_name[first]) if task.episode_sets else None
                pair = by_name[first], by_name[second]
                pairs.append({**named, **_paired(*pair, values, episodes, measure)})
            except FewshotError as error:
                left_out.append({**named, "reason": error.problem})
    over = _over_datasets(cells, of, names, task, measure)
    compared = {identity(cell) for cell in cells if cell["shown"] in names}
    aside = [cell for cell in summary["left_aside"] if identity(cell) in compared]
    return {
        "measure": measure, "pairs": pairs, "over_datasets": over, "left_out": left_out,
        "left_aside": aside,
    }  # fmt: skip


def _measured(cells: Sequence[CellSummary], measure: str | None) -> tuple[Task, str]:
    """The first task whose cells have the measure by episode, and the measure."""
    present = {cell["task"] for cell in cells}
    for task in known_tasks():
        declared = task.measures[0] if measure is None else task.measure(measure)
        if task.name in present and declared is not None and declared.table is not None:
            return task, declared.name
    what = "a measure by episode" if measure is None else f"{measure!r} by episode"
    raise FewshotError("--measure", f"no cell has {what}", "Without one nothing can be paired.")


def _named_as(cells: Iterable[JoinedCell], of: str, names: Sequence[str]) -> list[ShownCell]:
    """The cells with the name by which they were asked for; a head of one variant goes without.

    Raises
    ------
    FewshotError
        A name that no cell has, or a head of several variants.
    """
    shown = [cast("ShownCell", {**cell, SHOWN: cell.get(of)}) for cell in cells]
    known = set().union(*(names_of(cell, of) for cell in shown)) if shown else set()
    for name in names:
        if name not in known:
            raise FewshotError(f"{of}s", f"no cell has {name!r}", suggestion(name, known))
    for cell in shown:
        label = LABELS[of](cell) if of in LABELS else cell["shown"]
        head = cell["head"]
        if label in names:
            cell["shown"] = label
        elif of == "head" and cell["variant"] and head in names:
            several = {other["variant"] for other in shown if other["head"] == head}
            if len(several) > 1:
                labels = sorted(f"{head} ({text})" if text else head for text in several)
                raise FewshotError(
                    "heads", f"{head} has several variants: {', '.join(labels)}", "Name one."
                )
    return shown


def _contexts(
    cells: Sequence[ShownCell], of: str, names: Sequence[str], keys: Iterable[str]
) -> dict[Context, dict[str, ShownCell]]:
    """Cells by name, grouped by their other keys; a feature kind belongs to its backbone.

    `keys` are those of the task, of which those count that any cell has.
    """
    apart = {"head": ("head", "variant"), "backbone": ("backbone", "feature")}[of]
    shared = [key for key in OTHERS if key not in apart]
    shared += [key for key in keys if any(cell.get(key) for cell in cells)]
    contexts: dict[Context, dict[str, ShownCell]] = {}
    for cell in cells:
        name = cell["shown"]
        if name in names:
            context = tuple((key, cell.get(key)) for key in shared)
            by_name = contexts.setdefault(context, {})
            if name in by_name:
                kinds = sorted({by_name[name]["feature"], cell["feature"]})
                problem = f"{name} has several features: {', '.join(kinds)}"
                raise FewshotError("--backbones", problem, "Choose with --feature.")
            by_name[name] = cell
    return contexts


class _EpisodeReader:
    """Reader of the episode sets of cells from the run folders; each is read once."""

    def __init__(self, store: Store) -> None:
        self.folders = [run.folder for run in store.runs]
        self.read: dict[str, EpisodeSet] = {}

    def of(self, cell: JoinedCell) -> EpisodeSet:
        key = cell["hashes"]["episodes"]
        if key not in self.read:
            path = episodes_file(self.folders[cell["run"]], cell)
            episodes = EpisodeSet.load(path)
            expect(episodes.hash() == key, "episodes", f"{path} has other episodes than its run")
            self.read[key] = episodes
        return self.read[key]


def _paired(
    first: CellSummary,
    second: CellSummary,
    values: Values,
    episodes: EpisodeSet | None,
    measure: str,
) -> Compared:
    """Compare two cells; as values are per episode, a query acts on its whole episode."""
    order = np.arange(int(first["episodes"]) if episodes is None else len(episodes))
    first_values, second_values = (
        values[key_of(cell, measure)].reindex(order) for cell in (first, second)
    )
    if episodes is None:
        measured = compare_values(first_values.to_numpy(), second_values.to_numpy())
        return _compared(len(order), measured)
    shape = episodes.classes.shape
    comparison = compare_on_episodes(
        np.broadcast_to(first_values.to_numpy()[:, None], shape),
        np.broadcast_to(second_values.to_numpy()[:, None], shape),
        episodes.classes,
        episodes.labels,
        episodes.support,
        episodes.query,
        impostors=True,
        related=episodes.related_classes,
    )
    return _compared(len(episodes), comparison)


def _compared(count: int, comparison: Mapping[str, Any]) -> Compared:
    interval = comparison["intervals"]["episodes"]
    bounds = {key: interval[key] for key in ("mean", "lower", "upper")}
    return cast("Compared", {"episodes": count, **bounds, **comparison})


def _over_datasets(
    cells: Iterable[ShownCell], of: str, names: Sequence[str], task: Task, measure: str
) -> OverDatasets:
    """Test means by data set, over contexts that all names share; of one part of the classes."""
    by_set: dict[str, list[list[float]]] = {}
    alike = of_one_part(cells, lambda cell: str(cell["part"]))
    for context, by_name in _contexts(alike, of, names, task.keys).items():
        if set(names) <= by_name.keys():
            measured = [task.value(by_name[name], measure) for name in names]
            means = [value.mean for value in measured if value is not None]
            if len(means) == len(names):
                by_set.setdefault(str(dict(context)["dataset"]), []).append(means)
    table = [[fmean(column) for column in zip(*rows, strict=True)] for rows in by_set.values()]
    facts: _SetMeans = {"datasets": list(by_set)}
    if table:
        facts["means"] = dict(zip(names, map(fmean, zip(*table, strict=True)), strict=True))
    if len(table) < 2:
        return {**facts, "test": None, "p": None, "reason": "needs two data sets that all share"}
    if len(names) == 2:
        few = len(table) < FEWEST_SETS
        note = f"with fewer than {FEWEST_SETS} data sets p cannot be below 0.05" if few else None
        p = signed_rank(*zip(*table, strict=True))
        return {**facts, "test": "Wilcoxon's signed ranks", "p": p, "reason": note}
    test = rank_test(table)
    ranks = dict(zip(names, map(float, test.average_ranks), strict=True))
    few = len(table) < ENOUGH_SETS
    note = (
        f"with fewer than {ENOUGH_SETS} data sets neither p nor the critical difference is to be "
        "relied on"
        if few
        else None
    )
    return {**facts, "test": "Friedman", "p": test.p, "ranks": ranks, "reason": note,
            "critical_difference": test.critical_difference}  # fmt: skip
