"""Learning curves fitted to tasks whose curve is known, and errors on nested supports."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from fewshot.estimators.calibration.curves import TaskCurve
from fewshot.features import make_bank
from fewshot.tasks.calibration import CalibrationPlan, fit_general, nested_errors
from fewshot.tasks.calibration.learning_curves import fit_curve, fit_curves, pairs_of
from fewshot.tasks.calibration.nested import DRAWS, Ladder

SHOTS = np.array([1.0, 2, 5, 10, 20])
TRUTH = TaskCurve(np.array([1.0, 20.0]), 0.375, 0.6, 0.2, 0.0)
PLAN = CalibrationPlan(ways=(2, 5), shots=(1, 2, 4), episodes=24, heads=("ncm", "ridge"), seed=1)


def ladder(seed, group="birds", queries=400, steeper=1.0, luck=0.0, tasks=300, head="ncm"):
    """Tasks of all degrees of difficulty on one curve, with the noise of some hundred queries."""
    rng = np.random.default_rng(seed)
    first = ndtr(rng.uniform(-2, 0.8, tasks))
    curve = replace(TRUTH, level=steeper * TRUTH.level, slope=steeper * TRUTH.slope)
    expected = curve.error(first[:, None], 1.0, SHOTS)
    z = np.repeat(expected[:, None], DRAWS, 1)
    noise = luck * rng.normal(size=z.shape) / np.sqrt(SHOTS)
    errors = rng.binomial(queries, np.clip(z + noise * z * (1 - z), 0, 1)) / queries
    return Ladder(group, "set", "net", head, 5, False, SHOTS, errors)


def groups(seeds=range(4), classes=20, images=12, dim=10):
    """Gaussian classes, each group harder than the one before."""
    banks = {}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        means = rng.normal(size=(classes, 1, dim))
        x = means + (0.7 + 0.4 * seed) * rng.normal(size=(classes, images, dim))
        labels = np.repeat(np.arange(classes), images)
        bank = make_bank(x.reshape(-1, dim), labels, info={"dataset": f"set{seed}"})
        banks[f"group{seed}"] = [bank]
    return banks


@pytest.mark.parametrize("luck", [0.0, 0.25])
def test_a_known_curve_is_found(luck):
    ladders = [ladder(i, group, luck=luck) for i, group in enumerate("abcd")]
    curve = fit_curves(ladders, {})["ncm"]
    now = np.array([0.02, 0.1, 0.3, 0.5])
    for K, then in ((1, 5), (2, 10), (5, 20)):
        np.testing.assert_allclose(
            curve.error(now, K, then), TRUTH.error(now, K, then), rtol=0.12, atol=0.003
        )
    assert curve.shots.tolist() == [1, 20]
    assert curve.deviation < 0.05


def test_unlucky_images_do_not_make_easy_tasks_fall_faster():
    """Images with few errors by luck have more later: the curve must not take that for a slope."""
    flat = [replace(ladder(i, g), errors=lucky(i)) for i, g in enumerate("abcd")]
    curve = fit_curves(flat, {})["ncm"]
    assert curve.error(0.02, 2, 20) == pytest.approx(0.02, abs=0.004)
    assert curve.error(0.1, 2, 20) == pytest.approx(0.1, abs=0.012)


def lucky(seed, tasks=2000):
    """Errors of tasks that more shots do not help, by forty queries."""
    rng = np.random.default_rng(seed)
    level = ndtr(rng.uniform(-2.2, 0.5, tasks))[:, None, None]
    return rng.binomial(40, np.broadcast_to(level, (tasks, DRAWS, len(SHOTS)))) / 40


def test_data_sets_that_differ_have_a_deviation():
    steep = (0.5, 0.8, 1.2, 1.5)
    same = fit_curves([ladder(i, g) for i, g in enumerate("abcd")], {})["ncm"]
    differ = [ladder(i, g, steeper=s) for i, (g, s) in enumerate(zip("abcd", steep, strict=True))]
    assert fit_curves(differ, {})["ncm"].deviation > 3 * same.deviation


def test_weights_of_groups():
    ladders = [ladder(i, g, steeper=0.3 if g == "a" else 1.0) for i, g in enumerate("abcd")]
    plain, heavy = (fit_curves(ladders, w)["ncm"] for w in ({}, {"a": 20.0}))
    assert heavy.error(0.3, 2, 10) > plain.error(0.3, 2, 10) + 0.02


def test_groups_count_alike_whatever_their_size():
    large = [ladder(i, "a", steeper=0.3) for i in range(8)]
    others = [ladder(10 + i, g) for i, g in enumerate("bcd")]
    many, few = (fit_curves([*part, *others], {})["ncm"] for part in (large, large[:1]))
    assert many.error(0.3, 2, 10) == pytest.approx(few.error(0.3, 2, 10), abs=0.01)


def test_too_few_groups_or_no_errors_have_no_curve():
    assert fit_curves([ladder(0, "a"), ladder(1, "b")], {}) == {}
    solved = [replace(ladder(0, g), errors=np.zeros((9, DRAWS, 5))) for g in "abc"]
    assert fit_curve(pairs_of(solved, {})) is None
    assert fit_curves(solved, {}) == {}


def test_errors_that_do_not_fall_give_a_flat_curve():
    flat = [replace(ladder(0, g), errors=np.full((9, DRAWS, 5), 0.3)) for g in "abc"]
    curve = fit_curves(flat, {})["ncm"]
    assert curve.error(0.3, 1, 20) == pytest.approx(0.3)


def test_nested_errors_are_those_of_the_same_tasks():
    ladders = nested_errors(groups((0,)), PLAN)
    assert {(x.ways, x.confusable, x.head) for x in ladders} == {
        (ways, near, head) for ways in (2, 5) for near in (False, True) for head in PLAN.heads
    }
    for entry in ladders:
        assert entry.shots.tolist() == [1, 2, 4]
        assert entry.errors.shape == (3, DRAWS, 3)
    assert (np.diff(np.mean([x.errors.mean((0, 1)) for x in ladders], 0)) < 0).all()
    random, near = (
        np.mean([x.errors.mean() for x in ladders if x.confusable is kind])
        for kind in (False, True)
    )
    assert near > random
    again = nested_errors(groups((0,)), PLAN)
    assert all((a.errors == b.errors).all() for a, b in zip(ladders, again, strict=True))


def test_classes_with_more_images_make_longer_ladders():
    (bank,) = groups((0,), classes=12, images=30)["group0"]
    kept = np.flatnonzero((bank.labels < 5) | (np.arange(len(bank)) % 30 < 12))
    mixed = make_bank(np.asarray(bank.features)[kept], bank.labels[kept])
    plan = replace(PLAN, ways=(2,), shots=(2, 5, 20), heads=("ncm",), episodes=8)
    ladders = nested_errors({"mixed": [mixed]}, plan)
    assert {tuple(x.shots) for x in ladders} == {(2, 5), (2, 5, 20)}
    small = nested_errors({"small": groups((0,), images=6)["group0"]}, plan)
    assert small == []  # two shots at most leave queries, and one number of shots is no curve


def test_a_fitted_calibrator_has_curves_of_its_heads():
    plan = replace(PLAN, ways=(2,), episodes=16)
    fitted = fit_general(groups(range(3)), plan)
    assert set(fitted.curves) == {"ncm", "ridge"}
    for curve in fitted.curves.values():
        assert curve.shots.tolist() == [1, 4]
        assert curve.error(0.3, 1, 4) < 0.3


def test_simulated_tasks_are_predicted_better_than_by_no_change():
    """Fitted on three groups of Gaussian classes, on another one."""
    plan = replace(PLAN, ways=(5,), episodes=64, heads=("ncm",))
    curve = fit_curves(nested_errors(groups((0, 1, 3)), plan), {})["ncm"]
    held_out = nested_errors(groups((2,)), plan)
    errors = np.concatenate([x.errors.mean((0, 1))[None] for x in held_out])
    predicted = curve.error(errors[:, 0], 1, 4)
    assert (
        np.abs(predicted - errors[:, 2]).mean() < 0.4 * np.abs(errors[:, 0] - errors[:, 2]).mean()
    )
