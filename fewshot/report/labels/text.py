"""Output of ``fewshot classify``: a summary, then a table of the images, the doubtful first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from fewshot.report.aligned import GAP, WIDTH, aligned, ruled, wrapped_to
from fewshot.report.labels.summary import chance_text, model_text, summary
from fewshot.report.wording import plain
from fewshot.tasks.classification.labelling.labels import Label, LabelledImages
from fewshot.units import short_percent

LISTED = 20  # rows of the table unless all are asked for
LISTED_HTML = 50
SHOWN_SET = 3  # classes of a set
NARROWEST_FILE = 24
INDENT = "  "
LOOK, NONE_OF_THESE = "look", "none of these?"


def labels_text(
    labels: LabelledImages,
    rows: Sequence[Label],
    *,
    width: int = WIDTH,
    everything: bool = False,
    sets: bool = False,
    rest: str = "",
) -> str:
    """The summary, a table of the images, and what the labels rest on.

    Parameters
    ----------
    labels : LabelledImages
    rows : sequence of Label
        In the order of the table.
    width : int
        Characters per line, where a line can be broken.
    everything : bool
        Whether all rows are listed.
    sets : bool
        Whether the sets of classes are listed.
    rest : str
        Where those are that are not listed.
    """
    shown = rows if everything else rows[:LISTED]
    parts = [_filled(summary(labels), width)]
    if shown:
        parts.append(_table(shown, width, short_percent(labels.level) if sets else None))
        if (more := len(rows) - len(shown)) > 0:
            parts[-1] += f"\n... and {more:,} more{f'; {rest}' * bool(rest)}"
    parts.append(_filled(model_text(labels.model), width))
    return "\n\n".join(filter(None, parts))


def _filled(text: str, width: int, indent: str = "") -> str:
    return "\n".join(wrapped_to(text, width, indent))


def _table(rows: Sequence[Label], width: int, level: str | None) -> str:
    """An aligned table; files are cut at the left where they are too long for the line.

    Where that does not help, a paragraph per image.
    """
    columns = _columns(rows, level)
    others = sum(max(map(len, column)) + len(GAP) for column in columns[1:])
    room = width - others
    if room < min(NARROWEST_FILE, max(map(len, columns[0]))):
        return "\n".join(_filled(_sentence(row, level), width, INDENT) for row in rows)
    columns[0] = [_ending(text, room) for text in columns[0]]
    lines = aligned([list(line) for line in zip(*columns, strict=True)])
    return ruled([line.rstrip() for line in lines])


def _sentence(row: Label, level: str | None) -> str:
    """``crab.jpg: crab 41 % (or lobster 33 %), look``."""
    text = f"{plain(row.file)}: {plain(row.label)} {chance_text(row.probability)}"
    parts = [f"{text} (or {runner_up_text(row)})"]
    parts += [f"{level} set: {set_text(row)}"] if level else []
    return ", ".join([*parts, *([mark] if (mark := mark_of(row)) else [])])


def _columns(rows: Sequence[Label], level: str | None) -> list[list[str]]:
    """Title and entries of every column; texts are padded so that they are aligned to the left."""
    columns = [
        ["file", *(plain(row.file) for row in rows)],
        _left(["label", *(plain(row.label) for row in rows)]),
        ["probability", *(chance_text(row.probability) for row in rows)],
        _left(["runner-up", *(runner_up_text(row) for row in rows)]),
    ]
    if level is not None:
        columns.append(_left([f"{level} set", *(set_text(row) for row in rows)]))
    if any(row.look for row in rows):
        columns.append(_left(["", *(mark_of(row) for row in rows)]))
    return columns


def _left(entries: list[str]) -> list[str]:
    width = max(map(len, entries))
    return [entry.ljust(width) for entry in entries]


def _ending(text: str, room: int) -> str:
    """The end of a path: the name of the file tells more than the folders above it."""
    return text if len(text) <= room else f"…{text[-(room - 1) :]}"


def runner_up_text(row: Label) -> str:
    """``lobster 33 %``."""
    return f"{plain(row.runner_up)} {chance_text(row.runner_up_probability)}"


def set_text(row: Label) -> str:
    """``crab, lobster``; ``ant, crab, lobster + 2``."""
    shown = ", ".join(map(plain, row.classes[:SHOWN_SET]))
    more = len(row.classes) - SHOWN_SET
    return f"{shown} + {more}" if more > 0 else shown


def mark_of(row: Label) -> str:
    """What to do about an image; empty where there is nothing to do."""
    return NONE_OF_THESE if row.none_of_these else LOOK if row.look else ""


def labels_html(labels: LabelledImages) -> str:
    """The summary and a table of the most doubtful images, for a notebook."""
    rows = labels.doubtful[:LISTED_HTML]
    titles = ("file", "label", "probability", "runner-up", "")
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    more = len(labels) - len(rows)
    rest = f"<p>... and {more:,} more, in <code>.table</code></p>" if more > 0 else ""
    return (
        f"<p>{escape(summary(labels))}</p><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>{rest}"
    )


def _cells(row: Label) -> str:
    texts = (
        plain(row.file),
        plain(row.label),
        chance_text(row.probability),
        runner_up_text(row),
        mark_of(row),
    )
    return "".join(f"<td>{escape(text)}</td>" for text in texts)
