"""ONNX files of classifiers: the same answers as the classifier, or no file."""

import json
from copy import copy
from functools import cache
from pathlib import Path

import numpy as np
import PIL
import pytest
import torch
from PIL import Image

from fewshot.backbones.transform import Transform
from fewshot.exceptions import FewshotError
from fewshot.models.onnx.packages import PACKAGES

onnx, *_ = [pytest.importorskip(name) for name in PACKAGES]
from fewshot.models.onnx import check, export, writing  # noqa: E402  they import onnx

SLOW = pytest.mark.slow  # an export takes a second


@pytest.fixture
def photos(folder):
    return sorted(map(str, (folder / "photos").rglob("*.png")))


def test_images_of_any_size(of_images, of_image, photos, run):
    expected = of_images.predict_proba(photos)
    for path, probabilities in zip(photos, expected, strict=True):
        outputs = run(of_image, np.asarray(Image.open(path))[None])
        np.testing.assert_allclose(outputs.probabilities[0], probabilities, atol=1e-5)
        assert outputs.label[0] == probabilities.argmax()
    sizes = {Image.open(path).size for path in photos}
    assert len(sizes) > 5


def test_a_batch_of_images(of_images, of_image, photos, run):
    images = [Image.open(path).resize((50, 40)) for path in photos[:5]]
    outputs = run(of_image, np.stack([np.asarray(image) for image in images]))
    np.testing.assert_allclose(outputs.probabilities, of_images.predict_proba(images), atol=1e-5)


def test_pixels(of_images, photos, run, tmp_path):
    done = of_images.to_onnx(tmp_path / "pixels.onnx", input="pixels", check=photos[:3])
    transform = of_images.network_.backbone.transform
    pixels = torch.stack([transform.pixels(Image.open(path)) for path in photos])
    outputs = run(done.path, pixels.numpy())
    np.testing.assert_allclose(outputs.probabilities, of_images.predict_proba(photos), atol=1e-5)
    assert done.comparison.rows == 5  # and the last with its mirror image
    assert done.comparison.probabilities < 1e-5


@SLOW
def test_models_of_bfloat16_are_compared_in_float32(of_images, tmp_path):
    low = copy(of_images)
    low.network_ = of_images.network_.at("bfloat16")
    assert low.to_onnx(tmp_path / "x.onnx", input="pixels").comparison.probabilities < 1e-5


@SLOW
def test_features_at_any_length(of_images, photos, run, tmp_path):
    """Unit length is in the graph; so are lengths whose squares float32 cannot hold, and zero."""
    done = of_images.to_onnx(tmp_path / "features.onnx", input="features")
    rows = np.random.default_rng(0).normal(size=(5, 12)).astype(np.float32)
    rows *= np.array([[1], [1e-30], [1e30], [0], [7]], dtype=np.float32)
    expected = of_images.predict_proba(rows)
    np.testing.assert_allclose(run(done.path, rows).probabilities, expected, atol=1e-5)


def test_a_classifier_of_features_is_exported_as_such(fit_head, queries, run, tmp_path):
    classifier = fit_head("lda")
    done = classifier.to_onnx(tmp_path / "lda.onnx", check=queries)
    assert (done.input, done.comparison.rows) == ("features", 9)
    outputs = run(done.path, queries)
    expected = classifier.decision_function(queries)
    np.testing.assert_allclose(outputs.scores, expected, atol=1e-4 * np.abs(expected).max())
    assert (classifier.classes_[outputs.label] == classifier.predict(queries)).all()
    with pytest.raises(FewshotError, match="fitted on features, got 'image'"):
        classifier.to_onnx(tmp_path / "image.onnx", input="image")


@pytest.mark.parametrize(
    "head", [pytest.param("qda", marks=SLOW), "knn", pytest.param("matching", marks=SLOW)]
)
def test_heads_that_are_not_linear(head, fit_head, queries, run, tmp_path):
    classifier = fit_head(head)
    done = classifier.to_onnx(tmp_path / "head.onnx", check=queries)
    rows = queries[::2] + 0.1
    expected = classifier.predict_proba(rows)
    np.testing.assert_allclose(run(done.path, rows).probabilities, expected, atol=1e-5)


def test_a_file_says_what_it_is(of_images, of_image):
    model = onnx.load(of_image)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    header = of_images.header_
    assert json.loads(facts["classes"]) == ["blue", "green", "red"] == [*of_images.classes_]
    assert json.loads(facts["transform"])["size"] == 32
    assert facts["weights_sha256"] == header.backbone.weights.sha256
    assert json.loads(facts["predicted_error"])["error"] == header.error.error
    assert facts["input"] == "image"
    assert json.loads(facts["exported_with"])["pillow"] == PIL.__version__
    assert [opset.version for opset in model.opset_import] == [18]
    onnx.checker.check_model(model, full_check=True)


@SLOW
def test_weights_that_protobuf_cannot_hold_are_beside_the_file(
    fit_head, queries, run, tmp_path, monkeypatch
):
    monkeypatch.setattr(writing, "LARGEST", 10)
    monkeypatch.setattr(writing, "SMALLEST", 64)
    classifier = fit_head("ridge")
    done = classifier.to_onnx(tmp_path / "large.onnx")
    assert {path.name for path in tmp_path.iterdir()} == {"large.onnx", "large.onnx.data"}
    outputs = run(done.path, queries)
    expected = classifier.predict_proba(queries)
    np.testing.assert_allclose(outputs.probabilities, expected, atol=1e-5)


def test_a_file_that_differs_is_not_left(fit_head, tmp_path, monkeypatch):
    classifier = fit_head("ridge")
    graph_of = cache(export._model)  # the same graph thrice

    def other(*arguments):
        model = onnx.ModelProto()
        model.CopyFrom(graph_of(*arguments))
        values = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        array = onnx.numpy_helper.to_array(values) * np.float32(1.01)
        values.CopyFrom(onnx.numpy_helper.from_array(array, values.name))
        return model

    monkeypatch.setattr(export, "_model", other)
    (tmp_path / "before.onnx").write_bytes(b"\x08")
    for name in ("before.onnx", "new.onnx", "folder/new.onnx"):
        with pytest.raises(FewshotError, match="differs from torch: by "):
            classifier.to_onnx(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["before.onnx"]
    assert (tmp_path / "before.onnx").read_bytes() == b"\x08"


def test_answers_that_are_no_numbers_are_no_agreement():
    ours = [np.ones((1, 2)), np.ones((1, 2)), np.zeros(1, int)]
    theirs = [np.ones((1, 2)), np.full((1, 2), np.nan), np.zeros(1, int)]
    with pytest.raises(FewshotError, match="inf of the largest score"):
        check._judged(ours, theirs)


def test_transductive_heads_are_refused(fit_head, tmp_path):
    from fewshot.heads import SoftKMeans

    classifier = fit_head("ridge")
    fitted = SoftKMeans()
    object.__setattr__(classifier.fitted_, "head", fitted)
    with pytest.raises(FewshotError, match="it is transductive"):
        classifier.to_onnx(tmp_path / "x.onnx")
    assert not any(tmp_path.iterdir())


def test_networks_and_heads_of_other_operations_are_named(folder, fit_head, tmp_path):
    from fewshot.heads import Head
    from fewshot.models.fit import fit

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        network = "callable:onnx_colours:untraceable"
        classifier = fit(str(folder / "photos"), backbone=network, head="ridge", size=32)
    with pytest.raises(FewshotError) as refused:
        classifier.to_onnx(tmp_path / "x.onnx")
    assert "untraceable' cannot be exported" in str(refused.value)
    assert "input=features" in str(refused.value) and "\n" not in str(refused.value)

    class Sorting(Head):
        def fit(self, support):
            return self

        def scores(self, query):
            return torch.linalg.lstsq(query.features, query.features).solution[..., :3, :3]

    classifier = fit_head("knn")
    object.__setattr__(classifier.fitted_, "head", Sorting())
    with pytest.raises(FewshotError, match=r"^head: 'knn' cannot be exported"):
        classifier.to_onnx(tmp_path / "x.onnx")
    assert not any(tmp_path.glob("*.onnx"))


def test_transforms_of_others_are_for_them_to_apply(of_images, monkeypatch):
    class Mirrored(Transform):
        pass

    monkeypatch.setattr(of_images.network_.backbone, "transform", Mirrored(32))
    with pytest.raises(FewshotError, match="a class of its own, Mirrored"):
        of_images.to_onnx("x.onnx")


def test_a_model_file_is_not_written_over(of_images, tmp_path):
    of_images.save(tmp_path / "m.fewshot")
    before = (tmp_path / "m.fewshot").read_bytes()
    with pytest.raises(FewshotError, match="a safetensors file"):
        of_images.to_onnx(tmp_path / "m.fewshot")
    assert (tmp_path / "m.fewshot").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input": "images"}, "^input: .*'images'"),
        ({"check": "nowhere"}, "^check: .*nowhere"),
        ({"check": ["broken.png"]}, "^check: cannot read image 'broken.png'"),
    ],
)
def test_what_is_asked_wrongly_is_said_in_a_line(of_images, options, message, tmp_path):
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(FewshotError, match=message):
        of_images.to_onnx("x.onnx", **options)
    assert not Path("x.onnx").exists()


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_that_are_missing_are_named(name, of_images, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(FewshotError) as refused:
        of_images.to_onnx("x.onnx")
    assert f"the package {name}," in str(refused.value)
    assert "pip install 'fewshot-eval[onnx]'" in str(refused.value)
