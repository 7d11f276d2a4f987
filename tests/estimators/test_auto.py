"""`auto`: which covariates, whose coefficients, what intervals; on simulated classes."""

import numpy as np
import pytest
import torch
from scipy.special import ndtr

import fewshot
from fewshot.estimators.auto import GUESS, Auto, refit
from fewshot.estimators.base import NO_BASE, BaseClasses
from fewshot.estimators.calibration.covariates import Evidence
from fewshot.estimators.calibration.regimes import ENOUGH_CLASSES, REGIMES, regime_of
from fewshot.estimators.calibration.transferred import General
from fewshot.estimators.moments import Moments
from fewshot.exceptions import FewshotError
from fewshot.heads.base import Head, Support
from fewshot.heads.lda import LDA
from fewshot.heads.ncm import NCM

D = 16


class Opaque(Head):
    """Nearest class mean that does not show its weights."""

    def fit(self, support):
        self.inner_ = NCM().fit(support)
        return self

    def scores(self, query):
        return self.inner_.scores(query)


def world(classes=30, images=30, seed=0, base=None, hardness=1.0):
    """Classes of different widths: features, labels and a split with `base` base classes."""
    rng = np.random.default_rng(seed)
    stretch = np.geomspace(1.5, 0.3, D)
    width = hardness * np.exp(0.5 * rng.normal(size=(classes, 1, 1)))
    means = rng.normal(size=(classes, 1, D)) * stretch
    features = means + width * stretch * rng.normal(size=(classes, images, D))
    labels = np.repeat(np.arange(classes), images)
    base = classes // 2 if base is None else base
    split = np.where(labels < base, "base", "novel")
    return features.reshape(-1, D), labels, split


def draw(shots=5, ways=4, episodes=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(episodes, ways, 1, D)) + rng.normal(size=(episodes, ways, shots, D))
    return Support.of(torch.from_numpy(x))


def base_of(classes):
    rng = np.random.default_rng(1)
    moments = Moments(
        torch.from_numpy(rng.normal(size=(classes, D))),
        torch.full((classes,), 20.0).double(),
        torch.eye(D, dtype=torch.float64),
    )
    return BaseClasses(moments=lambda: moments)


FEW, MANY = ENOUGH_CLASSES - 1, ENOUGH_CLASSES
HELD = "held out"


@pytest.mark.parametrize(
    ("head", "classes", "many", "one_shot"),
    [
        (NCM(), 0, "closed", "one shot"),
        (NCM(), FEW, "closed, some base classes", "one shot, base classes"),
        (NCM(), MANY, "closed, base classes", "one shot, base classes"),
        (LDA(), 0, HELD, "one shot"),
        (LDA(), FEW, HELD, "one shot, base classes"),
        (LDA(), MANY, "held out, base classes", "one shot, base classes"),
        (Opaque(), 0, "not linear", "one shot"),
        (Opaque(), MANY, "not linear", "one shot"),
    ],
)
def test_regimes(head, classes, many, one_shot, ours):
    base = base_of(classes) if classes else NO_BASE
    mixed = draw()
    mask = mixed.mask.clone()
    mask[1, :, 1:] = mask[4, :, 1:] = False  # one shot of every class
    mask[2, 1:, 1:] = False  # of all classes but one
    mixed = Support.of(mixed.features, mask)
    assert regime_of(draw(), head.fit(draw()), base) == [many] * 6
    assert regime_of(draw(1), head.fit(draw(1)), base) == [one_shot] * 6
    regimes = regime_of(mixed, head.fit(mixed), base)
    assert regimes == [many, one_shot, many, many, one_shot, many]
    prediction = Auto().fit(base).predict(mixed, head.fit(mixed))
    for e, regime in enumerate(regimes):
        alone = mixed[e : e + 1]
        x = Evidence(alone, head.clone().fit(alone), base).stack(REGIMES[regime]).numpy()
        expected = ours.model(regime).predict(x, alone.counts.mean(-1).numpy())
        assert float(prediction.error[e]) == pytest.approx(float(expected[0]))
    if isinstance(head, Opaque):  # no head that the calibrator was fitted on
        assert prediction.fallback.all()
    elif one_shot == "one shot":
        assert prediction.fallback.tolist() == [False, True, False, False, True, False]
        assert prediction.fallback_reason == GUESS
    else:
        assert prediction.fallback is None


# One shot cannot show how wide a class is, which is most of the difficulty here.
@pytest.mark.parametrize(("shots", "least"), [(1, -0.05), (2, 0.02), (5, 0.12)])
@pytest.mark.parametrize("head", ["ncm", "lda"])
def test_beats_the_constant_with_base_classes(head, shots, least, ours):
    skills, biases = [], []
    for seed in range(5):
        result = fewshot.evaluate(
            *world(seed=seed),
            head=head,
            shots=shots,
            episodes=100,
            estimators=["auto", "constant"],
        )
        summary = result.summary["estimators"]["auto"]
        skills.append(summary["skill"])
        biases.append(summary["bias"])
        assert summary["calibration"] == "base"
        assert summary["fallbacks"] == 0
        assert result.predictions["lower"].notna().all()
    assert np.mean(skills) > least
    assert abs(np.mean(biases)) < 0.04


def test_base_classes_correct_a_calibrator_that_is_far_off(ours, make_model, monkeypatch):
    wrong = General({name: make_model(name, intercept=0.8) for name in REGIMES})
    monkeypatch.setattr("fewshot.estimators.auto.load_general", lambda path: wrong)
    arguments = {"episodes": 80, "estimators": ["auto"]}
    corrected = fewshot.evaluate(*world(), **arguments).summary["estimators"]["auto"]
    datasets = fewshot.evaluate(*world(), **arguments, calibration="datasets")
    transferred = datasets.summary["estimators"]["auto"]
    assert transferred["bias"] > 0.2
    assert abs(corrected["bias"]) < 0.3 * transferred["bias"]


def test_intervals_cover_episodes_of_new_classes(ours):
    """Over several worlds: one has few classes, so that its episodes go together."""
    for base in (8, 20):
        covered, curve = [], []
        for seed in range(10):
            result = fewshot.evaluate(
                *world(classes=base + 15, base=base, seed=seed),
                shots=3,
                episodes=60,
                estimators=["auto"],
                seed=seed,
            )
            summary = result.summary["estimators"]["auto"]
            covered.append(summary["coverage"])
            curve.append([measured for _, measured in summary["coverage_curve"]])
        assert 0.82 < np.mean(covered) < 0.985
        mean = np.mean(curve, 0)
        assert (np.diff(mean) >= 0).all()
        assert 0.36 < mean[0] < 0.68  # nominal: 0.5


def test_more_base_classes_move_the_coefficients_further(make_model):
    model = make_model("not linear")  # of three covariates
    rng = np.random.default_rng(0)
    z = rng.normal(size=(400, 5, 3))
    truth = np.array([-1.2, 0.0, 1.1, 0.5])
    actual = ndtr(truth[0] + z @ truth[1:])
    gaps = []
    for classes in (5, 50, 5000):
        members = np.stack([rng.permutation(classes)[:5] for _ in range(400)])
        fitted = refit(model, z, 5.0, actual, members)
        assert 5.0 in fitted.shots.tolist()
        learned = fitted.coefficients_at(np.array([5.0]))[0]
        gaps.append(np.abs(learned - truth).max())
    start = np.abs(model.coefficients_at(np.array([5.0]))[0] - truth).max()
    assert start > gaps[0] > gaps[1] > gaps[2]
    assert gaps[0] > 0.3 * start and gaps[2] < 0.05


def base_with_episodes(errors, classes=12):
    support = draw(episodes=40, seed=5)
    rng = np.random.default_rng(2)
    members = np.stack([rng.permutation(classes)[:4] for _ in range(40)])
    moments = base_of(classes).moments
    return BaseClasses(
        moments=lambda: moments,
        map=lambda function: function(support, NCM().fit(support)),
        errors_by_class=errors,
        members=torch.from_numpy(members),
    )


def test_datasets_ignores_base_errors_and_base_follows_them(ours):
    support = draw()
    head = NCM().fit(support)
    low, high = (base_with_episodes(torch.full((40, 4), v).double()) for v in (0.05, 0.6))

    def errors(source, base):
        return Auto(source).fit(base).predict(support, head).error

    assert torch.equal(errors("datasets", low), errors("datasets", high))
    assert bool((errors("base", high) > errors("base", low) + 0.2).all())
    assert torch.equal(errors("auto", low), errors("base", low))
    # Their covariance is of use all the same.
    assert not torch.allclose(errors("datasets", low), errors("datasets", NO_BASE))


def test_base_without_base_classes_is_refused(ours):
    features, labels, _ = world()
    for arguments in ({"estimators": {"auto": Auto("base")}}, {"calibration": "base"}):
        with pytest.raises(FewshotError, match="expected base classes to calibrate on, got none"):
            fewshot.evaluate(features, labels, episodes=5, **arguments)
    with pytest.raises(FewshotError, match=r"estimator\.auto\.source: .* \(no base classes: the d"):
        Auto("base").fit(NO_BASE)
    only_moments = base_of(12)
    with pytest.raises(FewshotError, match=r"estimator\.auto\.source"):
        Auto("base").fit(only_moments)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "all"}, r"estimator\.auto\.source: expected one of 'auto', 'base', 'datasets'"),
        ({"level": 1.0}, r"estimator\.auto\.level: expected a number in \(0, 0\.99\]"),
        ({"calibrator": "nowhere.json"}, r"calibrator: nowhere\.json cannot be read"),
    ],
)
def test_mistakes(settings, message):
    support = draw()
    with pytest.raises(FewshotError, match=message):
        Auto(**settings).fit(NO_BASE)
    with pytest.raises(FewshotError, match=message):
        Auto(**settings).predict(support, NCM().fit(support))


def test_settings_of_the_run_reach_auto_unless_it_has_its_own(ours):
    rows = {}
    for name, estimator, settings in (
        ("run", Auto(), {"calibration": "datasets", "level": 0.5}),
        ("own", Auto("datasets", level=0.5), {"calibration": "none"}),
        ("both", Auto("datasets", level=0.5), {"calibration": "base", "level": 0.8}),
        ("wider", Auto("datasets", level=0.8), {}),
    ):
        result = fewshot.evaluate(*world(), episodes=20, estimators={"auto": estimator}, **settings)
        rows[name] = result.predictions
        assert set(rows[name]["calibration"]) == {"datasets"}
    for name in ("own", "both"):
        assert rows[name][["predicted_error", "lower"]].equals(
            rows["run"][["predicted_error", "lower"]]
        )
    assert (rows["wider"]["upper"] > rows["run"]["upper"]).all()


def test_one_shot_alone_is_a_guess_and_its_rows_say_so(ours):
    features, labels, _ = world()
    result = fewshot.evaluate(features, labels, shots=1, episodes=20, estimators=["auto"])
    assert set(result.predictions["reason"]) == {GUESS}
    assert result.predictions["predicted_error"].nunique() == 1
    assert result.predictions[["lower", "upper"]].notna().all(axis=None)
    assert result.summary["estimators"]["auto"]["fallbacks"] == 20


def test_same_rows_whatever_the_threads(ours, monkeypatch):
    named = ["auto", "empirical_bayes", "margin_t", "stack", "constant"]
    arguments = {"episodes": 50, "estimators": named, "shots": 3, "calibration": "base", "seed": 4}
    monkeypatch.setattr("fewshot.tasks.engine.supports.SUPPORT_BYTES", 100_000)
    monkeypatch.setattr("fewshot.tasks.engine.episodes.SUPPORT_BYTES", 100_000)
    single, three, again = (
        fewshot.evaluate(*world(images=12), **arguments, threads=t).predictions for t in (1, 3, 1)
    )
    assert single.equals(three) and single.equals(again)
    other_seed = fewshot.evaluate(
        *world(images=12), **(arguments | {"seed": 5}), threads=1
    ).predictions
    assert not single.equals(other_seed)
