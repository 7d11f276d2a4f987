"""Accuracy of every class of a cell, worst first, and the classes that are taken for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fewshot.report.cell_rows import by_cell
from fewshot.tasks.base import EPISODIC_KEYS, identity_of

if TYPE_CHECKING:
    import pandas as pd

    from fewshot.report.wording import Cell

MATRIX = 30  # most classes of a matrix
LISTED = 100  # most classes and pairs of a cell with more


@dataclass(frozen=True)
class ConfusionChart:
    """Classes and confused pairs of a cell.

    Attributes
    ----------
    total : int
        Number of classes, of which `classes` may have the worst only.
    classes : sequence of (name, episodes, queries, accuracy, lower, upper)
        Worst first; bounds are NaN for a class in a single episode.
    pairs : sequence of (class, taken for, queries, opportunities)
        The largest share first: all of up to `MATRIX` classes, else the first ones.
    """

    total: int
    classes: Sequence[tuple[str, int, int, float, float, float]]
    pairs: Sequence[tuple[str, str, int, int]]


def confusion_charts(
    cells: Sequence[Cell], classes: pd.DataFrame, confusion: pd.DataFrame
) -> list[ConfusionChart | None]:
    """Charts of cells, in their order; None of cells that have no rows of the kind.

    Parameters
    ----------
    cells : sequence of dict
    classes, confusion : DataFrame
        Rows of the tables of these names.
    """
    of_class, of_pair = by_cell(classes), by_cell(confusion)
    return [_chart(_of(of_class, cell, classes), _of(of_pair, cell, confusion)) for cell in cells]


def _of(places: Mapping[Any, Any], cell: Cell, rows: pd.DataFrame) -> pd.DataFrame:
    return rows.iloc[places.get(identity_of(cell, EPISODIC_KEYS), [])]


def _chart(classes: pd.DataFrame, confusion: pd.DataFrame) -> ConfusionChart | None:
    if not len(classes):
        return None
    few = len(classes) <= MATRIX
    worst = classes.sort_values("accuracy", kind="stable").head(MATRIX if few else LISTED)
    share = confusion["queries"] / confusion["opportunities"]
    order = share.sort_values(ascending=False, kind="stable").index
    pairs = confusion.loc[order if few else order[:LISTED]]
    named = ["class", "episodes", "queries", "accuracy", "lower", "upper"]
    return ConfusionChart(
        len(classes),
        list(worst[named].itertuples(index=False, name=None)),
        list(
            pairs[["class", "taken_for", "queries", "opportunities"]].itertuples(
                index=False, name=None
            )
        ),
    )
