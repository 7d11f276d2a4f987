"""``fewshot export`` writes a checked ONNX file, or says in a line why not."""

import sys
from pathlib import Path

import numpy as np
import pytest

import fewshot as package


@pytest.fixture
def model(feature_file, fewshot):
    """A model of features, and the features."""
    assert fewshot("fit", "f.npz", "--output", "m.fewshot", "--head", "lda").code == 0
    return np.load("f.npz")["features"]


def test_a_model_of_features_becomes_an_onnx_file(model, fewshot):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    np.savez("more.npz", features=model[:7] + 0.1)
    done = fewshot("export", "m.fewshot", "--output", "out/m.onnx", "--check", "more.npz")
    assert done.code == 0, done.err
    assert done.out.startswith("ONNX: out/m.onnx, from features to probabilities\nOn 7 features ")
    session = onnxruntime.InferenceSession("out/m.onnx", providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"features": model})
    expected = package.load("m.fewshot").predict_proba(model)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input", "image"), "--input: expected 'features'"),
        (("--input", "logits"), "--input: expected one of"),
        (("--check", "nowhere.npz"), "--check: "),
        (("--output", "m.fewshot"), "--output: expected a new file"),
        (("--output", "out"), "--output: expected a file, got a folder"),
    ],
)
def test_mistakes_are_one_line(arguments, message, model, refusal):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    Path("out").mkdir()
    before = Path("m.fewshot").read_bytes()
    line = refusal("export", "m.fewshot", "--output", "x.onnx", *arguments)
    assert line.startswith(message)
    assert Path("m.fewshot").read_bytes() == before
    assert not Path("x.onnx").exists()


def test_files_that_are_no_models(refusal, feature_file):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    for path in ("f.npz", "nowhere.fewshot"):
        assert refusal("export", path, "--output", "x.onnx").startswith("MODEL: ")


def test_the_extra_is_named_before_the_model_is_read(refusal, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    line = refusal("export", "nowhere.fewshot", "--output", "x.onnx")
    assert "pip install 'fewshot-eval[onnx]'" in line
