"""The tables of verification for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from fewshot.report.aligned import aligned, legend, markdown, short, wrapped
from fewshot.report.verification import (
    MEANINGS,
    QUESTION,
    TITLES,
    about,
    entries,
    header,
)
from fewshot.report.wording import Cell, group_cells, head_notes, heading_text, plain

POPULATION = (
    "the 95 % interval of the mean over episodes: other draws from these images of these classes"
)
OTHER = (
    "the same interval for other classes and images; - where every episode has all classes, or "
    "there is one episode"
)


def verification_text(cells: Sequence[Cell]) -> str:
    """A block per data set and backbone, and what the columns are."""
    blocks = [_block(group, rows) for group, rows in group_cells(cells).items()]
    meanings = {TITLES[one]: text for one, text in MEANINGS.items()}
    meanings |= {"±": POPULATION, "classes ±": OTHER}
    return "\n\n".join([*blocks, legend(meanings)])


def _block(group: tuple[str, ...], cells: Sequence[Cell]) -> str:
    texts = [entries(cell, cells) for cell in cells]
    lines = aligned([header(cells), *([short(row[0]), *row[1:]] for row in texts)])
    top = [heading_text(group, cells), *wrapped(f"Verification: {QUESTION}.", ""), about(cells), ""]
    rows = [*top, lines[0], "-" * len(lines[0]), *lines[1:]]
    notes = head_notes(cells)
    if notes:
        rows += ["", "About the heads:"]
    for words, heads in notes.items():
        rows += wrapped(f"  {', '.join(map(plain, heads))}: {words}", "    ")
    return "\n".join(line.rstrip() for line in rows)


def verification_markdown(cells: Sequence[Cell]) -> str:
    """The same numbers as a GitHub-flavoured Markdown table per data set and backbone."""
    blocks = []
    for group, own in group_cells(cells).items():
        titles = header(own)
        lines = [titles, ["---", *["---:"] * (len(titles) - 1)]]
        lines += [[markdown(text) for text in entries(cell, own)] for cell in own]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        blocks.append(
            f"**{markdown(heading_text(group, own))}**, verification, {about(own)}\n\n{table}"
        )
    return "\n\n".join(blocks)
