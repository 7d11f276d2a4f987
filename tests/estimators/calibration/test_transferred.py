"""Calibrators on disk: there and back, and what is refused."""

import json
import os

import numpy as np
import pytest
import torch
from scipy.special import ndtr

import fewshot
from fewshot.estimators.auto import Auto
from fewshot.estimators.base import NO_BASE
from fewshot.estimators.calibration.calibrated import Steps
from fewshot.estimators.calibration.calibrators import Offset, Slope
from fewshot.estimators.calibration.covariates import Evidence
from fewshot.estimators.calibration.curves import SharedCurve, TaskCurve
from fewshot.estimators.calibration.intervals import GRID, Residuals
from fewshot.estimators.calibration.regimes import (
    MEASURED,
    NUMBERS,
    REGIMES,
    SUPPORT_ALONE,
    regime_of_model,
    with_head,
    with_number,
)
from fewshot.estimators.calibration.transferred import (
    FORMAT,
    General,
    load_general,
)
from fewshot.exceptions import FewshotError
from fewshot.heads import LDA, NCM, Ridge
from fewshot.heads import heads as head_registry
from fewshot.heads.base import Support

SPACE = {"backbone": "resnet18", "feature": "penultimate"}


class MyHead(NCM):
    """A head of another package, whose name has a hyphen."""


def residuals(width=0.2):
    return Residuals(width * np.linspace(-1, 1, len(GRID)))


@pytest.fixture
def whole(make_model):
    steps = Steps(
        np.array([2.0, 5.0]), [Offset(0.1), Slope(0.2, 0.9)], [residuals(), residuals(0.1)]
    )
    return General(
        {name: make_model(name) for name in REGIMES},
        {"margin": {"ncm": steps}},
        {
            "ncm": TaskCurve(np.array([1.0, 50.0]), 0.375, 0.5, 0.125, 0.1),
            "knn": SharedCurve(
                np.array([1.0, 2.0, 5.0]), np.array([0.0, -0.3, -0.6]), np.array([0.1, 0.2])
            ),
        },
        SPACE,
        [{"dataset": "birds", "images": 10}],
        [{"dataset": "birds", "mae": 0.05, "mae_loo": None}],
        "made by hand",
    )


@pytest.fixture
def saved(whole, tmp_path):
    whole.save(tmp_path / "mine.json")
    return tmp_path / "mine.json"


def test_save_and_load(whole, saved):
    again = load_general(saved)
    assert (again.space, again.fitted_on, again.left_out) == (
        whole.space, whole.fitted_on, whole.left_out
    )  # fmt: skip
    assert again.notes == "made by hand" and again.path == str(saved)
    rng = np.random.default_rng(0)
    for regime, model in whole.models.items():
        x = rng.normal(size=(7, 3, len(REGIMES[regime])))
        shots = rng.uniform(1, 30, size=7)
        np.testing.assert_allclose(
            again.model(regime).predict(x, shots), model.predict(x, shots), atol=1e-5
        )
        np.testing.assert_allclose(
            again.model(regime).residuals_at(3.0).quantiles,
            model.residuals_at(3.0).quantiles,
            atol=1e-5,
        )
    steps = again.steps("margin", "ncm")
    assert steps.calibrators == [Offset(0.1), Slope(0.2, 0.9)]
    np.testing.assert_allclose(steps.residuals[1].quantiles, residuals(0.1).quantiles, atol=1e-5)
    for head, curve in whole.curves.items():
        assert type(again.curves[head]) is type(curve)
        assert again.curves[head].error(0.2, 2, 9) == curve.error(0.2, 2, 9)
    assert load_general(saved) is again  # read once
    again.save(saved)
    assert json.loads(saved.read_text())["kind"] == "fewshot.calibrator"
    assert [path.name for path in saved.parent.iterdir()] == ["mine.json"]


def test_a_changed_file_is_read_again(whole, saved, make_model):
    first = load_general(saved)
    General({"closed": make_model("closed")}).save(saved)
    os.utime(saved, (1, 1))
    assert list(load_general(saved).models) == ["closed"] != list(first.models)


def test_the_model_is_the_formula(make_model):
    model = make_model("closed", shots=(2.0, 8.0))
    coefficients = model.coefficients.copy()
    coefficients[1] += 0.5
    object.__setattr__(model, "coefficients", coefficients)
    object.__setattr__(model, "centre", np.array([1.0, -1.0, 0.5, 0.0, 2.0]))
    object.__setattr__(model, "scale", np.array([0.5, 2.0, 1.0, 1.5, 0.7]))
    x = np.random.default_rng(0).normal(size=(4, 3, 5))
    predicted = model.predict(x, np.array([1.0, 2.0, 4.0, 50.0]))
    for e, share in enumerate((0, 0, 0.5, 1)):  # of log 2 to log 8
        b = coefficients[0] + 0.5 * share
        eta = b[0] + ((x[e] - model.centre) / model.scale) @ b[1:]
        assert predicted[e] == pytest.approx(ndtr(eta).mean())


def test_steps_take_the_nearest_number_of_shots():
    steps = Steps(np.array([1.0, 5.0, 20.0]), [Offset(0.0)] * 3, [residuals()] * 3)
    assert [steps.nearest(k) for k in (1, 2, 3, 9, 11, 100)] == [0, 0, 1, 1, 2, 2]


def test_a_head_has_its_model_where_there_is_one(make_model, monkeypatch, tmp_path):
    monkeypatch.setattr(head_registry, "_entries", dict(head_registry._entries))
    head_registry.add("my-head", MyHead)
    names = ["held out", *(with_head("held out", head) for head in ("lda", "my-head", "gone"))]
    general = General({name: make_model("held out") for name in names})
    general.save(tmp_path / "mine.json")
    again = load_general(tmp_path / "mine.json")
    for read in (general, again):
        assert read.model("held out") is read.models["held out"]
        assert read.model("held out", LDA()) is read.models["held out [lda]"]
        assert read.model("held out", MyHead()) is read.models["held out [my-head]"]
        assert read.model("held out", Ridge()) is read.models["held out"]
        assert read.model("not linear", LDA()) is read.models["held out [lda]"]


def test_a_calibrator_of_earlier_versions_predicts_by_its_fewer_covariates(make_model, tmp_path):
    """Format 1 knows neither the means over a task nor the risk of nearest class mean."""
    names = ("ways", "risk", "overlap")
    b, centre, scale = np.array([[-0.7, 0.2, 0.5, 0.3]]), np.array([1.0, -1.5, 0.1]), np.ones(3)
    numbers = {"centre": centre, "scale": scale, "shots": [3.0], "coefficients": b,
               "residuals": [residuals().quantiles]}  # fmt: skip
    model = {key: np.asarray(value).tolist() for key, value in numbers.items()}
    content = {
        "kind": "fewshot.calibrator", "format": 1, "fewshot": "0.1.0",
        "models": {name: {"covariates": names, **model} for name in ("closed", "held out")},
        "residual_levels": GRID.tolist(),
    }  # fmt: skip
    path = tmp_path / "old.json"
    path.write_text(json.dumps(content))
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(4, 5, 3, 6)) + rng.normal(size=(4, 5, 1, 6)))
    support = Support.of(features)
    for head in (NCM().fit(support), LDA().fit(support)):
        x = Evidence(support, head, NO_BASE).stack(names).numpy()
        expected = ndtr(b[0, 0] + (x - centre) @ b[0, 1:])
        auto = Auto(calibrator=str(path)).fit(NO_BASE)
        np.testing.assert_allclose(auto.errors_by_class(support, head), expected, rtol=1e-6)
        np.testing.assert_allclose(auto.predict(support, head).error, expected.mean(1), rtol=1e-6)


def test_what_is_missing_is_named(whole, make_model):
    few = General({"closed": make_model("closed")}, path="mine.json")
    with pytest.raises(FewshotError, match=r"mine\.json was not fitted for 'held out'; it has clo"):
        few.model("held out")
    with pytest.raises(FewshotError, match="nothing for 'loo' with head 'ncm'; it has auto and ma"):
        whole.steps("loo", "ncm")
    with pytest.raises(FewshotError, match="it has auto and nothing else"):
        few.steps("loo", "ncm")


def test_another_backbone_is_refused(whole):
    whole.check_space({**SPACE, "dataset": "any"})
    General({}).check_space({"backbone": "anything"})  # general-purpose
    for info in ({**SPACE, "backbone": "dinov2"}, {"backbone": "resnet18"}, {}):
        with pytest.raises(FewshotError, match=r"was fitted on features with (backbone|feature)"):
            whole.check_space(info)


def broken(change):
    """What `change` makes of a valid file's content."""

    def apply(content):
        change(content)
        return json.dumps(content)

    return apply


def put(value, *keys):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return broken(change)


MISTAKES = {
    "garbage": lambda content: "{not json",
    "empty": lambda content: "",
    "a list": lambda content: "[1, 2]",
    "a number": lambda content: "3",
    "null": lambda content: "null",
    "another kind": put("a cake", "kind"),
    "no kind": broken(lambda c: c.pop("kind")),
    "no format": broken(lambda c: c.pop("format")),
    "newer": put(FORMAT + 1, "format"),
    "format in words": put("one", "format"),
    "no models": broken(lambda c: c.pop("models")),
    "models in a list": put([], "models"),
    "unknown regime": broken(lambda c: c["models"].update(new=c["models"]["closed"])),
    "other covariates": put(["ways", "overlap", "risk"], "models", "closed", "covariates"),
    "no covariates": broken(lambda c: c["models"]["closed"].pop("covariates")),
    "NaN": put(float("nan"), "models", "closed", "coefficients", 0, 1),
    "infinity": put(float("inf"), "models", "closed", "residuals", 0, 0),
    "a huge number": put(10**400, "models", "closed", "centre", 0),
    "text for a number": put("x", "models", "closed", "centre", 0),
    "null for a number": put(None, "models", "closed", "centre", 0),
    "ragged": put([1.0], "models", "closed", "coefficients", 0),
    "too few residuals": put([[0.0]] * 3, "models", "closed", "residuals"),
    "scale zero": put(0.0, "models", "closed", "scale", 0),
    "negative scale": put(-1.0, "models", "closed", "scale", 0),
    "shots zero": put(0.0, "models", "closed", "shots", 0),
    "shots in disorder": put([5.0, 2.0, 20.0], "models", "closed", "shots"),
    "residuals in disorder": broken(
        lambda c: c["models"]["closed"]["residuals"][0].reverse()
    ),
    "no shots": broken(
        lambda c: c["models"]["closed"].update(shots=[], coefficients=[], residuals=[])
    ),
    "others in a list": put([1], "others"),
    "unknown calibrator": put("magic", "others", "margin", "ncm", "calibrators", 0, "method"),
    "calibrator of text": put("x", "others", "margin", "ncm", "calibrators", 0, "shift"),
    "fewer calibrators than shots": broken(
        lambda c: c["others"]["margin"]["ncm"]["calibrators"].pop()
    ),
    "no steps": put(
        {"shots": [], "calibrators": [], "residuals": []}, "others", "margin", "ncm"
    ),
    "NaN in steps": put(float("nan"), "others", "margin", "ncm", "residuals", 0, 0),
    "curves in a list": put([1], "curves"),
    "a curve that is a number": put(0.5, "curves", "ncm"),
    "a curve in a list": put([1.0, 50.0], "curves", "ncm"),
    "NaN in a shared curve": put(float("nan"), "curves", "knn", "change", 0),
    "shots of a shared curve in disorder": put([2.0, 1.0, 5.0], "curves", "knn", "shots"),
    "NaN in a curve": put(float("nan"), "curves", "ncm", "slope"),
    "a rising curve": put(-0.5, "curves", "ncm", "level"),
    "a curve without bounds": put(1e200, "curves", "ncm", "slope"),
    "no level": broken(lambda c: c["curves"]["ncm"].pop("level")),
    "text in a curve": put("steep", "curves", "ncm", "power"),
    "shots of a curve in disorder": put([50.0, 1.0], "curves", "ncm", "shots"),
    "three shots of a curve": put([1.0, 2.0, 50.0], "curves", "ncm", "shots"),
    "space of text": put("resnet18", "space"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_bad_file_is_one_line(saved, mistake):
    content = json.loads(saved.read_text())
    saved.write_text(MISTAKES[mistake](content))
    with pytest.raises(FewshotError) as caught:
        load_general(saved)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"calibrator: {saved} cannot be read: ")
    assert len(message) > len(f"calibrator: {saved} cannot be read: ..")


def test_bytes_that_are_no_text_and_folders_and_nothing(tmp_path):
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00\x80")
    (tmp_path / "folder.json").mkdir()
    folder = "expected a file, got a folder: '.*folder.json'"
    for name, problem in (
        ("binary.json", "binary.json cannot be read: "),
        ("folder.json", folder),
        ("nowhere.json", "nowhere.json cannot be read: "),
    ):
        with pytest.raises(FewshotError, match=rf"calibrator: .*{problem}") as caught:
            load_general(tmp_path / name)
        assert "\n" not in str(caught.value)


def run(**settings):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 12)
    features = rng.normal(size=(6, 8))[labels] + rng.normal(size=(72, 8))
    arguments = {"ways": 3, "shots": 3, "episodes": 10, "estimators": ["auto"]} | settings
    return fewshot.evaluate(features, labels, **arguments)


def test_evaluate_with_a_calibrator_of_your_own(whole, saved):
    with pytest.raises(FewshotError, match="fitted on features with backbone 'resnet18', got 'vit"):
        run(calibrator=str(saved), backbone="vit")
    general = General(whole.models, whole.others)
    general.save(saved)
    rows = run(calibrator=str(saved)).predictions
    assert set(rows["calibration"]) == {"datasets"}
    np.testing.assert_allclose(
        rows["predicted_error"],
        run(estimators={"auto": Auto(calibrator=str(saved))}).predictions["predicted_error"],
    )
    other = run(calibration="datasets", calibrator=str(saved), estimators=["margin"]).predictions
    raw = run(estimators=["margin"]).predictions["predicted_error"]
    # Three shots are nearest to two: an offset of 0.1.
    np.testing.assert_allclose(other["predicted_error"], np.clip(raw - 0.1, 0, 1), atol=1e-6)
    assert other[["lower", "upper"]].notna().all(axis=None)
    with pytest.raises(FewshotError, match="has nothing for 'loo'"):
        run(calibration="datasets", calibrator=str(saved), estimators=["loo"])
    with pytest.raises(FewshotError, match=r"nowhere\.json cannot be read: No such file"):
        run(calibrator="nowhere.json")


def test_the_one_of_the_package_serves_every_regime():
    general = load_general()
    assert {regime_of_model(name) for name in general.models} == set(REGIMES)
    assert general.space is None and len(general.fitted_on) >= 3
    for name in set(REGIMES) - set(SUPPORT_ALONE):
        numbers = (5, 15, MEASURED) if name.endswith("prior") else (*NUMBERS, MEASURED)
        for number in numbers:
            model = general.models[with_number(name, number)]
            disagreeing = [i for i, c in enumerate(model.covariates, 1) if "disagree" in c]
            assert (model.coefficients[:, disagreeing].sum(-1) > 0).all()
    for regime in SUPPORT_ALONE:
        model = general.models[regime]
        single_shot = regime.startswith("one shot")
        assert model.shots.tolist() == ([1] if single_shot else [2, 3, 5, 10, 20])
        worse = model.coefficients_at(np.array([5.0]))[0, 2:]  # every covariate but `ways`
        assert (worse > -0.1).all() and (len(worse) == 0 or worse.max() > 0.1)
        # Typical evidence gives a likely error, and an interval with some width.
        x = np.tile(model.centre, (2, 5, 1))
        predicted = model.predict(x, np.array([5.0, 5.0]))
        assert ((predicted > 0.02) & (predicted < 0.6)).all()
        lower, upper = model.residuals_at(5).interval(predicted)
        assert ((upper - lower > 0.03) & (upper - lower < 0.9)).all()
