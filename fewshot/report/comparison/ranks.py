"""Mean ranks of heads and backbones over all data sets, with tests of their differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.part_names import of_one_part
from fewshot.report.charts.ranks import joined, rank_caption
from fewshot.report.comparison.contexts import (
    BACKBONE,
    BOTH,
    HEAD,
    SEED,
    Context,
    complete,
    scores,
    table_of,
)
from fewshot.report.tasks import TaskReport, cells_by_task, report_of
from fewshot.report.wording import Cell
from fewshot.statistics.paired import ENOUGH_SETS, rank_test, signed_rank
from fewshot.tasks.base import LOWER, NEITHER
from fewshot.units import counted

# One context has an order; a mean of ranks needs several.
SEVERAL = 2
SHOWN = 40


class Ranking(TypedDict):
    """Mean ranks of heads, of backbones or of both, the best first, and the test of them.

    ``critical_difference`` and ``p`` are None where nothing is tested; ``blocks`` is the number of
    data sets, or of contexts, that ranks are averaged over. ``groups`` are first and last place of
    names that are not told apart, ``caption`` says what the ranks are over.
    """

    task: str
    of: str
    over: str
    names: list[str]
    mean_ranks: list[float]
    critical_difference: float | None
    p: float | None
    test: str
    blocks: int
    note: str
    groups: list[tuple[int, int]]
    caption: str


def ranks(cells: Iterable[Cell]) -> list[Ranking]:
    """Mean ranks of heads, of backbones and of both together, where there are several.

    By the main measure of each task that has ranks in its report. With five data sets and more, a
    block is a data set: accuracies are averaged over the contexts (other factor, ways, shots, seed)
    that all treatments share, ranked, and tested by Friedman's test and Nemenyi's critical
    difference (Demsar 2006). With fewer, ranks are averaged over the contexts and nothing is
    tested. There are no ranks where all were evaluated in one context only, under any number of
    seeds. Cells on base classes are left out where there are others.
    """
    return [
        ranking
        for task, group in cells_by_task(cells).items()
        if "ranks" in report_of(task).sections
        for ranking in _ranks_of_task(report_of(task), group)
    ]


def _ranks_of_task(report: TaskReport, cells: Sequence[Cell]) -> list[Ranking]:
    if report.task.measures[0].better == NEITHER:
        return []
    cells = of_one_part(cells, lambda cell: str(cell["part"]))
    results = (_ranks_of(report, cells, of) for of in (HEAD, BACKBONE, BOTH))
    rankings = [ranking for ranking in results if ranking is not None]
    # With one head, or one backbone, the ranks of both together repeat those of the other.
    if len(rankings) == 3:
        return rankings
    return [ranking for ranking in rankings if ranking["of"] != BOTH]


def _ranks_of(report: TaskReport, cells: Sequence[Cell], of: str) -> Ranking | None:
    table = table_of(cells, of, _higher_is_better(report), report.task.keys)
    names, contexts, dropped = complete(table)
    if len(names) < 2 or len(_without_seeds(contexts)) < SEVERAL:
        return None
    rows, means = scores(table, names, contexts)
    enough = len(means) >= ENOUGH_SETS
    average, critical, p = _tested(means) if enough else (_mean_ranks(rows), None, None)
    order = np.argsort(average, kind="stable")[:SHOWN]
    ranking: Ranking = {
        "task": report.task.name,
        "of": of,
        "over": _over(of, contexts, len(means), enough, report.averaged),
        "names": [names[i] for i in order],
        "mean_ranks": average[order].tolist(),
        "critical_difference": critical,
        "p": p,
        "test": "Wilcoxon's signed-rank test" if len(names) == 2 else "Friedman test",
        "blocks": len(means) if enough else len(rows),
        "note": _note(len(means), names, dropped, enough),
        "groups": joined(average[order].tolist(), critical),
        "caption": "",
    }
    return {**ranking, "caption": rank_caption(ranking)}


def _higher_is_better(report: TaskReport) -> Callable[[Cell], float | None]:
    """The main measure of a cell, negative if lower numbers are better."""
    sign = -1 if report.task.measures[0].better == LOWER else 1

    def value(cell: Cell) -> float | None:
        number = report.main_value(cell)
        return None if number is None else sign * number

    return value


def _without_seeds(contexts: list[Context]) -> set[Context]:
    """The contexts without their seeds."""
    return {context[:SEED] + context[SEED + 1 :] for context in contexts}


def _tested(means: NDArray) -> tuple[NDArray, float | None, float | None]:
    """Mean ranks over data sets, critical difference (None for two treatments) and p value."""
    if means.shape[1] == 2:
        return _mean_ranks(means), None, signed_rank(means[:, 0], means[:, 1])
    test = rank_test(means)
    return test.average_ranks, test.critical_difference, test.p


def _mean_ranks(rows: NDArray) -> NDArray:
    """Mean over the rows of the ranks of the columns; 1 is best, equal scores share a rank.

    Written out, as importing scipy.stats takes longer than the rest of a small page.
    """
    better = (rows[:, None, :] > rows[:, :, None]).sum(2)
    equal = (rows[:, None, :] == rows[:, :, None]).sum(2)
    average: NDArray = (better + (equal + 1) / 2).mean(0)
    return average


def _over(of: str, contexts: list[Context], datasets: int, enough: bool, what: str) -> str:
    other = {HEAD: "backbones", BACKBONE: "heads"}.get(of)
    fixed = "ways, shots and seeds" if other is None else f"{other}, ways, shots and seeds"
    sets = counted(datasets, "data set")
    if enough:
        return f"{sets}; {what} averaged over the {fixed} that all share"
    count = len(contexts)
    return f"{counted(count, 'context')} ({fixed} that all share, on {sets})"


def _note(datasets: int, names: list[str], dropped: list[str], enough: bool) -> str:
    parts = []
    if not enough:
        parts.append(
            f"No critical difference: it needs at least {ENOUGH_SETS} data sets as blocks, here "
            f"{'is' if datasets == 1 else 'are'} {datasets}. Contexts of one data set share its "
            "images and classes, and counting them as independent would claim too much."
        )
    elif len(names) == 2:
        parts.append("Two are compared by Wilcoxon's signed-rank test over data sets.")
    if len(names) > SHOWN:
        parts.append(f"The {SHOWN} best of {len(names)} are shown; ranks are among all.")
    if dropped:
        shown = ", ".join(dropped[:5]) + (f" and {len(dropped) - 5} more" if dropped[5:] else "")
        parts.append(f"Left out, as judged in too few of the same settings: {shown}.")
    return " ".join(parts)
