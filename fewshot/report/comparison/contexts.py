"""Values of a measure as a table of contexts and treatments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.report.wording import Cell, backbone_name, feature_kinds
from fewshot.tasks.base import head_label
from fewshot.units import is_number

HEAD, BACKBONE, BOTH = "head", "backbone", "head and backbone"
# Treatments in fewer than this share of the contexts are left out: hardly any would be shared.
OFTEN = 0.5

# Data set, what is held fixed, ways, shots, seed, queries, and the task's keys.
Context = tuple[Any, ...]
SEED = 4  # position of the seed in a context


def table_of(
    cells: Sequence[Cell],
    of: str,
    value: Callable[[Cell], float | None],
    keys: Iterable[str] = (),
) -> dict[Context, dict[str, float]]:
    """Values by context and treatment; a context is a data set and all that is held fixed.

    Parameters
    ----------
    cells : sequence of dict
        Of one task, on one part of the classes.
    of : {"head", "backbone", "head and backbone"}
    value : callable
        From a cell to its measure, None without one.
    keys : iterable of str
        Columns that identify cells of the task beside those of all tasks.
    """
    features = feature_kinds(cells)
    names = list(keys)
    table: dict[Context, dict[str, float]] = {}
    for cell in cells:
        number = value(cell)
        if not is_number(number):
            continue
        backbone, head = backbone_name(cell, features), head_label(cell)
        treatment, fixed = {
            HEAD: (head, backbone),
            BACKBONE: (backbone, head),
            BOTH: (f"{backbone} + {head}", ""),
        }[of]
        where = cell["ways"], cell["shots"], cell["seed"], str(cell.get("queries"))
        others = (cell.get(name) for name in names)
        table.setdefault((str(cell["dataset"]), fixed, *where, *others), {})[treatment] = number
    return table


def complete(
    table: Mapping[Context, Mapping[str, float]],
) -> tuple[list[str], list[Context], list[str]]:
    """Treatments, the contexts in which all of them were evaluated, and treatments left out.

    Treatments that were evaluated in fewer than half as many contexts as the most frequent one are
    left out, then the rarest one by one until there is a context that the others share.
    """
    counts: dict[str, int] = {}
    for row in table.values():
        for name in row:
            counts[name] = counts.get(name, 0) + 1
    most = max(counts.values(), default=0)
    names = [name for name, count in counts.items() if count >= OFTEN * most]
    contexts: list[Context] = []
    while len(names) > 1:
        contexts = [where for where, row in table.items() if all(name in row for name in names)]
        if contexts:
            break
        names.remove(min(reversed(names), key=counts.__getitem__))
    return names, contexts, [name for name in counts if name not in names]


def scores(
    table: Mapping[Context, Mapping[str, float]], names: list[str], contexts: list[Context]
) -> tuple[NDArray, NDArray]:
    """Values (contexts, treatments), and their means by data set (data sets, treatments)."""
    rows = np.array([[table[where][name] for name in names] for where in contexts])
    datasets = np.array([where[0] for where in contexts])
    means = [rows[datasets == name].mean(0) for name in dict.fromkeys(datasets.tolist())]
    return rows, np.array(means)
