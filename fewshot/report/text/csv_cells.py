"""Cells of CSV files that people open in spreadsheets, which must not take a text for a formula.

After OWASP, "CSV Injection": an apostrophe before the text. What `csv_cell` changed, `from_csv`
changes back.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fewshot.files import atomic_path, writing

# Beginnings of formulas, those that Excel reads in full width, and what it skips before them. A
# text that has apostrophes in front already gets one more, so that none is lost on the way back.
FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def csv_cell(value: Any) -> Any:
    """Return a text that a spreadsheet would run as a formula with an apostrophe in front.

    Numbers stay as they are, also those that are written as text.

    Examples
    --------
    >>> csv_cell("=1+1"), csv_cell("finch"), csv_cell("-0.5"), csv_cell(-0.5)
    ("'=1+1", 'finch', '-0.5', -0.5)
    """
    if not isinstance(value, str) or not FORMULA.match(value) or NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def from_csv(text: str) -> str:
    """Return the text that `csv_cell` was called with.

    Examples
    --------
    >>> from_csv("'=1+1"), from_csv("'tis"), from_csv(csv_cell("'=1+1"))
    ('=1+1', "'tis", "'=1+1")
    """
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def write_csv(
    argument: str, target: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write a CSV file of rows by column; `argument` is for errors."""
    with (
        writing(argument, target),
        atomic_path(target) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
