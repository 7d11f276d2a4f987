"""The report's files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fewshot.report.html import render_report

# The end of a run is not to wait for pictures: some seven hundred of them, in a second or two.
THUMBNAIL_BYTES = 1_000_000


def write_report(
    folder: Path,
    summary: dict[str, Any],
    episodes: pd.DataFrame,
    predictions: pd.DataFrame,
    figures: Sequence[str] = (),
) -> Path:
    """Write ``report.html`` and, on request, figures for papers into an existing run folder.

    Parameters
    ----------
    folder : Path
        With what a run writes before, if it did: file names of the shots are read from there.
    summary, episodes, predictions
        As for :func:`fewshot.report.render_report`.
    figures : sequence of {"svg", "pdf", "png"}
        Formats of the figures; none by default.

    Returns
    -------
    Path
        Of ``report.html``.
    """
    path = folder / "report.html"
    page = render_report(summary, episodes, predictions, [folder], thumbnail_bytes=THUMBNAIL_BYTES)
    path.write_text(page, encoding="utf-8", newline="\n")
    if figures:
        from fewshot.report.figures import write_figures

        write_figures(folder, summary["cells"], episodes, predictions, figures)
    return path
