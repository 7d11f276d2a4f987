"""Positions of the charts on the page of a forecast."""

import re
from itertools import pairwise

import pytest

from fewshot.report.forecast.charts import (
    BOTTOM,
    LEFT,
    TOP,
    WIDTH,
    CurveStep,
    ErrorAxis,
    curve_chart,
    label_at,
    mark,
)
from fewshot.tasks.classification.forecast.learning_curve import Target

STEPS = [
    CurveStep(5, "now", 0.2, 0.1, 0.4),
    CurveStep(10, "+5", 0.15, 0.08, 0.3),
    CurveStep(20, "+15", 0.1, 0.05, 0.2),
]


@pytest.mark.parametrize(
    ("values", "end"), [([0.03], 0.05), ([0.11, 0.2], 0.2), ([0.55], 0.6), ([1.0], 1.0), ([], 0.05)]
)
def test_the_shortest_axis_with_round_ticks(values, end):
    axis = ErrorAxis.up_to(values)
    assert axis.end == end
    assert axis.ticks[0] == 0
    assert axis.ticks[-1] == pytest.approx(end)
    assert axis.labels()[0].text == "0"
    assert axis.labels()[-1].text.endswith(" %")
    assert axis.at(end / 4) == 25
    assert (axis.at(-0.1), axis.at(2.0)) == (0, 100)


def test_labels_stay_within():
    assert [label_at(at, "").anchor for at in (0, 50, 100)] == ["start", "middle", "end"]
    assert mark("target", "target", 0.05) == ("target", 5.0, (5.0, "target 5 %", "start"))
    assert mark("chance", "guessing", 0.999).label[1:] == ("guessing 99.9 %", "end")


def test_a_curve_over_the_logarithm_of_images():
    chart = curve_chart(STEPS)
    assert [x for x, _ in chart.dots] == [LEFT, LEFT + WIDTH / 2, LEFT + WIDTH]
    assert [y for _, y in chart.dots] == [(TOP + BOTTOM) / 2, 134.8, 158.5]  # of 0 to 40 %
    assert chart.line == "M0 50L50 62.5L100 75"
    assert chart.band == "M0 0L50 25L100 50L100 87.5L50 80L0 75Z"
    assert [label.text for label in chart.axis_x] == ["now", "+5", "+15"]
    assert (chart.target, chart.reached, chart.beyond) == (None, None, "")


def test_labels_too_close_are_left_out():
    between = [CurveStep(5 + n, f"+{n}", 0.15, 0.1, 0.2) for n in range(1, 15)]
    labels = curve_chart([STEPS[0], *between, STEPS[-1]]).axis_x
    assert (labels[0].text, labels[-1].text) == ("now", "+15")
    assert all(b.at - a.at >= 9 for a, b in pairwise(labels))
    assert 4 < len(labels) < 16


def test_a_target_beyond_the_last_point_extends_the_curve():
    chart = curve_chart(STEPS, Target(0.05, 80, 20, None, 500, False))
    assert chart.target == 182.2  # an eighth of the panel's height above its bottom
    assert chart.reached == (LEFT + WIDTH / 2, LEFT + WIDTH, LEFT + WIDTH)
    assert chart.reached_words.text == "80"
    assert re.fullmatch(r"M50 75L100 87\.5", chart.beyond)


def test_a_target_between_points_needs_no_more_curve():
    chart = curve_chart(STEPS, Target(0.15, 10, 3, 15, 500, False))
    assert chart.beyond == ""
    assert chart.reached[0] == LEFT  # fewer than there are is where the curve begins
    assert chart.reached[1] == LEFT + WIDTH / 2
    assert chart.reached[1] < chart.reached[2] < LEFT + WIDTH


def test_a_bound_far_away_does_not_press_the_curve_into_a_corner():
    near = curve_chart(STEPS, Target(0.15, 10, 3, 15, 500, False))
    far = curve_chart(STEPS, Target(0.15, 10, 3, 100_000, 500_000, False))
    assert far.reached[2] == LEFT + WIDTH
    assert far.dots[-1][0] - LEFT > 0.6 * (near.dots[-1][0] - LEFT)


@pytest.mark.parametrize(
    "target", [Target(0.3, 5, 2, 7, 500, True), Target(0.001, None, None, None, 500, False)]
)
def test_a_target_that_is_reached_or_never_is_a_line_alone(target):
    chart = curve_chart(STEPS, target)
    assert chart.reached is None
    assert chart.target is not None
