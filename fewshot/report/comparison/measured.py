"""Sentences on the best heads by the main measure of a task, and whether they are clearly ahead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from fewshot.report.comparison.ahead import ahead_text, evenly_spaced
from fewshot.report.intervals import (
    by_population,
    half_text,
    interval_text,
    intervals_of,
    main_interval,
)
from fewshot.report.wording import (
    Cell,
    backbone_name,
    comparisons_of,
    feature_kinds,
    protocol_name,
    shots_text,
)
from fewshot.statistics.intervals import Difference, over_seeds
from fewshot.tasks.base import LOWER, NEITHER, Measure, head_label
from fewshot.units import decimal, is_number, percent

if TYPE_CHECKING:
    from fewshot.report.tasks.base import TaskReport

Name = tuple[str, ...]  # backbone, head and what else is compared
Setting = tuple[Any, ...]  # what is held fixed


def best_lines(report: TaskReport, cells: Sequence[Cell]) -> list[str]:
    """A sentence per setting on the best head by the main measure; none if none is better.

    Of a task whose cells have the measure several times, as per share of positives, a setting has
    one of them.
    """
    measure = report.task.measures[0]
    if measure.better == NEITHER:
        return []
    kinds = feature_kinds(cells)
    names = _fixed(report, cells)
    settings: dict[Setting, dict[Name, list[Cell]]] = {}
    for cell in cells:
        for entry in report.task.entries(cell, measure.name):
            if is_number(_mean_of(report, entry, measure)):
                setting = tuple(entry.get(name) for name in names)
                groups = settings.setdefault(setting, {})
                groups.setdefault(_name(report, entry, kinds), []).append(entry)
    chosen = evenly_spaced(sorted(settings.items(), key=lambda item: _sorting(item[0])))
    return [
        f"{_where(report, names, setting)}: {_best(report, measure, groups)}."
        for setting, groups in chosen
    ]


def _fixed(report: TaskReport, cells: Sequence[Cell]) -> list[str]:
    """Columns in which cells are not compared with each other."""
    conditions = [
        key
        for key in report.task.keys
        if key not in report.compared and len({str(cell.get(key)) for cell in cells}) > 1
    ]
    part = report.task.measures[0].of
    return [*report.settings, *conditions, *([] if part is None else [part.name])]


def _sorting(setting: Setting) -> tuple[tuple[bool, float, str], ...]:
    """Numbers by size, then names alphabetically."""
    return tuple(
        (False, float(value), "") if isinstance(value, (int, float)) else (True, 0.0, str(value))
        for value in setting
    )


def _where(report: TaskReport, names: Sequence[str], setting: Setting) -> str:
    """``5-way, 1 shot``."""
    texts = {"ways": "{}-way".format, "shots": shots_text, "protocol": protocol_name}
    titles = {key: report.key_title(key).lower() for key in report.task.keys}
    return ", ".join(
        texts[name](value) if name in texts else f"{titles.get(name, name)} {value}"
        for name, value in zip(names, setting, strict=True)
    )


def _name(report: TaskReport, entry: Cell, kinds: Mapping[str, set[str]]) -> Name:
    compared = (str(entry.get(key)) for key in report.compared)
    return backbone_name(entry, kinds), head_label(entry), *compared


def _best(report: TaskReport, measure: Measure, groups: Mapping[Name, Sequence[Cell]]) -> str:
    # Only heads with the most seeds are compared: a single seed varies more than a mean.
    most = max(map(len, groups.values()))
    sign = -1 if measure.better == LOWER else 1
    means = {
        name: sign * fmean(_mean_of(report, cell, measure) for cell in seeds)
        for name, seeds in groups.items()
        if len(seeds) == most
    }
    best = max(means, key=means.__getitem__)
    text = f"{best[0]} with {_head(best)}, {report.title(measure.name)} "
    text += _number_text(report, measure, groups[best])
    same = {name: mean for name, mean in means.items() if name[0] == best[0] and name != best}
    if same:
        other = max(same, key=same.__getitem__)
        text += f"; {_next_head(report, measure, groups[best], groups[other], _head(other))}"
    about = report.about_best(groups[best])
    return f"{text}; {about}" if about else text


def _head(name: Name) -> str:
    return name[1] if len(name) == 2 else f"{name[1]} ({', '.join(name[2:])})"


def _mean_of(report: TaskReport, entry: Cell, measure: Measure) -> float:
    interval = main_interval(intervals_of(report.task, entry, measure.name)) or {}
    mean = interval.get("mean")
    return float(mean) if is_number(mean) else math.nan


def _number_text(report: TaskReport, measure: Measure, seeds: Sequence[Cell]) -> str:
    share, unit = measure.fraction, " %" if measure.fraction else ""
    if len(seeds) > 1:
        mean = fmean(_mean_of(report, cell, measure) for cell in seeds)
        number = percent(mean) if share else decimal(mean)
        return f"{number}{unit} (mean of {len(seeds)} seeds)"
    intervals = intervals_of(report.task, seeds[0], measure.name)
    classes = half_text(intervals.get("classes"), "", share=share)
    alone = "episodes" not in intervals  # then the number itself has the interval over classes
    elsewhere = f" (± {classes} for other classes)" if classes and not alone else ""
    return f"{interval_text(main_interval(intervals), share=share)}{unit}{elsewhere}"


def _next_head(
    report: TaskReport, measure: Measure, best: Sequence[Cell], other: Sequence[Cell], name: str
) -> str:
    """A clause on whether the best head is clearly ahead, by the runs' paired differences."""
    by_seed = {cell["seed"]: cell for cell in other}
    pairs = [(cell, by_seed[cell["seed"]]) for cell in best if cell["seed"] in by_seed]
    gaps = [gap for pair in pairs if (gap := _paired(measure, *pair)) is not None]
    if not gaps:
        return (
            f"the next {report.head}, {name}, was not compared {report.episode} by {report.episode}"
        )
    return ahead_text(
        over_seeds(gaps), report.head, name, share=measure.fraction, episode=report.episode
    )


def _paired(measure: Measure, best: Cell, other: Cell) -> Difference | None:
    """Difference of the measure, best minus other, from the comparisons of either cell.

    It is positive where the best one is better, also if lower numbers are.
    """
    names = head_label(best), head_label(other)
    for cell in (best, other):
        for row in comparisons_of(cell):
            intervals = by_population(row.get(measure.name))
            if {row.get("first"), row.get("second")} == set(names) and intervals:
                sign = 1 if row["first"] == names[0] else -1
                sign *= -1 if measure.better == LOWER else 1
                return Difference.of(main_interval(intervals), intervals.get("classes"), sign)
    return None
