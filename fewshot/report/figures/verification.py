"""Figure of the measures of verification by shots."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fewshot.report.figures.panels import panels
from fewshot.report.figures.style import (
    COLORS,
    INK,
    MARKERS,
    house_style,
    nth,
)
from fewshot.report.tasks.verification import MEASURES, TITLES
from fewshot.report.wording import Cell, plain
from fewshot.units import is_number

OFFSET = 0.05


def verification_vs_shots(cells: Sequence[Cell], *, title: str = "") -> Figure:
    """Mean AUROC, average precision and FPR95 of every head with intervals over episodes.

    Parameters
    ----------
    cells : sequence of dict
        Cells of verification, of one data set and backbone. A row of panels per number of ways.
    title : str
        Title of the figure.
    """
    heads = list(dict.fromkeys(cell["head"] for cell in cells))
    ways = sorted({cell["ways"] for cell in cells})
    positions = {K: i for i, K in enumerate(sorted({cell["shots"] for cell in cells}))}
    handles = [_line(i, plain(head)) for i, head in enumerate(heads)]
    handles.append(Line2D([], [], color=INK, linestyle="--", linewidth=0.9, label="random order"))
    with house_style():
        figure, axes = panels(
            [f"{TITLES[measure]}, {N}-way" for N in ways for measure in MEASURES],
            len(MEASURES),
            handles,
            title=title,
            labels=("shots per class", "%"),
            aspect=0.75,
        )
        shown = [(N, measure) for N in ways for measure in MEASURES]
        for panel, (N, measure) in zip(axes, shown, strict=True):
            shown_cells = [
                cell for cell in cells if cell["ways"] == N and cell[measure] is not None
            ]
            for i, head in enumerate(heads):
                offset = OFFSET * (i - (len(heads) - 1) / 2)
                _draw(
                    panel,
                    [cell for cell in shown_cells if cell["head"] == head],
                    measure,
                    i,
                    positions,
                    offset,
                )
            chance = _chance(shown_cells, measure)
            if chance is not None:
                panel.axhline(100 * chance, color=INK, linestyle="--", linewidth=0.9, zorder=1)
            panel.set_xticks(range(len(positions)), [str(K) for K in positions])
            panel.set(xlim=(-0.5, len(positions) - 0.5), ylim=(0, 102))
            panel.grid(axis="x", visible=False)
    return figure


def _draw(
    panel: Axes,
    cells: Sequence[Cell],
    measure: str,
    i: int,
    positions: dict[int, int],
    offset: float,
) -> None:
    """Draw the line of one head, and the interval over episodes of every cell."""
    means: dict[float, list[float]] = {}  # one mean per seed
    line = _line(i)
    for cell in sorted(cells, key=lambda cell: cell["shots"]):
        x, interval = positions[cell["shots"]] + offset, cell[measure]["episodes"]
        means.setdefault(x, []).append(100 * interval["mean"])
        if is_number(interval["lower"]) and is_number(interval["upper"]):
            panel.vlines(
                x, 100 * interval["lower"], 100 * interval["upper"], color=line.get_color()
            )
    line.set_data(list(means), [sum(values) / len(values) for values in means.values()])
    panel.add_line(line)


def _chance(cells: Sequence[Cell], measure: str) -> float | None:
    """Approximate value of a measure for a random order; None without cells."""
    if not cells:
        return None
    shares = [cell["prevalence"] for cell in cells]
    return {"auroc": 0.5, "average_precision": sum(shares) / len(shares), "fpr95": 0.95}[measure]


def _line(i: int, label: str = "") -> Line2D:
    style = {"marker": nth(MARKERS, i), "markersize": 4.5, "linewidth": 1.3}
    return Line2D([], [], color=nth(COLORS, i), zorder=3, label=label, **style)
