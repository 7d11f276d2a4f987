"""Backbones by data sets, with the accuracy of the best head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fewshot.report.wording import backbone_name, feature_kinds, shots_text
from fewshot.tasks.base import dataset_label, head_label
from fewshot.tasks.classification.schema import ClassificationSummary
from fewshot.units import is_number


@dataclass(frozen=True, eq=False)
class Matrix:
    """Accuracies in percent (backbones, data sets), NaN where nothing was evaluated."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: NDArray


def accuracy_matrix_of(cells: Sequence[ClassificationSummary]) -> Matrix | None:
    """Mean accuracy over seeds of the best head, at the largest number of shots most cells share.

    Parameters
    ----------
    cells : sequence of dict
        Cells of classification.

    Returns
    -------
    Matrix or None
        None with one backbone and one data set.
    """
    cells = [cell for cell in cells if is_number(cell["accuracy"]["mean"])]
    kinds = feature_kinds(cells)
    rows = list(dict.fromkeys(backbone_name(cell, kinds) for cell in cells))
    columns = list(dict.fromkeys(dataset_label(cell) for cell in cells))
    if len(rows) * len(columns) < 2:
        return None
    ways, shots = _most_shared(cells)
    seeds: dict[tuple[int, int], dict[str, list[float]]] = {}
    for cell in cells:
        if (cell["ways"], cell["shots"]) == (ways, shots):
            place = rows.index(backbone_name(cell, kinds)), columns.index(dataset_label(cell))
            heads = seeds.setdefault(place, {})
            heads.setdefault(head_label(cell), []).append(cast("float", cell["accuracy"]["mean"]))
    values: NDArray = np.full((len(rows), len(columns)), np.nan)
    for place, heads in seeds.items():
        values[place] = 100 * max(map(fmean, heads.values()))
    title = f"accuracy in %, {ways}-way, {shots_text(shots)}, best head"
    return Matrix(title, rows, columns, values)


def _most_shared(cells: Sequence[ClassificationSummary]) -> tuple[int, int]:
    """Ways and shots under which the most pairs of backbone and data set were evaluated."""
    pairs: dict[tuple[int, int], set[tuple[str, str]]] = {}
    for cell in cells:
        key = int(cell["ways"]), int(cell["shots"])
        pairs.setdefault(key, set()).add((str(cell["backbone"]), dataset_label(cell)))
    return max(pairs, key=lambda key: (len(pairs[key]), key[1], key[0]))
