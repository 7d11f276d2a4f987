"""Mean ranks of heads and backbones over all data sets, with tests of their differences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.part_names import of_one_part
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
from fewshot.report.wording import Cell
from fewshot.statistics.paired import ENOUGH_SETS, rank_test, signed_rank
from fewshot.units import counted

# One context has an order; a mean of ranks needs several.
SEVERAL = 2
SHOWN = 40


def ranks(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """Mean ranks of heads, of backbones and of both together, where there are several.

    With five data sets and more, a block is a data set: accuracies are averaged over the contexts
    (other factor, ways, shots, seed) that all treatments share, ranked, and tested by Friedman's
    test and Nemenyi's critical difference (Demsar 2006). With fewer, ranks are averaged over the
    contexts and nothing is tested. There are no ranks where all were evaluated in one context only,
    under any number of seeds. Cells on base classes are left out where there are others.
    """
    cells = of_one_part(cells, lambda cell: str(cell["dataset"]))
    results = (_ranks_of(cells, of) for of in (HEAD, BACKBONE, BOTH))
    rankings = [ranking for ranking in results if ranking is not None]
    # With one head, or one backbone, the ranks of both together repeat those of the other.
    if len(rankings) == 3:
        return rankings
    return [ranking for ranking in rankings if ranking["of"] != BOTH]


def _ranks_of(cells: list[Cell], of: str) -> dict[str, Any] | None:
    table = table_of(cells, of)
    names, contexts, dropped = complete(table)
    if len(names) < 2 or len(_without_seeds(contexts)) < SEVERAL:
        return None
    rows, means = scores(table, names, contexts)
    enough = len(means) >= ENOUGH_SETS
    average, critical, p = _tested(means) if enough else (_mean_ranks(rows), None, None)
    order = np.argsort(average, kind="stable")[:SHOWN]
    return {
        "of": of,
        "over": _over(of, contexts, len(means), enough),
        "names": [names[i] for i in order],
        "mean_ranks": average[order].tolist(),
        "critical_difference": critical,
        "p": p,
        "test": "Wilcoxon's signed-rank test" if len(names) == 2 else "Friedman test",
        "blocks": len(means) if enough else len(rows),
        "note": _note(len(means), names, dropped, enough),
    }


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


def _over(of: str, contexts: list[Context], datasets: int, enough: bool) -> str:
    other = {HEAD: "backbones", BACKBONE: "heads"}.get(of)
    fixed = "ways, shots and seeds" if other is None else f"{other}, ways, shots and seeds"
    sets = counted(datasets, "data set")
    if enough:
        return f"{sets}; accuracies averaged over the {fixed} that all share"
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
