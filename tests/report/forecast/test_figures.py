"""Figures of a forecast for papers, as data."""

import pytest

from fewshot.report.charts.forecast import confusion_chart, curve_chart


def test_a_learning_curve_begins_with_the_images_at_hand(ten):
    best = ten[0].rows[0]
    chart = curve_chart(best, 0.9, target=0.08)
    (panel,) = chart.panels
    (trace,) = panel.traces
    assert [text for _, text in chart.x.ticks] == ["0", "1", "5", "10"]
    errors = [best.error, *(point.error for point in best.outlook)]
    assert trace.y == pytest.approx([100 * error for error in errors])
    bounds = [(best.lower, best.upper), *((point.lower, point.upper) for point in best.outlook)]
    for i, (lower, upper) in enumerate(bounds):
        assert trace.whiskers[i] == pytest.approx((i, 100 * lower, 100 * upper))
    assert (panel.level, chart.words.reference) == (8, "target, 8 %")
    assert chart.y.limits[1] > 100 * max(upper for _, upper in bounds)
    assert chart.legend[0][0] == "predicted, 90 % interval"
    assert curve_chart(best, 0.9).panels[0].level is None


def test_confusions_are_shares_in_percent(ten, forecast_row):
    best = ten[0].rows[0]
    matrix = confusion_chart(best)
    assert list(matrix.rows) == list(matrix.columns) == list(best.confusion.classes)
    assert matrix.values.sum(1) == pytest.approx(100)
    assert matrix.values[0, 1] == pytest.approx(40)
    assert confusion_chart(forecast_row()) is None
