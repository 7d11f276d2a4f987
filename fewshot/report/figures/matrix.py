"""Matrix of backbones and data sets with the accuracy of the best head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fewshot.report.figures.style import GREY, INK, house_style
from fewshot.report.wording import Cell, backbone_name, feature_kinds, plain, shots_text
from fewshot.tasks.base import dataset_label
from fewshot.units import is_number

WIDE, HIGH, LETTER = 0.95, 0.34, 0.085


def accuracy_matrix(cells: Sequence[Cell]) -> Figure | None:
    """Mean accuracy in % of the best head, at the largest number of shots that most cells share.

    Parameters
    ----------
    cells : sequence of dict
        Cells of classification.

    Returns
    -------
    Figure or None
        None with one backbone and one data set.
    """
    cells = [cell for cell in cells if is_number(cell["accuracy"]["mean"])]
    kinds = feature_kinds(cells)
    rows = list(dict.fromkeys(backbone_name(cell, kinds) for cell in cells))
    columns = list(dict.fromkeys(dataset_label(cell) for cell in cells))
    if len(rows) * len(columns) < 2:
        return None
    ways, shots = _most_shared(cells)
    table = np.full((len(rows), len(columns)), np.nan)
    for cell in cells:
        if (cell["ways"], cell["shots"]) == (ways, shots):
            index = rows.index(backbone_name(cell, kinds)), columns.index(dataset_label(cell))
            table[index] = np.fmax(table[index], 100 * cell["accuracy"]["mean"])
    title = f"accuracy in %, {ways}-way, {shots_text(shots)}, best head"
    return _drawn(table, [plain(name) for name in rows], [plain(name) for name in columns], title)


def _most_shared(cells: Sequence[Cell]) -> tuple[int, int]:
    """Ways and shots under which the most pairs of backbone and data set were evaluated."""
    pairs: dict[tuple[int, int], set[tuple[str, str]]] = {}
    for cell in cells:
        key = int(cell["ways"]), int(cell["shots"])
        pairs.setdefault(key, set()).add((str(cell["backbone"]), dataset_label(cell)))
    return max(pairs, key=lambda key: (len(pairs[key]), key[1], key[0]))


def _drawn(table: NDArray, rows: list[str], columns: list[str], title: str) -> Figure:
    margin = 0.25 + LETTER * max(map(len, rows))
    wide = max(WIDE, 0.2 + LETTER * max(map(len, columns)))
    width, height = margin + wide * len(columns) + 0.2, 0.85 + HIGH * len(rows)
    low, high = float(np.nanmin(table)), float(np.nanmax(table))
    with house_style():
        figure = Figure((width, height))
        box = (margin / width, 0.1 / height, wide * len(columns) / width, HIGH * len(rows) / height)
        axes = figure.add_axes(box)
        # All shades are light enough for dark digits.
        darkest = high + 1.2 * (high - low) + 1
        axes.imshow(table, cmap="Blues", vmin=low, vmax=darkest, aspect="auto")
        for i, j in np.ndindex(table.shape):
            text = "\N{EN DASH}" if np.isnan(table[i, j]) else f"{table[i, j]:.1f}"
            axes.text(j, i, text, ha="center", va="center", color=INK)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.xaxis.tick_top()
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        figure.text(0.1 / width, 1 - 0.08 / height, title, ha="left", va="top", color=GREY)
    return figure
