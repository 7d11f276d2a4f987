"""How near predicted errors come by the number of unlabelled images: how many are worth taking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple, cast

from fewshot.report.charts.base import COLUMNS, Axis, Chart, Panel, Trace, Words, aside, categories
from fewshot.report.charts.looks import head_look
from fewshot.report.wording import (
    RECOMMENDED,
    SUPPORT_ALONE,
    drawn_kind,
    plain,
    protocol_name,
    protocols_of,
    sees_unlabelled,
    shots_text,
)
from fewshot.tasks.base import head_label
from fewshot.tasks.classification.schema import ClassificationSummary, EstimatorSummary
from fewshot.units import is_number, percent

TITLE, X = "How many unlabelled images are worth taking", "unlabelled images per class"
AT_0 = "at 0 from the shots alone"
WORDS = {
    "mae": Words(
        TITLE, X, "MAE, points",
        f"Mean |predicted - actual| of auto with its interval over episodes, {AT_0}. Every number "
        "has episodes of its own, of the same classes.",
    ),
    "width": Words(
        TITLE, X, "width, points",
        f"Mean width of the prediction intervals of auto, {AT_0}: what is known of a single "
        "episode. Narrow is good only where the coverage is right.",
    ),
}  # fmt: skip
FEWEST = 2  # numbers of unlabelled images, beside none
OFFSET = 0.06


class Line(NamedTuple):
    """What a line stands for; `kind` says how the images were drawn beside their number."""

    head: str
    ways: int
    shots: int
    protocol: str
    kind: str

    @property
    def text(self) -> str:
        """``5 shots``, and how the images were drawn where it is not said elsewhere."""
        return ", ".join(filter(None, [shots_text(self.shots), self.protocol, self.kind]))


# Metrics of `auto` by number of unlabelled images, a row per seed.
Curve = Mapping[int, Sequence[EstimatorSummary]]


def unlabelled_curves(cells: Iterable[ClassificationSummary]) -> dict[Line, Curve]:
    """Metrics of ``auto`` by the number of unlabelled images, in order; 0 is the support alone.

    Lines with fewer than two numbers beside 0 are left out. The value at 0 is that of
    ``auto_support`` on the episodes with the fewest such images, else that of ``auto`` in cells
    without any.
    """
    cells = [cell for cell in cells if _seen(cell) or not cell.get("unlabelled")]
    drawn = [cell for cell in cells if _seen(cell)]
    several = len({drawn_kind(cell) for cell in drawn}) > 1
    protocols = len(protocols_of(drawn)) > 1

    def line_of(cell: ClassificationSummary, kind: str) -> Line:
        protocol = protocol_name(cell.get("protocol")) if protocols else ""
        return Line(head_label(cell), int(cell["ways"]), int(cell["shots"]), protocol, kind)

    curves: dict[Line, dict[int, list[EstimatorSummary]]] = {}
    for cell in drawn:
        rows = curves.setdefault(line_of(cell, drawn_kind(cell) if several else ""), {})
        rows.setdefault(int(cell["unlabelled"] or 0), []).append(cell["estimators"][RECOMMENDED])
    complete: dict[Line, Curve] = {}
    for line, rows in curves.items():
        if len(rows) < FEWEST:
            continue
        alike = [cell for cell in cells if line_of(cell, line.kind) == line]
        alone = _alone(alike, min(rows), line.kind)
        complete[line] = {**({0: alone} if alone else {}), **dict(sorted(rows.items()))}
    return complete


def unlabelled_chart(
    cells: Sequence[ClassificationSummary], measure: str = "mae", title: str = ""
) -> Chart | None:
    """MAE or width of intervals of ``auto`` by the number of unlabelled images per class.

    Parameters
    ----------
    cells : sequence of dict
        Of one data set and backbone. A panel per head and number of ways, a line per number of
        shots; seeds are averaged.
    measure : {"mae", "width"}

    Returns
    -------
    Chart or None
        None without two numbers of unlabelled images.
    """
    curves = unlabelled_curves(cells)
    if not curves:
        return None
    numbers = sorted({number for curve in curves.values() for number in curve})
    texts = list(dict.fromkeys(line.text for line in curves))
    looks = {text: head_look(i) for i, text in enumerate(texts)}
    panels = []
    for head, ways in dict.fromkeys((line.head, line.ways) for line in curves):
        inside = {line: c for line, c in curves.items() if (line.head, line.ways) == (head, ways)}
        traces = [
            _trace(line, curve, measure, numbers, (texts.index(line.text), len(texts)))
            for line, curve in inside.items()
        ]
        traces = [trace for trace in traces if trace.y]
        if traces:
            panels.append(Panel(f"{plain(head)}, {ways}-way", traces))
    if not panels:
        return None
    top = max(1.0, *(_highest(trace) for panel in panels for trace in panel.traces))
    return Chart(title, WORDS[measure], categories(numbers), Axis((0, 1.08 * top)), panels,
                 list(looks.items()), COLUMNS, aspect=0.75)  # fmt: skip


def unlabelled_lines(cells: Iterable[ClassificationSummary]) -> list[str]:
    """A sentence per ways and shots: the MAE of ``auto`` by the number of unlabelled images."""
    sentences = []
    for line, curve in unlabelled_curves(cells).items():
        texts = [
            f"{percent(fmean(values))} " + (f"with {number}" if number else "from the shots alone")
            for number, rows in curve.items()
            if (values := _values(rows, "mae"))
        ]
        where = f"{line.ways}-way, {line.text}, {plain(line.head)}"
        sentences.append(
            f"More unlabelled images per class ({where}): auto is off by {', '.join(texts)}."
        )
    return sentences


def _trace(
    line: Line, curve: Curve, measure: str, numbers: Sequence[int], place: tuple[int, int]
) -> Trace:
    x, y, whiskers = [], [], []
    for number, rows in curve.items():
        values = [100 * value for value in _values(rows, measure)]
        if not values:
            continue
        at = numbers.index(number) + aside(*place, OFFSET)
        x.append(at)
        y.append(fmean(values))
        intervals = [row.get("mae_interval") or {} for row in rows] if measure == "mae" else []
        for interval in intervals:
            lower, upper = interval.get("lower"), interval.get("upper")
            if is_number(lower) and is_number(upper):
                whiskers.append((at, 100 * lower, 100 * upper))
    return Trace(line.text, head_look(place[0]), x, y, whiskers)


def _values(rows: Iterable[EstimatorSummary], measure: str) -> list[float]:
    """Values of a measure where it is defined."""
    values = (cast("float | None", row.get(measure)) for row in rows)
    return [value for value in values if is_number(value)]


def _highest(trace: Trace) -> float:
    return max([*trace.y, *(upper for _, _, upper in trace.whiskers)])


def _seen(cell: ClassificationSummary) -> bool:
    """Whether ``auto`` saw a number of unlabelled images, which are not the queries."""
    row = cell["estimators"].get(RECOMMENDED) or {}
    return isinstance(cell.get("unlabelled"), int) and sees_unlabelled(row)


def _alone(
    cells: Sequence[ClassificationSummary], fewest: int, kind: str
) -> list[EstimatorSummary]:
    """Metrics from the support alone: beside the fewest images, else in cells without any."""
    beside = [
        row
        for cell in cells
        if cell.get("unlabelled") == fewest and (not kind or drawn_kind(cell) == kind)
        if (row := cell["estimators"].get(SUPPORT_ALONE))
    ]
    return beside or [
        row
        for cell in cells
        if not cell.get("unlabelled") and (row := cell["estimators"].get(RECOMMENDED))
    ]
