"""Metrics of predictions and intervals against what they say they are."""

import numpy as np
import pytest
from scipy import stats

from fewshot.statistics.populations import LEVELS
from fewshot.statistics.predictions import (
    compare_estimators,
    coverage_curve,
    hindsight_mae,
    interval_metrics,
    mean_interval,
    prediction_metrics,
    rank_correlation,
)


def pair(E=60, seed=0):
    rng = np.random.default_rng(seed)
    actual = rng.uniform(0, 0.5, E)
    return np.clip(actual + 0.05 * rng.normal(size=E) + 0.02, 0, 1), actual


def test_mean_interval_covers_the_mean():
    rng = np.random.default_rng(0)
    draws = rng.exponential(size=(2000, 80))
    intervals = [mean_interval(values) for values in draws]
    inside = np.mean([interval["lower"] <= 1 <= interval["upper"] for interval in intervals])
    assert 0.92 < inside < 0.96
    assert intervals[0]["mean"] == pytest.approx(draws[0].mean())
    assert intervals[0]["population"] == "episodes"
    narrow = mean_interval(draws[0], level=0.5)
    assert narrow["upper"] - narrow["lower"] < intervals[0]["upper"] - intervals[0]["lower"]
    alone = mean_interval(np.array([0.3]))
    assert alone["mean"] == 0.3 and np.isnan(alone["lower"])


def test_rank_correlation_is_that_of_scipy():
    predicted, actual = pair()
    predicted[3], actual[7] = np.nan, np.nan
    actual[10:14] = 0.2  # ties
    kept = np.isfinite(predicted) & np.isfinite(actual)
    reference = stats.spearmanr(predicted[kept], actual[kept]).statistic
    assert rank_correlation(predicted, actual) == pytest.approx(reference)
    same = np.full(60, 0.3) + 1e-14 * np.arange(60)  # differ in the last digit
    assert rank_correlation(same, actual) is None
    assert rank_correlation(predicted, np.full(60, 0.2)) is None
    assert rank_correlation(predicted[:1], actual[:1]) is None


def test_what_the_mean_of_the_same_episodes_misses():
    predicted, actual = pair()
    mean = actual[1:].mean()
    predicted[0] = np.nan  # without a prediction: does not count
    assert hindsight_mae(predicted, actual) == pytest.approx(np.abs(actual[1:] - mean).mean())
    assert hindsight_mae(predicted, np.full(60, 0.4)) == pytest.approx(0)
    assert hindsight_mae(np.full(60, np.nan), actual) is None


def test_prediction_metrics_by_hand():
    predicted, actual = pair()
    constant = np.full(60, 0.25)
    metrics = prediction_metrics(predicted, actual, constant)
    gap = predicted - actual
    fit = np.polyfit(predicted, actual, 1)
    expected = {
        "defined": 60,
        "predicted_error": predicted.mean(),
        "mae": np.abs(gap).mean(),
        "rmse": np.sqrt((gap**2).mean()),
        "bias": gap.mean(),
        "relative_error": np.mean(np.abs(gap) / (1 - actual)),
        "spearman": stats.spearmanr(predicted, actual).statistic,
        "slope": fit[0],
        "intercept": fit[1],
        "skill": 1 - np.abs(gap).mean() / np.abs(0.25 - actual).mean(),
    }
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value), name
    assert metrics["mae_interval"] == mean_interval(np.abs(gap))
    # Episodes without a number count for nothing.
    predicted[:20] = np.nan
    assert prediction_metrics(predicted, actual)["defined"] == 40
    assert prediction_metrics(predicted, actual)["bias"] == pytest.approx(gap[20:].mean())


def test_prediction_metrics_that_are_undefined_are_none():
    nothing = prediction_metrics(np.full(3, np.nan), np.array([0.1, 0.2, 0.3]))
    assert nothing.pop("defined") == 0
    assert set(nothing.values()) == {None}
    flat = prediction_metrics(np.full(3, 0.2), np.array([0.1, 0.2, 0.3]), np.full(3, 0.2))
    assert flat["spearman"] is None and flat["slope"] is None
    assert flat["skill"] == pytest.approx(0)
    assert prediction_metrics(np.array([0.2]), np.array([1.0]))["relative_error"] is None
    perfect = np.full(3, 0.2)
    assert prediction_metrics(perfect, perfect, perfect)["skill"] is None


def test_interval_metrics_by_hand():
    actual = np.array([0.1, 0.2, 0.3, 0.4])
    lower = np.array([0.0, 0.25, 0.3, np.nan])
    upper = np.array([0.2, 0.5, 0.3, np.nan])
    metrics = interval_metrics(lower, upper, actual)
    assert metrics["coverage"] == pytest.approx(2 / 3)
    assert metrics["width"] == pytest.approx((0.2 + 0.25 + 0) / 3)
    missing = np.full(4, np.nan)
    assert interval_metrics(missing, missing, actual) == {"coverage": None, "width": None}
    assert interval_metrics(lower[3:], upper[3:], actual[3:])["coverage"] is None


def test_bounds_that_went_through_float32_hold_their_ends():
    values = np.linspace(0.01, 0.99, 99)
    rounded = values.astype(np.float32).astype(np.float64)
    assert (rounded > values).any() and (rounded < values).any()
    assert interval_metrics(rounded, rounded, values)["coverage"] == 1
    assert interval_metrics(values + 1e-4, values + 1, values)["coverage"] == 0


def test_coverage_curve_measures_every_level():
    rng = np.random.default_rng(1)
    E = 4000
    actual = rng.normal(size=E)
    z = stats.norm.ppf(0.5 + np.array(LEVELS) / 2)
    bands = np.stack([np.tile(-z, (E, 1)), np.tile(z, (E, 1))], 1)
    curve = coverage_curve(bands, actual)
    assert [level for level, _ in curve] == list(LEVELS)
    np.testing.assert_allclose([measured for _, measured in curve], LEVELS, atol=0.025)
    half = coverage_curve(bands / 2, actual)
    assert all(a[1] < b[1] for a, b in zip(half, curve, strict=True))
    assert coverage_curve(np.full((E, 2, len(LEVELS)), np.nan), actual) is None
    bands[: E // 2] = np.nan  # some episodes have none
    np.testing.assert_allclose([m for _, m in coverage_curve(bands, actual)], LEVELS, atol=0.03)


def test_compare_estimators_pairs_episodes():
    predicted, actual = pair()
    other = np.clip(actual + 0.1, 0, 1)
    other[:10] = np.nan
    nothing = np.full(60, np.nan)
    rows = compare_estimators({"a": predicted, "b": other, "c": nothing}, actual)
    assert len(rows) == 1  # c has no number to compare
    (row,) = rows
    assert (row["first"], row["second"], row["episodes"]) == ("a", "b", 50)
    gap = (np.abs(predicted - actual) - np.abs(other - actual))[10:]
    assert row["difference"] == mean_interval(gap)
    assert row["difference"]["upper"] < 0  # the first is nearer
    assert compare_estimators({"a": predicted}, actual) == []
    three = compare_estimators({"a": predicted, "b": actual, "c": other}, actual)
    assert [(r["first"], r["second"]) for r in three] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert three[0]["difference"]["lower"] > 0


def test_paired_differences_are_surer_than_the_means_apart():
    rng = np.random.default_rng(3)
    actual = rng.uniform(0, 0.5, 300)
    shared = 0.1 * rng.normal(size=300)
    first_prediction = np.clip(actual + shared, 0, 1)
    second_prediction = np.clip(actual + 1.2 * shared, 0, 1)
    (row,) = compare_estimators({"one": first_prediction, "two": second_prediction}, actual)
    widths = [
        m["upper"] - m["lower"]
        for m in (row["difference"], prediction_metrics(second_prediction, actual)["mae_interval"])
    ]
    assert row["difference"]["upper"] < 0 and widths[0] < 0.5 * widths[1]
