"""Sentences on predicted errors: several numbers of ways in one, and constants beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fewshot
from fewshot.report.tasks import report_of
from fewshot.report.wording import KNOWN_IMAGES, fallback_notes
from fewshot.tasks.calibration.choosing import knows_images


def bank_of(dataset="mine", backbone="net"):
    """Ten classes at unequal distances: some episodes are harder than others."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 30)
    means = rng.normal(size=(10, 6)) * np.linspace(0.2, 2, 10)[:, None]
    features = means[labels] + rng.normal(size=(300, 6))
    info = {"dataset": dataset, "backbone": backbone, "feature": "given"}
    return fewshot.features.bank.make_bank(features, labels, info=info)


@pytest.fixture(scope="module")
def results():
    return fewshot.evaluate(
        bank_of(), ways=[2, 5], shots=[1, 5], episodes=60, estimators=["auto", "constant"]
    )


def lines_of(results, cells):
    report = report_of("classification")
    rows = {"episodes": results.episodes, "predictions": results.predictions}
    lines = report.lines(report.evaluated([cell.summary for cell in cells], rows))
    return [line for line in lines if line.startswith("Predicted errors")]


def test_a_sentence_per_number_of_shots(results):
    one, five = lines_of(results, results.cells)
    assert one.startswith("Predicted errors, 1 shot, net with ncm: auto, from the shots alone, is ")
    assert "It does not tell episodes of the same ways apart: all predictions" in one
    assert "only because the ways differ" in one
    rows = results.predictions.query("estimator == 'auto' and shots == 5")
    misses, hindsight, rho = [], [], []
    for _, part in rows.groupby("ways"):
        actual = part["actual_error"]
        misses.append(100 * (part["predicted_error"] - actual).abs().mean())
        hindsight.append(100 * (actual - actual.mean()).abs().mean())
        rho.append(part["predicted_error"].corr(actual, method="spearman"))
    assert f"off by {misses[0]:.1f} points at 2-way and {misses[1]:.1f} at 5-way on average" in five
    assert (
        "(the average error of the same episodes, which is known only afterwards, would miss by "
        f"{hindsight[0]:.1f} and {hindsight[1]:.1f})"
    ) in five
    assert f"{rho[0]:.2f} (" in five and f"{rho[1]:.2f} (" in five
    pooled = rows["predicted_error"].corr(rows["actual_error"], method="spearman")
    assert f"over all of them {pooled:.2f} (" in five and "in part because the ways differ" in five


def test_the_constant_of_base_classes_stands_beside():
    bank = bank_of()
    split = np.where(bank.labels % 2, "novel", "base")
    results = fewshot.evaluate(
        bank.features, bank.labels, split, ways=[2, 4], shots=5, episodes=60,
        estimators=["auto", "constant"], backbone="net",
    )  # fmt: skip
    (line,) = lines_of(results, results.cells)
    rows = results.predictions.query("estimator == 'constant'")
    misses = (rows["predicted_error"] - rows["actual_error"]).abs().groupby(rows["ways"]).mean()
    off = " and ".join(f"{100 * miss:.1f}" for miss in misses)
    assert f"; saying the same of all would be off by {off} (" in line
    assert "clearly nearer" in line


def test_one_number_of_ways_has_the_mean_known_afterwards_as_well(results):
    rows = results.predictions.query("estimator == 'auto' and shots == 5 and ways == 5")
    actual = rows["actual_error"]
    miss = 100 * (actual - actual.mean()).abs().mean()
    (line,) = lines_of(results, results.cells[-1:])
    assert line.startswith("Predicted errors, 5-way, 5 shots, net with ncm: auto")
    assert f"known only afterwards, would miss by {miss:.1f})" in line


def test_a_calibrator_that_knows_the_images_is_said_so():
    auto = fewshot.estimators.Auto()
    (entry,) = [
        entry for entry in auto.fitted_elsewhere_on()
        if (entry["dataset"], entry["backbone"]) == ("digits", "mobilenet_v2")
    ]  # fmt: skip
    digits = bank_of("digits", "mobilenet_v2")
    assert not knows_images(auto, digits)  # fewer images than it was fitted on
    rows = np.arange(entry["images"]) % len(digits)
    noise = np.random.default_rng(1).normal(size=(len(rows), digits.dim)).astype(np.float32)
    many = replace(digits, features=digits.features[rows] + noise, labels=digits.labels[rows])
    assert knows_images(auto, many)
    assert not knows_images(auto, replace(many, info=many.info | {"backbone": "net"}))
    assert not knows_images(fewshot.estimators.Margin(), many)
    assert not knows_images(auto.with_params(calibrator="mine.json"), many)
    known = fewshot.evaluate(many, ways=2, shots=5, episodes=5, estimators=["auto", "loo"])
    (note,) = fallback_notes([known.summary])[:1]
    assert note == ("auto", "2-way 5-shot with ncm", KNOWN_IMAGES)
    other = replace(many, info=many.info | {"backbone": "net"})
    unknown = fewshot.evaluate(other, ways=2, shots=5, episodes=5, estimators=["auto", "loo"])
    assert KNOWN_IMAGES not in str(fallback_notes([unknown.summary]))
    for column in ("predicted_error", "lower", "upper", "reason"):  # only said
        assert known.predictions[column].equals(unknown.predictions[column])
