"""The critical difference diagram of Demsar (2006)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fewshot.report.charts.ranks import joined, verdict
from fewshot.report.comparison.ranks import Ranking
from fewshot.report.figures.style import GREY, INK, ShownFigure, house_style
from fewshot.report.wording import plain

WIDTH, ROW, LETTER = 6.5, 0.24, 0.085
SHOWN = 24


def rank_diagram(ranks: Ranking) -> Figure:
    """Mean ranks on an axis, 1 the best; a bar joins ranks within the critical difference.

    Parameters
    ----------
    ranks : mapping
        As from `fewshot.report.comparison.ranks.ranks`; without a critical difference there are
        no bars, and the title gives the reason, as no bars would else mean that all differ.
    """
    names = [plain(name) for name in ranks["names"][:SHOWN]]
    means = [float(mean_rank) for mean_rank in ranks["mean_ranks"][:SHOWN]]
    critical = ranks["critical_difference"]
    groups = joined(means, critical)
    low, high = math.floor(min(means)), max(math.ceil(max(means)), math.floor(min(means)) + 1)
    half = math.ceil(len(names) / 2)
    height = 0.75 + ROW * (half + 0.4 * len(groups))
    margin = 0.35 + LETTER * max(map(len, names))
    width = WIDTH + 2 * margin - 2
    with house_style():
        figure = ShownFigure((width, height))
        span = (margin / width, 0, 1 - 2 * margin / width, 1)
        axes = figure.add_axes(span)
        axes.set(xlim=(low, high), ylim=(height, 0))
        axes.axis("off")
        _scale(
            axes, low, high, f"mean rank of {ranks['of']}, {plain(ranks['over'])}\n{verdict(ranks)}"
        )
        for row, (first, last) in enumerate(groups):
            y = 0.72 + 0.4 * ROW * row
            axes.plot([means[first], means[last]], [y, y], color=INK, linewidth=3)
        _names(axes, names, means, (low, high), 0.72 + 0.4 * ROW * len(groups))
    return figure


def _scale(axes: Axes, low: int, high: int, title: str) -> None:
    """Draw the axis with its ticks and its title."""
    y = 0.55
    axes.plot([low, high], [y, y], color=INK, linewidth=1)
    step = max(1, math.ceil((high - low) / 12))
    for tick in range(low, high + 1, step):
        axes.plot([tick, tick], [y - 0.05, y], color=INK, linewidth=1)
        axes.text(tick, y - 0.08, str(tick), ha="center", va="bottom", color=GREY)
    # The title extends into the margins, which have no names at this height.
    middle = (low + high) / 2
    axes.text(middle, 0.16, title, ha="center", va="center", color=GREY, fontsize=8)


def _names(
    axes: Axes,
    names: Sequence[str],
    means: Sequence[float],
    limits: tuple[int, int],
    top: float,
) -> None:
    """Write names with their ranks, the better half on the left, the others on the right."""
    half = math.ceil(len(names) / 2)
    for i, (name, mean) in enumerate(zip(names, means, strict=True)):
        on_left = i < half
        y = top + ROW * (0.7 + (i if on_left else len(names) - 1 - i))
        end = limits[0] if on_left else limits[1]
        axes.plot([mean, mean, end], [0.55, y, y], color=GREY, linewidth=0.8, clip_on=False)
        text = f"{name} {mean:.2f} " if on_left else f" {mean:.2f} {name}"
        axes.text(end, y, text, ha="right" if on_left else "left", va="center")
