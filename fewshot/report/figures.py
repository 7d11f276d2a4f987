"""The plots of every data set and backbone, and their way into files and pages."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from fewshot.report.one_class import of_one_class
from fewshot.report.plots import (
    calibration_curve,
    coverage_vs_nominal,
    error_vs_shots,
    mae_vs_shots,
    predicted_vs_actual,
)
from fewshot.report.plots.one_class import macro_f1_vs_prevalence
from fewshot.report.plots.verification import verification_vs_shots
from fewshot.report.style import house_style
from fewshot.report.svg import inline_svg
from fewshot.report.verification import of_task
from fewshot.report.wording import (
    GROUP,
    Cell,
    display_name,
    group_cells,
    group_text,
    oracle_names,
)

RASTER_DPI = 180
# A third of the time of drawing is spent on making files a tenth smaller.
QUICK = {"compress_level": 1}


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure with its file name (without suffix) and what it shows, in words.

    Attributes
    ----------
    name : str
        Of the file, without suffix.
    kind : str
        Of the plot: one of `KINDS`.
    figure : Figure
    title, description : str
        For those who do not see it.
    """

    name: str
    kind: str
    figure: Figure = field(repr=False)
    title: str
    description: str

    @cached_property
    def svg(self) -> str:
        """The figure as an SVG document without a date, the same for the same data."""
        buffer = io.StringIO()
        with house_style(salt=self.name):
            self.figure.savefig(buffer, format="svg", dpi=RASTER_DPI, metadata={"Date": None})
        return buffer.getvalue()

    @property
    def inline(self) -> Markup:
        """The figure for an HTML page."""
        return Markup(inline_svg(self.svg, self.name, self.title, self.description))

    def save(self, folder: Path) -> None:
        """Write ``<name>.svg`` and ``<name>.png``."""
        (folder / f"{self.name}.svg").write_text(self.svg, encoding="utf-8")
        with house_style(salt=self.name):
            # The version of matplotlib is no property of the picture.
            metadata = {"Software": None}
            self.figure.savefig(
                folder / f"{self.name}.png", dpi=RASTER_DPI, metadata=metadata, pil_kwargs=QUICK
            )


# Title and description of every kind of plot, in the order of the page.
KINDS = {
    "predicted_vs_actual": (
        "Predicted against actual error",
        "One panel per head and estimator, one point per episode. Points on the diagonal were "
        "predicted exactly; above it the error was worse than predicted. A light band shows the "
        "prediction intervals of estimators that have them.",
    ),
    "error_vs_shots": (
        "Error against shots",
        "Mean actual error with its interval and mean predicted error of every estimator, by the "
        "number of shots per class. The table has the numbers.",
    ),
    "mae_vs_shots": (
        "Error of the predictions against shots",
        "Mean of |predicted - actual| of every estimator with its interval, by the number of shots "
        "per class; the constant baseline is a plain line. The table has the numbers.",
    ),
    "calibration_curve": (
        "Calibration",
        "Mean actual against mean predicted error in about ten bins of equally many episodes, a "
        "panel per head and shots, a line per estimator. On the diagonal both are equal.",
    ),
    "coverage_vs_nominal": (
        "Coverage of the prediction intervals",
        "Share of intervals that held the actual error against the share they promise, a panel "
        "per estimator, a line per head and shots. Below the diagonal intervals are too narrow.",
    ),
    "verification_vs_shots": (
        "Verification against shots",
        "Mean AUROC, average precision and false positives at 95 % recall of every head with their "
        "intervals, by the number of shots per class. The table has the numbers.",
    ),
    "macro_f1_vs_prevalence": (
        "One-class tasks against the share of positives",
        "Mean macro F1 of every rule with its interval over classes, by the share of positives, a "
        "panel per source of confusers. The table has the numbers.",
    ),
}
Plots = Mapping[tuple[str, ...], tuple[Plot, ...]]


def draw(
    cells: Iterable[Cell], episodes: pd.DataFrame, predictions: pd.DataFrame
) -> dict[tuple[str, ...], tuple[Plot, ...]]:
    """The plots that have something to show, by (dataset, backbone, feature)."""
    groups = group_cells(of_task(cells, verification=False))
    plots = {}
    for (group, own), suffix in zip(groups.items(), _suffixes(list(groups)), strict=True):
        rows, guesses = _of(episodes, group), _named(_of(predictions, group), oracle_names(own))
        about = group_text(group)
        figures = {
            "predicted_vs_actual": predicted_vs_actual(guesses, title=about),
            "error_vs_shots": error_vs_shots(rows, guesses, title=about),
            "mae_vs_shots": mae_vs_shots(guesses, title=about),
            "calibration_curve": calibration_curve(guesses, title=about),
            "coverage_vs_nominal": coverage_vs_nominal(own, title=about),
        }
        plots[group] = tuple(
            Plot(f"{kind}{suffix}", kind, figure, f"{KINDS[kind][0]}, {about}", KINDS[kind][1])
            for kind, figure in figures.items()
            if figure is not None
        )
    return plots


def draw_verification(cells: Iterable[Cell]) -> dict[tuple[str, ...], tuple[Plot, ...]]:
    """The plot of verification, by (dataset, backbone, feature)."""
    own = of_task(cells, verification=True)
    return _one_each(own, "verification_vs_shots", verification_vs_shots)


def draw_one_class(cells: Iterable[Cell]) -> dict[tuple[str, ...], tuple[Plot, ...]]:
    """The plot of one-class tasks, by (dataset, backbone, feature)."""
    return _one_each(of_one_class(cells), "macro_f1_vs_prevalence", macro_f1_vs_prevalence)


def _one_each(
    cells: Iterable[Cell], kind: str, plot: Callable[..., Figure]
) -> dict[tuple[str, ...], tuple[Plot, ...]]:
    """One plot of a kind per data set and backbone."""
    groups = group_cells(cells)
    plots: dict[tuple[str, ...], tuple[Plot, ...]] = {}
    title, text = KINDS[kind]
    for (group, own), suffix in zip(groups.items(), _suffixes(list(groups)), strict=True):
        about = group_text(group)
        figure = plot(own, title=about)
        plots[group] = (Plot(f"{kind}{suffix}", kind, figure, f"{title}, {about}", text),)
    return plots


def _of(rows: pd.DataFrame, group: tuple[str, ...]) -> pd.DataFrame:
    for name, value in zip(GROUP, group, strict=True):
        rows = rows[rows[name].astype(str) == value]
    return rows


def _named(predictions: pd.DataFrame, told: set[str]) -> pd.DataFrame:
    """Rows with oracles marked as such."""
    names = [display_name(name, name in told) for name in predictions["estimator"]]
    return predictions.assign(estimator=names) if told else predictions


def _suffixes(groups: list[tuple[str, ...]]) -> Iterator[str]:
    """What tells the files of several groups apart: nothing for one."""
    used = set()
    for i, group in enumerate(groups):
        # No name of a data set may lead out of the folder.
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(group)).strip("-.") or "group"
        name = f"{name}-{i}" if name.lower() in used else name
        used.add(name.lower())
        yield f"_{name}" if len(groups) > 1 else ""
