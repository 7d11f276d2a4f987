"""Values of the same episodes under two heads, backbones or estimators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.results.joining import Store
from fewshot.results.reading import identity
from fewshot.results.schema import CellSummary
from fewshot.statistics.paired import differences as paired_differences
from fewshot.statistics.paired import mean_difference
from fewshot.tasks import known_tasks, task_named
from fewshot.tasks.base import EPISODE, Measure, Task

Values = dict[tuple[Any, ...], pd.Series]


def episode_values(store: Store, measure: str, estimators: Sequence[str] | None = None) -> Values:
    """Return the values by episode of each cell, or of each cell and estimator.

    Returns
    -------
    dict of tuple to Series
        By identity of the cell, and estimator if the measure is of one: values with the
        numbers of the episodes as index. Empty for measures without a value per episode.
    """
    values: Values = {}
    for task in known_tasks():
        declared = task.measure(measure)
        if declared is not None and declared.table is not None:
            values |= _values(store, task, declared, estimators)
    return values


def _values(store: Store, task: Task, measure: Measure, estimators: Sequence[str] | None) -> Values:
    """Values by episode of the cells of one task; several rows of an episode are averaged."""
    keys = [*task.identity, *([measure.of.name] if measure.of else [])]
    read = list(measure.columns or (measure.name,))
    rows = store.rows(str(measure.table), [*keys, EPISODE, *read])
    if measure.of and measure.of.name == "estimator" and estimators is not None:
        rows = rows[rows["estimator"].isin(list(estimators))]
    rows = rows.assign(value=measure.value(rows) if measure.value else rows[measure.name])
    if task.table(str(measure.table)).per_episode is not None and measure.of is None:
        means = rows.groupby([*keys, EPISODE], observed=True, sort=False)["value"].mean()
        rows = means.reset_index()
    return {
        _key(key, task): pd.Series(group["value"].to_numpy(), index=group[EPISODE].to_numpy())
        for key, group in rows.groupby(keys, observed=True, sort=False)
    }


def _key(key: Sequence[Any], task: Task) -> tuple[Any, ...]:
    """Key of `key_of` from the values of a group: a key that is missing in a cell is empty."""
    own = len(task.identity)
    return (*(value if value is not None else "" for value in key[:own]), *key[own:])


def key_of(entry: Mapping[str, object], measure: str) -> tuple[Any, ...]:
    """Key of `episode_values` for an entry of `fewshot.results.measures.entries`."""
    declared = task_named(str(entry["task"])).measure(measure)
    parts = [entry[declared.of.name]] if declared is not None and declared.of else []
    return (*identity(entry), *parts)


def same_episodes(first: CellSummary, second: CellSummary) -> bool:
    """Whether two cells were evaluated on the same episodes, by their hash."""
    first_hash, second_hash = (
        (cell.get("hashes") or {}).get("episodes") for cell in (first, second)
    )
    return first_hash is not None and first_hash == second_hash


def differences(
    first: Sequence[CellSummary],
    second: Sequence[CellSummary],
    values: Values,
    measure: str,
) -> NDArray | None:
    """Return first minus second on each episode that both have, over all seeds.

    Parameters
    ----------
    first, second : sequences of entries
        One per seed.

    Returns
    -------
    ndarray of shape (E,) or None
        None if an entry has no counterpart with the same episodes.
    """
    partners = {entry["seed"]: entry for entry in second}
    if partners.keys() != {entry["seed"] for entry in first}:
        return None
    gaps = []
    for first_entry in first:
        second_entry = partners[first_entry["seed"]]
        first_values, second_values = (
            values.get(key_of(entry, measure)) for entry in (first_entry, second_entry)
        )
        if (
            first_values is None
            or second_values is None
            or not same_episodes(first_entry, second_entry)
        ):
            return None
        gap = paired_differences(*first_values.align(second_values, join="inner"))
        gaps.append(gap[~np.isnan(gap)])
    return np.concatenate(gaps)


def not_clearly_apart(gap: NDArray | None) -> bool:
    """Whether the interval over episodes of a mean difference contains zero."""
    difference = None if gap is None else mean_difference(gap)
    return difference is not None and not difference.clear
