"""Estimators from outside the package say how they are calibrated and whether they see queries."""

from dataclasses import replace

import numpy as np
import pytest

import fewshot
from fewshot.episodes.episode_set import EpisodeSet
from fewshot.estimators.base import ErrorEstimator, Prediction
from fewshot.estimators.calibration.calibrated import Steps
from fewshot.estimators.calibration.calibrators import Offset
from fewshot.estimators.calibration.intervals import GRID, Residuals
from fewshot.exceptions import FewshotError


class Plain(ErrorEstimator):
    """Says nothing of itself; three tenths for every episode."""

    def predict(self, support, head):
        return Prediction(support.features.new_full((len(support.features),), 0.3))


class Calibrating(Plain):
    """Calibrates itself, in one space of features, with a level that follows the run."""

    calibrates_itself = True

    def __init__(self, level=None):
        self.level = level

    def configured(self, settings):
        if settings.space["dimensions"] != 10:
            raise FewshotError("estimator.calibrating", "expected ten dimensions")
        return self.with_params(level=settings.level) if self.level is None else self

    def predict(self, support, head):
        error = super().predict(support, head).error
        return Prediction(error, lower=error - self.level / 10, upper=error + self.level / 10)

    def calibration_label(self):
        return "by hand"

    def add_to(self, calibrator, name, head, shots):
        steps = Steps(np.array([float(shots)]), [Offset(0.25)], [Residuals(np.sort(GRID))])
        return replace(calibrator, others={**calibrator.others, name: {head: steps}})


class Seeing(Plain):
    """Not derived from the oracles of the package: the share of queries with a negative sum."""

    sees_queries = True

    def predict(self, support, head):
        raise AssertionError("it is asked with the queries only")

    def predict_knowing(self, support, head, queries):
        assert queries.features.shape[:2] == support.features.shape[:2]
        negative = (queries.features.sum(-1) < 0) & queries.mask
        return Prediction((negative.sum(-1) / queries.counts).mean(-1))


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(12), 15)
    features = rng.normal(size=(12, 10))[labels] + rng.normal(size=(180, 10))
    return features.astype(np.float32), labels, np.where(labels < 6, "base", "novel")


def evaluate(data, calibration="none", split=True, **estimators):
    features, labels, parts = data
    return fewshot.evaluate(
        features,
        labels,
        parts if split else None,
        estimators=estimators,
        calibration=calibration,
        episodes=12,
        queries=6,
        normalize="none",
    )


@pytest.mark.parametrize(
    ("calibration", "labels"),
    [
        ("none", {"plain": "none", "calibrating": "by hand", "seeing": "none"}),
        ("base", {"plain": "slope", "calibrating": "by hand", "seeing": "none"}),
    ],
)
def test_calibration_is_what_an_estimator_says(data, calibration, labels):
    made = {"plain": Plain(), "calibrating": Calibrating(), "seeing": Seeing()}
    result = evaluate(data, calibration, **made)
    rows = result.predictions.groupby("estimator")["calibration"].unique().map(list)
    assert rows.to_dict() == {name: [label] for name, label in labels.items()}
    summary = result.summary["estimators"]
    assert {name: row["calibration"] for name, row in summary.items()} == labels
    assert [name for name, row in summary.items() if row["sees_queries"]] == ["seeing"]
    # Only what is in a calibrator is changed by it.
    guesses = result.predictions.groupby("estimator")["predicted_error"].mean()
    assert guesses["calibrating"] == pytest.approx(0.3)
    assert (guesses["plain"] == pytest.approx(0.3)) == (calibration == "none")


def test_settings_of_the_run_reach_an_estimator(data):
    made = {"follows": Calibrating(), "fixed": Calibrating(0.5)}
    result = evaluate(data, **made)
    widths = (
        result.predictions.eval("upper - lower").groupby(result.predictions["estimator"]).mean()
    )
    assert widths.to_dict() == pytest.approx({"follows": 0.18, "fixed": 0.1})
    assert made["follows"].level is None  # one object serves many cells
    features, labels, parts = data
    with pytest.raises(FewshotError, match="expected ten dimensions"):
        evaluate((features[:, :7], labels, parts), **made)


def test_the_calibrator_of_a_run_has_what_estimators_add(data):
    result = evaluate(data, "base", plain=Plain(), calibrating=Calibrating(), seeing=Seeing())
    others = result.calibrator.others
    assert set(others) == {"plain", "calibrating"}
    assert others["calibrating"]["ncm"].calibrators[0].to_json() == Offset(0.25).to_json()
    assert evaluate(data, plain=Plain(), seeing=Seeing()).calibrator is None


def test_queries_go_to_what_says_that_it_sees_them_and_are_not_loaded_else(data, monkeypatch):
    loaded = []
    query_rows = EpisodeSet.query_rows

    def watched(self, start, stop):
        loaded.append((start, stop))
        return query_rows(self, start, stop)

    monkeypatch.setattr(EpisodeSet, "query_rows", watched)
    actual = evaluate(data)
    for_errors = len(loaded)
    loaded.clear()
    evaluate(data, plain=Plain(), calibrating=Calibrating())
    assert len(loaded) == for_errors
    loaded.clear()
    seeing = evaluate(data, seeing=Seeing())
    assert len(loaded) > for_errors
    assert seeing.episodes["actual_error"].equals(actual.episodes["actual_error"])
    shares = seeing.predictions["predicted_error"]
    assert shares.between(0.1, 0.9).all() and shares.nunique() > 6
