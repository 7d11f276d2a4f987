"""Figures of the measures that a task declares, by shots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fewshot.report.figures.panels import panels, wrapped
from fewshot.report.figures.plots import Plot, plot_each
from fewshot.report.figures.style import COLORS, INK, MARKERS, house_style, nth
from fewshot.report.intervals import intervals_of, main_interval
from fewshot.report.wording import Cell, plain
from fewshot.tasks.base import Task, head_label
from fewshot.units import is_number

if TYPE_CHECKING:
    from fewshot.report.tasks.base import TaskReport

OFFSET = 0.05
COLUMNS = 3
Chance = Callable[[Sequence[Cell], str], float]


def measured_figures(report: TaskReport, cells: Sequence[Cell]) -> list[Plot]:
    """Figures of each data set and backbone: all shares in one, every other measure in its own.

    Measures of parts of a cell are left out.
    """
    measures = [measure for measure in report.task.measures if measure.of is None]
    shares = {m.name: report.title(m.name) for m in measures if m.fraction}
    kinds = {f"{report.task.name}_vs_shots": shares} if shares else {}
    kinds |= {
        f"{report.task.name}_{m.name}_vs_shots": {m.name: report.title(m.name)}
        for m in measures
        if not m.fraction
    }
    return [
        plot
        for kind, titles in kinds.items()
        for plot in plot_each(cells, kind, partial(measures_vs_shots, report.task, titles))
    ]


def measures_vs_shots(
    task: Task,
    titles: Mapping[str, str],
    cells: Sequence[Cell],
    *,
    title: str = "",
    chance: Chance | None = None,
) -> Figure | None:
    """Means of measures of every head by shots, with intervals over episodes.

    Parameters
    ----------
    task : Task
    titles : mapping of str to str
        By measure of the task: all of them shares, or a single one.
    cells : sequence of dict
        Of one data set and backbone. A row of panels per number of ways.
    title : str
        Title of the figure.
    chance : callable, optional
        From cells and a measure to the value that a random order would have.

    Returns
    -------
    Figure or None
        None if no cell has any of the measures.
    """
    cells = [cell for cell in cells if any(intervals_of(task, cell, name) for name in titles)]
    if not cells:
        return None
    scale = 100.0 if _all_shares(task, titles) else 1.0
    names = [_series(task, cell, cells) for cell in cells]
    heads = list(dict.fromkeys(names))
    ways = sorted({cell["ways"] for cell in cells})
    positions = {K: i for i, K in enumerate(sorted({cell["shots"] for cell in cells}))}
    handles = [_line(i, plain(head)) for i, head in enumerate(heads)]
    if chance is not None:
        handles.append(Line2D([], [], color=INK, linestyle="--", linewidth=0.9,
                              label="random order"))  # fmt: skip
    shown = [(N, measure) for N in ways for measure in titles]
    with house_style():
        figure, axes = panels(
            [f"{titles[measure]}, {N}-way" for N, measure in shown],
            len(titles) if len(titles) <= COLUMNS else wrapped(len(shown), COLUMNS),
            handles,
            title=title,
            labels=("shots per class", "%" if scale > 1 else plain(titles[shown[0][1]])),
            aspect=0.75,
        )
        ends = [
            _panel(panel, _of_panel(task, cells, names, key), heads, positions, scale)
            for panel, key in zip(axes, shown, strict=True)
        ]
        for panel, (N, measure) in zip(axes, shown, strict=True):
            inside = [c for c in cells if c["ways"] == N and intervals_of(task, c, measure)]
            if chance is not None and inside:
                height = scale * chance(inside, measure)
                panel.axhline(height, color=INK, linestyle="--", linewidth=0.9, zorder=1)
            panel.set_xticks(range(len(positions)), [str(K) for K in positions])
            panel.set(xlim=(-0.5, len(positions) - 0.5), ylim=_limits(ends, scale))
            panel.grid(axis="x", visible=False)
    return figure


def _all_shares(task: Task, titles: Mapping[str, str]) -> bool:
    return all(measure.fraction for measure in task.measures if measure.name in titles)


def _series(task: Task, cell: Cell, cells: Sequence[Cell]) -> str:
    """Name of a line: the head, with those of the task's keys in which cells differ."""
    differing = [key for key in task.keys if len({str(other.get(key)) for other in cells}) > 1]
    return ", ".join([head_label(cell), *(str(cell.get(key)) for key in differing)])


# Head, shots, mean and bounds of a cell in a panel.
Mark = tuple[str, int, float, tuple[float, float] | None]


def _of_panel(
    task: Task, cells: Sequence[Cell], names: Sequence[str], key: tuple[int, str]
) -> list[Mark]:
    marks = []
    for cell, name in zip(cells, names, strict=True):
        interval = main_interval(intervals_of(task, cell, key[1])) or {}
        mean, lower, upper = (interval.get(end) for end in ("mean", "lower", "upper"))
        if cell["ways"] == key[0] and is_number(mean):
            bounds = (lower, upper) if is_number(lower) and is_number(upper) else None
            marks.append((name, int(cell["shots"]), float(mean), bounds))
    return sorted(marks, key=lambda mark: mark[1])


def _panel(
    panel: Axes,
    marks: Sequence[Mark],
    heads: Sequence[str],
    positions: Mapping[int, int],
    scale: float,
) -> tuple[float, float]:
    """Draw the line of every head with the interval of every cell; the least and largest value."""
    values = [0.0]
    for i, head in enumerate(heads):
        line = _line(i)
        means: dict[float, list[float]] = {}  # one mean per seed
        offset = OFFSET * (i - (len(heads) - 1) / 2)
        for _, shots, mean, bounds in (mark for mark in marks if mark[0] == head):
            x = positions[shots] + offset
            means.setdefault(x, []).append(scale * mean)
            if bounds is not None:
                low, high = (scale * end for end in bounds)
                panel.vlines(x, low, high, color=line.get_color())
                values += [low, high]
        heights = [sum(numbers) / len(numbers) for numbers in means.values()]
        values += heights
        line.set_data(list(means), heights)
        panel.add_line(line)
    return min(values), max(values)


def _limits(ends: Sequence[tuple[float, float]], scale: float) -> tuple[float, float]:
    """Limits of the vertical axes of all panels: 0 to 100 for shares."""
    if scale > 1:
        return 0, 102
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    room = 0.05 * ((high - low) or 1)
    return low - (room if low < 0 else 0), high + room


def _line(i: int, label: str = "") -> Line2D:
    style = {"marker": nth(MARKERS, i), "markersize": 4.5, "linewidth": 1.3}
    return Line2D([], [], color=nth(COLORS, i), zorder=3, label=label, **style)
