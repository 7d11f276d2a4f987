"""Figures with the names of their files, one per data set and backbone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from fewshot.report.figures.style import house_style
from fewshot.report.wording import AnyCell, Group, group_cells
from fewshot.tasks.base import dataset_label

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


def plot_each(
    cells: Sequence[AnyCell], kind: str, draw: Callable[..., Figure | None]
) -> list[Plot]:
    """One figure of a kind per data set and backbone, of those for which there is data.

    With several of them the names of the files end in ``_<dataset>-<backbone>-<feature>``.

    Parameters
    ----------
    cells : sequence of dict
    kind : str
    draw : callable
        From the cells of a data set and backbone and ``title`` to a figure, or to None.
    """
    return [
        Plot(f"{kind}{suffix}", kind, figure)
        for group, members, suffix in groups_with_suffixes(cells)
        if (figure := draw(members, title=group.text)) is not None
    ]


def groups_with_suffixes(
    cells: Sequence[AnyCell],
) -> Iterator[tuple[Group, list[AnyCell], str]]:
    """Groups of cells with the suffix of their file names; empty for a single group."""
    groups = group_cells(cells)
    used = set()
    for i, (group, members) in enumerate(groups.items()):
        text = "-".join((dataset_label(members[0]), group.backbone, group.feature))
        # The name of a data set must not lead out of the folder.
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "group"
        name = f"{name}-{i}" if name.lower() in used else name
        used.add(name.lower())
        yield group, members, f"_{name}" if len(groups) > 1 else ""
