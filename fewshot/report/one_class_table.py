"""The tables of one-class tasks for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from fewshot.report.aligned import aligned, legend, markdown, short, wrapped
from fewshot.report.one_class import MEANINGS, QUESTION, RULES, about, entries, header
from fewshot.report.wording import Cell, group_cells, group_text


def one_class_text(cells: Sequence[Cell]) -> str:
    """A block per data set and backbone, and what the columns are."""
    blocks = [_block(group, rows) for group, rows in group_cells(cells).items()]
    heads = dict.fromkeys(cell["head"] for cell in cells)
    meanings = {name: RULES[name] for name in heads if name in RULES}
    return "\n\n".join([*blocks, legend(meanings | MEANINGS)])


def _block(group: tuple[str, ...], cells: Sequence[Cell]) -> str:
    texts = [entries(cell, cells) for cell in cells]
    lines = aligned([header(cells), *([short(row[0]), *row[1:]] for row in texts)])
    top = [group_text(group), *wrapped(f"One-class: {QUESTION}.", ""), about(cells), ""]
    rows = [*top, lines[0], "-" * len(lines[0]), *lines[1:]]
    rows += _fallbacks(cells)
    return "\n".join(line.rstrip() for line in rows)


def _fallbacks(cells: Sequence[Cell]) -> list[str]:
    """How many target classes had no confusers, by source."""
    lines = []
    for cell in cells:
        gone = (cell.get("confusers") or {}).get("fallbacks")
        if gone:
            instead = " or ".join(dict.fromkeys(gone.values()))
            words = f"{cell['source']}: {len(gone)} of {cell['targets']} classes without confusers"
            lines += wrapped(f"  {words}, which took: {instead}", "    ")
    return ["", "Without confusers:", *lines] if lines else []


def one_class_markdown(cells: Sequence[Cell]) -> str:
    """The same numbers as a GitHub-flavoured Markdown table per data set and backbone."""
    blocks = []
    for group, own in group_cells(cells).items():
        titles = header(own)
        lines = [titles, ["---", *["---:"] * (len(titles) - 1)]]
        lines += [[markdown(text) for text in entries(cell, own)] for cell in own]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        blocks.append(f"**{markdown(group_text(group))}**, one-class, {about(own)}\n\n{table}")
    return "\n\n".join(blocks)
