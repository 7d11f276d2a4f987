"""Output of ``fewshot predict`` as text. Standard library only."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fewshot.report.aligned import WIDTH, aligned
from fewshot.report.wording import plain
from fewshot.units import counted, rough_percent

if TYPE_CHECKING:
    from fewshot.tasks.classification.backbone_scores import BackboneScores
    from fewshot.tasks.classification.forecast.forecast import Forecast
    from fewshot.tasks.classification.forecast.unlabelled import FromUnlabelled, UnlabelledPoint

LISTED = 20
SHOWN_CLASSES = 8
WORTH = 0.1  # of the interval's width: a smaller change is not worth further images


def outlook_text(
    rows: Sequence[Forecast],
    sizes: dict[str, int],
    level: float,
    labels: list[dict[str, Any]],
    skipped: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """Text with the support, forecasts, advice, notes, curves and labels.

    Parameters
    ----------
    rows : sequence of Forecast
        Forecasts, the best first.
    sizes : dict of str to int
        Images per class.
    level : float
        Nominal coverage of the intervals.
    labels : list of dict
        Rows of ``classify``; empty without queries.
    skipped : sequence of str
        Images that could not be read.
    notes : sequence of str
        What was left out of the unlabelled images.
    """
    best = rows[0]
    support = " ".join([_support(sizes), *_unlabelled(best)])
    parts = [textwrap.fill(support, WIDTH), _table(rows, level)]
    about_images = (f"Note: {plain(note)}." for note in notes)
    texts = (_advice(rows), *_skipped(skipped), *about_images, *_notes(rows))
    parts += [textwrap.fill(text, WIDTH) for text in texts]
    if best.outlook:
        parts.append(_more(best))
    if best.seen is not None and best.seen.unlabelled_curve:
        parts.append(_unlabelled_curve(best, best.seen.unlabelled_curve, level))
    if labels:
        parts.append(_labels(labels, best))
    return "\n\n".join(parts)


def scores_text(scores: Sequence[BackboneScores]) -> str:
    """Table of the transferability scores of the backbones, and why some are undefined."""
    names = list(scores[0].scores)
    lines = [["backbone", *names]]
    for entry in scores:
        values = (entry.scores[name] for name in names)
        lines.append([plain(entry.backbone), *("-" if v is None else f"{v:.4g}" for v in values)])
    about = (
        "Scores of the backbones, whatever the head; the larger the better. They are no errors, "
    )
    about += "and are to be compared between backbones on the same images only."
    undefined = {
        f"Note: no {name} of {plain(entry.backbone)}: {reason}."
        if len(scores) > 1
        else f"Note: no {name}: {reason}."
        for entry in scores
        for name, reason in entry.reasons.items()
    }
    parts = [textwrap.fill(about, WIDTH), _ruled(aligned(lines))]
    return "\n\n".join([*parts, *(textwrap.fill(note, WIDTH) for note in sorted(undefined))])


def _support(sizes: dict[str, int]) -> str:
    names = [f"{plain(name)} {count}" for name, count in sizes.items()]
    shown = ", ".join(names[:SHOWN_CLASSES])
    more = len(names) - SHOWN_CLASSES
    total = sum(sizes.values())
    return f"{len(sizes)} classes, {total} images: {shown}{f' and {more} more' * (more > 0)}."


def _unlabelled(best: Forecast) -> list[str]:
    """A sentence on the unlabelled images that the best forecast rests on."""
    seen = best.seen
    if seen is None or seen.outside is None:
        return []
    none = f"about {round(seen.outside * seen.unlabelled):,} ({rough_percent(seen.outside)})"
    # Where it is more, a reservation of the prediction says so.
    usual = "" if seen.strangers else ", as is usual"
    what = f"{none} of which look like none of the classes{usual}"
    return [f"{counted(seen.unlabelled, 'unlabelled image')}, {what}."]


def _table(rows: Sequence[Forecast], level: float) -> str:
    """A line per forecast; with unlabelled images the prediction without them is beside it."""
    interval = f"{rough_percent(level)} interval"
    with_unlabelled = any(row.seen is not None for row in rows)
    beside = ("from the support alone",) if with_unlabelled else ()
    header = ("backbone", "head", "predicted error", interval, *beside, "calibrated on")
    on = {"base": "base classes", "datasets": "other data sets"}
    lines = [
        header,
        *(
            (
                plain(row.backbone),
                plain(row.head),
                *_error(row.error, row.lower, row.upper),
                *_alone(row.seen),
                on[row.calibrated_on],
            )
            for row in rows
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return _ruled(
        [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
    )


def _error(error: float, lower: float, upper: float) -> tuple[str, str]:
    return rough_percent(error), f"{rough_percent(lower)} to {rough_percent(upper)}"


def _alone(seen: FromUnlabelled | None) -> tuple[str, ...]:
    if seen is None:
        return ()
    error, interval = _error(seen.error_support, seen.lower_support, seen.upper_support)
    return (f"{error} ({interval})",)


def _ruled(lines: list[str]) -> str:
    """Lines of a table with a rule below the first."""
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _skipped(names: Sequence[str]) -> list[str]:
    """A note with the images that could not be read; empty if all could."""
    if not names:
        return []
    shown = ", ".join(plain(name) for name in names[:SHOWN_CLASSES])
    more = f" and {len(names) - SHOWN_CLASSES} more" * (len(names) > SHOWN_CLASSES)
    return [f"Note: passed over, as unreadable: {shown}{more}."]


def _notes(rows: Sequence[Forecast]) -> list[str]:
    """Every note once, with the heads and backbones that it concerns unless it concerns all."""
    about: dict[str, list[Forecast]] = {}
    for row in rows:
        # The advice states the note of the best forecast.
        note = [row.note] if row.note and not rows[0].note else []
        for text in dict.fromkeys([*note, *row.warnings]):
            about.setdefault(text, []).append(row)
    several = len({row.backbone for row in rows}) > 1
    return [
        f"Note: {plain(text)}."
        if len(affected) == len(rows)
        else f"Note on {', '.join(_named(row, several) for row in affected)}: {plain(text)}."
        for text, affected in about.items()
    ]


def _named(row: Forecast, with_backbone: bool) -> str:
    return plain(f"{row.head} on {row.backbone}" if with_backbone else row.head)


def _advice(rows: Sequence[Forecast]) -> str:
    best = rows[0]
    if best.note:
        return (
            "These images alone do not show how much those of one class differ, so the numbers "
            f"are no more than an average ({best.note}). Give two images of some class, better "
            "five of each, or other labelled classes with --base."
        )
    text = f"Take {plain(best.head)} on {plain(best.backbone)}: of 100 new images it should get "
    text += f"about {round(100 * best.error)} wrong."
    # Forecasts below the middle of the best one's error and upper bound are not clearly worse.
    near = [row for row in rows[1:] if row.error <= (best.error + best.upper) / 2]
    if near:
        names = ", ".join(f"{plain(row.head)} on {plain(row.backbone)}" for row in near)
        text += f" Too close to tell apart: {names}."
    return text


def _more(best: Forecast) -> str:
    steps = [
        f"{counted(step.more, 'more image')} per class: about {rough_percent(step.error)} "
        f"({rough_percent(step.lower)} to {rough_percent(step.upper)})"
        for step in best.outlook
    ]
    return f"With {best.head}, after\n  " + "\n  ".join(steps)


def _unlabelled_curve(best: Forecast, points: Sequence[UnlabelledPoint], level: float) -> str:
    """A table of predictions from fewer unlabelled images, and how many are worth taking."""
    lines = [
        ["per class", "images", "predicted error", f"{rough_percent(level)} interval", "its width"]
    ]
    for point in points:
        error, interval = _error(point.error, point.lower, point.upper)
        width = rough_percent(point.width).removesuffix(" %")
        lines.append([f"{point.per_class:.3g}", f"{point.images:,}", error, interval, width])
    first = f"With {plain(best.head)}, from fewer of the unlabelled images, on average over random "
    first += "subsets:"
    return "\n\n".join(
        [
            f"{textwrap.fill(first, WIDTH)}\n\n{_ruled(aligned(lines))}",
            textwrap.fill(_worth(points), WIDTH),
        ]
    )


def _worth(points: Sequence[UnlabelledPoint]) -> str:
    """From which number on further images change little, against the interval of all."""
    alone, *others = points
    last = others[-1]
    if last.width > (1 - WORTH) * alone.width:
        return "Unlabelled images narrow the interval by less than a tenth here."

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


def _labels(labels: list[dict[str, Any]], best: Forecast) -> str:
    names = [plain(row["file"]) for row in labels[:LISTED]]
    width = max(map(len, names))
    lines = [
        f"  {name.ljust(width)}  {plain(row['label'])}  (or {plain(row['runner_up'])})"
        for name, row in zip(names, labels, strict=False)
    ]
    more = len(labels) - LISTED
    if more > 0:
        lines.append(f"  and {more} more; --output FILE or --json has all")
    return "\n".join([f"Labels by {best.head} on {best.backbone}:", *lines])
