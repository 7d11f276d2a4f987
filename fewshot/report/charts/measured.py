"""Measures that a task declares, by shots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fewshot.report.charts.base import (
    COLUMNS,
    SHOTS,
    Axis,
    Chart,
    Panel,
    Trace,
    Words,
    aside,
    categories,
)
from fewshot.report.charts.looks import head_look
from fewshot.report.intervals import intervals_of, main_interval
from fewshot.report.wording import Cell
from fewshot.results.schema import Interval
from fewshot.tasks.base import Task, head_label
from fewshot.units import is_number

OFFSET = 0.05
Chance = Callable[[Sequence[Cell], str], float | None]


def measures_chart(
    task: Task,
    titles: Mapping[str, str],
    cells: Sequence[Cell],
    title: str = "",
    chance: Chance | None = None,
) -> Chart | None:
    """Means of measures of every head by shots, with intervals over episodes.

    The line of a head is the mean over its seeds, each of which has its interval.

    Parameters
    ----------
    task : Task
    titles : mapping of str to str
        By measure of the task: all of them shares, or a single one.
    cells : sequence of dict
        Of one data set and backbone. A row of panels per number of ways.
    chance : callable, optional
        From cells and a measure to the value that a random order would have, None if unknown.

    Returns
    -------
    Chart or None
        None if no cell has any of the measures.
    """
    cells = [cell for cell in cells if any(intervals_of(task, cell, name) for name in titles)]
    if not cells:
        return None
    titles = {
        name: title
        for name, title in titles.items()
        if any(intervals_of(task, cell, name) for cell in cells)
    }
    share = all(measure.fraction for measure in task.measures if measure.name in titles)
    scale = 100.0 if share else 1.0
    names = [_series(task, cell, cells) for cell in cells]
    heads = list(dict.fromkeys(names))
    shots = sorted({cell["shots"] for cell in cells})
    panels = []
    for ways in sorted({cell["ways"] for cell in cells}):
        for measure in titles:
            inside = [(cell, name) for cell, name in zip(cells, names, strict=True)
                      if cell["ways"] == ways and intervals_of(task, cell, measure)]  # fmt: skip
            traces = [
                _trace(task, measure, [cell for cell, name in inside if name == head], (i, heads),
                       shots, scale)
                for i, head in enumerate(heads)
            ]  # fmt: skip
            level = chance([cell for cell, _ in inside], measure) if chance and inside else None
            level = None if level is None else scale * level
            panels.append(Panel(f"{titles[measure]}, {ways}-way", traces, level))
    y = "%" if share else next(iter(titles.values()))
    words = Words(", ".join(titles.values()), SHOTS, y, reference="random order")
    columns = len(titles) if len(titles) <= COLUMNS else COLUMNS
    legend = [(head, head_look(i)) for i, head in enumerate(heads)]
    limits = (0.0, 102.0) if share else _limits(panels)
    return Chart(title, words, categories(shots), Axis(limits), panels, legend, columns,
                 aspect=0.75)  # fmt: skip


def _series(task: Task, cell: Cell, cells: Sequence[Cell]) -> str:
    """Name of a line: the head, with those of the task's keys in which cells differ."""
    differing = [key for key in task.keys if len({str(other.get(key)) for other in cells}) > 1]
    return ", ".join([head_label(cell), *(str(cell.get(key)) for key in differing)])


def _trace(
    task: Task,
    measure: str,
    cells: Sequence[Cell],
    head: tuple[int, Sequence[str]],
    shots: Sequence[int],
    scale: float,
) -> Trace:
    i, heads = head
    means: dict[float, list[float]] = {}  # one mean per seed
    whiskers = []
    for cell in sorted(cells, key=lambda cell: int(cell["shots"])):
        interval: Interval = main_interval(intervals_of(task, cell, measure)) or {}
        mean, lower, upper = interval.get("mean"), interval.get("lower"), interval.get("upper")
        if not is_number(mean):
            continue
        x = shots.index(cell["shots"]) + aside(i, len(heads), OFFSET)
        means.setdefault(x, []).append(scale * mean)
        if is_number(lower) and is_number(upper):
            whiskers.append((x, scale * lower, scale * upper))
    y = [sum(values) / len(values) for values in means.values()]
    return Trace(heads[i], head_look(i), list(means), y, whiskers)


def _limits(panels: Sequence[Panel]) -> tuple[float, float]:
    """Limits from 0, or from below it, with room above."""
    traces = [trace for panel in panels for trace in panel.traces]
    values = [0.0, *(value for trace in traces for value in trace.y)]
    values += [end for trace in traces for whisker in trace.whiskers for end in whisker[1:]]
    room = 0.05 * ((max(values) - min(values)) or 1)
    return min(values) - (room if min(values) < 0 else 0), max(values) + room
