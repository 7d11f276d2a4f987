"""Pieces of reStructuredText, for pages that are generated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from textwrap import indent
from typing import Any


def heading(text: str, line: str = "=") -> str:
    """A heading, underlined with `line`."""
    return f"{text}\n{line * len(text)}\n"


def escaped(text: str) -> str:
    """Words without any markup but code in backticks, single or double.

    Examples
    --------
    >>> print(escaped("x_ is `a*b`, {*}"))
    x\\_ is ``a*b``, {\\*}
    """
    parts = re.split(r"(``.+?``|`[^`]+`)", text)
    return "".join(
        _code(part) if number % 2 else re.sub(r"([\\*_|`])", r"\\\1", part)
        for number, part in enumerate(parts)
    )


def _code(text: str) -> str:
    inner = text.strip("`").strip()
    return f"``{inner}``" if inner else ""


def literal(value: Any) -> str:
    """A value as it is written in YAML and on the command line, in code.

    Examples
    --------
    >>> literal(None), literal([1, 5]), literal(True), literal("auto"), literal("")
    ('``null``', '``[1,5]``', '``true``', '``auto``', '``""``')
    """
    if isinstance(value, str) and value:
        return f"``{value}``"
    return f"``{json.dumps(value, ensure_ascii=False, separators=(',', ':'))}``"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a line for each cell, so that cells may hold any markup."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (header, *rows):
        for number, cell in enumerate(row):
            mark = "* -" if number == 0 else "  -"
            lines.append(f"   {mark} {' '.join(cell.split())}".rstrip())
    return "\n".join(lines) + "\n"


def code(text: str, language: str = "text") -> str:
    """A block of code."""
    return f".. code-block:: {language}\n\n{indent(text.rstrip(), '   ')}\n"


def contents(names: Iterable[str]) -> str:
    """A table of contents for the side bar only."""
    return ".. toctree::\n   :hidden:\n\n" + "".join(f"   {name}\n" for name in names)
