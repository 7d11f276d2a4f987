"""Cells of runs beside published figures: the same by their keys, and what is not alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from fewshot.results.joining import Store
from fewshot.results.measures import measure_of
from fewshot.results.published import BALANCED, Figure, Measurement
from fewshot.results.schema import JoinedCell, JoinedSummary
from fewshot.units import counted

TASK, MEASURE = "classification", "accuracy"
# The number of draws changes how sure a figure is, not what it is of.
HARMLESS = "draws"
# Kind of the features of a file, of which nobody knows the images.
GIVEN = "given"


@dataclass(frozen=True)
class Beside:
    """A value of one's own beside a published one.

    Attributes
    ----------
    accuracy, half : float
        Per cent and points; None without an interval.
    differs : tuple of str
        Conditions that are not the published ones, as "prompts coop_dtd, published openai_dtd".
    interval : str
        What the interval is over.
    date, version, run : str
        When, by which version, and the folder of the run.
    command : str
        As it was run, or is to be run.
    """

    figure: Figure
    accuracy: float
    half: float | None
    differs: tuple[str, ...]
    interval: str
    date: str
    version: str
    run: str
    command: str

    @property
    def difference(self) -> float:
        """Own value minus the published one, in points."""
        return self.accuracy - cast("float", self.figure.accuracy)

    @property
    def within(self) -> bool | None:
        """Whether the difference is within the 95 % intervals of both and rounding.

        None where conditions other than the number of draws differ, or there is no interval.
        """
        alike = all(text.startswith(f"{HARMLESS} ") for text in self.differs)
        if self.half is None or not alike:
            return None
        rounding = 0.5 * 10.0**-self.figure.source.digits
        return abs(self.difference) <= math.hypot(self.half, self.figure.half or 0) + rounding


def recorded(figures: Sequence[Figure], measured: Sequence[Measurement]) -> list[Beside]:
    """Measurements beside their figures, in the order of `figures`."""
    by_key: dict[tuple[object, ...], list[Measurement]] = {}
    for measurement in measured:
        by_key.setdefault(measurement.key, []).append(measurement)
    return [
        Beside(
            figure, one.accuracy, one.half, tuple(one.differs), one.interval, one.date,
            one.version, "", one.command,
        )
        for figure in figures
        for one in by_key.get(figure.key, [])
    ]  # fmt: skip


def beside(figures: Sequence[Figure], store: Store) -> tuple[list[Beside], list[str]]:
    """Cells of a store beside the figures that they are of.

    A cell is of a figure where head, data set, backbone, protocol and shots are the same, and the
    ways of episodes; whatever else is not alike is said. Means over data sets need a cell of each.

    Returns
    -------
    list of Beside
        In the order of `figures`; one per cell, or per mean.
    list of str
        Means of which some data sets are missing, with how many are there.
    """
    summary = store.summary()
    rows, missing = [], []
    for figure in figures:
        if not figure.parts:
            rows += [_row(figure, cell, summary) for cell in _cells_of(figure, summary)]
            continue
        cells = [(part, _cells_of(part, summary)) for part in figure.parts]
        there = [(part, found[0]) for part, found in cells if found]
        if len(there) == len(figure.parts):
            rows.append(_mean_row(figure, [_row(part, cell, summary) for part, cell in there]))
        elif there:
            shots = counted(figure.shots, "shot")
            label = f"{figure.dataset} of {figure.head} on {figure.backbone}, {shots}"
            missing.append(f"{label} ({figure.name}): {len(there)} of {len(cells)} data sets")
    return rows, missing


def _cells_of(figure: Figure, summary: JoinedSummary) -> list[JoinedCell]:
    wanted = (TASK, figure.head, figure.dataset, figure.backbone, figure.shots)
    return [
        cell
        for cell in summary["cells"]
        if (cell["task"], cell["head"], cell["dataset"], cell["backbone"], cell["shots"]) == wanted
        and figure.source.ways in (None, cell["ways"])
        and figure.source.protocol == (cell.get("protocol") or BALANCED)
    ]


def _row(figure: Figure, cell: JoinedCell, summary: JoinedSummary) -> Beside:
    value = measure_of(cell, MEASURE, "episodes")
    made = summary["made"][cell["run"]]
    half = None if value is None or value.half is None else 100 * value.half
    if half is None and figure.shots == 0:
        half = 0.0  # nothing is drawn: the same images give the same answers
    return Beside(
        figure=figure,
        accuracy=math.nan if value is None else 100 * value.mean,
        half=half,
        differs=_differences(figure, cell, made.get("data") or {}),
        interval="other draws of the shots" if figure.shots else "nothing is drawn",
        date=str(made.get("created") or "")[:10],
        version=str((made.get("environment") or {}).get("fewshot", "")),
        run=made["name"],
        command=figure.command(),
    )


def _differences(figure: Figure, cell: JoinedCell, data: dict[str, Any]) -> tuple[str, ...]:
    """Conditions of a cell that are not those of a figure."""
    conditions = figure.conditions
    templates = ((data.get("text") or {}).get("templates") or {}).get("name", "not known")
    prompts = f"coop_{figure.dataset}" if conditions.prompts == "coop" else conditions.prompts
    given = figure.has_backbone and cell["feature"] == GIVEN
    pairs = {
        "images": (
            "of a file of features" if given else None,
            "the test images" if given else None,
        ),
        "settings": (cell["variant"] or "default", figure.variant or "default"),
        "prompts": (str(templates).partition("@")[0], prompts),
        HARMLESS: (cell.get("episodes"), conditions.draws),
        "queries": (cell.get("queries"), conditions.queries),
    }
    return tuple(
        f"{name} {here}, published {published}"
        for name, (here, published) in pairs.items()
        if published is not None and here != published
    )


def _mean_row(figure: Figure, rows: Sequence[Beside]) -> Beside:
    halves = [row.half for row in rows if row.half is not None]
    # Draws on different data sets are independent.
    half = math.hypot(*halves) / len(rows) if len(halves) == len(rows) else None
    differs = dict.fromkeys(
        text if text.startswith(f"{HARMLESS} ") else f"{row.figure.dataset}: {text}"
        for row in rows
        for text in row.differs
    )
    last = max(rows, key=lambda row: row.date)
    return Beside(
        figure=figure,
        accuracy=math.fsum(row.accuracy for row in rows) / len(rows),
        half=half,
        differs=tuple(differs),
        interval=last.interval,
        date=last.date,
        version=last.version,
        run=f"{len(rows)} cells",
        command=figure.command(),
    )
