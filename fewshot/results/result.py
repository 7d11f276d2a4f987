"""The result of one cell: a head, a shot and what was predicted of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from fewshot.results.schema import (
    EPISODE_COLUMNS,
    ONE_CLASS_COLUMNS,
    PREDICTION_COLUMNS,
    VERIFICATION_COLUMNS,
)

if TYPE_CHECKING:
    from fewshot.estimators.calibration.transferred import General


@dataclass(frozen=True, eq=False)
class Result:
    """Rows and summary of one cell.

    Attributes
    ----------
    episodes : DataFrame
        One row per episode; columns of ``EPISODE_COLUMNS``.
    predictions : DataFrame
        One row per episode and estimator; columns of ``PREDICTION_COLUMNS``.
    summary : dict
        Means, intervals, the estimators' metrics, hashes; JSON types only.
    calibrator : General or None
        What was learned on base classes; ``.save(path)`` keeps it for features of the same kind.
    verification : DataFrame
        One row per episode and target class of the task "verification", whose results have no
        other rows; columns of ``VERIFICATION_COLUMNS``.
    one_class : DataFrame
        One row per task and prevalence of the task "one_class", whose results have no other rows;
        columns of ``ONE_CLASS_COLUMNS``.
    """

    episodes: pd.DataFrame
    predictions: pd.DataFrame
    summary: dict[str, Any]
    calibrator: General | None = None
    verification: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=list(VERIFICATION_COLUMNS))
    )
    one_class: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=list(ONE_CLASS_COLUMNS))
    )

    def __repr__(self) -> str:
        known = self.summary
        keys = ("task", "dataset", "backbone", "head", "ways", "shots")
        facts = ", ".join(f"{key}={known[key]!r}" for key in keys if key in known)
        return f"{type(self).__name__}({facts})"


def join_rows(results: Iterable[Result]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All rows of several cells, one after the other."""
    results = list(results)
    episodes = pd.concat([result.episodes for result in results], ignore_index=True)
    predictions = pd.concat([result.predictions for result in results], ignore_index=True)
    return episodes[list(EPISODE_COLUMNS)], predictions[list(PREDICTION_COLUMNS)]


def join_verification(results: Iterable[Result]) -> pd.DataFrame:
    """All rows of verification of several cells; empty where no cell has any."""
    return pd.concat([result.verification for result in results], ignore_index=True)


def join_one_class(results: Iterable[Result]) -> pd.DataFrame:
    """All rows of one-class tasks of several cells; empty where no cell has any."""
    return pd.concat([result.one_class for result in results], ignore_index=True)
