"""Which combination is taken, and what choosing costs."""

from dataclasses import replace

import numpy as np
import pytest

from fewshot.estimators.calibration.curves import TaskCurve
from fewshot.estimators.calibration.intervals import spread
from fewshot.tasks.classification.forecast import choice
from fewshot.tasks.classification.forecast.forecast import Forecast
from fewshot.tasks.classification.forecast.learning_curve import LearningCurve

HEADS = ("ncm", "lda", "ridge", "logistic")


def made(head, error, backbone="net"):
    return Forecast(backbone, head, error, error / 2, min(1, 2 * error), "datasets", None, ())


def taken(errors, names):
    return names[int(choice.taken_of(np.array([errors]), names)[0])]


def test_the_usual_head_is_taken_unless_another_is_clearly_better():
    names = [("net", head) for head in HEADS]
    assert taken([0.19, 0.20, 0.20, 0.21], names) == ("net", "ridge")
    assert taken([0.20, 0.12, 0.20, 0.21], names) == ("net", "lda")
    assert taken([0.20, 0.22, 0.25, 0.24], names) == ("net", "ncm")


def test_without_the_usual_head_the_lowest_is_taken():
    names = [("net", "ncm"), ("net", "lda")]
    assert taken([0.2001, 0.2], names) == ("net", "lda")


def test_the_best_backbone_is_taken_by_what_would_be_taken_on_it():
    names = [("a", "ncm"), ("a", "ridge"), ("b", "ncm"), ("b", "ridge")]
    # On b nearest class mean is lowest of all, but not clearly better than ridge there.
    assert taken([0.30, 0.199, 0.19, 0.20], names) == ("a", "ridge")
    assert taken([0.30, 0.199, 0.10, 0.20], names) == ("b", "ncm")


def test_rows_are_judged_one_by_one():
    rng = np.random.default_rng(0)
    names = [(backbone, head) for backbone in "ab" for head in HEADS]
    errors = rng.uniform(0.05, 0.4, (40, len(names)))
    each = [int(choice.taken_of(row[None], names)[0]) for row in errors]
    assert choice.taken_of(errors, names).tolist() == each


def test_order_and_rows():
    rows = [made("ncm", 0.19), made("ridge", 0.2), made("lda", 0.3)]
    ordered = choice.in_order(rows)
    assert [row.head for row in ordered] == ["ridge", "ncm", "lda"]
    assert ordered[0].error == 0.2 and ordered[0].lower == 0.1
    assert ordered[0].upper == pytest.approx(0.4 + ordered[0].price)
    assert all(row.price == 0 for row in ordered[1:])


def test_the_price_is_in_the_curve_of_what_is_taken():
    shape = TaskCurve(np.array([1.0, 50.0]), 0.375, 0.5, 0.15, 0.1)
    rows = []
    for backbone, error in (("a", 0.2), ("b", 0.21)):
        row = made("ncm", error, backbone)
        curve = LearningCurve(shape, 5.0, (row.error, row.lower, row.upper), 0.9)
        rows.append(replace(row, learning_curve=curve, outlook=curve.points((1, 10))))
    taken, other = choice.in_order(rows)
    assert taken.price > choice.WORTH_SAYING and len(taken.warnings) == 1
    assert taken.learning_curve.numbers == (0.2, 0.1, taken.upper)
    assert taken.outlook == taken.learning_curve.points((1, 10))
    for now, before in zip(taken.outlook, rows[0].outlook, strict=True):
        assert (now.error, now.lower) == (before.error, before.lower)
        assert before.upper < now.upper < before.upper + taken.price
    assert other == rows[1] and other.outlook == rows[1].outlook


def test_a_single_combination_has_no_price():
    assert choice.price_of_choice(np.array([0.2]), [("net", "ncm")]) == 0
    assert choice.in_order([made("ncm", 0.2)]) == [made("ncm", 0.2)]


def test_the_price_of_equal_backbones_is_what_the_minimum_is_too_low_by():
    """Of M predictions off by chance, against simulated ones."""
    names = [(f"net{m}", "ncm") for m in range(4)]
    errors = np.full(4, 0.2)
    rng = np.random.default_rng(1)
    scale = float(np.hypot(choice.OF_HEADS, choice.OF_BACKBONES) * spread(errors)[0])
    expected = -scale * rng.standard_normal((20000, 4)).min(1).mean()
    assert choice.price_of_choice(errors, names) == pytest.approx(expected, rel=0.06)


def test_backbones_that_are_far_behind_cost_nothing():
    names = [("good", "ncm"), ("bad", "ncm"), ("worse", "ncm")]
    assert choice.price_of_choice(np.array([0.05, 0.6, 0.7]), names) < 1e-3
    near = choice.price_of_choice(np.array([0.05, 0.06, 0.07]), names)
    assert 0.005 < near < 0.05


def test_heads_cost_less_than_backbones():
    errors = np.array([0.2, 0.2, 0.2])
    heads = [("net", "ncm"), ("net", "lda"), ("net", "svm")]
    backbones = [("a", "ncm"), ("b", "ncm"), ("c", "ncm")]
    assert choice.price_of_choice(errors, heads) < choice.price_of_choice(errors, backbones)


def test_it_is_the_same_every_time():
    errors, names = np.array([0.2, 0.22]), [("a", "ncm"), ("b", "ncm")]
    assert choice.price_of_choice(errors, names) == choice.price_of_choice(errors, names)
