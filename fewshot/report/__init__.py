"""Reports of results: tables and sentences as text, figures, and the HTML page.

Functions are imported on first use: the table needs neither matplotlib nor pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewshot.report.payload.html import render_report
    from fewshot.report.text.table import markdown_table, summary_table
    from fewshot.report.write import read_report, write_report

__all__ = ["markdown_table", "read_report", "render_report", "summary_table", "write_report"]

_HOME = {
    "markdown_table": "text.table",
    "read_report": "write",
    "render_report": "payload.html",
    "summary_table": "text.table",
    "write_report": "write",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
