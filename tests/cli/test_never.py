"""``results.policy=never``: neither a network nor an image is touched."""

from pathlib import Path

import pytest


def test_features_that_are_missing_are_not_extracted(refusal, image_settings, tmp_path):
    message = refusal(*image_settings, "results.policy=never")
    assert message.startswith("results.policy: never to compute, but the features of photos under")
    assert not list(Path(tmp_path).rglob("features.npy"))


def test_a_run_that_is_there_needs_no_image(fewshot, image_settings, monkeypatch):
    quick = [
        *image_settings,
        "episodes.ways=3",
        "head=ncm",
        "estimator=constant",
        "episodes.shots=2",
    ]
    assert fewshot(*quick).code == 0
    monkeypatch.setattr("fewshot.features.extraction.precision_choice.decode", pytest.fail)
    monkeypatch.setattr("fewshot.features.extraction.pipeline.decode", pytest.fail)
    monkeypatch.setattr("fewshot.backbones.callable.CallableBackbone.load", pytest.fail)
    done = fewshot(*quick, "results.policy=never")
    assert done.code == 0, done.err
    assert "1 cell taken from earlier runs, 0 computed" in done.out
