"""The same features give the same numbers through every door, and every door says what it did."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fewshot as package

NUMBERS = ["episode", "actual_error", "predicted_error"]
ASKED = ("head=[ncm]", "estimator=[margin]", "episodes.shots=[2]")


def evaluated(fewshot, name, *settings):
    done = fewshot(*settings, *ASKED, f"paths.runs=runs/{name}")
    assert done.code == 0, done.err
    (file,) = Path("runs", name).rglob("predictions.parquet")
    return pd.read_parquet(file)[NUMBERS], done.out


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_images_their_bank_and_its_export_give_the_same_rows(fewshot, image_settings, suffix):
    images, said = evaluated(fewshot, "1", *image_settings)
    assert "features of unit length\n" in said
    (folder,) = Path("cache").rglob("bank.json")
    file = f"exported{suffix}"
    assert fewshot("bank", "export", folder.parent.name, "--output", file).code == 0
    again = ("dataset=features", "episodes.count=20", "threads=1")
    for number, place in (("2", file), ("3", folder.parent)):
        rows, said = evaluated(fewshot, number, *again, f"dataset.path={place}")
        pd.testing.assert_frame_equal(rows, images)
        assert "features of unit length\n" in said
    bare, said = evaluated(fewshot, "4", *again, f"dataset.path={file}", "features.normalize=none")
    assert "features as given\n" in said
    assert not bare["predicted_error"].equals(images["predicted_error"])
    features, labels = (
        np.load(folder.parent / "features.npy"),
        np.load(folder.parent / "labels.npy"),
    )
    names = json.loads(folder.read_text())["classnames"]
    arguments = {"classnames": names, "shots": 2, "episodes": 20, "estimators": ["margin"]}
    for normalize, expected in (("l2", images), ("none", bare)):
        result = package.evaluate(features, labels, normalize=normalize, **arguments)
        pd.testing.assert_frame_equal(result.predictions[NUMBERS], expected)
        words = {"l2": "of unit length", "none": "as given"}[normalize]
        assert f"features {words}\n" in repr(result)


def test_a_file_of_ones_own_may_say_it(fewshot, feature_settings, feature_file, refusal):
    arrays = dict(np.load(feature_file))
    plain, said = evaluated(fewshot, "1", *feature_settings)
    assert "features as given\n" in said
    unit, said = evaluated(fewshot, "2", *feature_settings, "features.normalize=l2")
    np.savez(feature_file, **arrays, normalize=np.array("l2"))
    marked, said = evaluated(fewshot, "3", *feature_settings)
    assert "features of unit length\n" in said
    pd.testing.assert_frame_equal(marked, unit)
    overruled, _ = evaluated(fewshot, "4", *feature_settings, "features.normalize=none")
    pd.testing.assert_frame_equal(overruled, plain)
    np.savez(feature_file, **arrays, normalize=np.array("L1"))
    assert "normalize: expected one of 'none', 'l2', got 'L1'" in refusal(*feature_settings)


@pytest.mark.parametrize("scale", [1e37, 1e-30, 1e-43])
def test_features_out_of_range_get_one_line(
    refusal, fewshot, feature_settings, feature_file, scale
):
    arrays = dict(np.load(feature_file))
    wide = np.float64(arrays["features"]) * scale
    np.savez(feature_file, **(arrays | {"features": wide.astype(np.float32)}))
    assert "features: expected rows whose largest absolute value is" in refusal(*feature_settings)
    assert fewshot(*feature_settings, "features.normalize=l2").code == 0
