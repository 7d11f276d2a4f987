"""Charts and pictures of single cells as data of the page, within a budget of bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from fewshot.report.charts.confusion import ConfusionChart
from fewshot.report.charts.details import Cloud, Details, PartsChart, Picture, thinned
from fewshot.report.comparison.paired import EvaluatedCell
from fewshot.report.payload.packing import file_numbers, shares, small_numbers
from fewshot.report.tasks import report_of, tables_of
from fewshot.report.wording import Cell
from fewshot.units import is_number

# Bytes of all pictures of a page in base64: about 75 of 720 pixels.
PICTURE_BYTES = 1_500_000
# Points of all charts of predicted against actual values, of 5 to 14 bytes, and of a single one.
POINTS = 200_000
CHART_POINTS = 2000


class Shared:
    """Values that many cells have in common, as names of classes: stored once, by number."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, value: Any) -> int:
        """Number of a value of JSON types."""
        key = json.dumps(value)
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(value)
        return self._places[key]


def details_of(
    pairs: Sequence[EvaluatedCell],
    rows: Mapping[str, pd.DataFrame],
    picture_bytes: int,
    shared: Shared,
) -> list[dict[str, Any] | None]:
    """Details of cells as data of the page, in their order; None of cells without any.

    Parameters
    ----------
    pairs : sequence of (cell, rows)
        In the order of the page.
    rows : mapping of str to DataFrame
        By table.
    picture_bytes : int
        Size of all pictures at most. The first picture of every cell comes before any second one.
    shared : Shared
        Gets words, names and colours.
    """
    cells = [cell for cell, _ in pairs]
    details = _details(cells, rows)
    kept = _kept(details, picture_bytes)
    charts = sum(len(one.clouds) for one in details if one)
    most = min(CHART_POINTS, max(1, POINTS // max(1, charts)))
    return [
        None if one is None else _entry(one, kept[place], most, shared)
        for place, one in enumerate(details)
    ]


def _details(cells: Sequence[Cell], rows: Mapping[str, pd.DataFrame]) -> list[Details | None]:
    """Details of every cell, asked of its task for all its cells together."""
    found: dict[int, Details | None] = {}
    for task in dict.fromkeys(str(cell["task"]) for cell in cells):
        report = report_of(task)
        members = [cell for cell in cells if cell["task"] == task]
        for cell, one in zip(
            members, report.details(members, tables_of(report.task, rows)), strict=True
        ):
            found[id(cell)] = one
    return [found[id(cell)] for cell in cells]


def _kept(details: Sequence[Details | None], budget: int) -> dict[int, list[Picture]]:
    """Pictures by the place of their cell, as many as fit: of every cell the first, and so on."""
    kept: dict[int, list[Picture]] = {place: [] for place in range(len(details))}
    full: set[int] = set()
    for rank in range(max((len(one.pictures) for one in details if one), default=0)):
        for place, one in enumerate(details):
            if one is None or rank >= len(one.pictures) or place in full:
                continue
            budget -= len(one.pictures[rank].picture)
            if budget < 0:
                full.update(range(len(details)))
                break
            kept[place].append(one.pictures[rank])
    return kept


def _entry(
    details: Details, pictures: Sequence[Picture], most: int, shared: Shared
) -> dict[str, Any]:
    pictured = details.pictured
    return {
        "parts": None if details.parts is None else _parts(details.parts, shared),
        "confusion": None if details.confusion is None else _confusion(details.confusion, shared),
        "clouds": [
            {
                "words": shared.place(asdict(chart.words)),
                "parts": shared.place(list(chart.parts)),
                "clouds": [_packed(thinned(cloud, most), len(cloud.x)) for cloud in chart.clouds],
            }
            for chart in details.clouds
        ],
        "pictures": [asdict(picture) for picture in pictures],
        "left_out": len(details.pictures) - len(pictures),
        "pictured": None if pictured is None else shared.place(asdict(pictured)),
        "colors": shared.place([list(pair) for pair in details.colors]),
    }


def _parts(chart: PartsChart, shared: Shared) -> dict[str, Any]:
    """Values of parts, packed, in the order of the chart; the page sorts them."""

    def packed(name: str) -> str | None:
        values = [getattr(row, name) for row in chart.rows]
        known = any(is_number(value) for value in values)
        return shares([math.nan if value is None else value for value in values]) if known else None

    return {
        "words": shared.place(asdict(chart.words)),
        "names": shared.place([row.name for row in chart.rows]),
        "colors": shared.place([row.color for row in chart.rows]),
        "weight_title": chart.weight,
        **{name: packed(name) for name in ("value", "lower", "upper", "predicted", "weight")},
    }


def _confusion(chart: ConfusionChart, shared: Shared) -> dict[str, Any]:
    """Classes and pairs; names of classes are shared by number."""
    return {
        "total": chart.total,
        "classes": [[shared.place(str(name)), *numbers] for name, *numbers in chart.classes],
        "pairs": [
            [shared.place(str(true)), shared.place(str(other)), *numbers]
            for true, other, *numbers in chart.pairs
        ],
    }


def _packed(cloud: Cloud, count: int) -> dict[str, Any]:
    """A cloud with its arrays as text; `count` is its number of points before any was left out."""
    bounds: Iterable[tuple[str, Any]] = (("lower", cloud.lower), ("upper", cloud.upper))
    return {
        "name": cloud.name,
        "count": count,
        "x": shares(cloud.x),
        "y": shares(cloud.y),
        "episode": file_numbers(cloud.episode),
        "part": None if cloud.part is None else small_numbers(cloud.part),
        **{name: None if values is None else shares(values) for name, values in bounds},
    }
