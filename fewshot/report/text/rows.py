"""Rows as aligned text, Markdown, CSV or JSON."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pandas as pd

from fewshot.report.aligned import aligned, markdown
from fewshot.report.text.csv_cells import csv_cell
from fewshot.report.wording import plain
from fewshot.units import size

DASH = "-"
PICTURE = re.compile(r"data:image/[a-z+]+;base64,")  # too long to be read


def table_text(rows: pd.DataFrame) -> str:
    """An aligned table, numbers to the right."""
    if not len(rows.columns) or not len(rows):
        return "no rows\n"
    columns = [_column(rows, i) for i in range(len(rows.columns))]
    lines = aligned([list(line) for line in zip(*columns, strict=True)], left_first=False)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _column(rows: pd.DataFrame, place: int) -> list[str]:
    """Title and entries of a column; texts are padded to align them to the left."""
    entries = [plain(rows.columns[place]), *map(_shown, rows.iloc[:, place].tolist())]
    if _numeric(rows.iloc[:, place]):
        return entries
    width = max(map(len, entries))
    return [entry.ljust(width) for entry in entries]


def markdown_text(rows: pd.DataFrame) -> str:
    """A GitHub-flavoured Markdown table."""
    lines = [[markdown(plain(name)) for name in rows.columns]]
    numeric = [_numeric(rows.iloc[:, i]) for i in range(len(rows.columns))]
    lines.append(["---:" if is_numeric else "---" for is_numeric in numeric])
    columns = [map(_shown, rows.iloc[:, i].tolist()) for i in range(len(rows.columns))]
    lines += [list(map(markdown, line)) for line in zip(*columns, strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def csv_text(rows: pd.DataFrame) -> str:
    """Comma-separated values with all digits; lists are written as JSON.

    Texts that a spreadsheet would take for formulas are marked, as `csv_cell` does.
    """
    plain_rows = pd.DataFrame(
        {i: _csv_column(rows.iloc[:, i]) for i in range(len(rows.columns))}, index=rows.index
    )
    plain_rows.columns = pd.Index([csv_cell(str(name)) for name in rows.columns])
    text: str = plain_rows.to_csv(index=False, lineterminator="\n")
    return text


def _csv_column(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):  # the names of millions of rows
        names = column.cat.categories
        return column.cat.rename_categories({name: csv_cell(name) for name in names})
    if _numeric(column) or pd.api.types.is_bool_dtype(column):
        return column
    cells = [
        json.dumps(_json(value), ensure_ascii=False) if _is_list(value) else csv_cell(value)
        for value in column.tolist()
    ]
    return pd.Series(cells, index=column.index, dtype=object)


def json_text(rows: pd.DataFrame) -> str:
    """A JSON list with an object per row, each on a line; missing values are null."""
    columns = [list(map(_json, rows.iloc[:, i].tolist())) for i in range(len(rows.columns))]
    names = [str(name) for name in rows.columns]
    lines = [
        json.dumps(dict(zip(names, line, strict=True)), ensure_ascii=False)
        for line in zip(*columns, strict=True)
    ]
    return "[" + ",\n ".join(lines) + "]\n"


def _numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def _shown(value: Any) -> str:
    """`value` as text, numbers with four decimals, a dash for missing values."""
    if _is_list(value):
        return ", ".join(map(plain, value))
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return DASH
    if isinstance(value, float):
        return f"{value:.4f}" if 1e-3 <= abs(value) < 1e6 or value == 0 else f"{value:.4g}"
    text = plain(value)
    return f"{text[: text.find(',')]} ({size(len(text))})" if PICTURE.match(text) else text


def _json(value: Any) -> Any:
    """`value` in JSON types."""
    if isinstance(value, np.generic):
        value = value.item()
    if _is_list(value):
        return [_json(entry) for entry in value]
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int, bool)) else str(value)


def html_text(rows: pd.DataFrame) -> str:
    """An HTML table for a notebook, numbers with four decimals."""
    shown = pd.DataFrame({str(name): list(map(_shown, rows[name])) for name in rows.columns})
    text: str = shown.to_html(index=False, border=0, escape=True)
    return text
