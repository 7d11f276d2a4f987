"""`auto` with unlabelled images: nearer to the truth, calibrated in folds, with its doubts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import fewshot
from fewshot.estimators import Auto, AutoSupport
from fewshot.estimators.auto import NOT_LEARNED
from fewshot.estimators.base import NO_BASE
from fewshot.estimators.calibration.doubts import MOSTLY_STRANGERS, SHIFTED, STRANGERS
from fewshot.estimators.calibration.intervals import GRID, Residuals, blended
from fewshot.estimators.calibration.regimes import MEASURED, NUMBERS, SUPPORT_ALONE, with_number
from fewshot.estimators.calibration.transferred import load_general
from fewshot.estimators.calibration.unlabelled_covariates import probit_share
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.features import make_bank
from fewshot.heads import NCM
from fewshot.heads.base import Support
from fewshot.tasks import draw_base_episodes, evaluate_base_classes
from fewshot.tasks.engine.base_drawing import fold_banks, number_of_folds, unlabelled_like

CLASSES, IMAGES, D = 60, 60, 48


@pytest.fixture(scope="module")
def data():
    """Gaussian classes that differ in how near their neighbours are."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(CLASSES, D)) * rng.uniform(0.4, 0.8, (CLASSES, 1))
    labels = np.repeat(np.arange(CLASSES), IMAGES)
    features = (means[labels] + rng.normal(size=(len(labels), D))).astype(np.float32)
    return features, labels


def evaluated(data, base=True, **settings):
    features, labels = data
    split = np.where(labels % 2 == 0, "base", "novel") if base else None
    settings = {"shots": 1, "episodes": 60, "estimators": ["auto", "auto_support"]} | settings
    settings = {"queries": "all", "min_images": "drop", "unlabelled": 15} | settings
    return fewshot.evaluate(features, labels, split, **settings).predictions


def misses(rows):
    rows = rows.assign(miss=(rows["predicted_error"] - rows["actual_error"]).abs())
    return rows.groupby("estimator")["miss"].mean()


@pytest.mark.parametrize("unlabelled", [15, "queries"])
@pytest.mark.parametrize("base", [True, False])
def test_unlabelled_images_bring_the_prediction_nearer(data, base, unlabelled):
    rows = evaluated(data, base, unlabelled=unlabelled)
    miss = misses(rows)
    assert miss["auto"] < 0.8 * miss["auto_support"]
    seen = rows.groupby("estimator")["sees_unlabelled"].agg(["min", "max"])
    assert seen.loc["auto"].tolist() == [True, True]
    assert seen.loc["auto_support"].tolist() == [False, False]
    assert len(rows[rows["estimator"] == "auto"]) == 60


@pytest.mark.parametrize("head", ["lda", "knn", "soft_kmeans"])
def test_any_head(data, head):
    rows = evaluated(data, base=False, head=head, shots=3, episodes=20)
    auto = rows[rows["estimator"] == "auto"]
    assert bool(auto["predicted_error"].between(0, 1).all())
    assert bool((auto["upper"] > auto["lower"]).all())


def test_images_of_other_classes_are_said_and_do_no_harm(data):
    features, labels = data
    apart = np.stack([features[labels == c].mean(0) for c in range(CLASSES)])[labels] + features
    without, among = (evaluated((apart, labels), strangers=share) for share in (0.0, 0.4))
    flagged = [
        rows[rows["estimator"] == "auto"]["reason"]
        .fillna("")
        .str.contains(f"{STRANGERS}|{MOSTLY_STRANGERS}")
        for rows in (without, among)
    ]
    assert flagged[0].mean() < 0.1
    assert flagged[1].mean() > 0.9
    miss = misses(among)
    assert miss["auto"] < miss["auto_support"]


def test_another_kind_of_images_is_said(data):
    features, labels = data
    rng = np.random.default_rng(1)
    support = Support.of(torch.from_numpy(_episode(features, labels, rng, 5)))
    images = torch.from_numpy(_episode(features, labels, rng, 15)).flatten(1, 2)
    head = NCM().fit(support)
    shift = 4 * torch.nn.functional.normalize(torch.ones(D), dim=0)
    for moved, expected in ((images, 0.0), (images + shift, 1.0)):
        prediction = Auto().fit(NO_BASE).predict_with(support, head, Unlabelled.of(moved))
        said = prediction.by_reservation().get(SHIFTED, torch.zeros(20, dtype=torch.bool))
        assert abs(float(said.float().mean()) - expected) <= 0.1


def _episode(features, labels, rng, images):
    """Features (20, 5, images, D) of the first five classes."""
    rows = [
        [rng.choice(np.flatnonzero(labels == c), images, replace=False) for c in range(5)]
        for _ in range(20)
    ]
    return features[np.array(rows)]


def test_a_class_without_images_is_said(data):
    features, labels = data
    rng = np.random.default_rng(2)
    apart = features + 20 * np.eye(CLASSES, D, dtype=np.float32)[labels]
    support = Support.of(torch.from_numpy(_episode(apart, labels, rng, 2)))
    images = torch.from_numpy(_episode(apart, labels, rng, 10))[:, :4].flatten(1, 2)
    prediction = (
        Auto().fit(NO_BASE).predict_with(support, NCM().fit(support), Unlabelled.of(images))
    )
    assert "a class has no unlabelled image" in prediction.by_reservation()


def test_auto_support_takes_no_notice_of_them(data):
    features, labels = data
    rng = np.random.default_rng(3)
    support = Support.of(torch.from_numpy(_episode(features, labels, rng, 2)))
    images = Unlabelled.of(torch.from_numpy(_episode(features, labels, rng, 4)).flatten(1, 2))
    head = NCM().fit(support)
    alone = Auto().fit(NO_BASE).predict(support, head).error
    assert AutoSupport.unlabelled == "ignored"
    assert torch.equal(AutoSupport().fit(NO_BASE).predict_with(support, head, images).error, alone)


def test_an_earlier_calibrator_looks_at_the_support_and_says_so(data, tmp_path):
    general = load_general()
    earlier = {name: model for name, model in general.models.items() if name in SUPPORT_ALONE}
    file = tmp_path / "earlier.json"
    replace(general, models=earlier).save(file)
    features, labels = data
    rng = np.random.default_rng(4)
    support = Support.of(torch.from_numpy(_episode(features, labels, rng, 2)))
    images = Unlabelled.of(torch.from_numpy(_episode(features, labels, rng, 4)).flatten(1, 2))
    head = NCM().fit(support)
    auto = Auto(calibrator=str(file)).fit(NO_BASE)
    prediction = auto.predict_with(support, head, images)
    assert bool(prediction.by_reservation()[NOT_LEARNED].all())
    assert torch.equal(prediction.error, auto.predict(support, head).error)


def test_folds_have_moments_of_other_classes_than_their_episodes(data):
    features, labels = data
    bank = make_bank(features, labels, split=np.where(labels < 40, "base", "novel"))
    episodes = fewshot.episodes.sample_episodes(
        bank.labels, 5, 2, "all", 8, 0, classes=bank.classes("novel"), unlabelled=10
    )
    drawn = draw_base_episodes(bank, 5, 2, "all", 40, 0, unlabelled_like(episodes))
    base = evaluate_base_classes(bank, drawn, NCM(), device=torch.device("cpu"))
    means = torch.stack(
        [torch.from_numpy(features[labels == c]).mean(0).double() for c in range(40)]
    )
    assert len(base.folds) == number_of_folds(40, 5) == 5
    everywhere = set()
    for fold in base.folds:
        own = set(fold.members.flatten().tolist())
        known = torch.cdist(fold.moments.means, means).argmin(-1).tolist()
        assert not own & set(known)
        assert len(known) == 32
        everywhere |= own
    assert everywhere == set(range(40))


@pytest.mark.parametrize(
    ("classes", "ways", "folds"), [(9, 5, 0), (12, 5, 0), (15, 5, 3), (20, 5, 3), (100, 5, 5)]
)
def test_number_of_folds(classes, ways, folds):
    assert number_of_folds(classes, ways) == folds


def test_folds_leave_the_novel_classes_as_they_are(data):
    features, labels = data
    bank = make_bank(features, labels, split=np.where(labels < 40, "base", "novel"))
    for pair in fold_banks(bank, 2):
        assert all(part.classes("novel").tolist() == list(range(40, 60)) for part in pair)
        joined = np.concatenate([part.classes("base") for part in pair])
        assert sorted(joined.tolist()) == list(range(40))


def test_models_between_numbers_of_images():
    general = load_general()
    regime = "one shot, unlabelled"
    few, usual = (general.models[with_number(regime, n)] for n in NUMBERS[:2])
    x, shots = np.random.default_rng(0).normal(size=(7, 5, len(few.covariates))), np.ones(7)
    np.testing.assert_allclose(
        few.between(usual, 1.0).predict(x, shots), usual.predict(x, shots), atol=1e-12
    )
    middle = general.with_unlabelled(regime, np.sqrt(NUMBERS[0] * NUMBERS[1]), measured=False)
    assert middle is not None
    for at, expected in ((1, few), (NUMBERS[0], few), (NUMBERS[1], usual)):
        assert general.with_unlabelled(regime, at, measured=False) is expected
    measured = general.with_unlabelled(regime, 15, measured=True)
    assert measured is general.models[with_number(regime, MEASURED)]
    assert general.with_unlabelled("no such regime", 15, measured=False) is None


def test_shares_with_few_images_go_to_their_average():
    wrong, total = torch.tensor([[0.0, 10.0, 0.0]]), torch.tensor([[0.0, 20.0, 20.0]])
    share = torch.special.ndtr(probit_share(wrong, total))
    average = 10.5 / 41
    torch.testing.assert_close(share[0, 0], torch.tensor(average, dtype=torch.float64))
    assert float(share[0, 2]) < average < float(share[0, 1]) < 0.5


def test_intervals_lean_on_base_classes_as_these_are_many():
    narrow, wide = (Residuals(scale * (GRID - 0.5)) for scale in (1.0, 4.0))
    widths = [blended(narrow, wide, classes).width for classes in (2, 6, 12, 50, 1000)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == pytest.approx(narrow.width, rel=0.01)
    assert widths[0] < 2 * wide.width
