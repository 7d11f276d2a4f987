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
from fewshot.statistics.predictions import mean_interval

Values = dict[tuple[Any, ...], pd.Series]


def episode_values(store: Store, measure: str, estimators: Sequence[str] | None = None) -> Values:
    """Values by episode of each cell, or of each cell and estimator.

    Returns
    -------
    dict of tuple to Series
        By what names the cell, and the estimator where the measure is of one: values with the
        numbers of the episodes as index. Empty for measures without a value per episode.
    """
    keys = list(CELL_COLUMNS)
    if measure in ("accuracy", "error"):
        rows = store.rows("episodes", [*keys, "episode", "actual_error"])
        rows["value"] = rows["actual_error"] if measure == "error" else 1 - rows["actual_error"]
    elif measure == "mae":
        wanted = ["predicted_error", "actual_error"]
        rows = store.rows("predictions", [*keys, "estimator", "episode", *wanted])
        if estimators is not None:
            rows = rows[rows["estimator"].isin(list(estimators))]
        rows = rows.assign(value=(rows[wanted[0]] - rows[wanted[1]]).abs())
        keys.append("estimator")
    elif measure in MEASURES:
        rows = store.rows(VERIFICATION, [*keys, "episode", measure])
        means = rows.groupby([*keys, "episode"], observed=True, sort=False)[measure].mean()
        rows = means.rename("value").reset_index()
    else:
        return {}
    return {
        _key(key): pd.Series(own["value"].to_numpy(), index=own["episode"].to_numpy())
        for key, own in rows.groupby(keys, observed=True, sort=False)
    }


def _key(key: tuple[Any, ...]) -> tuple[Any, ...]:
    names = len(CELL_COLUMNS)
    return (*key[:names], "", "", *key[names:])  # of one-class tasks only


def key_of(entry: Mapping[str, Any], measure: str) -> tuple[Any, ...]:
    """Where `episode_values` has the values of an entry of `fewshot.results.measures.entries`."""
    return (*identity(entry), *([entry["estimator"]] if measure == "mae" else []))


def same_episodes(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two cells were judged on the same episodes, by the hash of these."""
    one, other = ((cell.get("hashes") or {}).get("episodes") for cell in (first, second))
    return one is not None and one == other


def differences(
    first: Sequence[Mapping[str, Any]],
    second: Sequence[Mapping[str, Any]],
    values: Values,
    measure: str,
) -> NDArray | None:
    """First minus second on each episode that both have, over all seeds.

    Parameters
    ----------
    first, second : sequences of entries
        One per seed.

    Returns
    -------
    ndarray of shape (E,) or None
        None where an entry has no partner with the same episodes.
    """
    partners = {one["seed"]: one for one in second}
    if partners.keys() != {one["seed"] for one in first}:
        return None
    gaps = []
    for one in first:
        other = partners[one["seed"]]
        own, others = (values.get(key_of(entry, measure)) for entry in (one, other))
        if own is None or others is None or not same_episodes(one, other):
            return None
        gaps.append((own - others).dropna().to_numpy())
    return np.concatenate(gaps)


def not_clearly_apart(gap: NDArray | None) -> bool:
    """Whether the interval over episodes of a mean difference holds zero."""
    if gap is None or len(gap) < 2:
        return False
    found = mean_interval(gap)
    return bool(found["lower"] <= 0 <= found["upper"])
