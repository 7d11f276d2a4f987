"""What more images would bring, in plain text: with labels as a chart, without as a table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, NamedTuple

from fewshot.report.aligned import WIDTH, aligned, ruled, wrapped_to
from fewshot.report.forecast.answer import combination
from fewshot.report.wording import plain
from fewshot.tasks.classification.forecast.learning_curve import CurvePoint
from fewshot.units import counted, percent, rough_percent, short_percent

if TYPE_CHECKING:
    from fewshot.tasks.classification.forecast.forecast import Forecast
    from fewshot.tasks.classification.forecast.unlabelled import UnlabelledPoint

WORTH = 0.1  # of the interval's width: a smaller change is not worth further images
CHART, LEAST = 40, 12  # characters of a chart, at most and at least
NARROW = 60  # characters per line up to which words are left out
GAP = "  "


class Marks(NamedTuple):
    """Characters of a chart."""

    lower: str
    line: str
    error: str
    upper: str


BLOCKS, ASCII = Marks("├", "─", "●", "┤"), Marks("|", "-", "o", "|")


def marks_for(encoding: str | None) -> Marks:
    """Characters that this encoding has."""
    try:
        "".join(BLOCKS).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def curve_text(best: Forecast, level: float, width: int = WIDTH, marks: Marks = BLOCKS) -> str:
    """Errors after further images, a line each, with a chart where there is room for it."""
    points = [CurvePoint(0, best.error, best.lower, best.upper), *best.outlook]
    lines = _in_words(points, short=width <= NARROW)
    used = max(map(len, lines))
    if bars := _chart(points, min(CHART, width - used - 2 * len(GAP)), marks):
        lines = [
            f"{line.ljust(used)}{GAP}{bar}" for line, bar in zip_longest(lines, bars, fillvalue="")
        ]
    title = f"Predicted error of {combination(best)}, with its {short_percent(level)} interval:"
    return "\n".join([*wrapped_to(title, width), "", *(f"{GAP}{line}".rstrip() for line in lines)])


def _in_words(points: Sequence[CurvePoint], short: bool) -> list[str]:
    """``1 more image per class: about 25 % (9 % to 55 %)``, aligned at the colon."""
    names = ["now" if short else "as it is"]
    for point in points[1:]:
        more = f"+{point.more:,}" if short else counted(point.more, "more image")
        names.append(f"{more} per class")
    longest, about = max(map(len, names)), "" if short else "about "
    return [
        f"{name.rjust(longest)}: {about}{rough_percent(point.error)} "
        f"({rough_percent(point.lower)} to {rough_percent(point.upper)})"
        for name, point in zip(names, points, strict=True)
    ]


def _chart(points: Sequence[CurvePoint], room: int, marks: Marks) -> list[str]:
    """A bar per point and the scale below them; empty if there is not room enough."""
    top = max(point.upper for point in points)
    if room < LEAST or top <= 0:
        return []
    bars = [_bar((p.lower / top, p.error / top, p.upper / top), room, marks) for p in points]
    return [*bars, "0 %" + rough_percent(top).rjust(room - len("0 %"))]


def _bar(bounds: tuple[float, float, float], room: int, marks: Marks) -> str:
    """An interval and the value in it, shares of `room` characters."""
    first, middle, last = (round(share * (room - 1)) for share in bounds)
    cells = [" "] * room
    cells[first : last + 1] = marks.line * (last + 1 - first)
    cells[first], cells[last] = marks.lower, marks.upper
    cells[middle] = marks.error
    return "".join(cells)


def rise_text(errors: Sequence[float]) -> str:
    """Why errors rise with labels, empty where none does in the digits that are shown."""
    shown = [float(percent(error)) for error in errors]
    if not any(after > before for before, after in pairwise(shown)):
        return ""
    return (
        "Where the error rises, a class has got an image that the others have not; it falls again "
        "when they get theirs."
    )


def unlabelled_curve_text(
    best: Forecast, points: Sequence[UnlabelledPoint], level: float, width: int = WIDTH
) -> str:
    """A table of predictions from fewer unlabelled images, and how many are worth taking."""
    interval = f"{short_percent(level)} interval"
    lines = [["per class", "images", "predicted error", interval, "its width"]]
    for point in points:
        bounds = f"{rough_percent(point.lower)} to {rough_percent(point.upper)}"
        lines.append([
            f"{point.per_class:.3g}", f"{point.images:,}", rough_percent(point.error), bounds,
            rough_percent(point.width).removesuffix(" %"),
        ])  # fmt: skip
    if max(map(len, aligned(lines))) > width:
        lines = [["per class", "error", interval], *([line[0], *line[2:4]] for line in lines[1:])]
    first = f"With {plain(best.head)}, from fewer of the unlabelled images, on average over random "
    first += "subsets:"
    blocks = [wrapped_to(first, width), [ruled(aligned(lines))], wrapped_to(_worth(points), width)]
    return "\n\n".join("\n".join(block) for block in blocks)


def _worth(points: Sequence[UnlabelledPoint]) -> str:
    """From which number on further images change little, against the interval of all."""
    alone, *others = points
    last = others[-1]
    if last.width > (1 - WORTH) * alone.width:
        before, after = rough_percent(alone.error), rough_percent(last.error)
        if before == after:
            return "Unlabelled images narrow the interval by less than a tenth here."
        return (
            f"The unlabelled images take the prediction from {before} to {after}, and narrow its "
            "interval by less than a tenth."
        )

    def is_near(point: UnlabelledPoint) -> bool:
        change = max(abs(point.error - last.error), abs(point.width - last.width))
        return change <= WORTH * last.width

    enough = last
    for point in reversed(others):
        if not is_near(point):
            break
        enough = point
    if enough is last:
        return "More unlabelled images than these may sharpen the prediction further."
    return (
        f"About {enough.per_class:.3g} unlabelled images per class are worth taking: further ones "
        "change error and interval by less than a tenth of the interval."
    )
