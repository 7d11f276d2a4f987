"""The learning curve of a forecast, and the classes that it expects to be confused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fewshot.report.charts.base import Axis, Chart, Look, Panel, Trace, Words, categories
from fewshot.report.charts.matrix import Matrix
from fewshot.report.forecast.answer import combination
from fewshot.tasks.classification.forecast.learning_curve import CurvePoint
from fewshot.units import short_percent

if TYPE_CHECKING:
    from fewshot.tasks.classification.forecast.forecast import Forecast

LOOK = Look(color=0, marker=0, width=1.6)
LARGEST, ASPECT = 4.6, 0.62


def curve_chart(best: Forecast, level: float, target: float | None = None) -> Chart:
    """Predicted error by further images of every class, with its interval.

    Parameters
    ----------
    best : Forecast
        Of the combination to take.
    level : float
        Nominal coverage of its intervals.
    target : float, optional
        An error that is drawn as a level.
    """
    points = [CurvePoint(0, best.error, best.lower, best.upper), *best.outlook]
    x = range(len(points))
    whiskers = [(i, 100 * p.lower, 100 * p.upper) for i, p in enumerate(points)]
    trace = Trace("predicted", LOOK, x, [100 * p.error for p in points], whiskers)
    reference = "" if target is None else f"target, {short_percent(target)}"
    words = Words(
        "Learning curve", "more labelled images per class", "predicted error, %",
        reference=reference,
    )  # fmt: skip
    panel = Panel(words.title, [trace], None if target is None else 100 * target)
    top = max(100 * (target or 0), *(upper for _, _, upper in whiskers))
    further = categories([point.more for point in points])
    return Chart(
        combination(best), words, further, Axis((0, 1.08 * top)), [panel],
        [(f"predicted, {short_percent(level)} interval", LOOK)], 1, largest=LARGEST, aspect=ASPECT,
    )  # fmt: skip


def confusion_chart(best: Forecast) -> Matrix | None:
    """Of new images of every class (rows) the share in percent that gets each label (columns)."""
    if best.confusion is None:
        return None
    names = best.confusion.classes
    title = "predicted labels (columns) of new images of each class (rows), in %"
    return Matrix(title, names, names, 100 * best.confusion.shares)
