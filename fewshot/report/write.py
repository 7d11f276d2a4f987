"""The report's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from fewshot.report.figures import draw, draw_one_class, draw_verification
from fewshot.report.html import render_page


def write_report(
    folder: Path, summary: dict[str, Any], episodes: pd.DataFrame, predictions: pd.DataFrame
) -> Path:
    """Write ``report.html`` and the plots, as SVG and PNG, into an existing folder.

    With several data sets or backbones there are plots of each, whose file names end in
    ``_<dataset>-<backbone>-<feature>``.

    Parameters
    ----------
    folder : Path
        Where to.
    summary, episodes, predictions
        As for :func:`fewshot.report.render_report`.

    Returns
    -------
    Path
        Of ``report.html``.
    """
    plots = draw(summary["cells"], episodes, predictions)
    checks = draw_verification(summary["cells"])
    named = draw_one_class(summary["cells"])
    for own in (*plots.values(), *checks.values(), *named.values()):
        for plot in own:
            plot.save(folder)
    path = folder / "report.html"
    page = render_page(summary, episodes, predictions, plots, checks, named)
    path.write_text(page, encoding="utf-8", newline="\n")
    return path
