"""The classifier and the features of images among the tools of scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from fewshot.datasets.files import load_files
from fewshot.evaluation.networks import network_named
from fewshot.exceptions import FewshotError
from fewshot.heads import LDA
from fewshot.models.classifier import Classifier
from fewshot.models.image_features import ImageFeatures

FLOWERS, KINDS = (values[::3] for values in load_iris(return_X_y=True))


# No check is expected to fail.
@parametrize_with_checks([Classifier(backbone=None, head="ncm")])
def test_it_is_a_classifier_of_scikit_learn(estimator, check):
    check(estimator)


def test_a_choice_of_heads_is_one_as_well():
    from sklearn.utils import estimator_checks as checks

    estimator = Classifier(backbone=None, head=("ncm", "lda"))
    for check in (checks.check_fit_idempotent, checks.check_methods_subset_invariance,
                  checks.check_classifiers_train, checks.check_decision_proba_consistency,
                  checks.check_estimators_pickle):  # fmt: skip
        check("Classifier", clone(estimator))


def test_what_it_takes_is_in_its_tags():
    of_images, of_features = (get_tags(Classifier(**k)) for k in ({}, {"backbone": None}))
    assert of_features.input_tags.two_d_array
    assert not of_images.input_tags.two_d_array
    assert of_images.input_tags.string
    assert not of_features.input_tags.string
    assert not of_features.input_tags.sparse
    assert not get_tags(ImageFeatures()).input_tags.two_d_array


def test_features_have_names():
    frame = pd.DataFrame(FLOWERS, columns=["a", "b", "c", "d"])
    classifier = Classifier(backbone=None, head="ncm").fit(frame, KINDS)
    assert classifier.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(frame[["b", "a", "c", "d"]])
    with (
        pytest.warns(UserWarning, match="does not have valid feature names"),
        pytest.raises(ValueError, match="has 3 features"),
    ):
        classifier.predict(FLOWERS[:, :3])


def test_it_stands_where_classifiers_stand():
    classifier = Classifier(backbone=None, head="lda")
    assert cross_val_score(classifier, FLOWERS, KINDS, cv=3).mean() > 0.9
    assert make_pipeline(StandardScaler(), classifier).fit(FLOWERS, KINDS).score(
        FLOWERS, KINDS
    ) > 0.8  # fmt: skip
    both = VotingClassifier([("a", classifier), ("b", LogisticRegression())], voting="soft")
    assert both.fit(FLOWERS, KINDS).score(FLOWERS, KINDS) > 0.9
    calibrated = CalibratedClassifierCV(classifier, cv=3).fit(FLOWERS, KINDS)
    assert calibrated.score(FLOWERS, KINDS) > 0.8
    auroc = cross_val_score(classifier, FLOWERS, KINDS == 0, cv=3, scoring="roc_auc")
    assert auroc.min() > 0.9


def test_a_search_over_heads_and_their_parameters():
    classifier = Classifier(backbone=None, head="ncm")
    grid = [{"head": ["ncm", "lda", LDA(shrinkage=0.5)]},
            {"head": [LDA()], "head__shrinkage": [0.1, 0.9]}]  # fmt: skip
    search = GridSearchCV(classifier, grid, cv=2, error_score="raise").fit(FLOWERS, KINDS)
    assert len(search.cv_results_["params"]) == 5
    assert search.cv_results_["mean_test_score"].min() > 0.8
    assert search.best_estimator_.error_ is not None


def test_a_search_over_images_and_backbones(colours, kept):
    classifier = Classifier(head="ncm", **colours.network)
    images = [Image.open(path) for path in colours.paths]
    for X in (colours.paths, images, np.stack([np.asarray(image) for image in images])):
        assert cross_val_score(classifier, X, colours.labels, cv=2).tolist() == [1, 1]
    name = colours.network["backbone"]
    search = GridSearchCV(classifier, {"backbone": [name], "head": ["ncm", "lda"]}, cv=2)
    search.fit(colours.paths, colours.labels)
    assert search.score(colours.paths, colours.labels) == 1


@pytest.mark.parametrize("last", [LogisticRegression(), Classifier(backbone=None, head="ncm")])
def test_images_go_through_a_pipeline(colours, kept, last):
    pipeline = make_pipeline(ImageFeatures(**colours.network), last)
    pipeline.fit(colours.paths, colours.labels)
    assert pipeline.predict(colours.paths[::5]).tolist() == ["blue", "green", "red"]
    arrays = [np.asarray(Image.open(path)) for path in colours.paths]
    assert cross_val_score(pipeline, arrays, colours.labels, cv=2).tolist() == [1, 1]
    copy = pickle.loads(pickle.dumps(pipeline))
    np.testing.assert_array_equal(copy.predict_proba(arrays), pipeline.predict_proba(colours.paths))


def test_features_of_images_are_those_of_extract(colours, kept):
    transformer = ImageFeatures(**colours.network)
    with pytest.raises(NotFittedError):
        transformer.transform(colours.paths)
    features = transformer.fit_transform(colours.paths)
    name, size = colours.network["backbone"], colours.network["size"]
    expected = network_named(name, size=size)(load_files([str(colours.folder)])).features
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-6)
    order = [4, 4, 0]
    again = transformer.transform([colours.paths[row] for row in order])
    np.testing.assert_allclose(again, features[order], atol=1e-6)


def test_features_have_the_names_of_the_transformer(colours, kept):
    transformer = ImageFeatures(**colours.network).set_output(transform="pandas")
    frame = transformer.fit_transform(colours.paths)
    assert [*frame.columns[:2]] == ["imagefeatures0", "imagefeatures1"]
    assert frame.shape == (15, 12) == (15, len(transformer.get_feature_names_out()))


def test_a_column_of_paths_beside_numbers(colours, kept):
    frame = pd.DataFrame({"file": colours.paths, "weight": np.arange(15.0)})
    columns = make_column_transformer(
        (ImageFeatures(**colours.network), "file"), ("passthrough", ["weight"])
    )
    assert columns.fit_transform(frame).shape == (15, 13)
    assert columns.get_feature_names_out()[[0, 12]].tolist() == [
        "imagefeatures__imagefeatures0", "passthrough__weight",
    ]  # fmt: skip
    model = make_pipeline(columns, Classifier(backbone=None, head="ncm"))
    assert model.fit(frame, colours.labels).predict(frame).shape == (15,)


def test_features_without_a_cache(colours, tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "none"))
    features = ImageFeatures(cache=False, **colours.network).fit_transform(colours.paths)
    assert not [*tmp_path.rglob("features.npy")]
    kept = ImageFeatures(**colours.network).fit_transform(colours.paths)
    assert [*tmp_path.rglob("features.npy")]
    np.testing.assert_allclose(features, kept, atol=0.02)  # of float32 and of half of it


@pytest.mark.parametrize("cache", [True, False])
def test_images_that_have_no_features(colours, kept, tmp_path, cache):
    (tmp_path / "torn.png").write_bytes(colours.paths[0].read_bytes()[:60])
    transformer = ImageFeatures(cache=cache, **colours.network).fit(colours.paths)
    with pytest.raises(FewshotError, match=r"X: cannot read image '.*torn.png': ") as raised:
        transformer.transform([colours.paths[0], tmp_path / "torn.png"])
    assert "on_error" not in str(raised.value)
    with pytest.raises(FewshotError, match="X: expected images"):
        transformer.transform(np.zeros((3, 4)))


def test_conformal_sets_of_mapie(colours, kept):
    conformal = pytest.importorskip("mapie.classification").SplitConformalClassifier
    names = np.array(["setosa", "versicolor", "virginica"])[KINDS]
    classifier = Classifier(backbone=None, head="lda").fit(FLOWERS[::5], names[::5])
    sets = conformal(classifier, confidence_level=[0.7, 0.9], prefit=True)
    answers, members = sets.conformalize(FLOWERS[1::2], names[1::2]).predict_set(FLOWERS[::2])
    assert answers.tolist() == classifier.predict(FLOWERS[::2]).tolist()
    assert members.shape == (25, 3, 2)
    # Of the rows that the quantile is of, the level holds by its definition.
    held = sets.predict_set(FLOWERS[1::2])[1][np.arange(25), KINDS[1::2], 1]
    assert held.mean() >= 0.9
    images = np.array([str(path) for path in colours.paths])
    classifier = Classifier(head="ncm", **colours.network).fit(images[::2], colours.labels[::2])
    sets = conformal(classifier, confidence_level=0.6, prefit=True)
    sets.conformalize(images[1::2], colours.labels[1::2])
    assert sets.predict_set(images)[0].tolist() == colours.labels.tolist()
