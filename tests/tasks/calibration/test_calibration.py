"""Calibrators fitted on small simulated data sets."""

import json
from dataclasses import replace

import numpy as np
import pytest

import fewshot
from fewshot.estimators.calibration.regimes import REGIMES, SUPPORT_ALONE, regime_of_model
from fewshot.estimators.calibration.transferred import load_general
from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.tasks.calibration import (
    CalibrationPlan,
    calibration_cells,
    fit_calibrator,
    fit_general,
    halved,
    regression,
)

PLAN = CalibrationPlan(ways=(2, 5), shots=(1, 2, 4), episodes=25, seed=3)
NAMES = ("birds", "cars", "rocks", "signs")


def make(seed, hardness, classes=24, images=14, dim=12, split=None, **info):
    rng = np.random.default_rng(seed)
    stretch = np.geomspace(2, 0.2, dim)
    width = hardness * np.exp(0.3 * rng.normal(size=(classes, 1, 1)))
    means = rng.normal(size=(classes, 1, dim)) * stretch
    x = means + width * stretch * rng.normal(size=(classes, images, dim))
    labels = np.repeat(np.arange(classes), images)
    return make_bank(x.reshape(-1, dim), labels, split=split, info=info)


def groups(names=NAMES, **settings):
    hardness = (0.6, 0.9, 1.2, 1.6)
    return {
        name: [make(i, hardness[i], dataset=name, backbone="net", feature="last", **settings)]
        for i, name in enumerate(names)
    }


@pytest.fixture(scope="module")
def cells():
    return calibration_cells(groups(), PLAN)


@pytest.fixture(scope="module")
def fitted(cells):
    return fit_calibrator(cells, groups(), PLAN, "simulated")


@pytest.mark.slow
def test_every_regime_has_a_model_that_makes_sense(fitted):
    assert {regime_of_model(name) for name in fitted.models} == set(REGIMES)
    for regime, model in fitted.models.items():
        disagreeing = [i for i, name in enumerate(model.covariates, 1) if "disagree" in name]
        if disagreeing:
            assert model.shots.tolist() == ([1] if regime.startswith("one shot") else [2])
            assert np.isfinite(model.coefficients).all()
            assert (model.coefficients[:, disagreeing].sum(-1) > 0).all()
            continue
        assert model.shots.tolist() == ([1] if regime.startswith("one shot") else [2, 4])
        assert np.isfinite(model.coefficients).all() and np.abs(model.coefficients).max() < 3
        assert (np.diff(model.residuals) >= 0).all()
        risks = [i for i, name in enumerate(model.covariates, 1) if name.startswith("risk")]
        if risks:  # together they make the predicted error rise, and so does overlap
            risks += [i for i, name in enumerate(model.covariates, 1) if name == "overlap"]
            assert (model.coefficients[:, risks].sum(-1) > 0).all()
            assert model.coefficients[-1, risks].sum() > 0.1
        else:
            assert (model.coefficients[:, 1] > 0.1).all()  # more ways, more errors
        x = np.tile(model.centre, (1, 5, 1))
        assert 0.05 < model.predict(x, model.shots[:1])[0] < 0.6


@pytest.mark.slow
def test_data_sets_left_out_have_figures(fitted):
    rows = fitted.left_out
    assert {row["group"] for row in rows} == set(NAMES)
    assert {regime_of_model(row["regime"]) for row in rows} == set(REGIMES)
    assert {row["head"] for row in rows} == {"ncm", "lda", "ridge", "logistic", "knn"}
    assert {row["shots"] for row in rows} == {1, 2, 4}
    for row in rows:
        assert 0 <= row["mae"] < 0.5 and 0 <= row["coverage"] <= 1
        of_supports = row["regime"] in SUPPORT_ALONE
        assert (row["mae_loo"] is None) == (row["shots"] == 1 or not of_supports)
    json.dumps(rows, allow_nan=False)

    def mean(key, regime):
        return np.mean([row[key] for row in rows if row["regime"] == regime])

    # What the support shows of an unknown data set beats knowing nothing of it.
    assert mean("mae", "closed") < 0.8 * mean("mae", "one shot")
    assert mean("mae", "closed, base classes") < mean("mae", "one shot, base classes")
    assert 0.6 < np.mean([row["coverage"] for row in rows]) <= 1


@pytest.mark.slow
def test_a_data_set_is_described(fitted):
    assert [record["group"] for record in fitted.fitted_on] == list(NAMES)
    record = fitted.fitted_on[0]
    assert (record["images"], record["classes"], record["dimensions"]) == (24 * 14, 24, 12)
    assert fitted.space["backbone"] == "net" and fitted.space["dimensions"] == 12
    assert fitted.notes == "simulated"


@pytest.mark.slow
def test_save_load_and_use(fitted, tmp_path):
    fitted.save(tmp_path / "mine.json")
    again = load_general(tmp_path / "mine.json")
    assert set(again.models) == set(fitted.models)
    bank = make(9, 1.0)
    settings = {"episodes": 30, "shots": 3, "calibrator": str(tmp_path / "mine.json")}
    with pytest.raises(FewshotError, match="backbone 'net', got 'unknown'"):
        fewshot.evaluate(bank.features, bank.labels, **settings)
    replace(fitted, space=None).save(tmp_path / "mine.json")
    for calibration in ("none", "datasets"):
        result = fewshot.evaluate(
            bank.features,
            bank.labels,
            estimators=["auto", "margin", "loo"],
            calibration=calibration,
            **settings,
        )
        assert result.predictions["predicted_error"].notna().all()
        summary = result.summary["estimators"]
        assert summary["auto"]["mae"] < 0.12
    raw = fewshot.evaluate(bank.features, bank.labels, estimators=["loo"], episodes=30, shots=3)
    assert summary["loo"]["mae"] < raw.summary["estimators"]["loo"]["mae"]


@pytest.mark.slow
def test_same_seed_same_calibrator_and_another_seed_another():
    small = replace(PLAN, ways=(2,), shots=(1, 2), heads=("ncm",), episodes=10)
    first, second, other = (
        fit_general(groups(NAMES[:3]), plan) for plan in (small, small, replace(small, seed=4))
    )
    for regime, model in first.models.items():
        np.testing.assert_array_equal(model.coefficients, second.models[regime].coefficients)
        np.testing.assert_array_equal(model.residuals, second.models[regime].residuals)
    assert first.left_out == second.left_out
    changed = [
        not np.array_equal(m.coefficients, other.models[r].coefficients)
        for r, m in first.models.items()
    ]
    assert all(changed)


@pytest.mark.slow
def test_errors_of_a_data_set_left_out_do_not_reach_its_predictions(cells, monkeypatch):
    def predictions(cells):
        seen = {}
        original = regression._figures

        def record(predicted, cell, residuals):
            seen[cell.group, cell.head, cell.ways, cell.shots] = (predicted, residuals.quantiles)
            return original(predicted, cell, residuals)

        with monkeypatch.context() as patch:
            patch.setattr(regression, "_figures", record)
            patch.setattr(regression, "SHOWN", 5)
            regression.fit_regime(REGIMES["closed"], cells)
        return seen

    closed = [cell for cell in cells if cell.regime == "closed"]
    before = predictions(closed)
    after = predictions(
        [replace(c, actual=1 - c.actual) if c.group == "rocks" else c for c in closed]
    )
    assert len(before) == len(after) > 0
    for key, (predicted, _) in before.items():
        same = np.allclose(predicted, after[key][0])
        assert same == (key[0] == "rocks")


@pytest.mark.slow
def test_groups_weigh_alike_whatever_their_banks(cells):
    closed = [c for c in cells if c.regime == "closed" and c.shots == 2]
    P = len(REGIMES["closed"])
    centre, scale = np.zeros(P), np.ones(P)
    once = regression._fit(closed, centre, scale)
    doubled = closed + [replace(c, dataset="copy") for c in closed if c.group == "cars"]
    np.testing.assert_allclose(regression._fit(doubled, centre, scale), once, atol=1e-6)
    # Twice the weight is what a twin would bring.
    twin = closed + [replace(c, group="twin") for c in closed if c.group == "cars"]
    weighed = [replace(c, weight=2.0) if c.group == "cars" else c for c in closed]
    np.testing.assert_allclose(
        regression._fit(weighed, centre, scale), regression._fit(twin, centre, scale), atol=1e-6
    )
    assert np.abs(regression._fit(weighed, centre, scale) - once).max() > 1e-3


def test_too_little_is_refused():
    two = dict(list(groups().items())[:2])
    with pytest.raises(FewshotError, match="expected three data sets or more, got 2"):
        fit_general(two, PLAN)
    tiny = groups(classes=4, images=3)
    with pytest.raises(FewshotError, match="no regime has episodes from three data sets"):
        fit_general(tiny, replace(PLAN, shots=(10,)))
    with pytest.raises(FewshotError, match="no group 'fish' to weigh; there are birds, cars"):
        unknown = replace(PLAN, weights={"fish": 2.0}, ways=(2,), shots=(2,), heads=("ncm",))
        fit_general(groups(), replace(unknown, episodes=2))


@pytest.mark.slow
def test_few_classes_leave_the_regimes_that_need_many_out():
    small = replace(PLAN, ways=(2,), shots=(1, 2), episodes=8)
    fitted = fit_general(groups(NAMES[:3], classes=8), small)
    assert set(SUPPORT_ALONE) - set(fitted.models) == {
        "closed, base classes", "held out, base classes"
    }  # fmt: skip


def test_half_of_the_classes_are_base_unless_there_is_a_split():
    bank = make(0, 1.0)
    parts = halved(bank, 1).parts
    assert sorted(parts) == ["base"] * 12 + ["novel"] * 12
    assert halved(bank, 1).parts == parts != halved(bank, 2).parts
    split = np.where(np.arange(24 * 14) < 5 * 14, "base", "novel")
    assert halved(make(0, 1.0, split=split), 1).parts.count("base") == 5


def test_a_base_class_with_one_image_is_no_obstacle():
    """Moments need two images of some base class."""
    banks = groups(classes=8)
    for name, (bank,) in banks.items():
        is_base = bank.labels < 4
        rows = np.concatenate([np.flatnonzero(~is_base), np.arange(0, 4 * 14, 14)])
        split = np.where(bank.labels[rows] < 4, "base", "novel")
        banks[name] = [make_bank(bank.features[rows], bank.labels[rows], split=split)]
    small = replace(PLAN, ways=(2,), shots=(1, 2), episodes=8, heads=("ncm",))
    models = fit_general(banks, small).models
    assert set(models) & set(SUPPORT_ALONE) == {"closed", "one shot"}
