"""evaluate(): three lines in a notebook."""

import numpy as np
import pytest
import torch

import fewshot
from fewshot.estimators.margin import Margin
from fewshot.heads.lda import LDA
from fewshot.tasks import table_columns


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 25)
    features = rng.normal(size=(12, 20))[labels] + 1.3 * rng.normal(size=(300, 20))
    return features.astype(np.float32), labels, np.where(labels < 6, "base", "novel")


def run(data, **settings):
    features, labels, _ = data
    return fewshot.evaluate(features, labels, **({"episodes": 40} | settings))


def test_rows_and_summary(data):
    result = run(data, split=data[2], estimators=["margin", "loo", "constant"], seed=3)
    assert list(result.episodes.columns) == list(table_columns("episodes"))
    assert list(result.predictions.columns) == list(table_columns("predictions"))
    assert len(result.episodes) == 40
    assert len(result.predictions) == 120
    error = result.episodes["actual_error"]
    assert result.summary["actual_error"]["mean"] == pytest.approx(error.mean())
    np.testing.assert_allclose(result.episodes["accuracy"], 1 - error)
    # Episodes come from the novel classes, 6 to 11.
    assert {int(name) for names in result.episodes["classes"] for name in names} == {*range(6, 12)}
    constant = result.predictions.query("estimator == 'constant'")["predicted_error"]
    assert constant.nunique() == 1
    assert constant.iloc[0] == pytest.approx(result.summary["base"]["actual_error"])
    assert result.summary["estimators"]["constant"]["skill"] == pytest.approx(0)


def test_same_seed_same_rows_and_another_seed_others(data):
    first, second, other = (run(data, seed=seed) for seed in (1, 1, 2))
    assert first.episodes.equals(second.episodes)
    assert first.predictions.equals(second.predictions)
    assert not first.episodes.equals(other.episodes)


def test_tensors_names_and_types_give_the_same(data):
    features, labels, split = data
    names = np.array([f"class {c:02d}" for c in labels])
    first = run(data, split=split)
    second = fewshot.evaluate(torch.from_numpy(features), names, list(split), episodes=40)
    assert first.episodes["actual_error"].equals(second.episodes["actual_error"])
    three = fewshot.evaluate(features, torch.from_numpy(labels), split.astype("S"), episodes=40)
    assert first.episodes["actual_error"].equals(three.episodes["actual_error"])


@pytest.mark.filterwarnings("error")
def test_read_only_features_are_taken_without_a_warning(data):
    features = data[0].copy()
    features.flags.writeable = False
    assert run((features, *data[1:])).episodes.equals(run(data).episodes)


def test_heads_and_estimators_as_objects(data):
    result = run(data, head=LDA(shrinkage=0.5), estimators={"mine": Margin(points=64)})
    assert result.summary["head"] == "lda"
    assert result.summary["head_parameters"]["shrinkage"] == 0.5
    assert set(result.predictions["estimator"]) == {"mine"}


def test_undefined_predictions_are_missing_with_a_reason(data):
    rows = run(data, shots=1, estimators=["loo", "margin", "gaussian", "constant"]).predictions
    assert rows["predicted_error"].isna().all()
    assert rows["reason"].notna().all()
    assert rows.query("estimator == 'loo'")["reason"].iloc[0].startswith("leave-one-out needs two")
    with_base = run(data, shots=1, split=data[2], estimators=["margin", "gaussian", "constant"])
    assert with_base.predictions["predicted_error"].notna().all()
    assert with_base.predictions["reason"].isna().all()


def test_calibration_on_base_classes_removes_their_bias(data):
    raw = run(data, split=data[2], estimators=["loo", "constant"])
    calibrated = run(data, split=data[2], estimators=["loo", "constant"], calibration="base")
    assert set(calibrated.predictions.query("estimator == 'loo'")["calibration"]) == {"slope"}
    assert set(calibrated.predictions.query("estimator == 'constant'")["calibration"]) == {"none"}
    shift = raw.predictions["predicted_error"] - calibrated.predictions["predicted_error"]
    assert shift[:40].max() > 0.01
    assert raw.predictions.query("estimator == 'loo'")["lower"].isna().all()
    assert calibrated.predictions[["lower", "upper"]].notna().all(axis=None)


def test_replay(data):
    features, labels, _ = data
    drawn = fewshot.sample_episodes(labels, 3, 2, 5, 20, seed=8)
    result = fewshot.evaluate(features, labels, episodes=drawn)
    assert (result.summary["ways"], result.summary["shots"], len(result.episodes)) == (3, 2, 20)
    with pytest.raises(fewshot.FewshotError, match="drawn from these labels"):
        fewshot.evaluate(features, labels[::-1].copy(), episodes=drawn)


def test_actual_error_weighs_classes_alike():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [200, 10])
    features = rng.normal(size=(210, 3)) + labels[:, None]
    result = fewshot.evaluate(features, labels, ways=2, shots=3, episodes=30, estimators=[])
    rows = result.episodes
    assert (rows["queries"] == 204).all()
    assert not np.allclose(rows["actual_error"], rows["query_error"])


def test_nothing_is_printed_and_the_result_reads_well(data, capsys):
    result = run(data)
    assert capsys.readouterr() == ("", "")
    assert "ncm" in repr(result)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ways": 30}, r"episodes\.ways: expected at most the 12 classes"),
        ({"shots": 25}, "has 25 images; 25 shots"),
        ({"head": "ncn"}, "head: expected a registered name, got 'ncn'. Did you mean 'ncm'"),
        ({"estimators": ["margins"]}, "Did you mean 'margin'"),
        ({"calibration": "base"}, "expected base classes to calibrate on"),
        ({"calibration": "some"}, "calibration: expected one of 'none', 'base'"),
        ({"split": ["base"] * 300}, "expected some classes to be novel"),
        ({"split": ["base"] * 10}, "expected 300 entries"),
        ({"split": ["tets"] * 300}, "expected base, validation or novel, got 'tets'"),
        ({"split": ["base"] * 10 + ["novel"] * 290}, "class '0' is in base and in novel"),
        ({"normalize": "l3"}, "normalize: expected one of"),
        ({"logit_scale": "x"}, "logit_scale: expected a number > 0, got 'x'"),
        ({"logit_scale": 0}, "logit_scale: expected a number > 0, got 0"),
        ({"logit_scale": None}, "logit_scale: expected a number > 0, got None"),
        ({"logit_scale": float("inf")}, "logit_scale: expected a number > 0, got inf"),
        ({"head": 3}, "expected a name or a Head"),
    ],
)
def test_mistakes(data, settings, message):
    with pytest.raises(fewshot.FewshotError, match=message):
        run(data, **settings)


def test_bad_arrays(data):
    features, labels, _ = data
    broken = features.copy()
    broken[17, 3] = np.nan
    for bad, expected in (
        ((broken, labels), "NaN or infinity in row 17"),
        ((features, labels[:-1]), "expected 300 labels"),
        ((features[0], labels), r"expected shape \(M, D\)"),
        ((features.astype(complex), labels), "got complex128"),
        ((features, labels + 0.5), "expected integers or names"),
    ):
        with pytest.raises(fewshot.FewshotError, match=expected):
            fewshot.evaluate(*bad)


def test_what_was_learned_on_base_classes_can_be_kept(data, tmp_path):
    names = ["auto", "margin", "loo"]
    learned = run(data, split=data[2], estimators=names, calibration="base", backbone="net")
    assert learned.calibrator is not None
    learned.calibrator.save(tmp_path / "mine.json")
    kept = {"calibration": "datasets", "calibrator": str(tmp_path / "mine.json")}
    again = run(data, split=data[2], estimators=names, backbone="net", **kept)
    for name in names:
        first, second = (
            rows.loc[rows["estimator"] == name, ["predicted_error", "lower", "upper"]]
            for rows in (learned.predictions, again.predictions)
        )
        np.testing.assert_allclose(first, second, atol=2e-3)  # JSON keeps five digits
    assert again.calibrator is None  # nothing was learned here
    with pytest.raises(fewshot.FewshotError, match="backbone 'net', got 'other'"):
        run(data, split=data[2], estimators=names, backbone="other", **kept)
    assert run(data, estimators=["auto"]).calibrator is None
