"""Coverage of intervals by simulation."""

import numpy as np
import pytest

from fewshot.estimators.calibration.intervals import (
    GRID,
    Residuals,
    check_level,
    new_classes,
    spread,
)
from fewshot.exceptions import FewshotError
from fewshot.statistics.populations import LEVELS


def exchangeable(rng, count):
    """Predictions and actual errors whose standardised residuals are alike, and skewed."""
    predicted = rng.uniform(0.1, 0.4, count)
    residual = 0.2 * (rng.exponential(size=count) - 0.7)
    return predicted, predicted + residual * spread(predicted)


@pytest.mark.parametrize("calibration", [79, 300])
def test_coverage_of_exchangeable_episodes_is_at_least_nominal_and_close_to_it(calibration):
    rng = np.random.default_rng(0)
    inside = np.zeros(len(LEVELS))
    for _ in range(400):
        residuals = Residuals.of(*exchangeable(rng, calibration))
        predicted, actual = exchangeable(rng, 200)
        lower, upper = residuals.bands(predicted)
        inside += ((actual >= lower) & (actual <= upper)).mean(-1) / 400
    excess = inside - LEVELS
    assert excess.min() > -0.006  # its own simulation error
    assert excess.max() < 0.006 + 2 / (calibration + 1)


def test_quantiles_are_ranks_rounded_outwards():
    predicted = np.full(99, 0.5)
    scores = np.random.default_rng(0).permutation(np.arange(99) - 49) / 100
    residuals = Residuals.of(predicted, predicted + scores * spread(predicted))
    expected = {0.01: -0.49, 0.05: -0.45, 0.25: -0.25, 0.5: 0.0, 0.75: 0.25, 0.95: 0.45, 0.99: 0.49}
    for level, quantile in expected.items():
        at = np.flatnonzero(level == GRID)[0]
        assert residuals.quantiles[at] == pytest.approx(quantile)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_episodes_give_an_interval_all_the_same(count):
    rng = np.random.default_rng(1)
    residuals = Residuals.of(*exchangeable(rng, count))
    lower, upper = residuals.interval(np.array([0.2, 0.5]))
    assert np.isfinite([lower, upper]).all() and (lower <= upper).all()


def test_no_episode_gives_none():
    residuals = Residuals.of(np.array([np.nan]), np.array([0.3]))
    assert np.isnan(residuals.interval(np.array([0.2]))).all()


def test_intervals_hold_the_prediction_and_stay_errors():
    one_sided = Residuals(np.linspace(0.5, 3.0, len(GRID)))  # everything was underestimated
    predicted = np.array([0.0, 0.001, 0.3, 0.9, 1.0])
    lower, upper = one_sided.interval(predicted)
    np.testing.assert_array_equal(lower, predicted)
    assert ((upper >= predicted) & (upper <= 1)).all()
    assert upper[0] > 0  # nothing is so safe that it cannot fail
    other = Residuals(-np.linspace(3.0, 0.5, len(GRID))).interval(predicted)
    np.testing.assert_array_equal(other[1], predicted)
    assert ((other[0] <= predicted) & (other[0] >= 0)).all()


def test_unknown_predictions_have_no_interval():
    rng = np.random.default_rng(1)
    bands = Residuals.of(*exchangeable(rng, 50)).bands(np.array([0.2, np.nan]))
    assert bands.shape == (2, len(LEVELS), 2)
    assert np.isfinite(bands[..., 0]).all() and np.isnan(bands[..., 1]).all()


def test_inflation_stretches_about_the_median():
    rng = np.random.default_rng(2)
    residuals = exchangeable(rng, 199)
    plain, inflated = (
        Residuals.of(*residuals).quantiles,
        Residuals.of(*residuals, inflation=2.0).quantiles,
    )
    middle = plain[GRID == 0.5]
    np.testing.assert_allclose(inflated - middle, 2 * (plain - middle))


def world(rng, classes, episodes, ways, effect, noise=0.05, level=0.3):
    """Errors (B, N) by class around `level`: a lasting effect of every class, and noise."""
    lasting = effect * rng.normal(size=classes)
    members = np.stack([rng.permutation(classes)[:ways] for _ in range(episodes)])
    return level + lasting[members] + noise * rng.normal(size=members.shape), members


@pytest.mark.parametrize("classes", [5, 8, 30])
@pytest.mark.parametrize("effect", [0.0, 0.05, 0.15])
def test_inflation_is_the_ratio_of_deviations(classes, effect):
    """Against the deviations on new classes, over many draws of the base classes."""
    rng = np.random.default_rng(classes)
    ways, noise = 5, 0.05
    expected_total, new = [], effect**2 * (1 / ways + 1 / classes) + noise**2 / ways
    for _ in range(100):
        errors, members = world(rng, classes, 300, ways, effect, noise)
        mean = errors.mean()
        predicted = np.full(len(errors), mean)
        ratio = new_classes(predicted, errors, members, np.full(errors.shape, mean))
        assert ratio >= 1
        expected_total.append(errors.mean(-1).var() * ratio**2)
    assert np.mean(expected_total) == pytest.approx(new, rel=0.15)


@pytest.mark.parametrize("classes", [5, 10, 40])
def test_coverage_on_new_classes(classes):
    """Base classes calibrate a constant; episodes of other classes are to be covered."""
    rng = np.random.default_rng(classes)
    inside = np.zeros(2)
    for _ in range(200):
        errors, members = world(rng, classes, 300, 5, effect=0.08)
        predicted = np.full(len(errors), errors.mean())
        inflation = new_classes(predicted, errors, members, np.full(errors.shape, errors.mean()))
        fresh = world(rng, 5, 40, 5, effect=0.08)[0].mean(-1)
        for i, factor in enumerate((1.0, inflation)):
            residuals = Residuals.of(predicted, errors.mean(-1), factor)
            lower, upper = residuals.interval(np.full(40, errors.mean()), 0.9)
            inside[i] += ((fresh >= lower) & (fresh <= upper)).mean() / 200
    without, with_inflation = inside
    assert with_inflation > 0.84
    assert with_inflation < 0.95
    assert without < with_inflation - (0.3 if classes == 5 else 0.01)


def test_nothing_to_inflate():
    predicted = np.full(4, 0.3)
    one_class = np.zeros((4, 1), dtype=int)
    errors = np.array([[0.1], [0.2], [0.4], [0.5]])
    assert new_classes(predicted, errors, one_class, np.full((4, 1), 0.3)) == 1
    members = np.tile([0, 1], (4, 1))
    same = np.full((4, 2), 0.3)
    assert new_classes(predicted, same, members, same) == 1
    unknown = np.full(4, np.nan)
    assert new_classes(unknown, same, members, same) == 1


@pytest.mark.parametrize("bad", [0, 1, 0.995, -0.5, True, "0.9", None, float("nan")])
def test_bad_levels(bad):
    with pytest.raises(
        FewshotError, match=r"calibration\.level: expected a number in \(0, 0\.99\]"
    ):
        check_level("calibration.level", bad)


def test_good_levels():
    assert [check_level("level", good) for good in (0.5, 0.99, np.float64(0.9))] == [0.5, 0.99, 0.9]
