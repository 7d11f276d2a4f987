"""Charts of a forecast as positions, for the page's template to draw.

Across they are in percent of the width, so that a chart fills a phone and a wide window alike with
letters of the same size; down in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fewshot.tasks.classification.forecast.learning_curve import Target
from fewshot.units import short_percent

# Upper ends of axes of errors, and the steps of their ticks.
AXES = (
    (0.05, 0.01), (0.1, 0.02), (0.2, 0.05), (0.3, 0.1), (0.4, 0.1), (0.5, 0.1), (0.6, 0.2),
    (0.8, 0.2), (1.0, 0.25),
)  # fmt: skip
TOP, BOTTOM = 16, 206  # of the curve's panel, in pixels
LEFT, WIDTH = 11.0, 84.0  # of the same, in percent
APART = 9.0  # least distance of labels across, in percent: 30 pixels on a phone
EDGE = 12.0  # a label nearer to an end than this is not centred on its place


class Label(NamedTuple):
    """A text at a place across in percent, and which part of it is there."""

    at: float
    text: str
    anchor: str = "middle"


class Mark(NamedTuple):
    """A value that an error is compared with: `kind` is "target", "limit" or "chance"."""

    kind: str
    at: float
    label: Label


@dataclass(frozen=True)
class ErrorAxis:
    """An axis of errors from 0 to `end`."""

    end: float
    ticks: tuple[float, ...]

    @classmethod
    def up_to(cls, values: Sequence[float]) -> ErrorAxis:
        """The shortest axis with round ticks that has all of the values."""
        most = max(values, default=0.0)
        end, step = next((axis for axis in AXES if axis[0] >= most), AXES[-1])
        return cls(end, tuple(step * k for k in range(round(end / step) + 1)))

    def at(self, value: float) -> float:
        """Place of a value, in percent of the axis."""
        return round(100 * min(max(value / self.end, 0.0), 1.0), 2)

    def labels(self) -> list[Label]:
        """Texts of the ticks, the last with the unit; those at the ends stay within."""
        texts = [short_percent(tick).removesuffix(" %") for tick in self.ticks[:-1]]
        texts.append(short_percent(self.ticks[-1]))
        return [
            label_at(self.at(tick), text, edge=4)
            for tick, text in zip(self.ticks, texts, strict=True)
        ]


FULL = ErrorAxis(1.0, (0.0, 0.25, 0.5, 0.75, 1.0))


def label_at(at: float, text: str, edge: float = EDGE) -> Label:
    """A label that does not stick out of either end."""
    return Label(at, text, "start" if at < edge else "end" if at > 100 - edge else "middle")


def mark(kind: str, words: str, value: float) -> Mark:
    """A mark on the scale from 0 to 100 %; long words stand to the side that has room."""
    at = FULL.at(value)
    text = f"{words} {short_percent(value, 3)}"
    return Mark(kind, at, Label(at, text, "start" if at < 50 else "end"))


class CurveStep(NamedTuple):
    """A point of a curve: `x` in images, the words of its tick, and the error there."""

    x: float
    words: str
    error: float
    lower: float
    upper: float


@dataclass(frozen=True)
class CurveChart:
    """A curve of errors with its band.

    `band`, `line` and `beyond` are paths in a square of 100, which is stretched over the panel.
    """

    axis_x: tuple[Label, ...]
    axis_y: tuple[tuple[float, str], ...]
    band: str
    line: str
    beyond: str
    dots: tuple[tuple[float, float], ...]
    target: float | None
    target_words: str
    reached: tuple[float, float, float] | None
    reached_words: Label | None


def curve_chart(steps: Sequence[CurveStep], target: Target | None = None) -> CurveChart:
    """Chart over the logarithm of images, with the target's line and where the curve meets it.

    Parameters
    ----------
    steps : sequence of CurveStep
        Two or more, from few to many images; `x` > 0.
    target : Target, optional
    """
    aim = None if target is None else target.error
    axis = ErrorAxis.up_to([*(step.upper for step in steps), *([] if aim is None else [aim])])
    reach = _reach(target, steps)
    ends = [steps[0].x, steps[-1].x, *(reach or ())]
    scale = _Scale(min(ends), max(ends), axis)
    points = [scale.box(step.x, step.error) for step in steps]
    upper = [scale.box(step.x, step.upper) for step in steps]
    lower = [scale.box(step.x, step.lower) for step in reversed(steps)]
    beyond = ""
    if reach and aim is not None and reach[1] > steps[-1].x:
        beyond = _path([points[-1], scale.box(reach[1], aim)])
    return CurveChart(
        tuple(_spaced([Label(scale.across(step.x), step.words) for step in steps])),
        tuple((scale.down(tick), short_percent(tick)) for tick in axis.ticks),
        f"{_path([*upper, *lower])}Z",
        _path(points),
        beyond,
        tuple((scale.across(step.x), scale.down(step.error)) for step in steps),
        None if aim is None else scale.down(aim),
        "" if aim is None else f"target {short_percent(aim)}",
        None if reach is None else tuple(map(scale.across, reach)),  # type: ignore[arg-type]
        None
        if target is None or reach is None
        else label_at(scale.across(reach[1]), f"{target.images:,}", edge=14),
    )


class _Scale(NamedTuple):
    """Images from `first` to `last`, on a logarithmic scale, and errors."""

    first: float
    last: float
    errors: ErrorAxis

    def _share(self, x: float) -> float:
        return math.log(x / self.first) / math.log(self.last / self.first)

    def across(self, x: float) -> float:
        return round(LEFT + WIDTH * self._share(x), 2)

    def down(self, error: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * self.errors.at(error) / 100, 1)

    def box(self, x: float, error: float) -> tuple[float, float]:
        return round(100 * self._share(x), 2), round(100 - self.errors.at(error), 2)


def _reach(target: Target | None, steps: Sequence[CurveStep]) -> tuple[float, float, float] | None:
    """Images at which lower bound, curve and upper bound meet the target, ends cut to the chart."""
    if target is None or target.images is None or target.reached:
        return None
    images = float(max(target.images, steps[0].x))
    fewest = steps[0].x if target.fewest is None else max(target.fewest, steps[0].x)
    most = max(images, steps[-1].x)
    # An upper bound that is far away would press the curve into a corner.
    enough = most if target.enough is None else min(target.enough, max(4 * images, most))
    return min(fewest, images), images, max(enough, images)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _spaced(labels: Sequence[Label]) -> list[Label]:
    """Labels without those too close to the one before, or to the last, which always stay."""
    first, *between, last = labels
    kept = [first]
    for label in between:
        if label.at - kept[-1].at >= APART and last.at - label.at >= APART:
            kept.append(label)
    return [*kept, last] if last.at - first.at >= APART else kept
