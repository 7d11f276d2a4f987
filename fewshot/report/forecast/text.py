"""Output of ``fewshot predict``: the answer, then what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fewshot.report.aligned import WIDTH, aligned, ruled, wrapped_to
from fewshot.report.forecast.answer import USUAL, answer, combination, doubt_text
from fewshot.report.forecast.curves import (
    BLOCKS,
    Marks,
    curve_text,
    rise_text,
    unlabelled_curve_text,
)
from fewshot.report.wording import plain
from fewshot.units import counted, percent, rough_percent, short_percent

if TYPE_CHECKING:
    from fewshot.tasks.classification.backbone_scores import BackboneScores
    from fewshot.tasks.classification.forecast.confusion import Confusion
    from fewshot.tasks.classification.forecast.decision import Decision
    from fewshot.tasks.classification.forecast.forecast import Forecast
    from fewshot.tasks.classification.forecast.next_labels import NextLabel
    from fewshot.tasks.classification.forecast.suspects import Suspect
    from fewshot.tasks.classification.forecast.unlabelled import FromUnlabelled

LISTED = 20
CALIBRATED_ON = {"base": "base classes", "datasets": "other data sets"}
SHOWN_CLASSES, SHOWN_PAIRS, SHOWN_SUSPECTS = 8, 5, 10
LEAST_SHARE = 0.02  # of all errors: pairs of classes with less are not listed


def decision_text(
    decision: Decision,
    labels: Sequence[Mapping[str, Any]] = (),
    *,
    width: int = WIDTH,
    marks: Marks = BLOCKS,
) -> str:
    """The answer, what it rests on, and lists of images, a paragraph each.

    Parameters
    ----------
    decision : Decision
    labels : sequence of mapping
        Rows of ``classify``; empty without queries.
    width : int
        Characters per line, where a line can be broken.
    marks : Marks
        Characters of the chart.
    """
    best, level = decision.taken, decision.level
    support = " ".join([_support(decision.sizes), *_unlabelled(best)])
    parts = [answer(decision).text(width), _filled(support, width)]
    parts.append(_table(decision.rows, level, width))
    if best.outlook:
        parts.append(curve_text(best, level, width, marks))
    if best.seen is not None and best.seen.unlabelled_curve:
        parts.append(unlabelled_curve_text(best, best.seen.unlabelled_curve, level, width))
    if best.confusion is not None and (pairs := _pairs(best.confusion, width)):
        parts.append(pairs)
    if decision.suspects:
        parts.append(_suspects(decision.suspects, width))
    if decision.doubt is not None:
        parts.append(_filled(doubt_text(decision.doubt), width))
    if decision.next_labels:
        parts.append(_next_labels(decision.next_labels, best, width))
    if labels:
        parts.append(_labels(labels, best, width))
    notes = (*_skipped(decision.unreadable), *decision.notes)
    about_images = (f"Note: {plain(note)}." for note in notes)
    parts += [_filled(text, width) for text in (*about_images, *_notes(decision))]
    return "\n\n".join(parts)


def scores_text(scores: Sequence[BackboneScores], width: int = WIDTH) -> str:
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
    parts = [_filled(about, width), ruled(aligned(lines))]
    return "\n\n".join([*parts, *(_filled(note, width) for note in sorted(undefined))])


def _filled(text: str, width: int) -> str:
    return "\n".join(wrapped_to(text, width))


def _support(sizes: Mapping[str, int]) -> str:
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
    usual = "" if seen.strangers else f", {USUAL}"
    what = f"{none} of which look like none of the classes{usual}"
    return [f"{counted(seen.unlabelled, 'unlabelled image')}, {what}."]


def _table(rows: Sequence[Forecast], level: float, width: int) -> str:
    """A line per forecast; with unlabelled images the prediction without them is beside it.

    Where the terminal is too narrow for it, what notes and headline say as well is left out.
    """
    columns = {
        "backbone": [plain(row.backbone) for row in rows],
        "head": [plain(row.head) for row in rows],
        "predicted error": [rough_percent(row.error) for row in rows],
        f"{short_percent(level)} interval": [_interval(row.lower, row.upper) for row in rows],
    }
    if any(row.seen is not None for row in rows):
        columns["from the support alone"] = [_alone(row.seen) for row in rows]
    if any(row.calibrated_on != "datasets" for row in rows):  # else a note says so
        columns["calibrated on"] = [CALIBRATED_ON[row.calibrated_on] for row in rows]
    one_backbone = len(set(columns["backbone"])) == 1
    for name in (
        "calibrated on",
        *(["backbone"] if one_backbone else []),
        "from the support alone",
    ):
        if _width(_columns(columns)) > width:
            columns.pop(name, None)
    return _columns(columns)


def _columns(columns: Mapping[str, Sequence[str]]) -> str:
    """A table with all columns left-aligned."""
    lines = [list(columns), *map(list, zip(*columns.values(), strict=True))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ruled(
        [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
    )


def _width(table: str) -> int:
    return max(map(len, table.splitlines()))


def _interval(lower: float, upper: float) -> str:
    return f"{rough_percent(lower)} to {rough_percent(upper)}"


def _alone(seen: FromUnlabelled | None) -> str:
    if seen is None:
        return ""
    interval = _interval(seen.lower_support, seen.upper_support)
    return f"{rough_percent(seen.error_support)} ({interval})"


def _pairs(confusion: Confusion, width: int) -> str:
    """A table of the classes that are confused most, or lines; empty if there are no errors."""
    pairs = [pair for pair in confusion.pairs() if pair.share >= LEAST_SHARE][:SHOWN_PAIRS]
    if not pairs:
        return ""
    title = _filled("Which classes are expected to be confused most:", width)
    rows = [
        (plain(image), plain(label), rough_percent(share), part)
        for pair in pairs
        for image, label, share, part in (
            (pair.first, pair.second, pair.first_as_second, rough_percent(pair.share)),
            (pair.second, pair.first, pair.second_as_first, ""),
        )
    ]
    names = ("new images of", "taken for", "share of them", "of all errors, both ways")
    table = _columns(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    if _width(table) <= width:
        return f"{title}\n\n{table}"
    lines = (f"- {image} taken for {label}: {share}" for image, label, share, _ in rows)
    return "\n".join([title, "", *(row for line in lines for row in wrapped_to(line, width, "  "))])


def _suspects(suspects: Sequence[Suspect], width: int) -> str:
    lines = [
        line
        for suspect in suspects[:SHOWN_SUSPECTS]
        for line in wrapped_to(
            f"  {plain(suspect.file)} (of {plain(suspect.label)}): {plain(suspect.reason)}",
            width, "    ",
        )
    ]  # fmt: skip
    lines += _rest(len(suspects) - SHOWN_SUSPECTS, "--page FILE or --json has all", width)
    return "\n".join(["Labelled images to look at:", *lines])


def _next_labels(images: Sequence[NextLabel], best: Forecast, width: int) -> str:
    """A table of images, or lines where there is no room for it."""
    title = f"Images to label next, with the error of {plain(best.head)} once they are, and all "
    title += "before them:"
    rows = [
        (f"{number}.", plain(image.file), f"{plain(image.likely)} "
         f"({rough_percent(image.probability)})", f"{percent(image.error)} %")
        for number, image in enumerate(images, 1)
    ]  # fmt: skip
    names = ("", "image", "probably", "error then")
    table = _columns(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    if _width(table) > width:
        lines = (f"{number} {file}: {likely}, {error} then" for number, file, likely, error in rows)
        table = "\n".join(row for line in lines for row in wrapped_to(line, width, "   "))
    text = f"{_filled(title, width)}\n\n{table}"
    rise = rise_text([best.error, *(image.error for image in images)])
    return f"{text}\n\n{_filled(rise, width)}" if rise else text


def _labels(labels: Sequence[Mapping[str, Any]], best: Forecast, width: int) -> str:
    """A table of labels with their probabilities, or lines where there is no room for it."""
    rows = [
        (plain(row["file"]), plain(row["label"]), rough_percent(row["probability"]),
         plain(row["runner_up"]))
        for row in labels[:LISTED]
    ]  # fmt: skip
    names = ("image", "label", "probability", "or else")
    table = _columns(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    if _width(table) > width:
        lines = (f"{file}: {label} ({sure}), or {other}" for file, label, sure, other in rows)
        table = "\n".join(row for line in lines for row in wrapped_to(line, width, "  "))
    title = _filled(f"Labels by {combination(best)}:", width)
    rest = _rest(len(labels) - LISTED, "--output FILE or --json has all", width)
    return "\n".join([title, "", table, *rest])


def _rest(more: int, where: str, width: int) -> list[str]:
    return wrapped_to(f"  and {more:,} more; {where}", width, "    ") if more > 0 else []


def _skipped(names: Sequence[str]) -> Iterator[str]:
    """A note with the images that could not be read, if there are any."""
    if names:
        shown = ", ".join(plain(name) for name in names[:SHOWN_CLASSES])
        more = f" and {len(names) - SHOWN_CLASSES} more" * (len(names) > SHOWN_CLASSES)
        yield f"passed over, as unreadable: {shown}{more}"


def _notes(decision: Decision) -> list[str]:
    """Every note once, with the heads and backbones that it concerns unless it concerns all."""
    rows = decision.rows
    several = len({row.backbone for row in rows}) > 1
    return [
        f"Note: {plain(text)}."
        if len(affected) == len(rows)
        else f"Note on {', '.join(_named(row, several) for row in affected)}: {plain(text)}."
        for text, affected in decision.reservations.items()
        if text != decision.taken.note  # the answer states it
    ]


def _named(row: Forecast, with_backbone: bool) -> str:
    return plain(f"{row.head} on {row.backbone}" if with_backbone else row.head)
