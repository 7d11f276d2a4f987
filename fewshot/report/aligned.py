"""Layout of plain text in columns and paragraphs. Standard library only."""

from __future__ import annotations

import shutil
import textwrap

from fewshot.report.wording import plain

WIDTH = 100
NARROWEST = 40
NO_BREAK = "\N{NO-BREAK SPACE}"
LONGEST_NAME = 22
# Of heads: what tells two variants apart stands at the end of the label.
LONGEST_HEAD = 34
GAP = "  "


def aligned(rows: list[list[str]], left_first: bool = True) -> list[str]:
    """Lines of a table whose columns are as wide as their widest entry.

    Columns are right-aligned, the first one left-aligned if `left_first`.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        padded = [text.rjust(width) for text, width in zip(row, widths, strict=True)]
        if left_first:
            padded[0] = row[0].ljust(widths[0])
        lines.append(GAP.join(padded))
    return lines


def ruled(lines: list[str]) -> str:
    """Lines of a table with a rule below the first."""
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def terminal_width() -> int:
    """Characters per line: those of the terminal, from `NARROWEST` to `WIDTH`; without, `WIDTH`."""
    return min(WIDTH, max(NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns))


def wrapped(text: str, indent: str) -> list[str]:
    """`text` in lines as wide as the terminal at most, all but the first one indented."""
    return textwrap.wrap(text, terminal_width(), subsequent_indent=indent, break_long_words=False)


def wrapped_to(text: str, width: int, indent: str = "") -> list[str]:
    """As `wrapped`, to lines of at most `width` characters; names and ``5 %`` stay whole."""
    kept = text.replace(" %", f"{NO_BREAK}%")
    lines = textwrap.wrap(
        kept, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace(f"{NO_BREAK}%", " %") for line in lines]


def legend(meanings: dict[str, str]) -> str:
    """A legend: every name with its meaning beside it, wrapped."""
    width = max(map(len, meanings)) + len(GAP)
    return "\n".join(
        line
        for name, text in meanings.items()
        for line in wrapped(name.ljust(width) + text, " " * width)
    )


def short(name: object, longest: int = LONGEST_NAME) -> str:
    """`name` without control characters, cut to `longest` characters."""
    text = plain(name)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def markdown(text: str) -> str:
    """`text` with the characters escaped that have a meaning in Markdown."""
    for mark in "\\|`*_<[$":
        text = text.replace(mark, f"\\{mark}")
    return text
