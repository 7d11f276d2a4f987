"""One page with everything, which opens without a network."""

from __future__ import annotations

from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fewshot.report.context import (
    CARDS,
    card,
    comparison_table,
    facts,
    headline_cell,
    setting_rows,
    table_rows,
    worst_episodes,
)
from fewshot.report.figures import KINDS, Plots, draw, draw_one_class, draw_verification
from fewshot.report.left_out import left_out_text
from fewshot.report.one_class import sections_of as one_class_sections
from fewshot.report.verification import of_task, sections_of
from fewshot.report.wording import (
    ORACLE_MARK,
    Cell,
    fallback_notes,
    group_cells,
    group_text,
    interval_levels_text,
    level_text,
    missing_notes,
    oracle_names,
    plain,
    protocol_text,
    queries_text,
)


def render_report(
    summary: dict[str, Any], episodes: pd.DataFrame, predictions: pd.DataFrame
) -> str:
    """A run as one self-contained HTML page: no script, no request, the same for the same run.

    Parameters
    ----------
    summary : dict
        As in ``summary.json``.
    episodes, predictions : DataFrame
        Columns of ``EPISODE_COLUMNS`` and ``PREDICTION_COLUMNS``.
    """
    cells = summary["cells"]
    plots = draw(cells, episodes, predictions)
    others = draw_verification(cells), draw_one_class(cells)
    return render_page(summary, episodes, predictions, plots, *others)


def render_page(
    summary: dict[str, Any],
    episodes: pd.DataFrame,
    predictions: pd.DataFrame,
    plots: Plots,
    verification_plots: Plots | None = None,
    one_class_plots: Plots | None = None,
) -> str:
    """`render_report` with plots that have been drawn before."""
    cells = of_task(summary["cells"], verification=False)
    sections = []
    for group, rows in group_cells(cells).items():
        headline = headline_cell(rows)
        sections.append(
            {
                "title": group_text(group),
                "protocol": protocol_text(rows),
                "seeds": len({cell["seed"] for cell in rows}),
                "cards": [card(cell) for cell in rows[:CARDS]],
                "cards_left": max(0, len(rows) - CARDS),
                "plots": plots.get(group, ()),
                "queries": queries_text(rows),
                "rows": [(card(cell), table_rows(cell)) for cell in rows],
                "comparisons": _comparisons(rows),
                "missing": missing_notes(rows),
                "fallbacks": fallback_notes(rows),
                "intervals": interval_levels_text(rows),
                "oracles": bool(oracle_names(rows)),
                "worst": worst_episodes(headline, episodes, predictions) if headline else [],
                "headline": card(headline) if headline else None,
            }
        )
    page = (
        _environment()
        .get_template("template.html.j2")
        .render(
            title=_title(summary["cells"]),
            summary=summary,
            sections=sections,
            verification=sections_of(summary["cells"], verification_plots or {}),
            one_class=one_class_sections(summary["cells"], one_class_plots or {}),
            level=level_text(cells),
            intervals=interval_levels_text(cells),
            oracles=bool(oracle_names(cells)),
            kinds=KINDS,
            mark=ORACLE_MARK,
            settings=setting_rows(summary["cells"]),
            left_out=left_out_text(summary.get("left_out") or []),
            data=list(facts(summary.get("data") or {})),
            environment=list(facts(summary.get("environment") or {})),
        )
    )
    return page


def _comparisons(cells: list[Cell]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    tables = ((card(cell), comparison_table(cell)) for cell in cells)
    return [(about, table) for about, table in tables if table]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("fewshot.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment


def _harmless(value: Any) -> Any:
    """Names without characters that reorder a line or cannot be encoded."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _title(cells: list[dict[str, Any]]) -> str:
    names = (dict.fromkeys(plain(cell[kind]) for cell in cells) for kind in ("dataset", "backbone"))
    return " with ".join(", ".join(kind) for kind in names)
