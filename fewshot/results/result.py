"""The result of one cell: its rows, summary and calibrator."""

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
        Fitted on base classes; ``.save(path)`` stores it for features of the same kind.
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
        summary = self.summary
        keys = ("task", "dataset", "backbone", "head", "ways", "shots")
        facts = ", ".join(f"{key}={summary[key]!r}" for key in keys if key in summary)
        return f"{type(self).__name__}({facts})"


def join_rows(results: Iterable[Result]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Concatenate the episodes and predictions of several cells."""
    results = list(results)
    episodes = pd.concat([result.episodes for result in results], ignore_index=True)
    predictions = pd.concat([result.predictions for result in results], ignore_index=True)
    return episodes[list(EPISODE_COLUMNS)], predictions[list(PREDICTION_COLUMNS)]


def join_verification(results: Iterable[Result]) -> pd.DataFrame:
    """Concatenate the rows of verification of several cells; empty if there are none."""
    return pd.concat([result.verification for result in results], ignore_index=True)


def join_one_class(results: Iterable[Result]) -> pd.DataFrame:
    """Concatenate the rows of one-class tasks of several cells; empty if there are none."""
    return pd.concat([result.one_class for result in results], ignore_index=True)
