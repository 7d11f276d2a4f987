"""Estimators with calibrators around them, and the interval of the constant."""

import numpy as np
import pytest
import torch

import fewshot
from fewshot.estimators.base import BaseClasses, ErrorEstimator, Prediction
from fewshot.estimators.calibration.calibrated import (
    NO_UNLABELLED,
    NO_UNLABELLED_BASE,
    Calibrated,
    Stack,
    Steps,
    Transferred,
)
from fewshot.estimators.calibration.calibrators import Offset, Slope
from fewshot.estimators.calibration.intervals import GRID, Residuals, new_classes
from fewshot.estimators.constant import Constant
from fewshot.estimators.loo import LeaveOneOut
from fewshot.estimators.margin import Margin
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import FewshotError
from fewshot.heads.base import Support
from fewshot.heads.ncm import NCM
from fewshot.statistics.populations import LEVELS


class FirstFeature(ErrorEstimator):
    """Reads its prediction off the first feature of the first shot."""

    def predict(self, support, head):
        error = support.features[:, 0, 0, 0]
        return Prediction.of(error, error.isfinite(), "told nothing")


def supports(errors, shots=3):
    x = torch.zeros(len(errors), 4, shots, 2, dtype=torch.float64)
    x[:, 0, 0, 0] = torch.as_tensor(np.asarray(errors))
    return Support(x, torch.ones(x.shape[:3], dtype=torch.bool))


def base_of(raw, actual_by_class, members=None):
    support = supports(raw)
    head = NCM().fit(support)
    return BaseClasses(
        map=lambda function: function(support, head),
        errors_by_class=torch.from_numpy(actual_by_class),
        members=None if members is None else torch.from_numpy(members),
    )


def example(B=200, seed=0, classes=20):
    rng = np.random.default_rng(seed)
    raw = rng.uniform(0.1, 0.5, B)
    actual = np.clip(raw[:, None] + 0.1 + 0.05 * rng.normal(size=(B, 4)), 0, 1)
    return raw, actual, np.stack([rng.permutation(classes)[:4] for _ in range(B)])


def predict(estimator, raw):
    support = supports(raw)
    return estimator.predict(support, NCM().fit(support))


@pytest.mark.parametrize("method", ["offset", "slope", "isotonic", "ridge"])
def test_calibrates_on_base_episodes(method):
    raw, actual, members = example()
    estimator = Calibrated({"told": FirstFeature()}, method).fit(base_of(raw, actual, members))
    prediction = predict(estimator, [0.2, 0.35, np.nan])
    np.testing.assert_allclose(prediction.error[:2], [0.3, 0.45], atol=0.03)
    assert prediction.error.isnan().tolist() == [False, False, True]
    assert prediction.reason == "told nothing"
    assert prediction.lower[2].isnan() and prediction.bands[:, :, 2].isnan().all()
    if method == "offset":
        shift = (raw - actual.mean(-1)).mean()
        assert estimator.calibrator_ == Offset(pytest.approx(shift))
        predicted = raw - shift
        factor = new_classes(predicted, actual, members, np.tile(predicted[:, None], 4))
        expected = Residuals.of(predicted, actual.mean(-1), factor)
        np.testing.assert_allclose(estimator.residuals_.quantiles, expected.quantiles)
        lower, upper = expected.interval(np.array([0.2 - shift]), 0.9)
        assert (float(prediction.lower[0]), float(prediction.upper[0])) == pytest.approx(
            (float(lower[0]), float(upper[0]))
        )


def test_episodes_without_a_prediction_are_not_learnt_from():
    raw, actual, members = example()
    whole = Calibrated({"told": FirstFeature()}, "offset").fit(
        base_of(raw[50:], actual[50:], members[50:])
    )
    raw[:50] = np.nan
    partial = Calibrated({"told": FirstFeature()}, "offset").fit(base_of(raw, actual, members))
    assert partial.calibrator_ == whole.calibrator_
    np.testing.assert_allclose(partial.residuals_.quantiles, whole.residuals_.quantiles)


def test_nothing_predicted_on_base_classes_is_a_reason():
    _, actual, members = example()
    estimator = Calibrated({"told": FirstFeature()}).fit(
        base_of(np.full(200, np.nan), actual, members)
    )
    prediction = predict(estimator, [0.2])
    assert bool(prediction.error.isnan().all())
    assert prediction.reason == "undefined on base classes: told nothing"
    without = predict(Calibrated({"told": FirstFeature()}).fit(BaseClasses()), [0.2])
    assert bool(without.error.isnan().all()) and "no base classes" in without.reason
    unfitted = predict(Calibrated({"told": FirstFeature()}), [0.2])
    assert bool(unfitted.error.isnan().all()) and "no base classes" in unfitted.reason


def test_levels_widen_the_interval():
    raw, actual, members = example()
    narrow, wide = (
        predict(
            Calibrated({"told": FirstFeature()}, level=level).fit(base_of(raw, actual, members)),
            [0.3],
        )
        for level in (0.5, 0.95)
    )
    assert wide.lower < narrow.lower < narrow.upper < wide.upper
    torch.testing.assert_close(narrow.bands, wide.bands)
    torch.testing.assert_close(narrow.upper, narrow.bands[1, LEVELS.index(0.5)])


def test_a_stack_is_a_ridge_of_its_members():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 4, 1, 6)) * np.geomspace(0.6, 2, 80)[:, None, None, None]
    support = Support.of(torch.from_numpy(x + rng.normal(size=(80, 4, 4, 6))))
    head = NCM().fit(support)
    actual = Margin().predict(support, head).error[:, None].expand(80, 4) * 0.8 + 0.05
    base = BaseClasses(
        map=lambda function: function(support, head),
        errors_by_class=actual,
        members=torch.stack([torch.randperm(20)[:4] for _ in range(80)]),
    )
    stack = Stack(("margin", "loo")).fit(base)
    other = Calibrated({"margin": Margin(), "loo": LeaveOneOut()}, "ridge").fit(base)
    prediction = stack.predict(support, head)
    torch.testing.assert_close(prediction.error, other.predict(support, head).error)
    miss = (prediction.error - actual[:, 0]).abs().mean()
    assert miss < 0.3 * (actual[:, 0] - actual.mean()).abs().mean()
    assert stack.get_params() == {"of": ("margin", "loo"), "level": 0.9}


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ("margin", r"estimator\.stack\.of: expected a list of estimators, got 'margin'"),
        ([], r"estimator\.stack\.of: expected a list"),
        (["stack"], "cannot hold a stack"),
        (["margins"], "Did you mean 'margin'"),
    ],
)
def test_bad_stacks(of, message):
    with pytest.raises(FewshotError, match=message):
        Stack(of)


def test_transferred_takes_the_nearest_shots():
    residuals = [Residuals(w * np.linspace(-1, 1, len(GRID))) for w in (0.4, 0.1)]
    steps = Steps(np.array([1.0, 10.0]), [Offset(-0.2), Slope(0.0, 1.0)], residuals)
    estimator = Transferred(FirstFeature(), steps).fit(BaseClasses())
    few, many = (
        estimator.predict(s, NCM().fit(s)) for s in (supports([0.3], 2), supports([0.3], 9))
    )
    assert (float(few.error), float(many.error)) == pytest.approx((0.5, 0.3))
    assert few.upper - few.lower > many.upper - many.lower
    assert predict(estimator, [np.nan]).reason == "told nothing"


def test_the_interval_of_the_constant_is_that_of_base_errors():
    rng = np.random.default_rng(3)
    actual = rng.beta(2, 6, size=(400, 4))
    members = np.stack([rng.permutation(200)[:4] for _ in range(400)])
    prediction = predict(Constant(level=0.8).fit(base_of(np.zeros(400), actual, members)), [0, 0])
    errors = actual.mean(-1)
    assert float(prediction.error[0]) == pytest.approx(errors.mean())
    low, high = np.quantile(errors, [0.1, 0.9])
    # A little wider for classes that were not among them.
    assert low - 0.02 < float(prediction.lower[0]) <= low + 0.004
    assert high - 0.004 <= float(prediction.upper[0]) < high + 0.02
    few = np.stack([rng.permutation(5)[:4] for _ in range(400)])
    effect = np.array([-0.1, -0.05, 0, 0.05, 0.1])[few]
    wider = predict(Constant(0.8).fit(base_of(np.zeros(400), actual + effect, few)), [0])
    assert float(wider.upper - wider.lower) > 1.15 * float(
        prediction.upper[0] - prediction.lower[0]
    )


@pytest.mark.parametrize("level", [0, 1.0, "wide"])
def test_bad_levels(level):
    base = base_of(*example())
    with pytest.raises(FewshotError, match=r"estimator\.constant\.level"):
        predict(Constant(level).fit(base), [0.1])
    with pytest.raises(FewshotError, match=r"calibration\.level"):
        Calibrated({"told": FirstFeature()}, level=level).fit(base)


def test_the_coverage_of_the_constant_on_new_classes():
    """Half the classes calibrate, the others are covered, over several data sets."""
    covered = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        width = np.exp(0.4 * rng.normal(size=(20, 1, 1)))
        x = rng.normal(size=(20, 1, 10)) + width * rng.normal(size=(20, 25, 10))
        labels = np.repeat(np.arange(20), 25)
        split = np.where(labels < 10, "base", "novel")
        result = fewshot.evaluate(
            x.reshape(-1, 10), labels, split, shots=3, episodes=60, estimators=["constant"]
        )
        covered.append(result.summary["estimators"]["constant"]["coverage"])
    assert 0.8 < np.mean(covered) < 0.98


class FirstUnlabelled(FirstFeature):
    """The first feature of the first unlabelled image, or that of the support."""

    unlabelled = "used"

    def predict_with(self, support, head, unlabelled):
        return Prediction(unlabelled.features[:, 0, 0])


class NeedsUnlabelled(FirstUnlabelled):
    unlabelled = "needed"

    def predict(self, support, head):
        return Prediction.undefined(support, "no unlabelled images")


def base_with_unlabelled(raw, actual, members):
    """Base-class episodes whose unlabelled images say 0.2 more than their supports."""
    base = base_of(raw, actual, members)
    unlabelled = Unlabelled.of(torch.tensor(raw)[:, None, None] + 0.2)
    return BaseClasses(
        map=base.map,
        errors_by_class=base.errors_by_class,
        members=base.members,
        map_unlabelled=lambda function: base.map(
            lambda support, head: function(support, head, unlabelled)
        ),
    )


@pytest.mark.parametrize("estimator", [FirstUnlabelled, NeedsUnlabelled])
def test_what_sees_unlabelled_images_is_calibrated_with_them(estimator):
    raw, actual, members = example()
    calibrated = Calibrated({"inner": estimator()}, "offset")
    assert calibrated.unlabelled == estimator.unlabelled
    calibrated.fit(base_with_unlabelled(raw, actual, members))
    assert calibrated.with_unlabelled_
    plain = Calibrated({"inner": FirstFeature()}, "offset").fit(base_of(raw, actual, members))
    support, unlabelled = support_and_unlabelled()
    with_them = calibrated.predict_with(support, NCM(), unlabelled)
    assert with_them.error == pytest.approx(plain.predict(support, NCM()).error)
    assert (with_them.lower < with_them.upper).all()
    without = calibrated.predict(support, NCM())
    assert without.error.isnan().all()
    assert without.reason == NO_UNLABELLED


def support_and_unlabelled():
    raw = torch.tensor([0.2, 0.3, 0.4], dtype=torch.float64)
    return supports(raw), Unlabelled.of(raw[:, None, None] + 0.2)


def test_what_can_do_without_is_calibrated_without_where_base_classes_have_none():
    raw, actual, members = example()
    calibrated = Calibrated({"inner": FirstUnlabelled()}).fit(base_of(raw, actual, members))
    plain = Calibrated({"inner": FirstFeature()}).fit(base_of(raw, actual, members))
    support, unlabelled = support_and_unlabelled()
    expected = plain.predict(support, NCM()).error
    assert torch.equal(calibrated.predict(support, NCM()).error, expected)
    assert torch.equal(calibrated.predict_with(support, NCM(), unlabelled).error, expected)


def test_what_needs_them_says_that_base_classes_have_none():
    calibrated = Calibrated({"inner": NeedsUnlabelled()}).fit(base_of(*example()))
    support, unlabelled = support_and_unlabelled()
    for prediction in (
        calibrated.predict(support, NCM()),
        calibrated.predict_with(support, NCM(), unlabelled),
    ):
        assert prediction.error.isnan().all()
        assert prediction.reason == NO_UNLABELLED_BASE
    nothing = Calibrated({"inner": NeedsUnlabelled()}).fit(BaseClasses(reason="no split"))
    assert nothing.predict_with(support, NCM(), unlabelled).reason == "no split"


def test_transferred_passes_unlabelled_images_on():
    steps = Steps(np.array([2.0]), [Offset(0.1)], [Residuals(np.zeros(len(GRID)))])
    transferred = Transferred(NeedsUnlabelled(), steps).fit(BaseClasses())
    assert transferred.unlabelled == "needed"
    support, unlabelled = support_and_unlabelled()
    error = transferred.predict_with(support, NCM(), unlabelled).error
    assert error == pytest.approx(unlabelled.features[:, 0, 0] - 0.1)
    assert transferred.predict(support, NCM()).reason == "no unlabelled images"


def test_a_stack_does_what_its_most_demanding_member_does():
    assert Stack(("margin", "loo")).unlabelled == "ignored"
    assert Stack(("margin", "cot")).unlabelled == "needed"
