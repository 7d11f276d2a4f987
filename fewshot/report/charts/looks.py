"""Looks of lines, by the place of what they show in its list."""

from __future__ import annotations

from fewshot.report.charts.base import Look

MARKERS = 6
COLORS = 6
DASHES = 6  # beside the solid line


def estimator_look(i: int) -> Look:
    """Look of the i-th estimator: never solid, which the actual error is."""
    return Look(i % COLORS, 1 + i % (MARKERS - 1), 1 + i % DASHES)


def head_look(i: int) -> Look:
    """Look of the i-th head, on solid lines."""
    return Look(i % COLORS, i % MARKERS)


def backbone_look(i: int) -> Look:
    """Look of the i-th backbone, with other dashes once colours come round again."""
    return Look(i % COLORS, i % MARKERS, i // COLORS % 3)


def rule_look(i: int) -> Look:
    """Look of the i-th rule: of those of a colour, markers and dashes differ."""
    again = i // COLORS
    return Look(i % COLORS, (i + again) % MARKERS, again % 3)


def setting_look(i: int, dash: int) -> Look:
    """Look of the i-th number of ways and shots, with a dash per head."""
    return Look(i % COLORS, i % MARKERS, dash % (1 + DASHES), width=1.4, front=4)
