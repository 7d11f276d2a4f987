"""What `fewshot.predict` refuses in Python, naming the argument it came by, and what it notes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import fewshot
from fewshot.exceptions import FewshotError
from fewshot.features import make_bank


def bank(names, shots=5, dim=16, seed=0):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(len(names), dim)).repeat(shots, 0)
    features = (means + rng.normal(size=means.shape)).astype(np.float32)
    return make_bank(features, np.repeat(np.arange(len(names)), shots), list(names))


@pytest.mark.parametrize(
    ("images", "settings", "problem"),
    [
        (bank("a"), {}, "images: expected two classes or more, got 1"),
        (3, {}, "images: expected a folder of images, got 3"),
        ("nowhere", {}, "images: expected a folder with one sub-folder per class, got nothing"),
        ("nowhere.npz", {}, "images: expected a file, got nothing there"),
        (bank("ab"), {"base": 3}, "base: expected features, as the support is, got 3"),
        (bank("ab"), {"base": "no.npz"}, "base: expected a file, got nothing there"),
        (bank("ab"), {"base": bank("bc", seed=1)}, "base: expected other classes than those"),
        (bank("ab"), {"base": bank("cd", dim=8)}, "base: expected 16-d features, got 8-d ones"),
        (bank("ab"), {"base": bank("cd")}, "base: expected other images than those of the supp"),
        (bank("ab"), {"unlabelled": 3}, "unlabelled: expected features"),
        (bank("ab"), {"query": "x"}, "query: expected a folder of images to go with it"),
        (bank("ab"), {"level": 2}, "level: expected a number in (0, 0.99], got 2"),
        (bank("ab"), {"calibrator": "no.json"}, "calibrator: no.json cannot be read"),
        (bank("ab"), {"target": 5}, "target: expected a number"),
        (bank("ab"), {"target": 1}, "target: expected a number in (0, 1), got 1"),
        (bank("ab"), {"more": [0]}, "more: expected an integer >= 1, got 0"),
        (bank("ab"), {"next_labels": 3}, "next_labels: expected unlabelled or query images"),
        (bank("ab"), {"head": []}, "head: expected at least one, got none"),
        (bank("ab"), {"backbone": []}, "backbone: expected at least one, got none"),
    ],
)
def test_refusals_name_the_argument(images, settings, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FewshotError) as caught:
        fewshot.predict(images, **settings)
    assert str(caught.value).startswith(problem) and "\n" not in str(caught.value)


def test_a_folder_of_base_classes_that_is_not_there(tmp_path):
    for name in "ab":
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(2):
            picture = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "images" / name / f"{number}.png")
    with pytest.raises(FewshotError, match=r"^base: expected a folder with one sub-folder"):
        fewshot.predict(tmp_path / "images", base=tmp_path / "others")


@pytest.mark.parametrize("limit", [0, 1, 15, "15%", float("nan")])
def test_a_limit_on_the_page_is_a_share(limit, tmp_path):
    forecast = fewshot.predict(bank("abc"), head="ncm")
    with pytest.raises(FewshotError, match=r"^fail_above: expected a number"):
        forecast.page(tmp_path / "page.html", limit)
    assert not (tmp_path / "page.html").exists()


def test_heads_that_assume_equal_shares_have_a_note():
    text = " ".join(
        repr(fewshot.predict(bank("abc"), head=["ncm", "soft_kmeans", "pt_map"])).split()
    )
    assert "Note on pt_map: it assumes the same number of images of every class" in text
