"""The classifier: what it takes, what it answers, what it says of itself."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import fewshot
from fewshot.exceptions import FewshotError
from fewshot.heads import KNN, LDA, NCM
from fewshot.models.classifier import Classifier

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(2, 8)) * 3
NUMBERS = np.arange(12) % 2
FEATURES = (CENTRES[NUMBERS] + RNG.normal(size=(12, 8))).astype(np.float32)


def banks(cache):
    """Files of feature banks."""
    return set(cache.rglob("features.npy"))


def of_features(labels, head="ncm"):
    """A classifier fitted on twelve rows of two classes."""
    return Classifier(backbone=None, head=head).fit(FEATURES, labels)


@pytest.fixture(scope="module")
def fitted(colours):
    """A classifier of three colours."""
    return Classifier(head="ncm", **colours.network).fit(colours.paths, colours.labels)


LABELS = {
    "texts": np.array(["cat", "dog"])[NUMBERS],
    "objects": np.array(["cat", "dog"], dtype=object)[NUMBERS],
    "int64": NUMBERS * 10 - 5,
    "int8": NUMBERS.astype(np.int8),
    "bool": NUMBERS.astype(bool),
    "float": NUMBERS.astype(np.float64) + 1,
    "list": [["a", "b"][n] for n in NUMBERS],
    "categorical": pd.Series(np.array(["x", "y"])[NUMBERS], dtype="category"),
    "pandas integers": pd.Series(NUMBERS, dtype="Int64"),
    "bytes": np.array([b"x", b"y"])[NUMBERS],
    "tensor": torch.from_numpy(NUMBERS),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_keep_their_type_also_in_a_file(kind, tmp_path):
    labels = LABELS[kind]
    plain = np.asarray(labels.tolist() if kind == "pandas integers" else labels)
    plain = plain.astype(str) if kind == "bytes" else plain
    classifier = of_features(labels)
    assert classifier.classes_.dtype == plain.dtype
    assert classifier.classes_.tolist() == np.unique(plain).tolist()
    answers = classifier.predict(FEATURES)
    assert answers.dtype == plain.dtype
    assert (answers == plain).mean() > 0.9
    classifier.save(tmp_path / "a.fewshot")
    loaded = fewshot.load(tmp_path / "a.fewshot")
    assert loaded.predict(FEATURES).tolist() == answers.tolist()
    if plain.dtype.kind in "ifb":
        assert loaded.classes_.dtype == plain.dtype


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "requires y to be passed"),
        (["a"] * 12, "y: expected two classes or more, got 1 class"),
        ([*"aabbaabbaab", None], "y: 1 of 12 is missing (None, NaN or empty), first in row 11"),
        ([*"aabbaabbaab", " "], "y: 1 of 12 is missing"),
        ([1.0] * 11 + [np.nan], "y: 1 of 12 is missing"),
        (np.array([*"aabbaabbaab", 1], dtype=object), "y: expected labels of one type"),
        (np.linspace(0, 1, 12), "Unknown label type"),
        (np.eye(12), "y should be a 1d array"),
    ],
)
def test_labels_that_are_no_classes(labels, message):
    with pytest.raises(ValueError, match="y") as raised:
        of_features(labels)
    assert message in str(raised.value)


def test_the_same_images_with_other_labels_are_another_task(colours, kept):
    swapped = np.where(colours.labels == "red", "green",
                       np.where(colours.labels == "green", "red", colours.labels))  # fmt: skip
    classifier = Classifier(head="ncm", **colours.network)
    for labels in (colours.labels, swapped):
        assert classifier.fit(colours.paths, labels).predict(colours.paths).tolist() == [*labels]


def test_forms_of_images_give_the_same_probabilities(fitted, colours):
    expected = fitted.predict_proba(colours.paths)
    assert expected.shape == (15, 3)
    assert np.abs(expected.sum(1) - 1).max() < 1e-12
    opened = [Image.open(path) for path in colours.paths]
    array = np.stack([np.asarray(image) for image in opened])
    for images in (opened, array, torch.from_numpy(array), np.array(colours.paths)):
        np.testing.assert_array_equal(fitted.predict_proba(images), expected)
    order = [3, 0, 14, 0]
    several = [colours.paths[row] for row in order]
    assert fitted.predict(several).tolist() == colours.labels[order].tolist()
    assert fitted.predict(colours.folder).tolist() == colours.labels.tolist()


def test_features_of_images_in_memory_are_kept_as_those_of_files(colours, kept):
    arrays = [np.asarray(Image.open(path)) for path in colours.paths]
    classifier = Classifier(head="ncm", **colours.network)
    classifier.fit(arrays, colours.labels)
    before = banks(colours.cache)
    classifier.fit([Image.fromarray(pixels) for pixels in arrays], colours.labels)
    assert banks(colours.cache) == before
    classifier.fit(arrays[1:], colours.labels[1:])
    assert len(banks(colours.cache)) == len(before) + 1


def test_images_that_cannot_be_read_are_named(fitted, colours, tmp_path):
    (tmp_path / "torn.png").write_bytes(colours.paths[0].read_bytes()[:60])
    for images in ([colours.paths[0], tmp_path / "torn.png"], [tmp_path / "torn.png"]):
        with pytest.raises(FewshotError, match=r"X: cannot read image '.*torn.png': ") as raised:
            fitted.predict(images)
        assert "on_error" not in str(raised.value)
    images = [*colours.paths[1:], tmp_path / "torn.png"]
    with pytest.raises(FewshotError, match=r"X: cannot read image '.*torn.png': ") as raised:
        Classifier(head="ncm", **colours.network).fit(images, colours.labels)
    assert "on_error" not in str(raised.value)
    with pytest.raises(FewshotError, match=r"X: cannot read image 'X\[1\]': "):
        closed = Image.new("RGB", (4, 4))
        closed.close()
        fitted.predict([colours.paths[0], closed])


def test_features_of_its_backbone_are_taken_as_well(fitted, colours):
    images = [np.asarray(Image.open(path)) for path in colours.paths]
    features = fewshot.ImageFeatures(**colours.network).fit(images).transform(images)
    np.testing.assert_allclose(
        fitted.predict_proba(3 * features), fitted.predict_proba(images), atol=1e-5
    )
    problem = r"12 features of callable:means_net:network for each, got an array \(15, 3\)"
    with pytest.raises(FewshotError, match=problem):
        fitted.predict(features[:, :3])
    with pytest.raises(FewshotError, match="X: expected a dense array, got a sparse matrix"):
        fitted.predict(csr_matrix(features))


@pytest.mark.parametrize("images", [["a.png"], "a.png", [Image.new("RGB", (4, 4))],
                                    np.zeros((2, 4, 4, 3), np.uint8)])  # fmt: skip
def test_images_for_a_classifier_of_features(images):
    with pytest.raises(FewshotError, match=r"X: expected features .* got images"):
        Classifier(backbone=None).fit(images, [0, 1])
    with pytest.raises(FewshotError, match=r"X: expected features .* got images"):
        of_features(NUMBERS).predict(images)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "decision_function", "predict_set", "classify", "save"]
)
def test_before_it_is_fitted(method):
    with pytest.raises(NotFittedError):
        getattr(Classifier(), method)("a.png")
    assert not hasattr(Classifier(), "error_")
    assert not hasattr(Classifier(), "classes_")


@pytest.mark.parametrize("head", ["ncm", KNN(k=1)])
def test_features_of_another_length(head, tmp_path):
    classifier = of_features(NUMBERS, head)
    classifier.save(tmp_path / "a.fewshot")
    for known in (classifier, fewshot.load(tmp_path / "a.fewshot")):
        assert known.n_features_in_ == 8
        with pytest.raises(ValueError, match="X has 7 features"):
            known.predict(FEATURES[:, :7])


def test_numbers_that_float32_cannot_hold_are_named(fitted):
    rows = np.ones((3, fitted.header_.backbone.dim))
    rows[1, 0] = 1e300
    of_features = fewshot.Classifier(backbone=None, head="ncm").fit(np.eye(4), [0, 0, 1, 1])
    for classifier, X in ((fitted, rows), (of_features, rows[:, :4])):
        with pytest.raises(FewshotError, match=r"^X: expected finite numbers in float32.* row 1"):
            classifier.predict(X)


def test_what_was_fitted_before_is_forgotten(colours, kept):
    classifier = of_features(NUMBERS).set_params(**colours.network)
    classifier.fit(colours.paths, colours.labels)
    assert not hasattr(classifier, "n_features_in_")
    assert classifier.predict(colours.paths[:1]).tolist() == ["blue"]


def test_features_that_may_not_be_written(recwarn):
    features = FEATURES.copy()
    features.flags.writeable = False
    Classifier(backbone=None, head="ncm").fit(features, NUMBERS).predict(features)
    assert not [entry for entry in recwarn if "writable" in str(entry.message)]


def test_scores_order_as_probabilities_do(fitted, colours):
    scores = fitted.decision_function(colours.paths)
    assert scores.shape == (15, 3)
    np.testing.assert_array_equal(scores.argsort(1), fitted.predict_proba(colours.paths).argsort(1))
    two = of_features(NUMBERS)
    assert two.decision_function(FEATURES).shape == (12,)
    np.testing.assert_array_equal(two.decision_function(FEATURES) > 0, two.predict(FEATURES) == 1)


def test_sets_grow_with_their_level(fitted, colours):
    low, high = (fitted.predict_set(colours.paths, level) for level in (0.5, 0.95))
    assert low.dtype == bool
    assert low.shape == (15, 3)
    assert low.any(1).all()
    assert (high | ~low).all()
    assert fitted.predict_set(colours.paths, np.float32(0.999)).sum() >= high.sum()
    for level in (0, 1, -0.5, float("nan"), "0.9", None, True):
        with pytest.raises(FewshotError, match="level: expected"):
            fitted.predict_set(colours.paths, level)


@pytest.mark.parametrize("head", ["ncm", LDA(shrinkage=0.3), KNN(k=1)])
def test_pickles_answer_the_same_without_a_network_inside(head, colours, kept):
    classifier = Classifier(head=head, **colours.network).fit(colours.paths, colours.labels)
    expected = classifier.predict_proba(colours.paths)
    assert "encode" in vars(classifier.network_)
    copy = pickle.loads(pickle.dumps(classifier))
    assert "encode" not in vars(copy.network_)
    np.testing.assert_array_equal(copy.predict_proba(colours.paths), expected)
    assert repr(copy) == repr(classifier)


def test_a_clone_is_unfitted_and_has_the_backbone_and_head_that_were_taken(colours, kept, tmp_path):
    options = {"head": ["ncm", LDA(shrinkage=0.3)], "level": 0.8, **colours.network}
    made = fewshot.fit(colours.folder, **options)
    made.save(tmp_path / "a.fewshot")
    for classifier in (made, fewshot.load(tmp_path / "a.fewshot")):
        parameters = clone(classifier).get_params(deep=False)
        assert parameters["backbone"] == "callable:means_net:network"
        assert parameters["level"] == 0.8
        assert not hasattr(clone(classifier), "classes_")
        if made.header_.head["name"] == "ncm":
            assert parameters["head"] == "ncm"
        else:
            assert parameters["head"].get_params() == LDA(shrinkage=0.3).get_params()
    assert made.get_params()["size"] == 16
    again = clone(made).fit(colours.paths, colours.labels)
    np.testing.assert_allclose(
        again.predict_proba(colours.paths), made.predict_proba(colours.paths), atol=1e-6
    )


def test_parameters_of_a_head_are_parameters():
    classifier = Classifier(backbone=None, head=LDA(shrinkage=0.3))
    assert classifier.get_params()["head__shrinkage"] == 0.3
    copy = clone(classifier).set_params(head__shrinkage=0.7)
    assert (classifier.head.shrinkage, copy.head.shrinkage) == (0.3, 0.7)
    with pytest.raises(FewshotError, match=r"LDA has no setting 'shrinkag'\. Did you mean"):
        copy.set_params(head__shrinkag=0.7)
    with pytest.raises(FewshotError, match="NCM has no setting"):
        NCM().set_params(shrinkage=0.5)


def test_it_says_what_it_tells_apart_and_how_well(fitted):
    error = fitted.error_
    assert 0 <= error.lower <= error.error <= error.upper <= 1
    text = repr(fitted)
    assert "3 classes (blue, green, red) from 15 images: ncm on callable:means_net" in text
    assert f"predicted error {100 * error.error:.1f} %" in text
    assert "classes" not in repr(clone(fitted))
    marked = of_features(np.array(["<b>cat", "dog\n"])[NUMBERS])
    html = marked._repr_mimebundle_()["text/html"]
    assert "&lt;b&gt;cat" in html
    assert "<b>cat" not in html
    assert "&lt;b&gt;cat" in marked._repr_html_()
    assert "classes" not in clone(marked)._repr_html_()
    assert "2 classes (<b>cat, dog\N{REPLACEMENT CHARACTER}) from 12 rows: ncm" in repr(marked)


def test_what_is_no_backbone():
    with pytest.raises(FewshotError, match="backbone: expected"):
        Classifier(backbone=3).fit(["a.png", "b.png"], [0, 1])


def test_options_of_fit(colours, kept):
    with pytest.raises(
        FewshotError, match=r"images: expected a folder.*Classifier\(\)\.fit\(X, y\)"
    ):
        fewshot.fit(FEATURES)
    with pytest.raises(FewshotError, match=r"y: .* take fewshot\.fit"):
        Classifier(**colours.network).fit(str(colours.folder), None)
    with pytest.raises(FewshotError, match=r"backbon: .* Did you mean 'backbone'"):
        fewshot.fit(colours.folder, backbon="x")
    forecasts = fewshot.predict(colours.folder, head="ncm", level=0.7, **colours.network)
    with pytest.raises(FewshotError, match="level: expected no options beside forecasts"):
        fewshot.fit(forecasts, level=0.8)
    assert fewshot.fit(forecasts).level == 0.7


def test_fit_has_the_arguments_of_predict():
    import inspect

    from fewshot.models.fit import FitOptions

    names = [*inspect.signature(fewshot.predict).parameters]
    assert [*inspect.signature(fewshot.fit).parameters] == [*names, "task"]
    assert [*FitOptions.__annotations__] == names[1:]
