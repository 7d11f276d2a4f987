"""Values of the same episodes under two heads, backbones or estimators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.results.joining import Store
from fewshot.results.reading import identity
from fewshot.results.schema import CELL_COLUMNS, MEASURES, VERIFICATION
from fewshot.statistics.paired import differences as paired_differences
from fewshot.statistics.paired import mean_difference

Values = dict[tuple[Any, ...], pd.Series]


def episode_values(store: Store, measure: str, estimators: Sequence[str] | None = None) -> Values:
    """Return the values by episode of each cell, or of each cell and estimator.

    Returns
    -------
    dict of tuple to Series
        By identity of the cell, and estimator if the measure is of one: values with the
        numbers of the episodes as index. Empty for measures without a value per episode.
    """
    keys = list(CELL_COLUMNS)
    if measure in ("accuracy", "error"):
        rows = store.rows("episodes", [*keys, "episode", "actual_error"])
        rows["value"] = rows["actual_error"] if measure == "error" else 1 - rows["actual_error"]
    elif measure == "mae":
        error_columns = ["predicted_error", "actual_error"]
        rows = store.rows("predictions", [*keys, "estimator", "episode", *error_columns])
        if estimators is not None:
            rows = rows[rows["estimator"].isin(list(estimators))]
        rows = rows.assign(value=(rows[error_columns[0]] - rows[error_columns[1]]).abs())
        keys.append("estimator")
    elif measure in MEASURES:
        rows = store.rows(VERIFICATION, [*keys, "episode", measure])
        means = rows.groupby([*keys, "episode"], observed=True, sort=False)[measure].mean()
        rows = means.rename("value").reset_index()
    else:
        return {}
    return {
        _key(key): pd.Series(group["value"].to_numpy(), index=group["episode"].to_numpy())
        for key, group in rows.groupby(keys, observed=True, sort=False)
    }


def _key(key: tuple[Any, ...]) -> tuple[Any, ...]:
    names = len(CELL_COLUMNS)
    return (*key[:names], "", "", *key[names:])  # of one-class tasks only


def key_of(entry: Mapping[str, Any], measure: str) -> tuple[Any, ...]:
    """Key of `episode_values` for an entry of `fewshot.results.measures.entries`."""
    return (*identity(entry), *([entry["estimator"]] if measure == "mae" else []))


def same_episodes(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two cells were evaluated on the same episodes, by their hash."""
    first_hash, second_hash = (
        (cell.get("hashes") or {}).get("episodes") for cell in (first, second)
    )
    return first_hash is not None and first_hash == second_hash


def differences(
    first: Sequence[Mapping[str, Any]],
    second: Sequence[Mapping[str, Any]],
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
