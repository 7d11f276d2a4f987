"""What every registered estimator must do: the checks of `fewshot.testing`, and of this package."""

import pytest
import torch

from fewshot.estimators import estimators
from fewshot.estimators.base import NO_NUMBER, CalibrationSettings, Prediction
from fewshot.testing import estimator_checks, predictions
from fewshot.testing.base_classes import K
from fewshot.testing.estimators import SPACE

# Name of a check: its cases. One test has them all, as pytest itself takes longer for a test than
# most estimators for a case; the message of a failure names the case.
CHECKS = {}
for _, check in estimator_checks():
    CHECKS.setdefault(check.function.__name__, []).append(check)


@pytest.fixture(scope="module", autouse=True)
def calibrator(hand_made):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fewshot.estimators.auto.load_general", lambda path: hand_made)
        yield


@pytest.fixture(scope="module", autouse=True)
def fitted_once(calibrator):
    """Fit an estimator to the base classes of a head for the first check that needs it only."""
    known = {}

    def fitted(estimator, head, shots=K):
        key = repr(estimator), head, shots
        if key not in known:
            known[key] = predictions.fitted(estimator, head, shots)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in ("estimators", "unlabelled", "with_heads"):
            patch.setattr(f"fewshot.testing.{module}.fitted", fitted)
        yield


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", estimators)
def test_conformance(name, check):
    for case in CHECKS[check]:
        case(estimators.create(name))


def test_calibrated_estimators_promise_intervals():
    promising = {name for name in estimators if estimators[name].load().tags.has_interval}
    assert promising == {"auto", "auto_support", "constant", "stack"}


@pytest.mark.parametrize("name", estimators)
def test_the_level_of_a_run_is_for_estimators_that_set_none(name):
    run = CalibrationSettings("none", 0.8, None, SPACE)
    estimator = estimators.create(name)
    configured = estimator.configured(run)
    assert type(configured) is type(estimator)
    if "level" not in estimator.get_params():
        assert configured.get_params() == estimator.get_params()
        return
    assert configured.level == 0.8
    assert estimators.create(name, level=0.6).configured(run).level == 0.6
    assert estimator.level == 0.9  # of the original


@pytest.mark.parametrize("error", [torch.nan, torch.inf, -torch.inf])
def test_a_prediction_that_is_no_number_has_a_reason(error):
    made = Prediction(torch.tensor([0.1, error]))
    assert made.error.isnan().tolist() == [False, True]
    assert made.reason == NO_NUMBER
    assert Prediction(torch.tensor([error]), "one shot").reason == "one shot"
    assert Prediction(torch.tensor([0.1])).reason is None
