"""Draw the figures for papers, per data set and backbone and over all, and write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from fewshot.report.figures import (
    calibration_curve,
    coverage_vs_nominal,
    error_vs_shots,
    mae_vs_shots,
    predicted_vs_actual,
)
from fewshot.report.figures.joint import joint_figures
from fewshot.report.figures.one_class import macro_f1_vs_prevalence
from fewshot.report.figures.style import house_style
from fewshot.report.figures.verification import verification_vs_shots
from fewshot.report.tasks.one_class import of_one_class
from fewshot.report.tasks.verification import of_task
from fewshot.report.wording import (
    GROUP,
    Cell,
    display_name,
    group_cells,
    group_text,
    oracle_names,
)

RASTER_DPI = 180
# No dates or versions of matplotlib, so that equal figures are equal files. A stronger compression
# of PNG files would save a tenth of their size and take a third of the time of drawing.
OPTIONS: dict[str, dict[str, Any]] = {
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None, "Producer": None, "Creator": None}},
    "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 1}},
}


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure with its kind and the name of its files, without suffix."""

    name: str
    kind: str
    figure: Figure = field(repr=False)

    def save(self, folder: Path, formats: Sequence[str]) -> list[Path]:
        """Write ``<name>.<format>`` for each format, identical for identical data."""
        paths = [folder / f"{self.name}.{suffix}" for suffix in formats]
        for path, suffix in zip(paths, formats, strict=True):
            with house_style(salt=self.name):
                self.figure.savefig(path, format=suffix, dpi=RASTER_DPI, **OPTIONS[suffix])
        return paths


def write_figures(
    folder: Path,
    cells: Iterable[Cell],
    episodes: pd.DataFrame,
    predictions: pd.DataFrame,
    formats: Sequence[str],
) -> list[Path]:
    """Draw all figures for which there is data, and write them into `folder`.

    With several data sets or backbones the names of the files end in
    ``_<dataset>-<backbone>-<feature>``.

    Parameters
    ----------
    folder : Path
        An existing folder.
    cells, episodes, predictions
        As for :func:`fewshot.report.render_report`.
    formats : sequence of {"svg", "pdf", "png"}
    """
    cells = list(cells)
    plots = [*draw(cells, episodes, predictions), *draw_verification(cells), *draw_one_class(cells)]
    plots += [Plot(name, name, figure) for name, figure in joint_figures(cells).items()]
    return [path for plot in plots for path in plot.save(folder, formats)]


def draw(cells: Iterable[Cell], episodes: pd.DataFrame, predictions: pd.DataFrame) -> list[Plot]:
    """The figures of classification for which there is data."""
    groups = group_cells(of_task(cells, verification=False))
    plots = []
    for (group, members), suffix in zip(groups.items(), _suffixes(list(groups)), strict=True):
        rows, guesses = (
            _of(episodes, group),
            _named(_of(predictions, group), oracle_names(members)),
        )
        about = group_text(group)
        figures = {
            "predicted_vs_actual": predicted_vs_actual(guesses, title=about),
            "error_vs_shots": error_vs_shots(rows, guesses, title=about),
            "mae_vs_shots": mae_vs_shots(guesses, title=about),
            "calibration_curve": calibration_curve(guesses, title=about),
            "coverage_vs_nominal": coverage_vs_nominal(members, title=about),
        }
        plots += [
            Plot(f"{kind}{suffix}", kind, figure)
            for kind, figure in figures.items()
            if figure is not None
        ]
    return plots


def draw_verification(cells: Iterable[Cell]) -> list[Plot]:
    """The figure of verification of each data set and backbone."""
    verification = of_task(cells, verification=True)
    return _one_each(verification, "verification_vs_shots", verification_vs_shots)


def draw_one_class(cells: Iterable[Cell]) -> list[Plot]:
    """The figure of one-class tasks of each data set and backbone."""
    return _one_each(of_one_class(cells), "macro_f1_vs_prevalence", macro_f1_vs_prevalence)


def _one_each(cells: Iterable[Cell], kind: str, plot: Callable[..., Figure]) -> list[Plot]:
    """One figure of a kind per data set and backbone."""
    groups = group_cells(cells)
    return [
        Plot(f"{kind}{suffix}", kind, plot(members, title=group_text(group)))
        for (group, members), suffix in zip(groups.items(), _suffixes(list(groups)), strict=True)
    ]


def _of(rows: pd.DataFrame, group: tuple[str, ...]) -> pd.DataFrame:
    for name, value in zip(GROUP, group, strict=True):
        rows = rows[rows[name].astype(str) == value]
    return rows


def _named(predictions: pd.DataFrame, oracles: set[str]) -> pd.DataFrame:
    """Predictions with the names of oracles marked."""
    names = [display_name(str(name), name in oracles) for name in predictions["estimator"]]
    return predictions.assign(estimator=names) if oracles else predictions


def _suffixes(groups: list[tuple[str, ...]]) -> Iterator[str]:
    """Suffixes of the file names of several groups; empty for a single group."""
    used = set()
    for i, group in enumerate(groups):
        # The name of a data set must not lead out of the folder.
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(group)).strip("-.") or "group"
        name = f"{name}-{i}" if name.lower() in used else name
        used.add(name.lower())
        yield f"_{name}" if len(groups) > 1 else ""
