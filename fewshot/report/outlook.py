"""What ``fewshot predict`` says, in plain words. Standard library only."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fewshot.report.wording import plain

if TYPE_CHECKING:
    from fewshot.tasks.prediction import Forecast

LISTED = 20
WIDTH = 100
SHOWN_CLASSES = 8


def outlook_text(
    rows: Sequence[Forecast], sizes: dict[str, int], level: float, labels: list[dict[str, Any]]
) -> str:
    """Support, forecasts, advice and labels.

    Parameters
    ----------
    rows : sequence of Forecast
        The best first.
    sizes : dict of str to int
        Images per class.
    level : float
        Of the intervals.
    labels : list of dict
        What ``classify`` gave; empty without queries.
    """
    best = rows[0]
    wrapped = (textwrap.fill(text, WIDTH) for text in (_support(sizes), _advice(rows, sizes)))
    support, advice = wrapped
    parts = [support, _table(rows, level), advice]
    doubts = dict.fromkeys(text for row in rows for text in row.warnings)
    parts += [textwrap.fill(f"Note: {plain(text)}.", WIDTH) for text in doubts]
    if best.outlook:
        parts.append(_more(best))
    if labels:
        parts.append(_labels(labels, best))
    return "\n\n".join(parts)


def _support(sizes: dict[str, int]) -> str:
    names = [f"{plain(name)} {count}" for name, count in sizes.items()]
    shown = ", ".join(names[:SHOWN_CLASSES])
    more = len(names) - SHOWN_CLASSES
    total = sum(sizes.values())
    return f"{len(sizes)} classes, {total} images: {shown}{f' and {more} more' * (more > 0)}."


def _table(rows: Sequence[Forecast], level: float) -> str:
    header = ("backbone", "head", "predicted error", f"{_percent(level)} interval", "calibrated on")
    on = {"base": "base classes", "datasets": "other data sets"}
    lines = [
        header,
        *(
            (
                plain(row.backbone),
                plain(row.head),
                _percent(row.error),
                f"{_percent(row.lower)} to {_percent(row.upper)}",
                on[row.calibrated_on],
            )
            for row in rows
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])


def _advice(rows: Sequence[Forecast], sizes: dict[str, int]) -> str:
    best = rows[0]
    if best.note:
        return (
            "These images alone do not show how much those of one class differ, so the numbers "
            f"are no more than an average ({best.note}). Give two images of some class, better "
            "five of each, or other labelled classes with --base."
        )
    text = f"Take {plain(best.head)} on {plain(best.backbone)}: of 100 new images it should get "
    text += f"about {round(100 * best.error)} wrong."
    # A rival inside the half of the interval that faces it may well be the better one.
    near = [row for row in rows[1:] if row.error <= (best.error + best.upper) / 2]
    if near:
        names = ", ".join(f"{plain(row.head)} on {plain(row.backbone)}" for row in near)
        text += f" Too close to tell apart: {names}."
    few = [plain(name) for name, count in sizes.items() if count == 1]
    if few:
        text += f" One image only of {', '.join(few[:5])}: its class is taken to vary as others do."
    return text


def _more(best: Forecast) -> str:
    steps = [
        f"{one.more} more image{'s' * (one.more > 1)} per class: about {_percent(one.error)} "
        f"({_percent(one.lower)} to {_percent(one.upper)})"
        for one in best.outlook
    ]
    return f"With {best.head}, after\n  " + "\n  ".join(steps)


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


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 9.95 or percent < 0.05 else f"{percent:.1f} %"
