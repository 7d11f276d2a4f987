"""Class Gaussians learned on the base classes of a bank, and the head that uses them."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

import fewshot
from fewshot.evaluation.facts import data_facts
from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.heads import heads
from fewshot.heads.base import Query, Support
from fewshot.tasks.engine.class_gaussians import (
    check_space,
    class_gaussians,
    class_moments,
    feature_space,
    fit_text_gaussians,
)
from fewshot.tasks.engine.context import check_uses, context_of
from fewshot.text.gaussians.class_gaussians import COVARIANCES, PRIORS
from fewshot.text.gaussians.fitted import load_text_gaussians
from fewshot.text.gaussians.predictors.ridge import RidgePredictor
from fewshot.text.gaussians.regression import ridge

BASE, NOVEL, IMAGES, D = 24, 12, 16, 12
LABELS = np.repeat(np.arange(BASE + NOVEL), IMAGES)
SPLIT = np.where(LABELS < BASE, "base", "novel")
NAMES = [f"kind {c}" for c in range(BASE + NOVEL)]
USES = frozenset({"text", "text_gaussians"})


@pytest.fixture(autouse=True)
def few_tasks(monkeypatch):
    """Fit pools on fewer base-class tasks."""
    monkeypatch.setattr("fewshot.tasks.engine.class_gaussians.SHOTS", (0, 1, 4))
    monkeypatch.setattr("fewshot.tasks.engine.class_gaussians.DRAWS", 1)


def world(seed=0, about=1.0, base=BASE):
    """Features around g + noise, and text vectors: g seen through a random map, and an offset.

    With `about` 0, texts say nothing.
    """
    rng = np.random.default_rng(seed)
    g = rng.normal(size=(BASE + NOVEL, D))
    means = g + 0.5 * rng.normal(size=g.shape)
    features = means[LABELS] + 1.8 * rng.normal(size=(len(LABELS), D))
    seen = g if about else rng.normal(size=g.shape)
    text = seen @ (0.5 * np.eye(D) + 0.4 * rng.normal(size=(D, D))) + 2 * rng.normal(size=D)
    split = np.where(base > LABELS, "base", "novel")
    return {"features": features, "labels": LABELS, "split": split, "text": text}


@functools.cache
def bank():
    return make_bank(**world(), classnames=NAMES, info={"dataset": "toy"})


@functools.cache
def fitted():
    return fit_text_gaussians(bank())


def accuracy(head, about=1.0, **settings):
    settings = {"ways": 5, "shots": 1, "queries": 10, "episodes": 200, "threads": 1} | settings
    result = fewshot.evaluate(**world(about=about), head=head, estimators=[], **settings)
    return result.summary["accuracy"]["mean"]


def test_texts_help_at_one_shot():
    mixed, shots, text = (accuracy(head) for head in ("text_gaussian", "ncm", "zero_shot"))
    assert mixed > max(shots, text) + 0.08
    assert text > 0.25


def test_texts_that_say_nothing_do_little_harm():
    assert accuracy("text_gaussian", about=0.0) > accuracy("ncm", about=0.0) - 0.03


@pytest.mark.parametrize("shots", [1, 5])
def test_estimators_judge_it(shots):
    result = fewshot.evaluate(
        **world(), head="text_gaussian", shots=shots, queries=8, episodes=60, threads=1,
        estimators=["auto", "margin", "gaussian"],
    )  # fmt: skip
    rows = result.predictions.groupby("estimator")["predicted_error"]
    assert rows.apply(np.isfinite).all()
    mean = 1 - result.summary["accuracy"]["mean"]
    for name in ("auto", "margin"):  # `gaussian` tells the error of nearest class mean
        assert rows.mean()[name] == pytest.approx(mean, abs=0.12)


def test_what_is_learned_is_of_the_base_classes():
    gaussians, features = class_gaussians(bank()), bank().features
    by_class = np.stack([features[c == LABELS] for c in range(BASE)])
    np.testing.assert_allclose(gaussians.origin, by_class.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(gaussians.within, by_class.var(1, ddof=1).mean(0), rtol=1e-5)
    assert gaussians.means.shape == gaussians.variances.shape == (BASE + NOVEL, D)
    assert set(gaussians.pools) == {(kind, prior) for kind in COVARIANCES for prior in PRIORS}
    # Novel classes are nearer to their predictions than to the mean of all.
    means = np.stack([features[c == LABELS].mean(0) for c in range(BASE, BASE + NOVEL)])
    apart = (means - gaussians.means[BASE:].numpy()) ** 2
    assert apart.mean() < 0.6 * ((means - gaussians.origin.numpy()) ** 2).mean()


def test_no_base_class_is_predicted_from_itself(monkeypatch):
    monkeypatch.setattr("fewshot.tasks.engine.class_gaussians._pools", lambda *_: {})
    only = functools.partial(ridge, penalties=(0.3,))  # which one is chosen depends on all
    monkeypatch.setattr("fewshot.text.gaussians.predictors.ridge.ridge", only)
    data, c = world(), 3
    features = data["features"].copy()
    features[c == LABELS] = np.random.default_rng(9).normal(5, 2, size=(IMAGES, D))
    banks = make_bank(**data), make_bank(**data | {"features": features})
    same, new = map(class_gaussians, banks)
    torch.testing.assert_close(same.means[c], new.means[c])
    ratio = same.variances[c] / new.variances[c]  # one number, of how sure predictions are
    torch.testing.assert_close(ratio, ratio.mean().expand(D))
    others = [n for n in range(BASE) if n != c]
    assert (same.means - new.means)[others].abs().amin(1).max() > 0.01


def test_base_tasks_are_honest(monkeypatch):
    features, seen = bank().features.astype(np.float32), []
    row_of = {row.tobytes(): number for number, row in enumerate(features)}

    def rows(taken):
        return np.array([row_of[row.tobytes()] for row in taken.reshape(-1, D).numpy()], int)

    def spied(support, query, truth, task_gaussians, text, covariance):
        shots, queries = rows(support), rows(query)
        assert not set(shots) & set(queries)
        assert len(set(shots)) == len(shots)
        assert len(set(queries)) == len(queries) == 8 * BASE
        classes = LABELS[queries[::8]]
        assert sorted(classes) == list(range(BASE))
        assert LABELS[shots].tolist() == np.repeat(classes, support.shape[1]).tolist()
        assert truth.tolist() == np.repeat(np.arange(BASE), 8).tolist()
        assert classes[truth].tolist() == LABELS[queries].tolist()
        np.testing.assert_array_equal(text, bank().text[classes])
        assert torch.equal(task_gaussians.means, gaussians.means[classes])
        seen.append(support.shape[1])

    gaussians = class_gaussians(bank())
    monkeypatch.setattr("fewshot.tasks.engine.class_gaussians._scores", spied)
    monkeypatch.setattr("fewshot.tasks.engine.class_gaussians.fit_pool", lambda *_: None)
    fit_text_gaussians(bank())
    assert seen == [0, 1, 4] * len(COVARIANCES)


def test_novel_classes_teach_nothing():
    data, rng = world(), np.random.default_rng(9)
    for name, novel in (("features", LABELS >= BASE), ("text", np.arange(BASE + NOVEL) >= BASE)):
        data[name] = np.where(novel[:, None], rng.normal(size=data[name].shape), data[name])
    other = fit_text_gaussians(make_bank(**data, classnames=NAMES, info={"dataset": "toy"}))
    assert other.pools == fitted().pools
    assert other.freedom == fitted().freedom
    for name in ("origin", "within", "doubt", "factor"):
        assert torch.equal(getattr(other, name), getattr(fitted(), name))


def scores_of(bank, head="text_gaussian"):
    """Scores in two episodes of novel classes with three shots."""
    classes = np.array([[BASE + 1, BASE + 4, BASE + 7], [BASE, BASE + 9, BASE + 2]])
    rows = torch.from_numpy(classes[..., None] * IMAGES + np.arange(IMAGES))
    features = torch.from_numpy(bank.features)[rows]
    support, query = features[:, :, :3], features[:, :, 3:].flatten(1, 2)
    context = context_of(bank, classes, USES, support)
    return heads.create(head).fit(Support.of(support, None, context)).scores(Query.of(query))


def test_a_file_gives_the_same_scores_as_the_base_classes(workplace):
    fitted().save(workplace / "p.safetensors")
    loaded = load_text_gaussians(workplace / "p.safetensors")
    brought = replace(bank(), predictor=loaded, parts=None)
    assert torch.equal(scores_of(brought), scores_of(bank()))
    facts = {"dataset": "toy", "classes": BASE, "images": BASE * IMAGES, "text": {}}
    assert loaded.record == {**facts, "features": bank().hash()}
    assert loaded.classnames == tuple(NAMES[:BASE])


def test_a_run_says_which_evaluated_classes_were_learned_from():
    assert data_facts(bank(), [])["predictor"] is None
    brought = replace(bank(), predictor=fitted())
    facts = data_facts(brought, [])["predictor"]
    assert facts == {**fitted().record, "classes_in_common": []}
    names = ("KIND 2", *NAMES[1:BASE], "Kind 5", *NAMES[BASE + 1 :])
    facts = data_facts(replace(brought, classnames=names), [])["predictor"]
    assert facts["classes_in_common"] == ["Kind 5"]
    facts = data_facts(replace(brought, parts=None), [])["predictor"]
    assert facts["classes_in_common"] == NAMES[:BASE]


@pytest.mark.parametrize(
    ("key", "other"),
    [("normalize", "l2"), ("dimensions", 5), ("backbone", "clip"), ("fingerprint", "b")],
)
def test_a_predictor_for_other_features_is_refused(key, other):
    space = {**feature_space(bank()), "fingerprint": None}
    check_space(replace(fitted(), space=space), bank())
    # A file of features does not say which backbone it is of.
    check_space(replace(fitted(), space=space | {"backbone": "clip"}), bank())
    info = {"causes": {"backbone": {"weights": "0123"}}, "backbone": "resnet18"}
    target = replace(bank(), info=info if key in ("fingerprint", "backbone") else bank().info)
    brought = replace(target, predictor=replace(fitted(), space=space | {key: other}))
    words = rf"^text\.predictor: it was fitted on features with {key} {other!r}"
    with pytest.raises(FewshotError, match=words):
        check_uses(brought, "text_gaussian", USES)


def test_too_few_base_classes():
    words = r"^head=text_gaussian: expected 5 base classes or more with two images each .* got 4"
    with pytest.raises(FewshotError, match=words):
        check_uses(make_bank(**world(base=4)), "text_gaussian", USES)
    rows = np.concatenate([np.flatnonzero(LABELS >= 3), [0, IMAGES, 2 * IMAGES]])
    with pytest.raises(FewshotError, match="got 2"):  # and three of one image
        class_moments(make_bank(**world(base=5)).take_rows(rows))
    assert len(class_moments(make_bank(**world(base=5))).classes) == 5
    with pytest.raises(FewshotError, match="got 0"):
        check_uses(replace(bank(), parts=None), "text_gaussian", USES)


def test_features_without_text():
    with pytest.raises(FewshotError, match=r"^head=text_gaussian: .* come without text vectors"):
        check_uses(replace(bank(), text=None), "text_gaussian", USES)
    with pytest.raises(FewshotError, match="come without text vectors"):
        fewshot.evaluate(**world() | {"text": None}, head="text_gaussian")


def test_five_small_classes_are_enough():
    small = {"episodes": 5, "queries": 1, "ways": 2, "threads": 1, "estimators": []}
    data = world(base=5)
    few = np.isin(np.arange(len(LABELS)) % IMAGES, (0, 1)) | (LABELS >= 5)
    data |= {name: data[name][few] for name in ("features", "labels", "split")}
    for shots in (0, 2):
        result = fewshot.evaluate(**data, head="text_gaussian", shots=shots, **small)
        assert len(result.episodes) == 5


def test_a_file_knows_its_own_base_classes_only_without_themselves(tmp_path):
    """A predictor applied to its own data set predicts base classes without themselves."""
    original = bank()
    fitted().save(tmp_path / "own.safetensors")
    again = replace(original, predictor=load_text_gaussians(tmp_path / "own.safetensors"))
    torch.testing.assert_close(class_gaussians(again).means, class_gaussians(original).means)
    elsewhere = replace(again, features=again.features + np.float32(0.01))
    c = int(original.classes("base")[0])
    assert not torch.allclose(
        class_gaussians(elsewhere).means[c], class_gaussians(original).means[c]
    )


def test_evaluate_takes_a_predictor_of_one_s_own():
    settings = {"ways": 5, "shots": 1, "queries": 5, "episodes": 40, "threads": 1}
    names = {"dataset": "toy", "classnames": NAMES, "head": "text_gaussian", "estimators": []}

    def right(**settings_of_call):
        return fewshot.evaluate(**world(), **settings, **names, **settings_of_call).episodes[
            "accuracy"
        ]

    assert (right(predictor=fitted()) == right()).all()
    assert (right(predictor=RidgePredictor(rank=1)) != right()).any()
    with pytest.raises(FewshotError, match="Did you mean 'ridge'"):
        right(predictor="rigde")
    with pytest.raises(FewshotError, match="predictor: expected a name or a predictor, got 3"):
        right(predictor=3)


def test_classes_are_known_again_under_other_names():
    """Classes that a predictor was fitted on are matched by identifier after renaming."""
    ids = tuple(f"n{c:08d}" for c in range(len(bank().classnames)))
    fitted_then = fit_text_gaussians(replace(bank(), ids=ids))
    assert fitted_then.record["ids"] == list(ids[:BASE])
    now = replace(
        bank(), ids=ids, classnames=tuple(f"name {c}" for c in ids), predictor=fitted_then
    )
    same = replace(bank(), ids=ids, predictor=fitted_then)
    means = class_gaussians(same).means
    assert torch.equal(class_gaussians(now).means, means)
    apart = replace(now, ids=None)  # nothing tells that these are the same classes
    assert not torch.equal(class_gaussians(apart).means, means)
    assert data_facts(now, [])["predictor"]["classes_in_common"] == []  # novel ones are judged
    judged = replace(now, parts=None)
    assert len(data_facts(judged, [])["predictor"]["classes_in_common"]) == BASE
